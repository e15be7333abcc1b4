#include "agent/server/pools.h"

#include <gtest/gtest.h>

namespace dots::agent::server {
namespace {

using model::RefusalReason;

std::vector<model::Rule> drops(std::size_t n) {
  std::vector<model::Rule> out;
  for (std::size_t i = 0; i < n; ++i) {
    model::Rule rule;
    rule.match.target = *model::parse_prefix("203.0.113." + std::to_string(i) + "/32");
    rule.match.protocol = 17;
    out.push_back(rule);
  }
  return out;
}

Demand demand(std::size_t rules) {
  Demand out;
  out.rules = [rules](const PlannedBackEnd&) { return drops(rules); };
  return out;
}

PlannedBackEnd back_end(const std::string& name, std::uint32_t max_rules = 0) {
  PlannedBackEnd out;
  out.name = name;
  out.max_rules = max_rules;
  return out;
}

std::string names(const Assignment& assignment) {
  std::string out;
  for (const auto& part : assignment.parts) out += part.back_end + " ";
  return out;
}

//
TEST(Pools, AllBackEndsOfTheRuleGetTheirPart) {
  const std::vector back_ends{back_end("edge"), back_end("core"), back_end("spare")};
  EXPECT_EQ(names(assign(policy::default_rule(), back_ends, {}, demand(2))), "edge core spare ");
  policy::PolicyRule rule;
  rule.use = {"core", "edge"};
  EXPECT_EQ(names(assign(rule, back_ends, {}, demand(2))), "core edge ");
}

TEST(Pools, TheFirstOverflowWithRoomTakesThePlaceOfAFullBackEnd) {
  const std::vector back_ends{back_end("edge", 10), back_end("core", 10), back_end("spare", 10)};
  policy::PolicyRule rule;
  rule.use = {"edge"};
  rule.overflow = {"core", "spare"};
  const BackEndLoads loads{{"edge", {9, 0}}, {"core", {9, 0}}, {"spare", {8, 0}}};
  EXPECT_EQ(names(assign(rule, back_ends, loads, demand(1))), "edge ");
  const auto two = assign(rule, back_ends, loads, demand(2));
  EXPECT_EQ(names(two), "spare ");
  EXPECT_FALSE(two.unmet.has_value());
  ASSERT_EQ(two.notes.size(), 3U);
  EXPECT_EQ(two.notes[0], "'edge' does not take it: it has no room: 9 of 10 rules are used, and this needs 2");
  EXPECT_EQ(two.notes[2], "'spare' takes it: 2 rules");
  const auto three = assign(rule, back_ends, loads, demand(3));
  EXPECT_EQ(names(three), "");
  EXPECT_EQ(three.unmet, RefusalReason::capacity);
}

TEST(Pools, WhatRunsAtABackEndIsNotSentAwayWhenItIsFull) {
  const std::vector back_ends{back_end("edge", 10), back_end("core")};
  policy::PolicyRule rule;
  rule.use = {"edge"};
  rule.overflow = {"core"};
  Demand mine = demand(3);
  mine.holds = {{"edge", 3}};
  EXPECT_EQ(names(assign(rule, back_ends, {{"edge", {10, 0}}}, mine)), "edge ");
  // ... also when somebody else got in besides.
  EXPECT_EQ(names(assign(rule, back_ends, {{"edge", {14, 0}}}, mine)), "edge ");
  mine.rules = [](const PlannedBackEnd&) { return drops(4); };
  EXPECT_EQ(names(assign(rule, back_ends, {{"edge", {10, 0}}}, mine)), "core ");
}

TEST(Pools, WhatRunsAtAnOverflowStaysThereWhenTheFirstHasRoomAgain) {
  const std::vector back_ends{back_end("edge", 10), back_end("rim"), back_end("core"), back_end("spare")};
  policy::PolicyRule rule;
  rule.use = {"edge"};
  rule.overflow = {"core", "spare"};
  Demand mine = demand(2);
  mine.holds = {{"spare", 2}};
  EXPECT_EQ(names(assign(rule, back_ends, {}, mine)), "spare ");
  mine.holds = {{"core", 2}, {"edge", 2}};
  EXPECT_EQ(names(assign(rule, back_ends, {}, mine)), "edge ") << "once is enough";
  // Of two that the rule names the one that has its part keeps it, and the other is replaced where it was.
  rule.use = {"rim", "edge"};
  mine.holds = {{"edge", 2}, {"core", 2}};
  EXPECT_EQ(names(assign(rule, back_ends, {}, mine)), "core edge ");
  mine.holds = {{"rim", 2}, {"core", 2}};
  EXPECT_EQ(names(assign(rule, back_ends, {}, mine)), "rim core ");
}

TEST(Pools, ABackEndThatIsDownGetsNothingNewWhereAnotherCanTakeIt) {
  const std::vector back_ends{back_end("edge"), back_end("core"), back_end("spare")};
  policy::PolicyRule rule;
  rule.use = {"edge"};
  BackEndLoads loads;
  loads["edge"].down = true;
  const auto waits = assign(rule, back_ends, loads, demand(1));
  EXPECT_EQ(names(waits), "edge ") << "there is nobody else";
  EXPECT_FALSE(waits.unmet.has_value());
  EXPECT_EQ(waits.notes.at(0), "'edge' takes it when it is back: 1 rule");
  rule.overflow = {"core", "spare"};
  EXPECT_EQ(names(assign(rule, back_ends, loads, demand(1))), "core ");
  loads["core"].down = true;
  EXPECT_EQ(names(assign(rule, back_ends, loads, demand(1))), "spare ");
  loads["spare"].down = true;
  EXPECT_EQ(names(assign(rule, back_ends, loads, demand(1))), "edge ");
  // What runs there stays in force without its back end, and is not moved.
  loads["spare"].down = false;
  Demand mine = demand(1);
  mine.holds = {{"edge", 1}};
  EXPECT_EQ(names(assign(rule, back_ends, loads, mine)), "edge ");
}

TEST(Pools, TrafficThatDoesNotFitIsBandwidth) {
  std::vector back_ends{back_end("edge")};
  back_ends[0].max_bits_per_s = 1000;
  Demand mine = demand(1);
  mine.bits_per_s = 400;
  EXPECT_EQ(names(assign(policy::default_rule(), back_ends, {{"edge", {1, 600}}}, mine)), "edge ");
  EXPECT_EQ(assign(policy::default_rule(), back_ends, {{"edge", {1, 601}}}, mine).unmet, RefusalReason::bandwidth);
}

TEST(Pools, ABackEndThatCannotExpressTheRulesGivesWay) {
  std::vector back_ends{back_end("routers"), back_end("filter")};
  back_ends[0].scoped = false;
  policy::PolicyRule rule;
  rule.use = {"routers"};
  auto alone = assign(rule, back_ends, {}, demand(1));
  EXPECT_EQ(alone.unmet, RefusalReason::function);
  EXPECT_EQ(alone.notes.at(0),
            "'routers' does not take it: it blackholes alone, and 'drop udp to 203.0.113.0/32' is more than that");
  rule.overflow = {"filter"};
  EXPECT_EQ(names(assign(rule, back_ends, {}, demand(1))), "filter ");
  back_ends[1].min_prefix_length_v4 = 24;
  Demand wide = demand(1);
  wide.rules = [](const PlannedBackEnd&) {
    auto rules = drops(1);
    rules[0].match.target.length = 23;
    return rules;
  };
  EXPECT_EQ(assign(rule, back_ends, {}, wide).notes.at(1),
            "'filter' does not take it: 203.0.113.0/23 is wider than its /24");
}

TEST(Pools, MissingRoomIsSaidBeforeMissingAbility) {
  std::vector back_ends{back_end("routers"), back_end("filter", 1)};
  back_ends[0].scoped = false;
  policy::PolicyRule rule;
  rule.use = {"routers"};
  rule.overflow = {"filter"};
  EXPECT_EQ(assign(rule, back_ends, {}, demand(2)).unmet, RefusalReason::capacity);
  EXPECT_EQ(assign(policy::default_rule(), back_ends, {}, demand(2)).unmet, RefusalReason::capacity);
}

}  // namespace
}  // namespace dots::agent::server
