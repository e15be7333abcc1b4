// What every implementation of ports::Mitigator must do. A harness type has:
//   bool ready(std::string& why_not);               false: the tests are skipped, and say why
//   std::unique_ptr<ports::Mitigator> make();       not open; the same back end again and again
//   static constexpr bool kSurvives;                rules outlive the object that installed them
// and, where the back end is no packet filter:
//   static constexpr bool kNamesSurvive = false;    of a list that outlives the object, its name does not
//   static constexpr bool kToEverybody = false;     takes nothing about traffic to everybody
//   static model::FilterList list_of_each_field(model::FilterListKey);   with what it can match
// Use: INSTANTIATE_TYPED_TEST_SUITE_P(DryRun, MitigatorContract, DryRunHarness);
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "ports/mitigator.h"
#include "tests/support/filters.h"
#include "tests/support/rules.h"

namespace dots::tests {

inline ports::RuleChange install(model::Rule rule) { return {ports::RuleChange::Kind::install, std::move(rule), {}}; }
inline ports::RuleChange remove(model::Rule rule) { return {ports::RuleChange::Kind::remove, std::move(rule), {}}; }

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

// A list with every field that a back end has to know, and the three actions.
inline model::FilterList list_of_each_field(model::FilterListKey key) {
  using model::PortMatch;
  const std::vector<std::string> both = {"192.0.2.0/24", "2001:db8::/48"};
  std::vector<model::FilterRule> rules;
  const auto add = [&](std::string name, const std::vector<std::string>& to) -> model::FilterRule& {
    return rules.emplace_back(filter_rule(std::move(name), to));
  };
  auto& v4 = add("every field of IPv4", {"192.0.2.0/24"}).entry.match.ip.emplace();
  v4.dscp = 46, v4.ecn = 3, v4.ttl = 255, v4.protocol = 6, v4.length = 65535, v4.header_length = 15, v4.flags = 6;
  v4.offset = 8191, v4.identification = 65535, v4.fragment = model::BitsMatch{true, true, 15};
  v4.source = model::parse_prefix("203.0.113.5/32").value();
  v4.destination = model::parse_prefix("192.0.2.0/25").value();
  auto& v6 = add("every field of IPv6", {"2001:db8::/48"}).entry.match.ip.emplace();
  v6.family = model::Family::ipv6;
  v6.dscp = 0, v6.ecn = 0, v6.ttl = 0, v6.protocol = 17, v6.length = 0, v6.flow_label = 0xfffff;
  v6.fragment = model::BitsMatch{false, false, 2}, v6.source = model::parse_prefix("2001:db8:9::7/64").value();
  auto& tcp = add("every field of TCP", both).entry.match.tcp.emplace();
  tcp.source_port = PortMatch{PortMatch::Operator::range, 1024, 65535};
  tcp.destination_port = PortMatch{PortMatch::Operator::neq, 80, 0};
  tcp.flags_bitmask = model::BitsMatch{true, true, 0xfff};
  tcp.sequence_number = 0xffffffff, tcp.acknowledgement_number = 0, tcp.data_offset = 15, tcp.reserved = 15;
  tcp.flags = 0x1fe, tcp.window_size = 65535, tcp.urgent_pointer = 0;
  auto& udp = add("every field of UDP", both).entry.match.udp.emplace();
  udp.source_port = PortMatch{PortMatch::Operator::lte, 1023, 0};
  udp.destination_port = PortMatch{PortMatch::Operator::gte, 0, 0};
  udp.length = 8;
  auto& icmp = add("every field of ICMP", both).entry.match.icmp.emplace();
  icmp.type = 8, icmp.code = 255, icmp.rest_of_header = std::string("\x00\xff\x01\x02\x03", 5);
  add("what has no field", both);
  add("an accept \"; flush ruleset", both).entry.forwarding = model::Forwarding::accept;
  for (const std::uint64_t hundredths : {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{1'600'000'000'000}}) {
    auto& limit = add("a limit of " + std::to_string(hundredths), both).entry;
    limit.forwarding = model::Forwarding::accept;
    limit.rate_limit_hundredths = hundredths;
  }
  return list_of(std::move(key), 7, std::move(rules));
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
  // What a back end cannot do it says at once, and for programs as well.
  void refuses_filters() {
    const auto list = list_of(list_key("a", "c", "l"), 0, {filter_rule("e", {"192.0.2.0/24"})});
    const auto refused = mitigator->apply_filters({put_list(list)});
    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(refused.error().reason, model::RefusalReason::function) << refused.error().message;
    EXPECT_TRUE(filters().empty());
  }
  void refuses_protocols() {
    const auto refused = mitigator->apply({install(rule_of("192.0.2.1/32", 17, {{53, 53}}))});
    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(refused.error().reason, model::RefusalReason::function) << refused.error().message;
    EXPECT_TRUE(installed().empty());
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
  void filter(const std::vector<ports::FilterChange>& changes) {
    const auto applied = mitigator->apply_filters(changes);
    ASSERT_TRUE(applied.ok()) << applied.error().message;
  }
  using Digests = std::map<model::FilterListKey, std::string>;
  Digests filters() {
    const auto listing = mitigator->list();
    EXPECT_TRUE(listing.ok()) << listing.error().message;
    Digests digests;
    if (!listing.ok()) return digests;
    for (const auto& one : listing->filters) {
      EXPECT_TRUE(digests.emplace(one.key, one.digest).second) << "listed twice: " << model::to_string(one.key);
    }
    EXPECT_TRUE(listing->foreign.empty());
    return digests;
  }
  static Digests digests_of(const std::vector<model::FilterList>& lists) {
    Digests digests;
    for (const auto& list : lists) digests.emplace(list.key, model::digest_of(list));
    return digests;
  }

  // A rule as narrow as the back end takes them.
  model::Rule narrow(const char* target) const {
    return mitigator->abilities().scoped ? rule_of(target, 17, {{53, 53}}) : rule_of(target);
  }
  std::set<model::Rule> rules_of_each_shape() const {
    const auto abilities = mitigator->abilities();
    auto rules = one_of_each();
    std::erase_if(rules, [&](const model::Rule& rule) {
      return (!abilities.scoped && rule.match.protocol) ||
             (!abilities.limits && rule.action == model::RuleAction::limit);
    });
    return rules;
  }
  static model::FilterList filters_of_each_field(model::FilterListKey key) {
    if constexpr (requires { Harness::list_of_each_field(key); }) {
      return Harness::list_of_each_field(std::move(key));
    } else {
      return list_of_each_field(std::move(key));
    }
  }
  static constexpr bool names_survive() {
    if constexpr (requires { Harness::kNamesSurvive; }) return Harness::kNamesSurvive;
    return true;
  }
  static constexpr bool to_everybody() {
    if constexpr (requires { Harness::kToEverybody; }) return Harness::kToEverybody;
    return true;
  }

  Harness harness;
  std::unique_ptr<ports::Mitigator> mitigator;
};
TYPED_TEST_SUITE_P(MitigatorContract);

TYPED_TEST_P(MitigatorContract, ListsWhatWasInstalledAndNoMore) {
  EXPECT_TRUE(this->installed().empty());
  const std::set<model::Rule> rules = this->rules_of_each_shape();
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
  const auto rule = this->narrow("192.0.2.1/32");
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
  if (!this->mitigator->abilities().limits || !this->mitigator->abilities().scoped) {
    this->apply({install(rule_of("192.0.2.1/32"))});
    this->apply({install(rule_of("192.0.2.1/32", {}, {}, RuleAction::blackhole))});
    EXPECT_EQ(this->installed(), (std::set<model::Rule>{rule_of("192.0.2.1/32", {}, {}, RuleAction::blackhole)}));
    this->apply({remove(rule_of("192.0.2.1/32"))});
    EXPECT_TRUE(this->installed().empty());
    return;
  }
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
  if (!this->mitigator->abilities().scoped) return this->refuses_protocols();
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
  const auto good = this->narrow("192.0.2.1/32");
  const auto other = this->narrow("192.0.2.2/32");
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
    const std::string target = "10.0." + std::to_string(i / 250) + "." + std::to_string(i % 250) + "/32";
    changes.push_back(install(this->narrow(target.c_str())));
  }
  this->apply(changes);
  EXPECT_EQ(this->installed().size(), 1000u);
  for (auto& change : changes) change.kind = ports::RuleChange::Kind::remove;
  this->apply(changes);
  EXPECT_TRUE(this->installed().empty());
}

TYPED_TEST_P(MitigatorContract, OpeningAgainKeepsTheRules) {
  const auto rule = this->narrow("192.0.2.1/32");
  this->apply({install(rule)});
  this->open();
  EXPECT_EQ(this->installed(), std::set<model::Rule>{rule});
}

TYPED_TEST_P(MitigatorContract, RulesOutliveTheObjectWhereTheBackEndIsOutside) {
  const auto rules = this->rules_of_each_shape();
  std::vector<ports::RuleChange> changes;
  for (const auto& rule : rules) changes.push_back(install(rule));
  this->apply(changes);
  this->mitigator = this->harness.make();
  this->open();
  EXPECT_EQ(this->installed(), TypeParam::kSurvives ? rules : std::set<model::Rule>{});
}

TYPED_TEST_P(MitigatorContract, ClearRemovesEverythingAndOpenBeginsAnew) {
  const auto rule = this->narrow("192.0.2.1/32");
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

TYPED_TEST_P(MitigatorContract, FiltersAreTakenOrRefusedAsItSays) {
  const auto list = list_of(list_key("a", "c", "l"), 0, {filter_rule("e", {"192.0.2.0/24"})});
  const bool takes = this->mitigator->abilities().filters;
  EXPECT_EQ(this->mitigator->apply_filters({put_list(list)}).ok(), takes);
  EXPECT_EQ(this->filters().size(), takes ? 1u : 0u);
  EXPECT_TRUE(this->mitigator->apply_filters({}).ok());
}

TYPED_TEST_P(MitigatorContract, ListsOfFiltersAreReplacedAsAWhole) {
  if (!this->mitigator->abilities().filters) return this->refuses_filters();
  EXPECT_TRUE(this->filters().empty());
  const auto key = list_key("a", "c", "l");
  const auto one = list_of(key, 0, {filter_rule("e", {"192.0.2.0/24"}), filter_rule("f", {"2001:db8::/32"})});
  auto other = one;
  other.rules.pop_back();
  auto elsewhere = one;
  elsewhere.place = 5;
  auto empty = one;
  empty.rules.clear();
  for (const auto& list : {one, other, elsewhere, empty, this->filters_of_each_field(key), one}) {
    this->filter({put_list(list)});
    EXPECT_EQ(this->filters(), this->digests_of({list}));
    this->filter({put_list(list)});
    EXPECT_EQ(this->filters(), this->digests_of({list}));
  }
  // The last word about a list counts.
  this->filter({remove_list(key), put_list(other), put_list(one)});
  EXPECT_EQ(this->filters(), this->digests_of({one}));
  this->filter({put_list(other), remove_list(key)});
  EXPECT_TRUE(this->filters().empty());
  this->filter({remove_list(key)});
  EXPECT_TRUE(this->filters().empty());
}

TYPED_TEST_P(MitigatorContract, ListsOfTwoOwnersAreTwoHoweverAlike) {
  if (!this->mitigator->abilities().filters) return this->refuses_filters();
  std::vector<model::FilterList> lists;
  for (const auto& key : {list_key("a", "c", "l"), list_key("a", "c2", "l"), list_key("b", "c", "l"),
                          list_key("a", "c", "l2"), list_key("", "", ""), list_key("a", "cl", "")}) {
    lists.push_back(list_of(key, 0, {filter_rule("e", {"192.0.2.0/24", "198.51.100.0/24"})}));
  }
  std::vector<ports::FilterChange> changes;
  for (const auto& list : lists) changes.push_back(put_list(list));
  this->filter(changes);
  EXPECT_EQ(this->filters(), this->digests_of(lists));
  while (!lists.empty()) {
    this->filter({remove_list(lists.back().key)});
    lists.pop_back();
    EXPECT_EQ(this->filters(), this->digests_of(lists));
  }
}

TYPED_TEST_P(MitigatorContract, NestedDestinationsOfListsStandSideBySide) {
  if (!this->mitigator->abilities().filters) return this->refuses_filters();
  const bool everybody = this->to_everybody();
  const std::string everybody4 = everybody ? "0.0.0.0/0" : "192.0.0.0/9", everybody6 = everybody ? "::/0" : "2001::/16";
  const std::vector<model::FilterList> lists = {
      list_of(list_key("a", "c", "l"), 3,
              {filter_rule("e", {"192.0.2.0/24", everybody4}), filter_rule("f", {everybody6})}),
      list_of(list_key("a", "c", "m"), 1, {filter_rule("e", {"192.0.2.7/32", "192.0.2.128/25"})}),
      list_of(list_key("a", "d", "m"), 1, {filter_rule("e", {"192.0.2.7/32"})}),
      list_of(list_key("b", "c", "l"), 0, {filter_rule("e", {"192.0.2.7/32", "2001:db8::/32"})}),
      list_of(list_key("c", "c", "l"), 0, {filter_rule("e", {"192.0.0.0/16", "192.0.2.7/32", "2001:db8::/32"})})};
  // In any order of coming and going.
  for (std::size_t first = 0; first < lists.size(); ++first) {
    std::vector<model::FilterList> there;
    for (std::size_t i = 0; i < lists.size(); ++i) {
      there.push_back(lists[(first + i) % lists.size()]);
      this->filter({put_list(there.back())});
      EXPECT_EQ(this->filters(), this->digests_of(there));
    }
    while (!there.empty()) {
      this->filter({remove_list(there.front().key)});
      there.erase(there.begin());
      EXPECT_EQ(this->filters(), this->digests_of(there));
    }
  }
}

TYPED_TEST_P(MitigatorContract, AllListsOrNone) {
  if (!this->mitigator->abilities().filters) return this->refuses_filters();
  const auto good = list_of(list_key("a", "c", "good"), 0, {filter_rule("e", {"192.0.2.0/24"})});
  auto better = good;
  better.place = 1;
  auto bad = list_of(list_key("a", "c", "bad"), 0, {filter_rule("fine", {"192.0.2.0/24"})});
  bad.rules.push_back(filter_rule("nobody can", {"192.0.2.0/24"}));
  bad.rules.back().entry.match.tcp.emplace().options = std::string("\x01\x01\x01\x01", 4);
  this->filter({put_list(good)});
  const auto applied = this->mitigator->apply_filters({put_list(better), put_list(bad)});
  ASSERT_FALSE(applied.ok());
  for (const char* named : {"'bad'", "cuid c", "domain a", "'nobody can'", "tcp/options"}) {
    EXPECT_NE(applied.error().message.find(named), std::string::npos) << named << " in " << applied.error().message;
  }
  EXPECT_EQ(this->filters(), this->digests_of({good}));
  // It is none the worse for it.
  bad.rules.pop_back();
  this->filter({put_list(better), put_list(bad)});
  EXPECT_EQ(this->filters(), this->digests_of({better, bad}));
}

TYPED_TEST_P(MitigatorContract, WhatNoPacketFilterCanDoIsRefusedWithItsField) {
  if (!this->mitigator->abilities().filters) return this->refuses_filters();
  const auto refuses = [&](const char* field, const auto& spoil) {
    auto rule = filter_rule("e", {"192.0.2.0/24"});
    spoil(rule);
    const auto applied = this->mitigator->apply_filters({put_list(list_of(list_key("a", "c", "l"), 0, {rule}))});
    ASSERT_FALSE(applied.ok()) << field;
    EXPECT_NE(applied.error().message.find(std::string("'e': ") + field), std::string::npos) << applied.error().message;
  };
  using model::FilterRule;
  refuses("ipv4/ihl", [](FilterRule& rule) { rule.entry.match.ip.emplace().header_length = 16; });
  refuses("ipv4/offset", [](FilterRule& rule) { rule.entry.match.ip.emplace().offset = 8192; });
  refuses("tcp/reserved", [](FilterRule& rule) { rule.entry.match.tcp.emplace().reserved = 16; });
  refuses("tcp/options", [](FilterRule& rule) { rule.entry.match.tcp.emplace().options = "1"; });
  refuses("icmp/rest-of-header",
          [](FilterRule& rule) { rule.entry.match.icmp.emplace().rest_of_header = std::string(65, 'x'); });
  refuses("more than one transport", [](FilterRule& rule) {
    rule.entry.match.tcp.emplace();
    rule.entry.match.udp.emplace();
  });
  refuses("rate-limit", [](FilterRule& rule) { rule.entry.rate_limit_hundredths = 100; });
  refuses("rate-limit", [](FilterRule& rule) {
    rule.entry.forwarding = model::Forwarding::accept;
    rule.entry.rate_limit_hundredths = 1'600'000'000'100;
  });
  refuses("it has no destinations", [](FilterRule& rule) { rule.destinations.clear(); });
  EXPECT_TRUE(this->filters().empty());
}

TYPED_TEST_P(MitigatorContract, ListsOutliveTheObjectWhereTheBackEndIsOutside) {
  if (!this->mitigator->abilities().filters) return this->refuses_filters();
  // Names are what clients choose.
  auto list = this->filters_of_each_field(list_key("d\"; $x", "cuid\n\\'%41", std::string("l\0 \xc3\xa4;{}", 8)));
  list.rules.push_back(filter_rule(std::string(300, '%'), {"192.0.2.0/24"}));
  list.rules.push_back(filter_rule("", {"192.0.2.0/24"}));
  const auto other = list_of(list_key("e", "c", "l"), 0, {filter_rule("e", {"192.0.2.0/25"})});
  this->filter({put_list(list), put_list(other)});
  this->open();
  EXPECT_EQ(this->filters(), this->digests_of({list, other}));
  this->mitigator = this->harness.make();
  this->open();
  if (this->names_survive()) {
    EXPECT_EQ(this->filters(), TypeParam::kSurvives ? this->digests_of({list, other}) : this->digests_of({}));
  } else {
    std::multiset<std::string> there, expected = {model::digest_of(list), model::digest_of(other)};
    for (const auto& [key, digest] : this->filters()) there.insert(digest);
    EXPECT_EQ(there, expected);
    // Who wants them gives them their names again.
    this->filter({put_list(list), put_list(other)});
    EXPECT_EQ(this->filters(), this->digests_of({list, other}));
  }
  // And what outlived can be replaced and removed.
  list.rules.pop_back();
  this->filter({put_list(list), remove_list(other.key)});
  EXPECT_EQ(this->filters(), this->digests_of({list}));
}

TYPED_TEST_P(MitigatorContract, EveryEntryHasItsCounters) {
  if (!this->mitigator->abilities().filters) return this->refuses_filters();
  const auto list = this->filters_of_each_field(list_key("a", "c", "l"));
  this->filter({put_list(list)});
  const auto listing = this->mitigator->list();
  ASSERT_TRUE(listing.ok());
  ASSERT_EQ(listing->filters.size(), 1u);
  std::vector<model::FilterRuleCounters> expected;
  if (this->mitigator->abilities().counts) {
    for (const auto& rule : list.rules) expected.push_back({rule.entry.name, {}});
  }
  EXPECT_EQ(listing->filters[0].counters, expected);
}

TYPED_TEST_P(MitigatorContract, FiltersAndRulesDoNotTouchEachOther) {
  if (!this->mitigator->abilities().filters) return this->refuses_filters();
  const auto rules = this->rules_of_each_shape();
  std::vector<ports::RuleChange> changes;
  for (const auto& rule : rules) changes.push_back(install(rule));
  const auto list = this->filters_of_each_field(list_key("a", "c", "l"));
  this->filter({put_list(list)});
  this->apply(changes);
  EXPECT_EQ(this->installed(), rules);
  EXPECT_EQ(this->filters(), this->digests_of({list}));
  this->filter({remove_list(list.key)});
  EXPECT_EQ(this->installed(), rules);
  this->filter({put_list(list)});
  for (auto& change : changes) change.kind = ports::RuleChange::Kind::remove;
  this->apply(changes);
  EXPECT_TRUE(this->installed().empty());
  EXPECT_EQ(this->filters(), this->digests_of({list}));
  ASSERT_TRUE(this->mitigator->clear().ok());
  EXPECT_TRUE(this->filters().empty());
  EXPECT_FALSE(this->mitigator->apply_filters({put_list(list)}).ok());
  this->open();
  EXPECT_TRUE(this->filters().empty());
}

TYPED_TEST_P(MitigatorContract, AThousandEntriesAreOneList) {
  if (!this->mitigator->abilities().filters) return this->refuses_filters();
  model::FilterList list = list_of(list_key("a", "c", "l"), 0, {});
  for (int i = 0; i < 1000; ++i) {
    list.rules.push_back(filter_rule("entry " + std::to_string(i), {"192.0.2.0/24", "2001:db8::/48"}));
    list.rules.back().entry.match.ip.emplace().source =
        model::parse_prefix("10." + std::to_string(i / 250) + "." + std::to_string(i % 250) + ".0/24").value();
  }
  this->filter({put_list(list)});
  EXPECT_EQ(this->filters(), this->digests_of({list}));
}

REGISTER_TYPED_TEST_SUITE_P(MitigatorContract, ListsWhatWasInstalledAndNoMore, DoingAgainWhatIsDoneIsNoError,
                            TheSameMatchWithAnotherActionIsReplaced, NestedPrefixesAndOverlappingPortsStandSideBySide,
                            AllChangesOrNone, ABatchOfAThousandIsOneChange, OpeningAgainKeepsTheRules,
                            RulesOutliveTheObjectWhereTheBackEndIsOutside, ClearRemovesEverythingAndOpenBeginsAnew,
                            ExemptionsAreNotRules, SaysWhatItCanDo, FiltersAreTakenOrRefusedAsItSays,
                            ListsOfFiltersAreReplacedAsAWhole, ListsOfTwoOwnersAreTwoHoweverAlike,
                            NestedDestinationsOfListsStandSideBySide, AllListsOrNone,
                            WhatNoPacketFilterCanDoIsRefusedWithItsField, ListsOutliveTheObjectWhereTheBackEndIsOutside,
                            EveryEntryHasItsCounters, FiltersAndRulesDoNotTouchEachOther, AThousandEntriesAreOneList);

}  // namespace dots::tests
