#include "agent/server/ownership_gate.h"

#include <gtest/gtest.h>

namespace dots::agent::server {
namespace {

model::Rule rule(const std::string& target) {
  model::Rule out;
  out.match.target = *model::parse_prefix(target);
  return out;
}

TEST(OwnershipGate, WhatTheDomainDoesNotOwnIsWithheld) {
  policy::DomainPolicy policy;
  policy.id = base::DomainId{"acme"};
  policy.prefixes = {*model::parse_prefix("192.0.2.0/24")};
  const Owners owners{{policy.id, std::make_shared<const policy::DomainRules>(policy)}};
  signal::server::DesiredRules::Want want;
  want.owner.domain = policy.id;
  want.parts = {{"edge", {rule("192.0.2.1/32"), rule("198.51.100.1/32")}}, {"core", {rule("192.0.2.0/23")}}};
  EXPECT_EQ(withhold_unowned(want, owners), (std::vector<std::string>{model::to_string(rule("198.51.100.1/32")),
                                                                      model::to_string(rule("192.0.2.0/23"))}));
  ASSERT_EQ(want.parts.size(), 1U);
  EXPECT_EQ(want.parts[0].rules, std::vector{rule("192.0.2.1/32")});

  want.owner.domain = base::DomainId{"gone"};
  EXPECT_EQ(withhold_unowned(want, owners).size(), 1U);
  EXPECT_TRUE(want.parts.empty());
}

}  // namespace
}  // namespace dots::agent::server
