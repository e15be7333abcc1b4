// SPDX-License-Identifier: GPL-2.0-only
#include "rules.h"

#include <gtest/gtest.h>

#include <set>

namespace nfthelper {
namespace {

Rule rule(const char* target, std::optional<std::uint8_t> protocol, std::optional<Ports> ports,
          Action action = Action::drop) {
  return {{*parse_prefix(target), protocol, ports}, action, action == Action::limit ? 500u : 0u};
}

TEST(Rules, EachShapeHasASetOfItsOwnAndReadsBack) {
  const std::vector<std::pair<Rule, std::string>> cases = {
      {rule("192.0.2.1/32", {}, {}), "tw_drop4_32_any"},
      {rule("192.0.2.0/24", 17, {}), "tw_drop4_24_proto"},
      {rule("192.0.2.0/24", 17, {{53, 53}}), "tw_drop4_24_port"},
      {rule("192.0.2.0/24", 17, {{53, 54}}), "tw_drop4_24_range3"},
      {rule("2001:db8::/48", 6, {{0, 65535}}, Action::limit), "tw_limit6_48_range3"},
      {rule("2001:db8::1/128", {}, {}, Action::blackhole), "tw_blackhole6_128_any"},
      {rule("0.0.0.0/0", {}, {}), "tw_drop4_0_any"},
  };
  for (const auto& [wanted, name] : cases) {
    const SetName set = set_of(wanted, 3);
    EXPECT_EQ(to_string(set), name);
    ASSERT_TRUE(parse_set_name(name)) << name;
    EXPECT_EQ(*parse_set_name(name), set);
    EXPECT_EQ(match_of(set, key_of(wanted.match, set)), wanted.match) << name;
  }
}

TEST(Rules, NamesThatAreNotOursAreNotRead) {
  for (const char* name : {"", "tw_", "drop4_32_any", "tw_drop4_33_any", "tw_drop5_32_any", "tw_drop4_032_any",
                           "tw_drop4_32", "tw_drop4_32_anyx", "tw_drop4_32_range", "tw_drop4_32_range16",
                           "tw_drop4_32_range00", "tw_exempt_in4_32_any", "tw_allow4_32_any"}) {
    EXPECT_FALSE(parse_set_name(name)) << name;
  }
  EXPECT_TRUE(parse_set_name("tw_exempt_in4_32"));
}

TEST(Rules, AKeyWithAnythingUnexplainedInItIsForeign) {
  const Rule wanted = rule("192.0.2.0/24", 17, {{53, 53}});
  const SetName set = set_of(wanted, 0);
  const ElementKey good = key_of(wanted.match, set);
  ASSERT_TRUE(match_of(set, good));
  ElementKey bad = good;
  bad.first[3] = 7;  // host bits
  EXPECT_FALSE(match_of(set, bad));
  bad = good;
  bad.first[5] = 1;  // padding
  EXPECT_FALSE(match_of(set, bad));
  bad = good;
  bad.first[4] = 1;  // a port of ICMP
  EXPECT_FALSE(match_of(set, bad));
  bad = good;
  bad.last = bad.first;
  EXPECT_FALSE(match_of(set, bad));
  bad = good;
  bad.first.pop_back();
  EXPECT_FALSE(match_of(set, bad));
}

TEST(Rules, TheChainTriesExemptionsFirstThenStricterActionsThenLongerPrefixes) {
  std::set<SetName> sets;
  for (const char* name : {"tw_limit4_32_any", "tw_drop4_24_port", "tw_drop4_32_any", "tw_drop4_32_port",
                           "tw_exempt_out4_0", "tw_exempt_in4_24", "tw_exempt_in4_32", "tw_blackhole4_16_any"}) {
    sets.insert(*parse_set_name(name));
  }
  std::string order;
  for (const SetName& set : sets) order += to_string(set) + " ";
  EXPECT_EQ(order,
            "tw_exempt_in4_32 tw_exempt_in4_24 tw_exempt_out4_0 tw_blackhole4_16_any tw_drop4_32_port tw_drop4_32_any "
            "tw_drop4_24_port tw_limit4_32_any ");
}

}  // namespace
}  // namespace nfthelper
