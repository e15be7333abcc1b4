// The one description of the tree that the data channel serves (RFC 8783, RFC 8040, RFC 8525): which nodes there are,
// what may stand in them, which are configuration, what announces them. Reading, validation, printing, paths and
// capabilities walk it; tree.inc holds the rows.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace dots::data {

enum class NodeId : std::uint16_t {
  none = 0,
#define DATA_NODE(id, parent, name, kind, type, min, max, names, flags, fallback, choice, capability) id,
#include "data/tree.inc"
#undef DATA_NODE
};

enum class NodeKind : std::uint8_t { container, list, leaf, leaf_list };

enum class LeafType : std::uint8_t {
  none,  // no leaf
  string,
  domain_name,
  uri,
  ip_prefix,
  ipv4_prefix,
  ipv6_prefix,
  uint8,
  uint16,
  uint32,
  int32,
  counter64,
  decimal64,  // two fraction digits
  boolean,
  enumeration,
  bits,
  identity,  // of ietf-access-control-list
  binary,
};

// A value of an enumeration, a bit with its position, or an identity.
struct Named {
  std::string_view name;
  std::uint16_t number = 0;
};

struct Node {
  NodeId id;
  NodeId parent;
  std::string_view name;  // a top-level node's with its module
  NodeKind kind;
  LeafType type;
  std::uint64_t min, max;
  std::span<const Named> names;
  bool key, mandatory, state, user_ordered, needed;  // needed: a capability that every server has
  std::string_view default_value;
  std::string_view choice, choice_case;  // empty without
  NodeId capability;
  std::vector<const Node*> children;  // in the order of the table

  bool is_list() const { return kind == NodeKind::list; }
  bool is_leaf() const { return kind == NodeKind::leaf || kind == NodeKind::leaf_list; }
  // List or leaf-list: more than one instance, an array in JSON.
  bool is_many() const { return kind == NodeKind::list || kind == NodeKind::leaf_list; }
  const Node* child(std::string_view child_name) const;
  std::vector<const Node*> keys() const;
  // "acl" of "/ietf-dots-data-channel:dots-data/dots-client/acls/acl"
  std::string path() const;
};

// REQUIRES: not NodeId::none.
const Node& node(NodeId id);
// The children are the top-level nodes.
const Node& datastore();
// The module that a node belongs to.
std::string_view module_of(const Node& node);
inline constexpr std::string_view kModule = "ietf-dots-data-channel";

// What filters may hold here: the capability leaves that are true.
class Capabilities {
 public:
  // What every server must support (RFC 8783 4.2), and rate limits (4.1).
  static Capabilities needed();
  // The whole tree.
  static Capabilities everything();

  Capabilities& with(NodeId capability, bool able = true);
  bool has(NodeId capability) const;
  friend bool operator==(const Capabilities&, const Capabilities&) = default;

 private:
  std::vector<bool> able_;
};

}  // namespace dots::data
