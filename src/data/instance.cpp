#include "data/instance.h"

#include <algorithm>
#include <string>
#include <unordered_map>
#include <utility>

namespace dots::data {
namespace {

// Two nodes that exclude each other.
bool other_case(const Node& a, const Node& b) {
  return !a.choice.empty() && a.choice == b.choice && a.choice_case != b.choice_case;
}

// Equal for instances of the same node and keys alone; no key holds the separator.
std::string text_of(const Instance& child) {
  std::string text = std::to_string(static_cast<unsigned>(child.node->id));
  if (!child.node->is_many()) return text;
  for (const std::string& key : keys_of(child)) text += '\x1f' + key;
  return text;
}

Step step_to(const Instance& child) {
  return {child.node, child.node->is_many() ? keys_of(child) : std::vector<std::string>{}};
}

}  // namespace

const Instance* Instance::find(NodeId id) const {
  const auto found = std::find_if(children.begin(), children.end(), [&](const Instance& c) { return c.is(id); });
  return found == children.end() ? nullptr : &*found;
}

Instance* Instance::find(NodeId id) { return const_cast<Instance*>(std::as_const(*this).find(id)); }

const std::string* Instance::leaf(NodeId id) const {
  const Instance* child = find(id);
  return child == nullptr ? nullptr : &child->value;
}

std::vector<std::string> keys_of(const Instance& instance) {
  if (instance.node->kind == NodeKind::leaf_list) return {instance.value};
  std::vector<std::string> keys;
  for (const Node* key : instance.node->children) {
    if (!key->key) continue;
    const std::string* value = instance.leaf(key->id);
    keys.push_back(value == nullptr ? std::string{} : *value);
  }
  return keys;
}

bool has_keys(const Instance& instance, const std::vector<std::string>& keys) {
  if (instance.node->kind == NodeKind::leaf_list) return keys.size() == 1 && keys.front() == instance.value;
  std::size_t at = 0;
  for (const Node* key : instance.node->children) {
    if (!key->key) continue;
    const std::string* value = instance.leaf(key->id);
    if (at == keys.size() || value == nullptr || *value != keys[at]) return false;
    ++at;
  }
  return at == keys.size();
}

const Instance* child_at(const Instance& parent, const Step& step) {
  const auto found = std::find_if(parent.children.begin(), parent.children.end(), [&](const Instance& child) {
    return child.node == step.node && (!step.node->is_many() || has_keys(child, step.keys));
  });
  return found == parent.children.end() ? nullptr : &*found;
}

Instance* child_at(Instance& parent, const Step& step) {
  return const_cast<Instance*>(child_at(std::as_const(parent), step));
}

bool place(Instance& parent, Instance child, const Placement& placement) {
  using Where = Placement::Where;
  auto& children = parent.children;
  Instance* known = child_at(parent, step_to(child));
  if (placement.where == Where::unsaid) {
    if (known != nullptr) {
      *known = std::move(child);
    } else {
      children.push_back(std::move(child));
    }
    return true;
  }
  const Node* list = child.node;
  const auto is_point = [&](const Instance& c) { return c.node == list && has_keys(c, placement.point); };
  if (placement.where == Where::before || placement.where == Where::after) {
    if (std::none_of(children.begin(), children.end(), is_point) || has_keys(child, placement.point)) return false;
  }
  if (known != nullptr) children.erase(children.begin() + (known - children.data()));
  auto at = children.end();
  if (placement.where == Where::first) {
    at = std::find_if(children.begin(), children.end(), [&](const Instance& c) { return c.node == list; });
  } else if (placement.where != Where::last) {
    at = std::find_if(children.begin(), children.end(), is_point);
    if (placement.where == Where::after) ++at;
  }
  children.insert(at, std::move(child));
  return true;
}

void merge(Instance& into, const Instance& from) {
  if (from.node->is_leaf()) {
    into.value = from.value;
    return;
  }
  for (const Instance& child : from.children) {
    if (child.node->choice.empty()) continue;
    std::erase_if(into.children, [&](const Instance& known) { return other_case(*known.node, *child.node); });
  }
  // Long lists are looked up, not walked once for each entry.
  constexpr std::size_t kFew = 16;
  const bool indexed = from.children.size() > kFew;
  std::unordered_map<std::string, std::size_t> index;
  for (std::size_t i = 0; indexed && i < into.children.size(); ++i) index.emplace(text_of(into.children[i]), i);
  for (const Instance& child : from.children) {
    Instance* known = nullptr;
    if (indexed) {
      const auto found = index.find(text_of(child));
      if (found != index.end()) known = &into.children[found->second];
    } else {
      known = child_at(into, step_to(child));
    }
    if (known != nullptr) {
      merge(*known, child);
    } else {
      into.children.push_back(child);
    }
  }
}

void sort_children(Instance& instance) {
  std::stable_sort(instance.children.begin(), instance.children.end(),
                   [](const Instance& a, const Instance& b) { return a.node->id < b.node->id; });
  for (Instance& child : instance.children) {
    if (!child.node->is_leaf()) sort_children(child);
  }
}

}  // namespace dots::data
