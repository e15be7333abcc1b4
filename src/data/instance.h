// Instances of data nodes: a part of the datastore as a tree that the table (tree.h) describes.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "data/tree.h"

namespace dots::data {

// One container, one entry of a list, one leaf, or one entry of a leaf-list. Entries of a list or leaf-list stand in
// their order, not necessarily next to each other.
struct Instance {
  const Node* node = nullptr;
  std::string value;               // canonical text of a leaf (leaf_value.h)
  std::vector<Instance> children;  // of a container or list entry

  Instance() = default;
  explicit Instance(NodeId id, std::string text = {}) : node(&data::node(id)), value(std::move(text)) {}
  explicit Instance(const Node& of, std::string text = {}) : node(&of), value(std::move(text)) {}

  bool is(NodeId id) const { return node->id == id; }
  const Instance* find(NodeId id) const;
  Instance* find(NodeId id);
  // The value of a leaf below; nothing when it is not there.
  const std::string* leaf(NodeId id) const;
  // Appends, and gives the appended one.
  Instance& add(NodeId id, std::string text = {}) { return children.emplace_back(id, std::move(text)); }
  Instance& add(Instance child) { return children.emplace_back(std::move(child)); }

  friend bool operator==(const Instance&, const Instance&) = default;
};

// The key values of a list entry, in the order of the keys; of a leaf-list entry its value.
std::vector<std::string> keys_of(const Instance& instance);
bool has_keys(const Instance& instance, const std::vector<std::string>& keys);

// One segment of the path to an instance: keys of a list entry or leaf-list entry, empty otherwise.
struct Step {
  const Node* node = nullptr;
  std::vector<std::string> keys;
  friend bool operator==(const Step&, const Step&) = default;
};

// The child of `parent` that the step names.
Instance* child_at(Instance& parent, const Step& step);
const Instance* child_at(const Instance& parent, const Step& step);

// Where a new entry of an ordered-by user list goes (RFC 8040 4.8.5).
struct Placement {
  enum class Where : std::uint8_t { unsaid, first, last, before, after };
  Where where = Where::unsaid;
  std::vector<std::string> point = {};  // keys of the reference entry
};

// Puts `child` in the place that `placement` says: an existing entry of the same keys is replaced, and keeps its place
// when nothing is said. False when the reference entry is not there.
bool place(Instance& parent, Instance child, const Placement& placement);

// RFC 8040 4.6.1: what `from` names is created or changed in `into`, and nothing is deleted - but for the other case of
// a choice, of which there can be one only (RFC 7950 7.9).
void merge(Instance& into, const Instance& from);

// Children in the order of the table; entries of one list keep theirs.
void sort_children(Instance& instance);

}  // namespace dots::data
