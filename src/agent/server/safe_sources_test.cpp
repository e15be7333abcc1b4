#include "agent/server/safe_sources.h"

#include <gtest/gtest.h>

#include "model/filter_match.h"

namespace dots::agent::server {
namespace {

model::Prefix prefix(const std::string& text) { return *model::parse_prefix(text); }

TEST(SafeSources, PassBeforeAllElseTowardsTheDomainAlone) {
  policy::DomainPolicy domain;
  domain.id = base::DomainId{"acme"};
  domain.prefixes = {prefix("203.0.113.0/24"), prefix("2001:db8:7::/48")};
  const auto want = safe_sources(domain, {prefix("198.51.100.0/24"), prefix("2001:db8:1::/48")});
  ASSERT_NE(want.list, nullptr);
  EXPECT_EQ(want.list->place, 0U);
  ASSERT_EQ(want.list->rules.size(), 2U);
  EXPECT_EQ(want.list->rules[0].destinations, std::vector{prefix("203.0.113.0/24")});
  EXPECT_EQ(want.list->rules[1].destinations, std::vector{prefix("2001:db8:7::/48")});
  EXPECT_EQ(want.list->rules[0].entry.forwarding, model::Forwarding::accept);
  model::PacketHeader packet;
  packet.source = *model::parse_ip_address("198.51.100.9");
  packet.destination = *model::parse_ip_address("203.0.113.9");
  EXPECT_TRUE(model::matches(want.list->rules[0].entry.match, packet));
  packet.source = *model::parse_ip_address("198.51.101.9");
  EXPECT_FALSE(model::matches(want.list->rules[0].entry.match, packet));
}

// A drop-list of a client is tried after it.
TEST(SafeTargets, PassBeforeAllElseAsFarAsTheDomainOwnsThem) {
  policy::DomainPolicy domain;
  domain.id = base::DomainId{"acme"};
  domain.prefixes = {prefix("203.0.113.0/24"), prefix("198.51.100.64/26"), prefix("2001:db8:7::/48")};
  policy::SafetyPolicy safety;
  for (const char* text : {"203.0.113.5/32", "198.51.100.0/24", "192.0.2.0/24", "203.0.113.5/32"})
    safety.targets.push_back({prefix(text), "is on the target safe-list"});
  const auto wants = safe_lists(domain, safety);
  ASSERT_EQ(wants.size(), 2U);
  ASSERT_NE(wants[0].list, nullptr);
  EXPECT_EQ(wants[1].list, nullptr);
  EXPECT_EQ(wants[0].list->key.list, "safe-targets");
  EXPECT_EQ(wants[0].list->place, 0U);
  const auto& rules = wants[0].list->rules;
  ASSERT_EQ(rules.size(), 2U);
  EXPECT_EQ(rules[0].destinations, std::vector{prefix("203.0.113.5/32")});
  EXPECT_EQ(rules[1].destinations, std::vector{prefix("198.51.100.64/26")});
  EXPECT_EQ(rules[0].entry.forwarding, model::Forwarding::accept);
  EXPECT_TRUE(model::matches(rules[0].entry.match, {}));
  EXPECT_EQ(safe_targets(domain, {}).list, nullptr);
}

TEST(SafeSources, WithoutAnyThereIsNoList) {
  policy::DomainPolicy domain;
  domain.prefixes = {prefix("203.0.113.0/24")};
  EXPECT_EQ(safe_sources(domain, {}).list, nullptr);
  EXPECT_EQ(safe_sources(domain, {prefix("2001:db8:1::/48")}).list, nullptr);
}

}  // namespace
}  // namespace dots::agent::server
