// A set of prefixes with values, answering "what overlaps this?" without a scan of everything.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "model/ip.h"

namespace dots::policy {

// A path-compressed binary trie for each family. Values are small copyable keys with an order; one prefix may hold
// several. Cost: O(width) for insert, erase and covering; O(width + answers) for overlapping. Host bits of prefixes are
// ignored. Nodes live in one arena and are used again; a tree of n entries has fewer than 2n nodes.
//
// Visitors are called as visit(const model::Prefix& stored, const Value&) -> bool; false stops the walk, and the visit
// function then returns false. The tree must not be changed inside a visitor.
template <class Value>
class PrefixTree {
 public:
  // False when this prefix already holds this value.
  bool insert(const model::Prefix& prefix, const Value& value) {
    Node& node = nodes_[place(prefix.masked())];
    const auto at = std::lower_bound(node.values.begin(), node.values.end(), value);
    if (at != node.values.end() && !(value < *at)) return false;
    node.values.insert(at, value);
    ++size_;
    return true;
  }

  // False when it is not there.
  bool erase(const model::Prefix& prefix, const Value& value) {
    const model::Prefix key = prefix.masked();
    Link parent{kNone, 0};
    Link link{kNone, root_of(key)};
    for (Index at = follow(link); at != kNone; at = follow(link)) {
      Node& node = nodes_[at];
      if (node.prefix == key) {
        const auto found = std::lower_bound(node.values.begin(), node.values.end(), value);
        if (found == node.values.end() || value < *found) return false;
        node.values.erase(found);
        --size_;
        tidy(link);
        if (parent.node != kNone || link.node != kNone) tidy(parent);
        return true;
      }
      if (!covers(node.prefix, key)) return false;
      parent = link;
      link = {at, side(key, node.prefix.length)};
    }
    return false;
  }

  // Entries whose prefix contains `prefix`, shortest first.
  template <class Visit>
  bool visit_covering(const model::Prefix& prefix, Visit&& visit) const {
    const model::Prefix key = prefix.masked();
    Index at = roots_[root_of(key)];
    while (at != kNone) {
      const Node& node = nodes_[at];
      if (!covers(node.prefix, key)) return true;
      if (!visit_values(node, visit)) return false;
      if (node.prefix.length == key.length) return true;
      at = node.child[side(key, node.prefix.length)];
    }
    return true;
  }

  // Entries that share at least one address with `prefix`: those around it first, then those inside.
  template <class Visit>
  bool visit_overlapping(const model::Prefix& prefix, Visit&& visit) const {
    const model::Prefix key = prefix.masked();
    Index at = roots_[root_of(key)];
    while (at != kNone) {
      const Node& node = nodes_[at];
      if (covers(key, node.prefix)) return visit_subtree(at, visit);
      if (!covers(node.prefix, key)) return true;
      if (!visit_values(node, visit)) return false;
      at = node.child[side(key, node.prefix.length)];
    }
    return true;
  }

  // Is there an entry that contains the whole of `prefix`?
  bool covers(const model::Prefix& prefix) const {
    return !visit_covering(prefix, [](const model::Prefix&, const Value&) { return false; });
  }

  std::size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  // For tests of the bound.
  std::size_t nodes_in_use() const { return nodes_.size() - free_.size(); }

 private:
  using Index = std::uint32_t;
  static constexpr Index kNone = UINT32_MAX;

  struct Node {
    model::Prefix prefix;  // masked
    std::array<Index, 2> child{kNone, kNone};
    std::vector<Value> values;  // sorted; empty in a node that only branches
  };
  // The place where a node hangs: child `side` of `node`, or root `side` when node is kNone.
  struct Link {
    Index node;
    std::size_t side;
  };

  static std::size_t root_of(const model::Prefix& p) { return p.address.family == model::Family::ipv4 ? 0 : 1; }
  static std::size_t side(const model::Prefix& p, int bit) { return p.address.bit(bit) ? 1 : 0; }

  // Number of leading bits that both have in common, at most `limit`.
  static int common_bits(const model::IpAddress& a, const model::IpAddress& b, int limit) {
    int bits = 0;
    for (std::size_t i = 0; bits < limit; ++i, bits += 8) {
      unsigned difference = static_cast<unsigned>(a.bytes[i] ^ b.bytes[i]);
      if (difference == 0) continue;
      while ((difference & 0x80U) == 0) {
        difference <<= 1U;
        ++bits;
      }
      break;
    }
    return std::min(bits, limit);
  }
  static bool covers(const model::Prefix& outer, const model::Prefix& inner) {
    return outer.length <= inner.length && common_bits(outer.address, inner.address, outer.length) == outer.length;
  }

  Index follow(const Link& link) const {
    return link.node == kNone ? roots_[link.side] : nodes_[link.node].child[link.side];
  }
  void hang(const Link& link, Index node) {
    (link.node == kNone ? roots_[link.side] : nodes_[link.node].child[link.side]) = node;
  }
  Index make(const model::Prefix& prefix) {
    if (!free_.empty()) {
      const Index index = free_.back();
      free_.pop_back();
      nodes_[index].prefix = prefix;
      return index;
    }
    nodes_.push_back(Node{prefix, {kNone, kNone}, {}});
    return static_cast<Index>(nodes_.size() - 1);
  }

  // The node of exactly this prefix, made when it is not there.
  Index place(const model::Prefix& key) {
    Link link{kNone, root_of(key)};
    for (;;) {
      const Index at = follow(link);
      if (at == kNone) {
        const Index leaf = make(key);
        hang(link, leaf);
        return leaf;
      }
      const model::Prefix here = nodes_[at].prefix;
      const int shorter = std::min(here.length, key.length);
      const int common = common_bits(here.address, key.address, shorter);
      if (common == here.length && here.length == key.length) return at;
      if (common == here.length) {
        link = {at, side(key, here.length)};
        continue;
      }
      const model::Prefix branch_prefix = model::Prefix{key.address, static_cast<std::uint8_t>(common)}.masked();
      const Index branch = make(branch_prefix);
      hang(link, branch);
      nodes_[branch].child[side(here, common)] = at;
      if (common == key.length) return branch;
      const Index leaf = make(key);
      nodes_[branch].child[side(key, common)] = leaf;
      return leaf;
    }
  }

  // Takes out a node without values that branches no more.
  void tidy(const Link& link) {
    const Index at = follow(link);
    if (at == kNone) return;
    Node& node = nodes_[at];
    if (!node.values.empty() || (node.child[0] != kNone && node.child[1] != kNone)) return;
    hang(link, node.child[0] != kNone ? node.child[0] : node.child[1]);
    node.child = {kNone, kNone};
    free_.push_back(at);
  }

  template <class Visit>
  static bool visit_values(const Node& node, Visit& visit) {
    for (const Value& value : node.values) {
      if (!visit(node.prefix, value)) return false;
    }
    return true;
  }
  template <class Visit>
  bool visit_subtree(Index top, Visit& visit) const {
    std::vector<Index> open{top};
    while (!open.empty()) {
      const Node& node = nodes_[open.back()];
      open.pop_back();
      if (!visit_values(node, visit)) return false;
      for (const std::size_t s : {std::size_t{1}, std::size_t{0}}) {
        if (node.child[s] != kNone) open.push_back(node.child[s]);
      }
    }
    return true;
  }

  std::vector<Node> nodes_;
  std::vector<Index> free_;
  std::array<Index, 2> roots_{kNone, kNone};
  std::size_t size_ = 0;
};

}  // namespace dots::policy
