#include "data/tree.h"

#include <algorithm>
#include <array>
#include <cassert>

namespace dots::data {
namespace {

constexpr unsigned kKey = 1, kMandatory = 2, kState = 4, kUserOrder = 8, kNeeded = 16;

constexpr std::span<const Named> kNone;
constexpr std::array<Named, 2> kAclTypesRows{{{"ipv4-acl-type", 4}, {"ipv6-acl-type", 6}}};
constexpr std::array<Named, 3> kActivationTypesRows{
    {{"activate-when-mitigating", 1}, {"immediate", 2}, {"deactivate", 3}}};
constexpr std::array<Named, 3> kIpv4FlagsRows{{{"reserved", 0}, {"fragment", 1}, {"more", 2}}};
constexpr std::array<Named, 3> kOperatorRows{{{"not", 0}, {"match", 1}, {"any", 3}}};
constexpr std::array<Named, 4> kFragmentTypesRows{{{"df", 0}, {"isf", 1}, {"ff", 2}, {"lf", 3}}};
constexpr std::array<Named, 8> kTcpFlagsRows{
    {{"cwr", 1}, {"ece", 2}, {"urg", 3}, {"ack", 4}, {"psh", 5}, {"rst", 6}, {"syn", 7}, {"fin", 8}}};
constexpr std::array<Named, 4> kPortOperatorsRows{{{"lte", 0}, {"gte", 1}, {"eq", 2}, {"neq", 3}}};
constexpr std::array<Named, 2> kForwardingRows{{{"drop", 0}, {"accept", 1}}};
constexpr std::array<Named, 2> kFamiliesRows{{{"ipv4", 4}, {"ipv6", 6}}};
constexpr std::span<const Named> kAclTypes = kAclTypesRows, kActivationTypes = kActivationTypesRows,
                                 kIpv4Flags = kIpv4FlagsRows, kOperator = kOperatorRows,
                                 kFragmentTypes = kFragmentTypesRows, kTcpFlags = kTcpFlagsRows,
                                 kPortOperators = kPortOperatorsRows, kForwarding = kForwardingRows,
                                 kFamilies = kFamiliesRows;

// The text before and after '/', which may be missing.
constexpr std::string_view before(std::string_view text) { return text.substr(0, text.find('/')); }
constexpr std::string_view after(std::string_view text) {
  return text.empty() ? text : text.substr(text.find('/') + 1);
}

std::vector<Node> make_table() {
  using enum NodeKind;
  using enum LeafType;
  std::vector<Node> table{
      {NodeId::none,
       NodeId::none,
       "",
       container,
       LeafType::none,
       0,
       0,
       {},
       false,
       false,
       false,
       false,
       false,
       "",
       "",
       "",
       NodeId::none,
       {}},
#define DATA_NODE(id, parent, name, kind, type, min, max, names, flags, fallback, choice, capability) \
  {NodeId::id,                                                                                        \
   NodeId::parent,                                                                                    \
   name,                                                                                              \
   kind,                                                                                              \
   LeafType::type,                                                                                    \
   min,                                                                                               \
   max,                                                                                               \
   names,                                                                                             \
   ((flags)&kKey) != 0,                                                                               \
   ((flags)&kMandatory) != 0,                                                                         \
   ((flags)&kState) != 0,                                                                             \
   ((flags)&kUserOrder) != 0,                                                                         \
   ((flags)&kNeeded) != 0,                                                                            \
   fallback,                                                                                          \
   before(choice),                                                                                    \
   after(choice),                                                                                     \
   NodeId::capability,                                                                                \
   {}},
#include "data/tree.inc"
#undef DATA_NODE
  };
  for (const Node& row : table) {
    if (row.id != NodeId::none) table[static_cast<std::size_t>(row.parent)].children.push_back(&row);
  }
  return table;
}

const std::vector<Node>& table() {
  static const std::vector<Node> rows = make_table();
  return rows;
}

std::size_t index_of(NodeId id) { return static_cast<std::size_t>(id); }

}  // namespace

const Node* Node::child(std::string_view child_name) const {
  const auto found =
      std::find_if(children.begin(), children.end(), [&](const Node* c) { return c->name == child_name; });
  return found == children.end() ? nullptr : *found;
}

std::vector<const Node*> Node::keys() const {
  std::vector<const Node*> found;
  for (const Node* child : children) {
    if (child->key) found.push_back(child);
  }
  return found;
}

std::string Node::path() const {
  return (parent == NodeId::none ? std::string{} : node(parent).path()) + "/" + std::string(name);
}

const Node& node(NodeId id) {
  assert(id != NodeId::none);
  return table()[index_of(id)];
}

const Node& datastore() { return table().front(); }

std::string_view module_of(const Node& of) {
  const Node* top = &of;
  while (top->parent != NodeId::none) top = &node(top->parent);
  return top->name.substr(0, top->name.find(':'));
}

Capabilities Capabilities::needed() {
  Capabilities some;
  for (const Node& row : table()) {
    if (row.needed) some.with(row.id);
  }
  return some.with(NodeId::can_rate_limit);
}

Capabilities Capabilities::everything() {
  Capabilities all;
  for (const Node& row : table()) {
    if (row.type == LeafType::boolean) all.with(row.id);
  }
  return all;
}

Capabilities& Capabilities::with(NodeId capability, bool able) {
  able_.resize(table().size());
  able_[index_of(capability)] = able;
  return *this;
}

bool Capabilities::has(NodeId capability) const {
  return index_of(capability) < able_.size() && able_[index_of(capability)];
}

}  // namespace dots::data
