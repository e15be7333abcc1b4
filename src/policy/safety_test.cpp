#include "policy/safety.h"

#include <gtest/gtest.h>

#include <random>

#include "policy/prefix_split.h"

namespace dots::policy {
namespace {

model::Prefix prefix(const std::string& text) { return *model::parse_prefix(text); }

TEST(PrefixSplit, CutsOneHostOutOfATwentyFourInEightPieces) {
  const auto pieces = without(prefix("203.0.113.0/24"), {prefix("203.0.113.5/32")}, 8);
  ASSERT_TRUE(pieces.has_value());
  EXPECT_EQ(*pieces, (std::vector{prefix("203.0.113.0/30"), prefix("203.0.113.4/32"), prefix("203.0.113.6/31"),
                                  prefix("203.0.113.8/29"), prefix("203.0.113.16/28"), prefix("203.0.113.32/27"),
                                  prefix("203.0.113.64/26"), prefix("203.0.113.128/25")}));
  EXPECT_FALSE(without(prefix("203.0.113.0/24"), {prefix("203.0.113.5/32")}, 7).has_value());
}

TEST(PrefixSplit, PiecesAndHolesTogetherAreThePrefix) {
  std::mt19937 random{7};
  for (int round = 0; round < 200; ++round) {
    const model::Prefix whole = prefix("198.51.100.0/24");
    std::vector<model::Prefix> holes;
    for (unsigned i = 0; i < 1 + random() % 4; ++i) {
      model::Prefix hole{whole.address, static_cast<std::uint8_t>(25 + random() % 8)};
      hole.address.bytes[3] = static_cast<std::uint8_t>(random() % 256);
      holes.push_back(hole.masked());
    }
    const auto pieces = without(whole, holes, 256);
    ASSERT_TRUE(pieces.has_value());
    for (int last = 0; last < 256; ++last) {
      model::IpAddress address = whole.address;
      address.bytes[3] = static_cast<std::uint8_t>(last);
      const auto in = [&](const model::Prefix& one) { return one.contains(address); };
      const auto covering = std::count_if(pieces->begin(), pieces->end(), in);
      EXPECT_EQ(covering, std::none_of(holes.begin(), holes.end(), in) ? 1 : 0) << model::to_string(address);
    }
  }
}

TEST(Safety, TargetsAreSplitAroundWhatIsSafe) {
  const std::vector<SafeTarget> safe{{prefix("203.0.113.5/32"), "is an address of this server"}};
  const auto split = split_around({prefix("203.0.113.4/31"), prefix("198.51.100.0/24")}, safe, 16);
  ASSERT_TRUE(split.ok());
  EXPECT_EQ(split->prefixes, (std::vector{prefix("203.0.113.4/32"), prefix("198.51.100.0/24")}));
  EXPECT_EQ(split->left_out, std::vector<std::string>{"203.0.113.5/32 is an address of this server"});
}

TEST(Safety, ATargetThatIsSafeAsAWholeIsRefusedWithTheReason) {
  const std::vector<SafeTarget> safe{{prefix("203.0.113.0/28"), "is on the target safe-list"}};
  const auto split = split_around({prefix("198.51.100.1/32"), prefix("203.0.113.5/32")}, safe, 16);
  ASSERT_FALSE(split.ok());
  EXPECT_EQ(split.error().reason, "203.0.113.5/32 is never mitigated: 203.0.113.0/28 is on the target safe-list");
  EXPECT_EQ(split.error().diagnostic, "target-prefix 203.0.113.5/32 is protected from mitigation");
}

TEST(Safety, TooManyPiecesAreRefused) {
  const std::vector<SafeTarget> safe{{prefix("2001:db8::5/128"), "is a BGP peer"}};
  EXPECT_FALSE(split_around({prefix("2001:db8::/48")}, safe, 79).ok());
  const auto split = split_around({prefix("2001:db8::/48")}, safe, 80);
  ASSERT_TRUE(split.ok());
  EXPECT_EQ(split->prefixes.size(), 80U);
}

TEST(Safety, HolesThatTogetherCoverATargetLeaveNothing) {
  const std::vector<SafeTarget> safe{{prefix("203.0.113.4/32"), "is a"}, {prefix("203.0.113.5/32"), "is b"}};
  const auto split = split_around({prefix("203.0.113.4/31")}, safe, 16);
  ASSERT_FALSE(split.ok());
  EXPECT_EQ(split.error().reason, "203.0.113.4/31 cannot be split around 203.0.113.5/32 is b: nothing of it is left");
}

TEST(Safety, WideTargetsWantASecondPairOfEyes) {
  SafetyPolicy safety;
  EXPECT_EQ(approval_wanted(safety, {prefix("203.0.112.0/20")}), "");
  safety.approval_above_v4 = 24;
  EXPECT_EQ(approval_wanted(safety, {prefix("203.0.113.0/24"), prefix("2001:db8::/16")}), "");
  EXPECT_EQ(approval_wanted(safety, {prefix("203.0.112.0/23")}),
            "203.0.112.0/23 is wider than /24: an operator approves it first");
}

}  // namespace
}  // namespace dots::policy
