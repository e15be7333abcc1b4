#include "data/printing.h"

#include <algorithm>

#include "data/leaf_value.h"

namespace dots::data {
namespace {

bool holds_state(const Node& of) {
  return of.state || std::any_of(of.children.begin(), of.children.end(), [](const Node* c) { return holds_state(*c); });
}

class Printer {
 public:
  Printer(wire::JsonText& out, const Selection& selection) : out_(out), selection_(selection) {}

  void value(const Node& of, const Instance* first, std::size_t count, std::uint32_t level, const Fields* fields) {
    if (!of.is_many()) return one(*first, level, fields);
    out_.begin_array();
    // A list beyond the depth is there, but empty (RFC 8040 4.8.2, erratum 6473).
    const bool cut = of.is_list() && level >= selection_.depth;
    for (std::size_t i = 0; i < count && !cut; ++i) one(first[i], level, fields);
    out_.end_array();
  }

 private:
  void one(const Instance& instance, std::uint32_t level, const Fields* fields) {
    if (instance.node->is_leaf()) {
      if (selection_.qualified_identities && instance.node->type == LeafType::identity) {
        return out_.string(std::string(kAclModule) + instance.value);
      }
      return leaf_to_json(*instance.node, instance.value, out_);
    }
    out_.begin_object();
    if (level < selection_.depth) {
      const auto& children = instance.children;
      for (std::size_t at = 0; at < children.size();) {
        const Node& node = *children[at].node;
        std::size_t end = at + 1;
        while (end < children.size() && children[end].node == &node) ++end;
        const Fields* below = nullptr;
        if (wanted(node, fields, below)) {
          out_.key(node.name.substr(node.parent == NodeId::none ? 0 : node.name.find(':') + 1));
          value(node, &children[at], end - at, level + 1, below);
        }
        at = end;
      }
    }
    out_.end_object();
  }

  bool wanted(const Node& node, const Fields* fields, const Fields*& below) const {
    if (selection_.content == Content::config && node.state) return false;
    if (selection_.content == Content::nonconfig && !node.key && !holds_state(node)) return false;
    if (fields == nullptr || fields->below.empty()) return true;
    const auto named = fields->below.find(&node);
    // Keys stay: an entry without them could not be told from another.
    if (named == fields->below.end()) return node.key;
    below = &named->second;
    return true;
  }

  wire::JsonText& out_;
  const Selection& selection_;
};

}  // namespace

std::string print_resource(const Node& of, const std::vector<Instance>& instances, const Selection& selection,
                           bool wrapper) {
  wire::JsonText out(false);
  Printer printer(out, selection);
  const Fields* fields = selection.fields ? &*selection.fields : nullptr;
  const std::string module = std::string(module_of(of)) + ":";
  out.begin_object();
  if (of.id == NodeId::none) {
    out.key("ietf-restconf:data");
    printer.value(of, instances.data(), instances.size(), 1, fields);
  } else if (wrapper) {
    out.key(module + std::string(node(of.parent).name));
    out.begin_object();
    out.key(of.name);
    printer.value(of, instances.data(), instances.size(), 1, fields);
    out.end_object();
  } else {
    out.key(of.parent == NodeId::none ? std::string(of.name) : module + std::string(of.name));
    printer.value(of, instances.data(), instances.size(), 1, fields);
  }
  out.end_object();
  return out.take();
}

std::string print_config(const Instance& instance) {
  wire::JsonText out(false);
  const Selection config{Content::config, UINT32_MAX, {}};
  Instance sorted = instance;
  sort_children(sorted);
  // Not as an array: one entry of a list is one object here.
  Printer(out, config).value(*sorted.node, &sorted, 1, 1, nullptr);
  std::string text = out.take();
  return instance.node->is_many() ? text.substr(1, text.size() - 2) : text;
}

}  // namespace dots::data
