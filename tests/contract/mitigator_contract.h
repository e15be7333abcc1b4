// What every implementation of ports::Mitigator must do. A harness type has:
//   bool ready(std::string& why_not);               false: the tests are skipped, and say why
//   std::unique_ptr<ports::Mitigator> make();       not open; the same back end again and again
//   static constexpr bool kSurvives;                rules outlive the object that installed them
// Use: INSTANTIATE_TYPED_TEST_SUITE_P(DryRun, MitigatorContract, DryRunHarness);
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "ports/mitigator.h"
#include "tests/support/rules.h"

namespace dots::tests {

inline ports::RuleChange install(model::Rule rule) { return {ports::RuleChange::Kind::install, std::move(rule)}; }
inline ports::RuleChange remove(model::Rule rule) { return {ports::RuleChange::Kind::remove, std::move(rule)}; }

// One of every shape, both families, every action.
inline std::set<model::Rule> one_of_each() {
  using model::RuleAction;
  return {
      rule_of("192.0.2.1/32", 17, {{53, 53}}),
      rule_of("192.0.2.1/32", 17, {{1000, 2000}}),
      rule_of("192.0.2.1/32", 1),
      rule_of("192.0.2.2/32"),
      rule_of("192.0.2.3/32", {}, {}, RuleAction::blackhole),
      rule_of("192.0.2.4/32", {}, {}, RuleAction::limit, 125000),
      rule_of("192.0.2.4/32", 6, {{443, 443}}, RuleAction::limit, 1),
      rule_of("198.51.100.0/24", 17, {{0, 65535}}),
      rule_of("198.51.100.64/26", 17),
      rule_of("203.0.113.8/29", {}, {}, RuleAction::limit, 16'000'000'000),
      rule_of("2001:db8::1/128", 6, {{80, 80}}),
      rule_of("2001:db8::/48", 132, {{1, 9}}),
      rule_of("2001:db8:0:1::/64", {}, {}, RuleAction::blackhole),
      rule_of("2001:db8:0:2::/64", 58, {}, RuleAction::limit, 5000),
  };
}

template <class Harness>
class MitigatorContract : public testing::Test {
 protected:
  void SetUp() override {
    std::string why_not;
    if (!harness.ready(why_not)) GTEST_SKIP() << why_not;
    mitigator = harness.make();
    open();
  }
  void TearDown() override {
    if (mitigator) {
      EXPECT_TRUE(mitigator->clear().ok());
    }
  }
  void open() {
    const auto opened = mitigator->open();
    ASSERT_TRUE(opened.ok()) << opened.error().message;
  }
  void apply(const std::vector<ports::RuleChange>& changes) {
    const auto applied = mitigator->apply(changes);
    ASSERT_TRUE(applied.ok()) << applied.error().message;
  }
  std::set<model::Rule> installed() {
    const auto listing = mitigator->list();
    EXPECT_TRUE(listing.ok()) << listing.error().message;
    std::set<model::Rule> rules;
    if (!listing.ok()) return rules;
    for (const auto& one : listing->rules) {
      EXPECT_TRUE(rules.insert(one.rule).second) << "listed twice: " << model::to_string(one.rule);
      EXPECT_EQ(one.counters, model::RuleCounters{});
    }
    EXPECT_TRUE(listing->foreign.empty());
    return rules;
  }

  Harness harness;
  std::unique_ptr<ports::Mitigator> mitigator;
};
TYPED_TEST_SUITE_P(MitigatorContract);

TYPED_TEST_P(MitigatorContract, ListsWhatWasInstalledAndNoMore) {
  EXPECT_TRUE(this->installed().empty());
  const std::set<model::Rule> rules = one_of_each();
  std::vector<ports::RuleChange> changes;
  for (const auto& rule : rules) changes.push_back(install(rule));
  this->apply(changes);
  EXPECT_EQ(this->installed(), rules);
  changes.clear();
  for (const auto& rule : rules) changes.push_back(remove(rule));
  this->apply(changes);
  EXPECT_TRUE(this->installed().empty());
}

TYPED_TEST_P(MitigatorContract, DoingAgainWhatIsDoneIsNoError) {
  const auto rule = rule_of("192.0.2.1/32", 17, {{53, 53}});
  this->apply({install(rule), install(rule)});
  this->apply({install(rule)});
  EXPECT_EQ(this->installed(), std::set<model::Rule>{rule});
  this->apply({remove(rule)});
  this->apply({remove(rule), remove(rule_of("2001:db8::/32"))});
  EXPECT_TRUE(this->installed().empty());
  this->apply({});
}

TYPED_TEST_P(MitigatorContract, TheSameMatchWithAnotherActionIsReplaced) {
  using model::RuleAction;
  for (const char* target : {"192.0.2.1/32", "2001:db8::/48"}) {
    this->apply({install(rule_of(target, 17, {{53, 60}}, RuleAction::limit, 1000))});
    this->apply({install(rule_of(target, 17, {{53, 60}}, RuleAction::limit, 2000))});
    EXPECT_EQ(this->installed(), (std::set<model::Rule>{rule_of(target, 17, {{53, 60}}, RuleAction::limit, 2000)}));
    this->apply({install(rule_of(target, 17, {{53, 60}}))});
    EXPECT_EQ(this->installed(), (std::set<model::Rule>{rule_of(target, 17, {{53, 60}})}));
    this->apply({remove(rule_of(target, 17, {{53, 60}}))});
    EXPECT_TRUE(this->installed().empty());
  }
}

TYPED_TEST_P(MitigatorContract, NestedPrefixesAndOverlappingPortsStandSideBySide) {
  const std::set<model::Rule> rules = {rule_of("192.0.2.0/24", 17, {{50, 60}}),
                                       rule_of("192.0.2.0/24", 17, {{55, 65}}),
                                       rule_of("192.0.2.0/24", 17, {{40, 70}}),
                                       rule_of("192.0.2.0/24", 17, {{56, 57}}),
                                       rule_of("192.0.2.0/24", 17, {{56, 56}}),
                                       rule_of("192.0.2.0/24", 17),
                                       rule_of("192.0.2.0/24"),
                                       rule_of("192.0.2.128/25", 17, {{50, 60}}),
                                       rule_of("192.0.2.129/32", 17, {{50, 60}})};
  std::vector<ports::RuleChange> changes;
  for (const auto& rule : rules) changes.push_back(install(rule));
  this->apply(changes);
  EXPECT_EQ(this->installed(), rules);
  this->apply({remove(rule_of("192.0.2.0/24", 17, {{40, 70}})), install(rule_of("192.0.2.0/24", 17, {{54, 66}}))});
  EXPECT_EQ(this->installed().size(), rules.size());
}

TYPED_TEST_P(MitigatorContract, AllChangesOrNone) {
  const auto good = rule_of("192.0.2.1/32", 17, {{53, 53}});
  const auto other = rule_of("192.0.2.2/32", 17, {{53, 53}});
  const auto limit_of_nothing = rule_of("192.0.2.3/32", {}, {}, model::RuleAction::limit, 0);
  this->apply({install(good)});
  const auto applied = this->mitigator->apply({remove(good), install(other), install(limit_of_nothing)});
  ASSERT_FALSE(applied.ok());
  EXPECT_FALSE(applied.error().message.empty());
  EXPECT_EQ(this->installed(), std::set<model::Rule>{good});
  // It is none the worse for it.
  this->apply({install(other)});
  EXPECT_EQ(this->installed(), (std::set<model::Rule>{good, other}));
}

TYPED_TEST_P(MitigatorContract, ABatchOfAThousandIsOneChange) {
  std::vector<ports::RuleChange> changes;
  for (int i = 0; i < 1000; ++i) {
    changes.push_back(install(
        rule_of(("10.0." + std::to_string(i / 250) + "." + std::to_string(i % 250) + "/32").c_str(), 17, {{53, 53}})));
  }
  this->apply(changes);
  EXPECT_EQ(this->installed().size(), 1000u);
  for (auto& change : changes) change.kind = ports::RuleChange::Kind::remove;
  this->apply(changes);
  EXPECT_TRUE(this->installed().empty());
}

TYPED_TEST_P(MitigatorContract, OpeningAgainKeepsTheRules) {
  const auto rule = rule_of("192.0.2.1/32", 17, {{53, 53}});
  this->apply({install(rule)});
  this->open();
  EXPECT_EQ(this->installed(), std::set<model::Rule>{rule});
}

TYPED_TEST_P(MitigatorContract, RulesOutliveTheObjectWhereTheBackEndIsOutside) {
  const auto rules = one_of_each();
  std::vector<ports::RuleChange> changes;
  for (const auto& rule : rules) changes.push_back(install(rule));
  this->apply(changes);
  this->mitigator = this->harness.make();
  this->open();
  EXPECT_EQ(this->installed(), TypeParam::kSurvives ? rules : std::set<model::Rule>{});
}

TYPED_TEST_P(MitigatorContract, ClearRemovesEverythingAndOpenBeginsAnew) {
  const auto rule = rule_of("192.0.2.1/32", 17, {{53, 53}});
  this->apply({install(rule)});
  ASSERT_TRUE(this->mitigator->clear().ok());
  EXPECT_TRUE(this->installed().empty());
  EXPECT_FALSE(this->mitigator->apply({install(rule)}).ok());
  this->open();
  EXPECT_TRUE(this->installed().empty());
  this->apply({install(rule)});
  EXPECT_EQ(this->installed(), std::set<model::Rule>{rule});
}

TYPED_TEST_P(MitigatorContract, ExemptionsAreNotRules) {
  const auto server = model::parse_ip_address("192.0.2.9").value();
  const auto server6 = model::parse_ip_address("2001:db8::9").value();
  std::vector<ports::SignalExemption> exemptions = {{server, 4646, model::parse_prefix("198.51.100.7/32").value()},
                                                    {server, 4646, model::parse_prefix("198.51.100.0/24").value()},
                                                    {server6, 4646, model::parse_prefix("2001:db8:9::/48").value()}};
  for (int round = 0; round < 3; ++round) {
    const auto exempted = this->mitigator->exempt(exemptions);
    ASSERT_TRUE(exempted.ok()) << exempted.error().message;
    EXPECT_TRUE(this->installed().empty());
    exemptions.pop_back();
  }
}

TYPED_TEST_P(MitigatorContract, SaysWhatItCanDo) {
  const auto abilities = this->mitigator->abilities();
  EXPECT_FALSE(abilities.name.empty());
  EXPECT_TRUE(abilities.drops_really || !abilities.counts);
}

REGISTER_TYPED_TEST_SUITE_P(MitigatorContract, ListsWhatWasInstalledAndNoMore, DoingAgainWhatIsDoneIsNoError,
                            TheSameMatchWithAnotherActionIsReplaced, NestedPrefixesAndOverlappingPortsStandSideBySide,
                            AllChangesOrNone, ABatchOfAThousandIsOneChange, OpeningAgainKeepsTheRules,
                            RulesOutliveTheObjectWhereTheBackEndIsOutside, ClearRemovesEverythingAndOpenBeginsAnew,
                            ExemptionsAreNotRules, SaysWhatItCanDo);

}  // namespace dots::tests
