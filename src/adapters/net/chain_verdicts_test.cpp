#include "adapters/net/chain_verdicts.h"

#include <gtest/gtest.h>

#include "adapters/net/gnutls_handles.h"

namespace dots::adapters::net {
namespace {

using namespace std::chrono_literals;

constexpr base::WallTime kNow{1'000'000s};

ChainVerdicts::Key key(std::size_t number) {
  ChainVerdicts::Key key{};
  key[0] = static_cast<std::uint8_t>(number);
  key[1] = static_cast<std::uint8_t>(number >> 8);
  return key;
}

ProvenPeer peer(const std::string& name, std::int64_t expires_unix_s) {
  ProvenPeer peer;
  peer.identity.names = {name};
  peer.expires_unix_s = expires_unix_s;
  return peer;
}

TEST(ChainVerdictsTest, AVerdictHoldsForAShortWhile) {
  ChainVerdicts verdicts;
  verdicts.put(key(1), peer("a", 1'900'000), INT64_MAX, kNow);
  ASSERT_TRUE(verdicts.find(key(1), kNow + ChainVerdicts::kLongest));
  EXPECT_EQ(verdicts.find(key(1), kNow)->identity.names.front(), "a");
  EXPECT_EQ(verdicts.find(key(1), kNow)->expires_unix_s, 1'900'000);
  EXPECT_FALSE(verdicts.find(key(1), kNow + ChainVerdicts::kLongest + 1s));
  EXPECT_FALSE(verdicts.find(key(2), kNow));
  EXPECT_FALSE(verdicts.find(key(1), kNow - 1s)) << "at that time it was not yet verified";
}

TEST(ChainVerdictsTest, NotLongerThanTheChainOrAnAuthority) {
  ChainVerdicts verdicts;
  verdicts.put(key(1), peer("a", 1'000'005), INT64_MAX, kNow);
  EXPECT_TRUE(verdicts.find(key(1), kNow + 5s));
  EXPECT_FALSE(verdicts.find(key(1), kNow + 6s));
  verdicts.put(key(2), peer("a", INT64_MAX), 1'000'005, kNow);
  EXPECT_TRUE(verdicts.find(key(2), kNow + 5s));
  EXPECT_FALSE(verdicts.find(key(2), kNow + 6s));
  Credentials::Handles handles;
  EXPECT_EQ(trust_ends_unix_s(handles, kNow), INT64_MAX);
  handles.anchor_ends_unix_s = {999'999, 1'000'010, 1'000'007};
  EXPECT_EQ(trust_ends_unix_s(handles, kNow), 1'000'007) << "one that has expired changes no more";
}

TEST(ChainVerdictsTest, TheOldestGivesWay) {
  ChainVerdicts verdicts;
  for (std::size_t i = 0; i < ChainVerdicts::kMost; ++i) verdicts.put(key(i), {}, INT64_MAX, kNow);
  verdicts.put(key(7), {}, INT64_MAX, kNow + 1s);
  EXPECT_TRUE(verdicts.find(key(0), kNow + 1s)) << "one that was there takes no more room";
  verdicts.put(key(ChainVerdicts::kMost), {}, INT64_MAX, kNow);
  EXPECT_EQ(verdicts.size(), ChainVerdicts::kMost);
  EXPECT_FALSE(verdicts.find(key(0), kNow));
  EXPECT_TRUE(verdicts.find(key(ChainVerdicts::kMost), kNow));
}

}  // namespace
}  // namespace dots::adapters::net
