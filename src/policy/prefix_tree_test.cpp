#include "policy/prefix_tree.h"

#include <gtest/gtest.h>

#include <random>
#include <set>
#include <string>

namespace dots::policy {
namespace {

model::Prefix prefix(const std::string& text) { return *model::parse_prefix(text); }

using Tree = PrefixTree<std::uint32_t>;

std::multiset<std::uint32_t> overlapping(const Tree& tree, const std::string& text) {
  std::multiset<std::uint32_t> found;
  tree.visit_overlapping(prefix(text), [&](const model::Prefix&, std::uint32_t v) {
    found.insert(v);
    return true;
  });
  return found;
}

// S9132-4.4.1.3-14
TEST(PrefixTree, FindsPrefixesAroundAndInside) {
  Tree tree;
  tree.insert(prefix("192.0.2.0/24"), 1);
  tree.insert(prefix("192.0.2.7/32"), 2);
  tree.insert(prefix("192.0.3.0/24"), 3);
  tree.insert(prefix("0.0.0.0/0"), 4);
  tree.insert(prefix("2001:db8::/32"), 5);
  EXPECT_EQ(overlapping(tree, "192.0.2.7/32"), (std::multiset<std::uint32_t>{1, 2, 4}));
  EXPECT_EQ(overlapping(tree, "192.0.2.8/32"), (std::multiset<std::uint32_t>{1, 4}));
  EXPECT_EQ(overlapping(tree, "192.0.2.0/23"), (std::multiset<std::uint32_t>{1, 2, 3, 4}));
  EXPECT_EQ(overlapping(tree, "2001:db8:1::/48"), (std::multiset<std::uint32_t>{5}));
  EXPECT_EQ(overlapping(tree, "::/0"), (std::multiset<std::uint32_t>{5}));
  EXPECT_TRUE(tree.covers(prefix("198.51.100.0/24")));
  EXPECT_FALSE(tree.covers(prefix("2001:db9::/32")));
}

TEST(PrefixTree, OnePrefixHoldsSeveralValues) {
  Tree tree;
  EXPECT_TRUE(tree.insert(prefix("192.0.2.0/24"), 1));
  EXPECT_TRUE(tree.insert(prefix("192.0.2.99/24"), 2));  // host bits do not matter
  EXPECT_FALSE(tree.insert(prefix("192.0.2.0/24"), 1));
  EXPECT_EQ(overlapping(tree, "192.0.2.1/32"), (std::multiset<std::uint32_t>{1, 2}));
  EXPECT_TRUE(tree.erase(prefix("192.0.2.0/24"), 1));
  EXPECT_FALSE(tree.erase(prefix("192.0.2.0/24"), 1));
  EXPECT_FALSE(tree.erase(prefix("192.0.2.0/25"), 2));
  EXPECT_EQ(overlapping(tree, "192.0.2.1/32"), (std::multiset<std::uint32_t>{2}));
}

TEST(PrefixTree, AVisitorCanStop) {
  Tree tree;
  for (std::uint32_t i = 0; i < 100; ++i) {
    tree.insert(prefix("10.0." + std::to_string(i) + ".0/24"), i);
  }
  int visits = 0;
  EXPECT_FALSE(
      tree.visit_overlapping(prefix("10.0.0.0/8"), [&](const model::Prefix&, std::uint32_t) { return ++visits < 3; }));
  EXPECT_EQ(visits, 3);
}

// The tree against a list that is scanned, with short and long prefixes that nest, split and vanish.
TEST(PrefixTree, AgreesWithAScan) {
  std::mt19937 random{4711};
  const auto pick = [&](unsigned n) { return static_cast<unsigned>(random() % n); };
  const auto any_prefix = [&] {
    model::Prefix p;
    p.address.family = pick(2) == 0 ? model::Family::ipv4 : model::Family::ipv6;
    // Few distinct bits, so that prefixes meet often.
    p.address.bytes[0] = static_cast<std::uint8_t>(pick(4) * 85);
    p.address.bytes[1] = static_cast<std::uint8_t>(pick(4));
    p.address.bytes[3] = static_cast<std::uint8_t>(pick(256));
    if (p.address.family == model::Family::ipv6) p.address.bytes[15] = static_cast<std::uint8_t>(pick(3));
    p.length = static_cast<std::uint8_t>(pick(static_cast<unsigned>(p.address.width()) + 1));
    return p;
  };
  Tree tree;
  std::multimap<model::Prefix, std::uint32_t> list;
  for (int round = 0; round < 20000; ++round) {
    if (pick(5) < 2 && !list.empty()) {
      const auto victim = std::next(list.begin(), pick(static_cast<unsigned>(list.size())));
      ASSERT_TRUE(tree.erase(victim->first, victim->second));
      list.erase(victim);
    } else if (list.size() < 200) {
      const model::Prefix p = any_prefix().masked();
      const std::uint32_t v = pick(3);
      bool there = false;
      for (auto [at, end] = list.equal_range(p); at != end; ++at) there = there || at->second == v;
      ASSERT_EQ(tree.insert(p, v), !there);
      if (!there) list.emplace(p, v);
    }
    ASSERT_EQ(tree.size(), list.size());
    ASSERT_LE(tree.nodes_in_use(), 2 * list.size());
    const model::Prefix probe = any_prefix();
    std::multiset<std::pair<model::Prefix, std::uint32_t>> expect;
    std::multiset<std::pair<model::Prefix, std::uint32_t>> covering;
    for (const auto& [p, v] : list) {
      if (p.overlaps(probe)) expect.emplace(p, v);
      if (p.contains(probe)) covering.emplace(p, v);
    }
    std::multiset<std::pair<model::Prefix, std::uint32_t>> found;
    tree.visit_overlapping(probe, [&](const model::Prefix& p, std::uint32_t v) {
      found.emplace(p, v);
      return true;
    });
    ASSERT_EQ(found, expect) << model::to_string(probe);
    found.clear();
    tree.visit_covering(probe, [&](const model::Prefix& p, std::uint32_t v) {
      found.emplace(p, v);
      return true;
    });
    ASSERT_EQ(found, covering) << model::to_string(probe);
    ASSERT_EQ(tree.covers(probe), !covering.empty());
  }
}

}  // namespace
}  // namespace dots::policy
