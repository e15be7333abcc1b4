#include "agent/server/session_quota.h"

#include <gtest/gtest.h>

namespace dots::agent::server {
namespace {

policy::KnownClient client(const std::string& name, const std::string& domain = "d") {
  return {base::DomainId{domain}, base::ClientId{name}};
}
base::SessionId id(std::uint64_t value) { return base::SessionId{value}; }

TEST(SessionQuota, AClientCrowdsOutItsOwnSessionsOnly) {
  SessionQuota quota{4};
  quota.opened(id(1), client("neighbour"));
  quota.opened(id(2), client("greedy"));
  quota.spoke(id(2));
  quota.opened(id(3), client("greedy"));
  quota.opened(id(4), client("greedy"));
  EXPECT_EQ(quota.too_many(id(4)), std::nullopt);
  quota.opened(id(5), client("greedy"));
  EXPECT_EQ(quota.too_many(id(5)), id(3)) << "the oldest that never said a word, not the one that works";
  quota.closed(id(3));
  EXPECT_EQ(quota.too_many(id(5)), std::nullopt);
  quota.opened(id(6), client("neighbour"));
  EXPECT_EQ(quota.too_many(id(6)), id(4)) << "a second one of the neighbour: the greedy one pays";
}

TEST(SessionQuota, WhenAllHaveSpokenTheLongestSilentGoes) {
  SessionQuota quota{3};
  for (std::uint64_t i = 1; i <= 3; ++i) {
    quota.opened(id(i), client("a"));
    quota.spoke(id(i));
  }
  quota.spoke(id(1));
  quota.opened(id(4), client("a"));
  EXPECT_EQ(quota.too_many(id(4)), id(2));
}

TEST(SessionQuota, WhereEverybodyHasOneTheNewcomerGoes) {
  SessionQuota quota{2};
  quota.opened(id(1), client("a"));
  quota.opened(id(2), client("b"));
  quota.opened(id(3), client("c"));
  EXPECT_EQ(quota.too_many(id(3)), id(3));
}

TEST(SessionQuota, DomainsAndStrangersAreCountedApart) {
  SessionQuota quota{1};
  quota.opened(id(1), client("a", "d"));
  quota.opened(id(2), client("a", "e"));
  quota.opened(id(3), std::nullopt);
  for (std::uint64_t i = 1; i <= 3; ++i) EXPECT_EQ(quota.too_many(id(i)), std::nullopt);
  quota.opened(id(4), std::nullopt);
  EXPECT_EQ(quota.too_many(id(4)), id(3));
  quota.closed(id(3));
  quota.closed(id(3));
  EXPECT_EQ(quota.too_many(id(4)), std::nullopt);
  quota.spoke(id(3));
  EXPECT_EQ(quota.too_many(id(3)), std::nullopt) << "gone is gone";
}

}  // namespace
}  // namespace dots::agent::server
