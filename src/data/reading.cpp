#include "data/reading.h"

#include <algorithm>
#include <set>
#include <unordered_set>

#include "data/leaf_value.h"

namespace dots::data {
namespace {

using wire::JsonValue;

std::string quoted(std::string_view text) {
  std::string out = "'";
  out += text.substr(0, 64);
  return out + "'";
}

// "https1" and "a", "b" of one list must differ; the separator cannot stand in a key.
std::string joined(const std::vector<std::string>& keys) {
  std::string out;
  for (const std::string& key : keys) out += key + '\x1f';
  return out;
}

class Reader {
 public:
  explicit Reader(const Reading& how) : how_(how) {}

  // All instances of one node: one, or the entries of an array.
  Checked<void> node(const Node& of, const JsonValue& value, const std::string& path, std::vector<Instance>& out) {
    if (of.capability != NodeId::none && how_.capabilities != nullptr && !how_.capabilities->has(of.capability)) {
      return fault::unknown_element("this server cannot filter on " + std::string(of.name) + " here", path);
    }
    if (!of.is_many()) return one(of, value, path, out);
    if (!value.is_array()) return fault::invalid_value(std::string(of.name) + " must be an array", path);
    std::unordered_set<std::string> seen;
    for (const JsonValue& entry : value.entries) {
      if (auto read = one(of, entry, path, out); !read) return read;
      const std::vector<std::string> keys = keys_of(out.back());
      const bool keyless =
          of.is_list() && std::any_of(keys.begin(), keys.end(), [](const auto& k) { return k.empty(); });
      if (!keyless && !seen.insert(joined(keys)).second) {
        return fault::invalid_value(std::string(of.name) + " has two entries " + quoted(keys.front()), path);
      }
    }
    return {};
  }

  Checked<Instance> members(const Node& of, const JsonValue& object, const std::string& path) {
    if (!object.is_object()) return fault::invalid_value(std::string(of.name) + " must be an object", path);
    Instance instance(of);
    std::set<const Node*> met;
    for (const auto& [name, value] : object.members) {
      const Node* child = nullptr;
      if (auto found = resolve(of, name, path, child); !found) return found.error();
      if (child == nullptr || child->state) continue;
      // With and without the name of its module it is the same member (RFC 7951 4).
      if (!met.insert(child).second) {
        return fault::invalid_value(std::string(child->name) + " stands twice in " + std::string(of.name), path);
      }
      if (auto read = node(*child, value, path + "/" + std::string(child->name), instance.children); !read) {
        return read.error();
      }
    }
    return instance;
  }

  // The node that a member stands for; null for what is passed over: metadata (RFC 7952), members of modules that
  // nobody here knows (RFC 8783 6.1: vendor-specific parameters may be ignored).
  Checked<void> resolve(const Node& parent, std::string_view name, const std::string& path, const Node*& child) const {
    child = nullptr;
    if (!name.empty() && name.front() == '@') return {};
    const std::size_t colon = name.find(':');
    if (colon != std::string_view::npos && name.substr(0, colon) != module_of(parent)) return {};
    const std::string_view local = colon == std::string_view::npos ? name : name.substr(colon + 1);
    child = parent.child(local);
    if (child != nullptr || how_.own) return {};
    return fault::unknown_element(quoted(name) + " is not known in " + std::string(parent.name), path);
  }

 private:
  Checked<void> one(const Node& of, const JsonValue& value, const std::string& path, std::vector<Instance>& out) {
    if (of.is_leaf()) {
      auto text = leaf_from_json(of, value);
      if (!text) return fault::invalid_value(std::string(of.name) + " " + text.error().message, path);
      out.emplace_back(of, std::move(*text));
      return {};
    }
    auto instance = members(of, value, path);
    if (!instance) return instance.error();
    out.push_back(std::move(*instance));
    return {};
  }

