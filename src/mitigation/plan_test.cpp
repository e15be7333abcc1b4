#include "mitigation/plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace dots::mitigation {
namespace {

using model::MitigationScope;
using model::Prefix;
using model::Rule;
using model::RuleAction;
using testing::ElementsAre;
using testing::IsEmpty;

Prefix prefix(const char* text) { return model::parse_prefix(text).value(); }
Rule drop(const char* target, std::optional<std::uint8_t> protocol, std::optional<model::PortRange> ports = {}) {
  return {{prefix(target), protocol, ports}, RuleAction::drop, 0};
}
Rule limit(const char* target, std::uint64_t bps) { return {{prefix(target), {}, {}}, RuleAction::limit, bps}; }

class PlanTest : public testing::Test {
 protected:
  MitigationScope scope;
  policy::DomainPolicy policy;

  std::vector<Rule> plan_for(std::vector<Prefix> expanded) { return plan(scope, expanded, policy); }
};

// S8811-2.2.2-08
TEST_F(PlanTest, ProtocolAndPortsGiveOneRuleForEachPair) {
  scope.target_protocol = {17, 6};
  scope.target_port_range = {{53, 53}, {8080, 8090}};
  EXPECT_THAT(plan_for({prefix("192.0.2.1/32")}),
              ElementsAre(drop("192.0.2.1/32", 6, {{53, 53}}), drop("192.0.2.1/32", 6, {{8080, 8090}}),
                          drop("192.0.2.1/32", 17, {{53, 53}}), drop("192.0.2.1/32", 17, {{8080, 8090}})));
}

TEST_F(PlanTest, PortsWithoutProtocolMeanEveryProtocolThatHasPorts) {
  scope.target_port_range = {{443, 443}};
  EXPECT_THAT(plan_for({prefix("192.0.2.1/32")}),
              ElementsAre(drop("192.0.2.1/32", 6, {{443, 443}}), drop("192.0.2.1/32", 17, {{443, 443}}),
                          drop("192.0.2.1/32", 33, {{443, 443}}), drop("192.0.2.1/32", 132, {{443, 443}}),
                          drop("192.0.2.1/32", 136, {{443, 443}})));
}

TEST_F(PlanTest, AProtocolWithoutPortsIsTakenWholeBesideOneThatHasThem) {
  scope.target_protocol = {1, 17};
  scope.target_port_range = {{53, 53}};
  EXPECT_THAT(plan_for({prefix("192.0.2.1/32")}),
              ElementsAre(drop("192.0.2.1/32", 1), drop("192.0.2.1/32", 17, {{53, 53}})));
}

TEST_F(PlanTest, OverlappingAndAdjacentPortsAreJoinedAndAllPortsAreNoRestriction) {
  scope.target_protocol = {17};
  scope.target_port_range = {{80, 90}, {85, 95}, {96, 100}, {102, 102}, {9, 3}};
  EXPECT_THAT(plan_for({prefix("192.0.2.1/32")}),
              ElementsAre(drop("192.0.2.1/32", 17, {{80, 100}}), drop("192.0.2.1/32", 17, {{102, 102}})));
  scope.target_port_range = {{0, 1000}, {1001, 65535}};
  EXPECT_THAT(plan_for({prefix("192.0.2.1/32")}), ElementsAre(drop("192.0.2.1/32", 17)));
}

TEST_F(PlanTest, TargetsAreMaskedAndOnesInsideOthersLeftOut) {
  scope.target_protocol = {17};
  EXPECT_THAT(plan_for({prefix("192.0.2.200/32"), prefix("192.0.2.7/24"), prefix("2001:db8::1/64"),
                        prefix("192.0.2.0/24"), prefix("192.0.3.1/32")}),
              ElementsAre(drop("192.0.2.0/24", 17), drop("192.0.3.1/32", 17), drop("2001:db8::/64", 17)));
}

TEST_F(PlanTest, ABroadScopeFollowsThePolicy) {
  policy.broad_scope_limit_bps = 5000;
  EXPECT_THAT(plan_for({prefix("192.0.2.1/32")}), ElementsAre(limit("192.0.2.1/32", 5000)));
  policy.broad_scope_limit_bps = 0;
  EXPECT_THAT(plan_for({prefix("192.0.2.1/32")}), ElementsAre(limit("192.0.2.1/32", 1)));
  policy.broad_scope = policy::BroadScopeAction::blackhole;
  EXPECT_THAT(plan_for({prefix("192.0.2.1/32")}),
              ElementsAre(Rule{{prefix("192.0.2.1/32"), {}, {}}, RuleAction::blackhole, 0}));
  policy.broad_scope = policy::BroadScopeAction::refuse;
  EXPECT_THAT(plan_for({prefix("192.0.2.1/32")}), IsEmpty());
}

TEST_F(PlanTest, AScopedLimitReplacesTheDrop) {
  policy.scoped_limit_bps = 9000;
  scope.target_protocol = {6};
  EXPECT_THAT(plan_for({prefix("192.0.2.1/32")}),
              ElementsAre(Rule{{prefix("192.0.2.1/32"), 6, {}}, RuleAction::limit, 9000}));
}

// S9132-4.4.1.1-37
TEST_F(PlanTest, AUriNarrowsItsOwnAddressToItsProtocolAndPort) {
  scope.target_uri = {"https://192.0.2.7/shop", "http://192.0.2.7:8080/"};
  EXPECT_THAT(plan_for({prefix("192.0.2.7/32")}),
              ElementsAre(drop("192.0.2.7/32", 6, {{443, 443}}), drop("192.0.2.7/32", 6, {{8080, 8080}})));
}

TEST_F(PlanTest, AUriDoesNotNarrowWhatAPrefixOrANameNames) {
  policy.broad_scope_limit_bps = 5000;
  scope.target_uri = {"https://192.0.2.7/"};
  scope.target_prefix = {prefix("192.0.2.0/28")};
  EXPECT_THAT(plan_for({prefix("192.0.2.0/28"), prefix("192.0.2.7/32")}), ElementsAre(limit("192.0.2.0/28", 5000)));

  scope.target_prefix.clear();
  scope.target_uri = {"https://www.example.net/"};
  EXPECT_THAT(plan_for({prefix("192.0.2.9/32")}), ElementsAre(drop("192.0.2.9/32", 6, {{443, 443}})));
  scope.target_fqdn = {"ftp.example.net"};
  EXPECT_THAT(plan_for({prefix("192.0.2.9/32")}), ElementsAre(limit("192.0.2.9/32", 5000)));
}

TEST_F(PlanTest, StatedPortsWinOverThoseOfAUri) {
  scope.target_uri = {"https://192.0.2.7/"};
  scope.target_protocol = {17};
  EXPECT_THAT(plan_for({prefix("192.0.2.7/32")}), ElementsAre(drop("192.0.2.7/32", 17)));
}

TEST_F(PlanTest, AnUnknownSchemeNarrowsNothing) {
  policy.broad_scope_limit_bps = 5000;
  scope.target_uri = {"gopherish://192.0.2.7/", "https://www.example.net/"};
  EXPECT_THAT(plan_for({prefix("192.0.2.7/32")}), ElementsAre(limit("192.0.2.7/32", 5000)));
}

}  // namespace
}  // namespace dots::mitigation
