#include "agent/server/mitigation_planner.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace dots::agent::server {
namespace {

using model::RefusalReason;
using policy::PolicyAction;
using signal::server::Plan;
using signal::server::PlanRequest;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

model::Prefix prefix(const std::string& text) { return *model::parse_prefix(text); }

class PlannerTest : public testing::Test {
 protected:
  PlannerTest() {
    domain.id = base::DomainId{"acme"};
    domain.prefixes = {prefix("203.0.113.0/24"), prefix("2001:db8:7::/48")};
    settings.back_ends = {{.name = "filter"}, {.name = "routers", .scoped = false, .exempts = false}};
  }

  Plan plan(const std::vector<std::string>& targets, std::vector<std::uint8_t> protocols = {17}) {
    const policy::DomainRules rules(domain);
    asked.scope.target_prefix.clear();
    for (const auto& one : targets) asked.scope.target_prefix.push_back(prefix(one));
    asked.scope.target_protocol = std::move(protocols);
    PlanRequest request{rules, {}, base::Cuid{"c"}, base::Mid{1}, asked, {}};
    request.targets.push_back({asked.scope, asked.scope.target_prefix});
    request.signal_path = &sessions;
    request.volume_bps = volume_bps;
    request.holds = holds;
    request.rules_elsewhere = rules_elsewhere;
    return MitigationPlanner(std::make_shared<const PlannerSettings>(settings), loads).plan(request);
  }
  policy::PolicyRule& rule(const std::string& name) {
    settings.chain.emplace_back().name = name;
    return settings.chain.back();
  }
  static std::vector<std::string> lines(const Plan& plan) {
    std::vector<std::string> out;
    for (const auto& part : plan.parts) {
      for (const auto& one : part.rules) out.push_back(part.back_end + ": " + model::to_string(one));
    }
    return out;
  }