  const Reading& how_;
};

}  // namespace

Checked<std::vector<Instance>> read_body(const Node& parent, const JsonValue& body, const Reading& how) {
  if (!body.is_object()) return fault::invalid_value("the body must be an object with one member");
  const auto is_metadata = [](const wire::JsonMember& m) { return !m.name.empty() && m.name.front() == '@'; };
  const auto first = std::find_if_not(body.members.begin(), body.members.end(), is_metadata);
  if (first == body.members.end()) return fault::invalid_value("the body holds nothing");
  if (std::find_if_not(first + 1, body.members.end(), is_metadata) != body.members.end()) {
    return fault::invalid_value("the body must hold exactly one member");
  }
  // The member of the outermost object bears its module (RFC 7951 4).
  const std::string& name = first->name;
  const std::size_t colon = name.find(':');
  if (colon == std::string::npos) {
    return fault::unknown_element("the member " + quoted(name) + " must bear the name of its module");
  }
  const bool top = parent.id == NodeId::none;
  const Node* child = top ? parent.child(name) : nullptr;
  if (!top && std::string_view(name).substr(0, colon) == module_of(parent)) {
    child = parent.child(std::string_view(name).substr(colon + 1));
  }
  if (child == nullptr) {
    const bool known = std::string_view(name).substr(0, colon) == kModule;
    if (!known) return Fault{400, "unknown-namespace", "the module of " + quoted(name) + " is not known here"};
    return fault::unknown_element(quoted(name) + " does not belong here");
  }
  if (child->state) return fault::protocol(405, "operation-not-supported", std::string(child->name) + " is state");
  std::vector<Instance> instances;
  Reader reader(how);
  if (auto read = reader.node(*child, first->value, child->path(), instances); !read) return read.error();
  if (instances.empty()) return fault::invalid_value("the body holds no entry of " + std::string(child->name));
  return instances;
}

Checked<Instance> read_members(const Node& of, const JsonValue& object, const Reading& how, const std::string& path) {
  return Reader(how).members(of, object, path);
}

std::string path_of(const std::string& parent, const Instance& instance) {
  std::string path = parent + "/" + std::string(instance.node->name);
  if (!instance.node->is_many()) return path;
  if (!instance.node->is_list()) return path + "[.='" + instance.value + "']";
  for (const Node* key : instance.node->children) {
    if (!key->key) continue;
    const std::string* value = instance.leaf(key->id);
    if (value != nullptr) path += "[" + std::string(key->name) + "='" + *value + "']";
  }
  return path;
}

Checked<void> check_complete(const Instance& instance, const std::string& path) {
  if (instance.node->is_leaf()) return {};
  // choice -> the case that is there, and the node that brought it
  std::vector<const Node*> chosen;
  for (const Instance& child : instance.children) {
    if (child.node->choice.empty()) continue;
    const auto same =
        std::find_if(chosen.begin(), chosen.end(), [&](const Node* c) { return c->choice == child.node->choice; });
    if (same == chosen.end()) {
      chosen.push_back(child.node);
    } else if ((*same)->choice_case != child.node->choice_case) {
      return fault::invalid_value(
          std::string((*same)->name) + " and " + std::string(child.node->name) + " exclude each other", path);
    }
  }
  for (const Node* needed : instance.node->children) {
    if ((!needed->mandatory && !needed->key) || needed->state || instance.find(needed->id) != nullptr) continue;
    const bool wanted = needed->choice.empty() || std::any_of(chosen.begin(), chosen.end(), [&](const Node* c) {
                          return c->choice == needed->choice && c->choice_case == needed->choice_case;
                        });
    if (wanted)
      return fault::missing(std::string(needed->name) + " is missing", path + "/" + std::string(needed->name));
  }
  for (const Instance& child : instance.children) {
    if (child.node->is_leaf()) continue;
    if (auto checked = check_complete(child, path_of(path, child)); !checked) return checked;
  }
  return {};
}

}  // namespace dots::data
