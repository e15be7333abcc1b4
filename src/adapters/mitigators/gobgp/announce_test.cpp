#include "adapters/mitigators/gobgp/announce.h"

#include <gtest/gtest.h>

#include <set>

#include "tests/support/filters.h"
#include "tests/support/rules.h"

namespace dots::adapters::mitigators::gobgp {
namespace {

using model::RefusalReason;
using model::RuleAction;
using tests::rule_of;

model::IpAddress address(const char* text) { return model::parse_ip_address(text).value(); }

Announcement announcement() {
  Announcement out;
  out.next_hop_v4 = address("198.18.0.1");
  out.next_hop_v6 = address("100::1");
  out.communities = {0xffff029a};
  return out;
}
SeenRoute seen(const Route& route) {
  return {route.family, route.kind, route.nlri, route.identifier, route.large_communities};
}

TEST(BlackholeRoute, IsOfBothFamiliesWithNextHopAndCommunities) {
  for (const auto& [target, octets, next_hop] : {std::tuple{"192.0.2.1/32", "20c0000201", "198.18.0.1"},
                                                 {"203.0.113.128/25", "19cb007180", "198.18.0.1"},
                                                 {"2001:db8::1/128", "8020010db8000000000000000000000001", "100::1"}}) {
    const auto route = blackhole_route(announcement(), rule_of(target, {}, {}, RuleAction::blackhole));
    ASSERT_TRUE(route.ok()) << route.error().message;
    EXPECT_EQ(base::to_hex(route->nlri), octets);
    EXPECT_EQ(route->next_hop, address(next_hop));
    EXPECT_EQ(route->communities, (std::vector<std::uint32_t>{0xffff029a, 0xffffff01}));  // RFC 7999, no-export
    EXPECT_EQ(route->local_preference, 100u);
    EXPECT_NE(route->identifier, 0u);
  }
  auto plain = announcement();
  plain.no_export = false;
  plain.large_communities = {{64500, 666, 0}};
  const auto route = blackhole_route(plain, rule_of("192.0.2.1/32"));
  EXPECT_EQ(route->communities, std::vector<std::uint32_t>{0xffff029a});
  EXPECT_EQ(route->large_communities.front(), (LargeCommunity{64500, 666, 0}));
}

TEST(BlackholeRoute, NeverStandsForPartOfTheTraffic) {
  const auto refused = [](const model::Rule& rule, RefusalReason reason, const char* why) {
    const auto route = blackhole_route(announcement(), rule);
    ASSERT_FALSE(route.ok()) << model::to_string(rule);
    EXPECT_EQ(route.error().reason, reason);
    EXPECT_TRUE(route.error().message.starts_with(model::to_string(rule))) << route.error().message;
    EXPECT_NE(route.error().message.find(why), std::string::npos) << route.error().message;
  };
  refused(rule_of("192.0.2.1/32", 17), RefusalReason::function, "never a protocol");
  refused(rule_of("192.0.2.1/32", 17, {{53, 53}}), RefusalReason::function, "never a protocol");
  refused(rule_of("192.0.2.1/32", {}, {}, RuleAction::limit, 1000), RefusalReason::function, "cannot limit");
  refused(rule_of("0.0.0.0/0", {}, {}, RuleAction::blackhole), RefusalReason::scope, "to everybody");
  refused(rule_of("::/0", {}, {}, RuleAction::blackhole), RefusalReason::scope, "to everybody");
  refused(rule_of("198.18.0.0/24", {}, {}, RuleAction::blackhole), RefusalReason::policy, "next hop");
  auto longer = rule_of("192.0.2.1/32", {}, {}, RuleAction::blackhole);
  longer.match.target.length = 33;
  refused(longer, RefusalReason::scope, "longer than an address");
  auto host_bits = rule_of("192.0.2.1/24", {}, {}, RuleAction::blackhole);
  refused(host_bits, RefusalReason::scope, "host bits");
  auto without = announcement();
  without.next_hop_v6.reset();
  EXPECT_FALSE(blackhole_route(without, rule_of("2001:db8::1/128")).ok());
}

TEST(FlowRoute, RulesAreReadBackFromWhatTheyBecame) {
  std::set<std::pair<model::Family, base::Bytes>> places;
  for (const auto& rule :
       {rule_of("192.0.2.1/32", 17, {{53, 53}}), rule_of("192.0.2.1/32", 17, {{0, 65535}}), rule_of("192.0.2.1/32", 17),
        rule_of("192.0.2.1/32"), rule_of("192.0.2.3/32", {}, {}, RuleAction::blackhole),
        rule_of("192.0.2.4/32", 6, {{443, 65535}}, RuleAction::limit, 1),
        rule_of("203.0.113.8/29", {}, {}, RuleAction::limit, 16'000'000'001),  // no float has it exactly
        rule_of("2001:db8::/48", 132, {{1, 9}}), rule_of("2001:db8:0:2::/64", 58, {}, RuleAction::limit, 5000)}) {
    const auto route = flow_route(announcement(), rule);
    ASSERT_TRUE(route.ok()) << route.error().message;
    EXPECT_TRUE(places.insert({route->family, route->nlri}).second);
    const auto marks = read(announcement().marker, route->large_communities);
    ASSERT_TRUE(marks.has_value());
    EXPECT_EQ(rule_of(seen(*route), *marks), rule);
  }
}

TEST(FlowRoute, ActionsAreWhatTheOperatorChose) {
  const auto drop = rule_of("192.0.2.1/32", 17);
  auto chosen = announcement();
  EXPECT_EQ(flow_route(chosen, drop)->action, (FlowAction{.rate = 0.0f}));
  EXPECT_EQ(flow_route(chosen, rule_of("192.0.2.1/32", 17, {}, RuleAction::limit, 125000))->action,
            (FlowAction{.rate = 125000.0f, .goes_on = true}));
  chosen.drop_as = DropAs::mark;
  chosen.dscp = 10;
  EXPECT_EQ(flow_route(chosen, drop)->action, (FlowAction{.dscp = std::uint8_t{10}}));
  chosen.drop_as = DropAs::redirect;
  chosen.redirect_rt = RouteTarget{std::uint32_t{64512}, 100};
  EXPECT_EQ(flow_route(chosen, drop)->action, (FlowAction{.redirect = RouteTarget{std::uint32_t{64512}, 100}}));
  chosen.redirect_rt.reset();
  chosen.redirect_ip_v4 = address("198.51.100.1");
  EXPECT_EQ(flow_route(chosen, drop)->action, (FlowAction{.redirect_to = address("198.51.100.1")}));
  // Nowhere to send IPv6 to: dropped rather than let through.
  EXPECT_EQ(flow_route(chosen, rule_of("2001:db8::/48", 17))->action, (FlowAction{.rate = 0.0f}));
}

// Of two with the same specification the speaker announces the one with the higher preference.
TEST(FlowRoute, TheStricterIsPreferred) {
  const auto preference = [](const model::Rule& rule) { return flow_route(announcement(), rule)->local_preference; };
  const auto limit = [&](std::uint64_t rate) {
    return preference(rule_of("192.0.2.1/32", 17, {}, RuleAction::limit, rate));
  };
  EXPECT_GT(preference(rule_of("192.0.2.1/32", 17)), limit(1));
  EXPECT_GT(limit(1), limit(2));
  EXPECT_GT(limit(1000), limit(1'000'000));
  EXPECT_GT(limit(16'000'000'000), 0u);
}

TEST(FlowRoute, WhatCannotBeAnnouncedNamesTheRule) {
  for (auto rule : {rule_of("192.0.2.3/32", {}, {}, RuleAction::limit, 0), rule_of("::/0", 17),
                    rule_of("192.0.2.1/24", 17), rule_of("::ffff:192.0.2.1/128", 17),
                    rule_of("192.0.2.1/32", 17, {{9, 8}}), rule_of("192.0.2.1/32", {}, {{9, 9}})}) {
    const auto route = flow_route(announcement(), rule);
    ASSERT_FALSE(route.ok()) << model::to_string(rule);
    EXPECT_TRUE(route.error().message.starts_with(model::to_string(rule))) << route.error().message;
  }
}

TEST(Marks, SayWhatARouteIsFor) {
  const Marker marker{64512, 4646};
  Marks list{.action = RuleAction::limit, .rate_limit_bps = 12'345'678'901, .profile = 0xabcdef1, .list = {}};
  list.list =
      Marks::OfList{0x123456789abcdeu & ((std::uint64_t{1} << 56) - 1), "00112233445566778899aabbccddeeff", 70000};
  for (const Marks& marks : {list, Marks{}, Marks{.action = RuleAction::blackhole, .profile = 7, .list = {}}}) {
    auto communities = write(marker, marks);
    EXPECT_EQ(read(marker, communities), marks);
    communities.insert(communities.begin(), {64512, 4647, 3});  // somebody else's
    EXPECT_EQ(read(marker, communities), marks);
    EXPECT_FALSE(is_marked({64512, 1}, communities));
    // One more or one less of ours is not what we write.
    auto more = communities;
    more.push_back({marker.global, marker.first, 0xf0000000});
    EXPECT_TRUE(is_marked(marker, more));
    EXPECT_FALSE(read(marker, more));
    communities.pop_back();
    EXPECT_FALSE(read(marker, communities));
  }
  EXPECT_FALSE(read(marker, {{marker.global, marker.first, 1u << 28 | 77}}));
}

TEST(Marks, ListsOfOneDomainNeverLookLikeThoseOfAnother) {
  const auto mark = mark_of(tests::list_key("a", "c", "l"));
  EXPECT_EQ(mark >> 28, mark_of(tests::list_key("a", "other", "name")) >> 28);
  EXPECT_NE(mark >> 28, mark_of(tests::list_key("b", "c", "l")) >> 28);
  EXPECT_NE(mark, mark_of(tests::list_key("a", "cl", "")));
  EXPECT_NE(list_identifier({1, 2}, mark), list_identifier({1, 3}, mark));
  EXPECT_NE(rule_identifier({1, 2}), rule_identifier({1, 3}));
}

TEST(Profile, ChangesWithWhatRoutesCarry) {
  std::set<std::uint32_t> profiles{profile_of(announcement())};
  const auto changed = [&](auto change) {
    auto other = announcement();
    change(other);
    EXPECT_TRUE(profiles.insert(profile_of(other)).second);
  };
  changed([](Announcement& a) { a.next_hop_v4 = address("198.18.0.2"); });
  changed([](Announcement& a) { a.next_hop_v6.reset(); });
  changed([](Announcement& a) { a.communities.push_back(1); });
  changed([](Announcement& a) { a.large_communities.push_back({1, 2, 3}); });
  changed([](Announcement& a) { a.no_export = false; });
  changed([](Announcement& a) { a.local_preference = 7; });
  changed([](Announcement& a) { a.drop_as = DropAs::mark; });
  changed([](Announcement& a) { a.redirect_rt = RouteTarget{std::uint32_t{1}, 2}; });
  changed([](Announcement& a) { a.redirect_ip_v6 = address("2001:db8::1"); });
  changed([](Announcement& a) { a.dscp = 1; });
}

}  // namespace
}  // namespace dots::adapters::mitigators::gobgp
