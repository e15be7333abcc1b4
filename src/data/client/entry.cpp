#include "data/client/entry.h"

#include <algorithm>

#include "data/printing.h"
#include "data/reading.h"
#include "data/typed.h"
#include "model/ip.h"
#include "wire/json_value.h"

namespace dots::data::client {
namespace {

using wire::JsonValue;

// Documents of operators and answers of servers alike.
constexpr wire::JsonLimits kLimits{std::size_t{64} << 20, 32, 400000, 4096};
constexpr std::size_t kMostCapabilities = std::size_t{1} << 20;

Checked<JsonValue> parse(std::string_view json) {
  auto value = wire::parse_json(json, kLimits);
  if (!value) return Fault{400, "malformed-message", "this is no JSON: " + value.error().message};
  return std::move(*value);
}

bool any_below(const Instance& instance, NodeId id) {
  return instance.is(id) || std::any_of(instance.children.begin(), instance.children.end(),
                                        [&](const Instance& child) { return any_below(child, id); });
}

// RFC 8783 4.2: never in the same request, so never in the same list.
Checked<void> check_exclusions(const Instance& acl, const std::string& path) {
  const auto both = [&](NodeId a, NodeId b) { return any_below(acl, a) && any_below(acl, b); };
  if (both(NodeId::ipv4_fragment, NodeId::ipv4_flags)) {
    return fault::invalid_value("fragment and flags of ipv4 must not stand in one request; write fragment", path);
  }
  if (both(NodeId::flags_bitmask, NodeId::tcp_flags)) {
    return fault::invalid_value("flags-bitmask and flags of tcp must not stand in one request; write flags-bitmask",
                                path);
  }
  return {};
}

Checked<void> check(Kind kind, Instance& config) {
  const std::string path = path_of("", config);
  if (auto complete = check_complete(config, path); !complete) return complete;
  sort_children(config);
  if (kind == Kind::acl) {
    if (auto apart = check_exclusions(config, path); !apart) return apart;
    const auto filter = to_filter(config, path);
    if (!filter) return filter.error();
    return {};
  }
  const auto alias = to_alias(config, path);
  if (!alias) return alias.error();
  for (const model::Prefix& prefix : alias->targets.target_prefix) {
    if (const auto why = model::forbidden_target(prefix)) {
      return fault::invalid_value("the target-prefix " + model::to_string(prefix) + " is refused: " + *why, path);
    }
  }
  return {};
}

void normalise(Instance& instance) {
  auto& children = instance.children;
  std::erase_if(children, [](const Instance& child) {
    return child.node->state || (!child.node->default_value.empty() && child.value == child.node->default_value);
  });
  for (Instance& child : children) normalise(child);
  // Entries of a list whose order means nothing.
  for (auto from = children.begin(); from != children.end();) {
    const Node* node = from->node;
    const auto to = std::find_if(from, children.end(), [&](const Instance& child) { return child.node != node; });
    if (node->is_many() && !node->user_ordered) {
      std::sort(from, to, [](const Instance& a, const Instance& b) { return print_config(a) < print_config(b); });
    }
    from = to;
  }
}

Checked<void> offered(const Instance& instance, const Offer& offer, const std::string& path) {
  const Node& node = *instance.node;
  const auto lacks = [&](const std::string& what) {
    return fault::unknown_element("the server does not offer " + what, path);
  };
  if (node.capability != NodeId::none && !offer.fields.has(node.capability)) {
    const Node& leaf = data::node(node.capability);
    return lacks(leaf.parent == NodeId::capabilities
                     ? std::string(leaf.name)
                     : std::string(data::node(leaf.parent).name) + " " + std::string(leaf.name));
  }
  const auto among = [](const std::vector<std::string>& list, std::string_view word) {
    return list.empty() || std::find(list.begin(), list.end(), word) != list.end();
  };
  if (instance.is(NodeId::forwarding) && !among(offer.actions, instance.value)) {
    return lacks("the action " + instance.value);
  }
  if ((instance.is(NodeId::ipv4) || instance.is(NodeId::ipv6)) && !among(offer.families, node.name)) {
    return lacks("filters of " + std::string(node.name));
  }
  for (const Instance& child : instance.children) {
    if (auto good = offered(child, offer, path_of(path, child)); !good) return good;
  }
  return {};
}

}  // namespace

std::string_view word_of(Kind kind) { return kind == Kind::alias ? "alias" : "filter"; }
const Node& list_of(Kind kind) { return node(kind == Kind::alias ? NodeId::alias : NodeId::acl); }
const Node& container_of(Kind kind) { return node(kind == Kind::alias ? NodeId::aliases : NodeId::acls); }

const std::string& name_of(const Instance& entry) {
  return *entry.leaf(entry.is(NodeId::alias) ? NodeId::alias_name : NodeId::acl_name);
}

Checked<std::vector<Entry>> read_document(std::string_view json, std::set<Kind>* kinds) {
  auto document = parse(json);
  if (!document) return document.error();
  if (!document->is_object() || document->members.empty()) {
    return fault::invalid_value("a document is an object with the member ietf-dots-data-channel:aliases or :acls");
  }
  std::vector<Entry> all;
  for (wire::JsonMember& member : document->members) {
    if (member.name.starts_with('@')) continue;
    JsonValue body;
    body.kind = JsonValue::Kind::object;
    const std::string name = member.name;
    const std::string_view local = std::string_view(name).substr(name.find(':') + 1);
    const Kind kind = local == "acls" || local == "acl" ? Kind::acl : Kind::alias;
    const bool single = local == "alias" || local == "acl";
    body.members.push_back(std::move(member));
    auto read = read_body(single ? container_of(kind) : node(NodeId::dots_client), body, {});
    if (!read) return read.error();
    if (kinds != nullptr) kinds->insert(kind);
    for (Instance& instance : *read) {
      if (!instance.is(NodeId::aliases) && !instance.is(NodeId::acls) && !single) {
        return fault::invalid_value("'" + name + "' is neither aliases nor acls");
      }
      if (single) {
        all.push_back({kind, std::move(instance)});
        continue;
      }
      for (Instance& entry : instance.children) all.push_back({kind, std::move(entry)});
    }
  }
  for (Entry& entry : all) {
    if (auto good = check(entry.kind, entry.config); !good) return good.error();
  }
  return all;
}

Checked<Instance> read_entry(Kind kind, std::string_view json, bool own) {
  const auto value = parse(json);
  if (!value) return value.error();
  const Reading how{nullptr, own};
  auto entry = read_members(list_of(kind), *value, how, std::string(list_of(kind).name));
  if (!entry) return entry;
  if (own) {
    if (auto complete = check_complete(*entry, path_of("", *entry)); !complete) return complete.error();
    sort_children(*entry);
    return entry;
  }
  if (auto good = check(kind, *entry); !good) return good.error();
  return entry;
}

std::string text_of(const Instance& entry) { return print_config(entry); }

Instance normalised(const Instance& entry) {
  Instance copy = entry;
  sort_children(copy);
  normalise(copy);
  return copy;
}

std::string canonical(const Instance& entry) { return print_config(normalised(entry)); }

Checked<Offer> read_capabilities(std::string_view json) {
  if (json.size() > kMostCapabilities) {
    return fault::invalid_value("they are over the bound of " + std::to_string(kMostCapabilities) + " bytes");
  }
  const auto value = parse(json);
  if (!value) return value.error();
  const JsonValue* all = value->is_object() ? value->member("ietf-dots-data-channel:capabilities") : nullptr;
  if (all == nullptr || !all->is_object()) return fault::invalid_value("the answer holds no capabilities");
  Offer offer;
  const Node& top = node(NodeId::capabilities);
  const auto take = [&](const Node& of, const JsonValue& object) {
    for (const Node* leaf : of.children) {
      if (leaf->type != LeafType::boolean) continue;
      const JsonValue* said = object.member(leaf->name);
      offer.fields.with(leaf->id, said != nullptr && said->kind == JsonValue::Kind::boolean && said->number == 1);
    }
  };
  const auto words = [&](std::string_view name, std::vector<std::string>& into) {
    const JsonValue* list = all->member(name);
    if (list == nullptr || !list->is_array()) return;
    for (const JsonValue& word : list->entries) {
      if (word.is_string()) into.push_back(word.text.substr(word.text.find(':') + 1));
    }
  };
  take(top, *all);
  const JsonValue nothing;
  for (const Node* child : top.children) {
    if (child->kind != NodeKind::container) continue;
    const JsonValue* object = all->member(child->name);
    take(*child, object != nullptr ? *object : nothing);
  }
  words("forwarding-actions", offer.actions);
  words("address-family", offer.families);
  return offer;
}

Checked<void> check_offered(const Entry& entry, const Offer& offer) {
  if (entry.kind == Kind::alias) return {};
  return offered(entry.config, offer, path_of("", entry.config));
}

}  // namespace dots::data::client