  policy::DomainPolicy domain;
  PlannerSettings settings;
  BackEndLoads loads;
  model::MitigationRequest asked;
  std::map<model::IpAddress, std::size_t> sessions;
  std::map<std::string, std::size_t> holds;
  std::uint64_t volume_bps = 0;
  std::size_t rules_elsewhere = 0;
};

TEST_F(PlannerTest, WithoutAPolicyEveryBackEndDoesWhatItCan) {
  EXPECT_THAT(lines(plan({"203.0.113.7/32"})), ElementsAre("filter: drop udp to 203.0.113.7/32"));
  domain.broad_scope = policy::BroadScopeAction::blackhole;
  EXPECT_THAT(lines(plan({"203.0.113.7/32"}, {})),
              ElementsAre("filter: blackhole all to 203.0.113.7/32", "routers: blackhole all to 203.0.113.7/32"));
  settings.back_ends.erase(settings.back_ends.begin());
  const Plan none = plan({"203.0.113.7/32"});
  EXPECT_FALSE(none.verdict.allowed);
  EXPECT_EQ(none.verdict.refusal, RefusalReason::function);
}

TEST_F(PlannerTest, ActionsOfARuleTakeThePlaceOfThoseOfTheDomain) {
  policy::PolicyRule& one = rule("one");
  one.use = {"filter"};
  one.action = PolicyAction::drop;
  domain.scoped_limit_bps = 5000;
  EXPECT_THAT(lines(plan({"203.0.113.7/32"})), ElementsAre("filter: drop udp to 203.0.113.7/32"));
  EXPECT_THAT(lines(plan({"203.0.113.7/32"}, {})), ElementsAre("filter: blackhole all to 203.0.113.7/32"));
  one.action = PolicyAction::limit;
  one.limit_bytes_per_s = 9000;
  const auto limited = plan({"203.0.113.7/32"});
  ASSERT_EQ(limited.parts.size(), 1U);
  EXPECT_EQ(limited.parts[0].rules.at(0).rate_limit_bps, 9000U);
  EXPECT_EQ(plan({"203.0.113.7/32"}, {}).parts.at(0).rules.at(0).rate_limit_bps, 9000U);
  one.action = PolicyAction::blackhole;
  one.use = {"routers"};
  EXPECT_THAT(lines(plan({"203.0.113.7/32"})), ElementsAre("routers: blackhole all to 203.0.113.7/32"));
}

// It is not passed by: the operator has named who does it.
TEST_F(PlannerTest, ANamedBackEndThatCannotExpressItGivesWayOrIsMissed) {
  rule("one").use = {"routers"};
  rule("two").use = {"filter"};
  policy::PolicyRule& one = settings.chain[0];
  const Plan missed = plan({"203.0.113.7/32"});
  EXPECT_TRUE(missed.verdict.allowed);
  EXPECT_THAT(missed.parts, IsEmpty());
  EXPECT_EQ(missed.not_started, RefusalReason::function);
  EXPECT_THAT(missed.story, HasSubstr("policy 'one'; 'routers' does not take it"));
  one.use = {"routers", "filter"};
  const Plan half = plan({"203.0.113.7/32"});
  EXPECT_THAT(lines(half), ElementsAre("filter: drop udp to 203.0.113.7/32"));
  EXPECT_EQ(half.not_started, RefusalReason::function);
  one.use = {"routers"};
  one.overflow = {"filter"};
  const Plan other = plan({"203.0.113.7/32"});
  EXPECT_THAT(lines(other), ElementsAre("filter: drop udp to 203.0.113.7/32"));
  EXPECT_EQ(other.not_started, std::nullopt);
}

//
TEST_F(PlannerTest, WhatIsObservedOrRefusedStartsNothing) {
  policy::PolicyRule& one = rule("trial");
  one.action = PolicyAction::observe;
  one.reason = "a trial";
  const Plan observed = plan({"203.0.113.7/32"});
  EXPECT_TRUE(observed.verdict.allowed);
  EXPECT_THAT(observed.parts, IsEmpty());
  EXPECT_EQ(observed.not_started, RefusalReason::policy);
  EXPECT_EQ(observed.story, "policy 'trial'; nothing is started: a trial");
  one.action = PolicyAction::refuse;
  const Plan refused = plan({"203.0.113.7/32"});
  EXPECT_EQ(refused.verdict.diagnostic, "a trial");
  EXPECT_EQ(refused.verdict.refusal, RefusalReason::policy);
}

//
TEST_F(PlannerTest, WhatDoesNotFitIsAcceptedAndNotStarted) {
  settings.back_ends[0].max_rules = 10;
  rule("one").use = {"filter"};
  loads["filter"] = {10, 0};
  const Plan full = plan({"203.0.113.7/32"});
  EXPECT_TRUE(full.verdict.allowed);
  EXPECT_EQ(full.not_started, RefusalReason::capacity);
  EXPECT_THAT(full.story, HasSubstr("10 of 10 rules are used"));
  loads["filter"] = {9, 0};
  EXPECT_FALSE(plan({"203.0.113.7/32"}).not_started.has_value());
  settings.safety.rules_per_domain = 5;
  rules_elsewhere = 5;
  EXPECT_EQ(plan({"203.0.113.7/32"}).not_started, RefusalReason::capacity);
  rules_elsewhere = 4;
  EXPECT_FALSE(plan({"203.0.113.7/32"}).not_started.has_value());
  settings.safety.rules = 9;
  EXPECT_EQ(plan({"203.0.113.7/32"}).not_started, RefusalReason::capacity);
  holds = {{"filter", 1}};
  EXPECT_FALSE(plan({"203.0.113.7/32"}).not_started.has_value()) << "what it has is not counted twice";
  settings.safety.rules = settings.safety.rules_per_domain = 2;
  EXPECT_EQ(lines(plan({"203.0.113.7/32"})).size(), 1U) << "a smaller limit ends nothing that runs";
  EXPECT_EQ(plan({"203.0.113.7/32", "203.0.113.9/32"}).not_started, RefusalReason::capacity);
}

// U-014: an alias alone is enough, and the contract decides what is done.
TEST_F(PlannerTest, TheContractDecides) {
  policy::PolicyRule& gold = rule("gold");
  gold.contracts = {"gold"};
  gold.action = PolicyAction::blackhole;
  gold.use = {"routers"};
  domain.contracts.emplace_back().id = "silver";
  domain.contracts.emplace_back().id = "gold";
  EXPECT_THAT(lines(plan({"203.0.113.7/32"})), ElementsAre("filter: drop udp to 203.0.113.7/32"));
  asked.contract_id = "gold";
  EXPECT_THAT(lines(plan({"203.0.113.7/32"})), ElementsAre("routers: blackhole all to 203.0.113.7/32"));
  asked.contract_id.reset();
  domain.contracts.erase(domain.contracts.begin());
  EXPECT_THAT(lines(plan({"203.0.113.7/32"})), ElementsAre("routers: blackhole all to 203.0.113.7/32"));
  asked.contract_id = "platinum";
  const Plan foreign = plan({"203.0.113.7/32"});
  EXPECT_EQ(foreign.verdict.refusal, RefusalReason::contract);
  EXPECT_EQ(foreign.verdict.diagnostic, "the contract 'platinum' is not known");
}

TEST_F(PlannerTest, ARuleForBroadScopesIsNotPassedByWithAnAliasThatIsNarrow) {
  policy::PolicyRule& broad = rule("broad");
  broad.scope = policy::ScopeKind::broad;
  broad.action = PolicyAction::refuse;
  const policy::DomainRules rules(domain);
  PlanRequest request{rules, {}, base::Cuid{"c"}, base::Mid{1}, asked, {}};
  model::MitigationScope narrow, wide;
  narrow.target_protocol = {17};
  request.targets = {{narrow, {prefix("203.0.113.7/32")}}, {wide, {prefix("203.0.113.0/25")}}};
  const MitigationPlanner planner(std::make_shared<const PlannerSettings>(settings), loads);
  EXPECT_FALSE(planner.plan(request).verdict.allowed);
  request.targets.pop_back();
  EXPECT_TRUE(planner.plan(request).verdict.allowed);
}

// U-005
TEST_F(PlannerTest, AWiderScopeIsTheDomainsOwnAndIsTold) {
  policy::PolicyRule& one = rule("one");
  one.use = {"filter"};
  one.widen.domain = true;
  const Plan all = plan({"203.0.113.7/32"});
  EXPECT_THAT(lines(all), ElementsAre("filter: drop udp to 203.0.113.0/24", "filter: drop udp to 2001:db8:7::/48"));
  EXPECT_THAT(all.actual, ElementsAre(prefix("203.0.113.0/24"), prefix("2001:db8:7::/48")));
  one.widen = {};
  EXPECT_THAT(plan({"203.0.113.7/32"}).actual, IsEmpty());
}

TEST_F(PlannerTest, SafeTargetsAreCutOutOrTheRequestIsRefused) {
  settings.safety.targets = {{prefix("203.0.113.5/32"), "is an address of this server"}};
  const Plan around = plan({"203.0.113.4/31"});
  EXPECT_THAT(lines(around), ElementsAre("filter: drop udp to 203.0.113.4/32"));
  EXPECT_THAT(around.actual, ElementsAre(prefix("203.0.113.4/32")));
  EXPECT_THAT(around.story, HasSubstr("left out: 203.0.113.5/32 is an address of this server"));
  const Plan own = plan({"203.0.113.5/32"});
  EXPECT_FALSE(own.verdict.allowed);
  EXPECT_EQ(own.verdict.refusal, RefusalReason::policy);
  EXPECT_EQ(own.verdict.diagnostic, "target-prefix 203.0.113.5/32 is protected from mitigation");
}

TEST_F(PlannerTest, ABackEndThatExemptsNothingDoesNotCutTheSignal) {
  domain.broad_scope = policy::BroadScopeAction::blackhole;
  sessions[*model::parse_ip_address("203.0.113.6")] = 1;
  const Plan plan = this->plan({"203.0.113.6/31"}, {});
  EXPECT_THAT(lines(plan),
              ElementsAre("filter: blackhole all to 203.0.113.6/31", "routers: blackhole all to 203.0.113.7/32"));
  EXPECT_THAT(plan.story, HasSubstr("203.0.113.6/32 is where a DOTS session of the domain comes from"));
  rule("routers").use = {"routers"};
  const Plan cut = this->plan({"203.0.113.6/32"}, {});
  EXPECT_THAT(cut.parts, IsEmpty());
  EXPECT_EQ(cut.not_started, RefusalReason::function);
  EXPECT_THAT(cut.story, HasSubstr("where a DOTS session of the domain comes from"));
}

TEST_F(PlannerTest, ABackEndThatCannotTellSourcesApartIsNamed) {
  settings.safety.sources = {prefix("198.51.100.0/24")};
  EXPECT_EQ(plan({"203.0.113.7/32"}).story,
            "'filter' takes it: 1 rule; 'routers' does not take it: nothing is left for it to do");
  settings.back_ends[0].filters = false;
  EXPECT_THAT(plan({"203.0.113.7/32"}).story, HasSubstr("'filter' cannot let safe sources pass"));
}

TEST_F(PlannerTest, TooWideForABackEndAndForOnePairOfEyes) {
  domain.broad_scope = policy::BroadScopeAction::blackhole;
  settings.back_ends[1].min_prefix_length_v4 = 32;
  EXPECT_THAT(lines(plan({"203.0.113.0/24"}, {})), ElementsAre("filter: blackhole all to 203.0.113.0/24"));
  EXPECT_FALSE(plan({"203.0.113.0/24"}, {}).needs_approval.has_value());
  settings.safety.approval_above_v4 = 25;
  EXPECT_THAT(plan({"203.0.113.0/24"}, {}).needs_approval.value_or(""), HasSubstr("203.0.113.0/24 is wider than /25"));
  settings.safety.approval_above_v4 = 0;
  rule("careful").approval = true;
  EXPECT_THAT(plan({"203.0.113.0/32"}, {}).needs_approval.value_or(""), HasSubstr("policy 'careful'"));
}

TEST_F(PlannerTest, APersonIsAskedWhereThePolicySaysSoAndWheneverSomebodyHasToAgree) {
  const auto parts = [](const Plan& plan) {
    std::vector<std::string> out;
    for (const auto& part : plan.parts) out.push_back(part.back_end + (part.asks ? " asks" : ""));
    return out;
  };
  settings.back_ends.push_back({.name = "noc", .asks = true});
  rule("filtered").use = {"filter"};
  auto quiet = plan({"203.0.113.7/32"});
  EXPECT_THAT(parts(quiet), ElementsAre("filter"));
  EXPECT_FALSE(quiet.needs_approval.has_value());
  EXPECT_EQ(quiet.policy, "filtered");
  settings.chain[0].approval = true;
  EXPECT_THAT(parts(plan({"203.0.113.7/32"})), ElementsAre("filter", "noc asks"));
  settings.chain[0].approval = false;
  settings.chain[0].use = {"filter", "noc"};
  const auto asked_by_name = plan({"203.0.113.7/32"});
  EXPECT_THAT(parts(asked_by_name), ElementsAre("filter", "noc asks"));
  EXPECT_EQ(asked_by_name.needs_approval, "'noc' asks a person");
  // People need no room in a table, and may be asked when there is none.
  settings.safety.rules_per_domain = 1;
  EXPECT_THAT(parts(plan({"203.0.113.7/32"})), ElementsAre("filter", "noc asks"));
  rules_elsewhere = 1;
  const auto full = plan({"203.0.113.7/32"});
  EXPECT_EQ(full.not_started, RefusalReason::capacity);
  EXPECT_THAT(parts(full), ElementsAre("noc asks"));
}

TEST_F(PlannerTest, TheVolumeIsLookedAtOnlyWhereItDecides) {
  EXPECT_FALSE(MitigationPlanner(settings.back_ends).looks_at_volume());
  rule("flood").volume_from_bps = 1000;
  settings.chain[0].action = PolicyAction::blackhole;
  EXPECT_TRUE(MitigationPlanner(std::make_shared<const PlannerSettings>(settings), {}).looks_at_volume());
  EXPECT_EQ(lines(plan({"203.0.113.7/32"})).size(), 1U);
  volume_bps = 1000;
  EXPECT_THAT(lines(plan({"203.0.113.7/32"})),
              ElementsAre("filter: blackhole all to 203.0.113.7/32", "routers: blackhole all to 203.0.113.7/32"));
}

TEST_F(PlannerTest, OnlyLoadsThatCountMakeOtherPlans) {
  using signal::server::Replan;
  const auto by = [&](BackEndLoad is) { return replan(settings, {{"filter", {10, 5000}}}, {{"filter", is}}); };
  EXPECT_EQ(by({11, 9000}), std::nullopt) << "nothing is limited";
  EXPECT_EQ(by({10, 5000, true}), Replan::unmet);
  settings.safety.rules_per_domain = 5;
  EXPECT_EQ(by({11, 5000}), Replan::crowded);
  EXPECT_EQ(by({9, 5000}), Replan::unmet);
  settings.safety.rules_per_domain = 0;
  settings.back_ends[0].max_rules = 5;
  EXPECT_EQ(by({9, 5000}), Replan::unmet);
  EXPECT_EQ(by({10, 9000}), std::nullopt);
  settings.back_ends[0].max_rules = 0;
  settings.back_ends[0].max_bits_per_s = 100'000;
  EXPECT_EQ(by({9, 5001}), std::nullopt) << "as good as the same";
  EXPECT_EQ(by({9, 9000}), Replan::crowded);
  EXPECT_EQ(by({9, 1000}), Replan::unmet);
  settings.back_ends[0].max_rules = 5;
  EXPECT_EQ(by({9, 9000}), Replan::unmet) << "less of one thing is enough";
}

TEST_F(PlannerTest, AStoryTellsEveryStep) {
  rule("watch").domains = {"other"};
  rule("one").use = {"filter"};
  const policy::DomainRules rules(domain);
  asked.scope.target_prefix = {prefix("203.0.113.7/32")};
  PlanRequest request{rules, {}, {}, {}, asked, {}};
  request.targets.push_back({asked.scope, asked.scope.target_prefix});
  const auto story = MitigationPlanner(std::make_shared<const PlannerSettings>(settings), loads).explain(request);
  ASSERT_EQ(story.rules.size(), 2U);
  EXPECT_EQ(story.rules[0].text, "the domain is 'acme', and it wants 'other'");
  EXPECT_TRUE(story.rules[1].matches);
  EXPECT_THAT(story.back_ends, ElementsAre("'filter' takes it: 1 rule"));
}

}  // namespace
}  // namespace dots::agent::server
