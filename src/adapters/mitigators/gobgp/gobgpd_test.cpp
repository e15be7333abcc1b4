// With a real gobgpd: what it takes, what it gives back, and how fast. The rules of the port: contract_test.cpp.
#include <gtest/gtest.h>
#include <algorithm>

#include <chrono>
#include <set>

#include "adapters/mitigators/gobgp/gobgp_mitigator.h"
#include "tests/support/filters.h"
#include "tests/support/gobgpd.h"
#include "tests/support/rules.h"

namespace dots::adapters::mitigators::gobgp {
namespace {

using Clock = std::chrono::steady_clock;
using tests::rule_of;

class WithGobgpd : public testing::Test {
 protected:
  void SetUp() override {
    if (const auto missing = tests::Gobgpd::missing(); !missing.empty()) GTEST_SKIP() << missing;
    gobgpd = std::make_unique<tests::Gobgpd>();
  }
  SpeakerOptions speaker(int timeout_ms = 5000) const { return {gobgpd->api(), std::chrono::milliseconds{timeout_ms}}; }
  GobgpOptions options(RouteKind kind) const {
    GobgpOptions out;
    out.kind = kind;
    out.speaker = speaker();
    out.announcement.next_hop_v4 = model::parse_ip_address("198.18.0.1").value();
    out.announcement.next_hop_v6 = model::parse_ip_address("100::1").value();
    return out;
  }
  static ports::RuleChange install(model::Rule rule) { return {ports::RuleChange::Kind::install, std::move(rule), {}}; }
  static ports::RuleChange remove(model::Rule rule) { return {ports::RuleChange::Kind::remove, std::move(rule), {}}; }

  std::unique_ptr<tests::Gobgpd> gobgpd;
};

TEST_F(WithGobgpd, WritesTheOctetsThatWeCount) {
  Speaker one(speaker());
  ASSERT_TRUE(one.connect().ok());
  Announcement announcement;
  std::vector<Route> sent;
  for (const char* destination : {"192.0.2.0/25", "2001:db8:1::/47"}) {
    FlowSpec flow;
    flow.destination = model::parse_prefix(destination).value();
    flow.family = flow.destination->address.family;
    flow.source =
        model::parse_prefix(flow.family == model::Family::ipv4 ? "203.0.113.7/32" : "2001:db8:9::/64").value();
    flow.numbers = {{FlowType::protocol, {{6, 6}, {17, 17}}},
                    {FlowType::destination_port, {{0, 1023}, {1025, 1025}, {8000, 8080}}},
                    {FlowType::source_port, {{65000, 65535}}},
                    {FlowType::icmp_type, {{3, 4}}},
                    {FlowType::icmp_code, {{0, 255}}},
                    {FlowType::length, {{1400, 1500}}},
                    {FlowType::dscp, {{46, 46}}}};
    if (flow.family == model::Family::ipv6) flow.numbers[FlowType::flow_label] = {{0x12345, 0xfffff}};
    flow.bits = {{FlowType::tcp_flags, {{false, false, true, 0x02}, {true, true, false, 0x11}}},
                 {FlowType::fragment, {{false, true, false, 0x06}}}};
    flow = canonical(flow);
    ASSERT_TRUE(validate(flow).ok());
    sent.push_back(flow_route(announcement, flow, Marks{}));
  }
  // The longest that is allowed.
  FlowSpec longest;
  longest.destination = model::parse_prefix("192.0.2.1/32").value();
  longest.numbers[FlowType::protocol] = {{17, 17}};
  for (std::uint32_t i = 0; i < 76; ++i)
    longest.numbers[FlowType::destination_port].push_back({1000 + 3 * i, 1000 + 3 * i});
  ASSERT_EQ(encode(longest).size(), 238u);
  sent.push_back(flow_route(announcement, longest, Marks{}));
  ASSERT_TRUE(one.send(sent).ok());

  const auto seen = one.routes(RouteKind::flow, announcement.marker);
  ASSERT_TRUE(seen.ok());
  std::set<base::Bytes> theirs, ours;
  for (const auto& route : *seen) theirs.insert(route.nlri);
  for (const auto& route : sent) ours.insert(route.nlri);
  EXPECT_EQ(theirs, ours);
  for (auto& route : sent) route.withdraw = true;
  ASSERT_TRUE(one.send(sent).ok());
  EXPECT_TRUE(one.routes(RouteKind::flow, announcement.marker)->empty());
}

// FIELD_NOTES: adding again gives a new name, and deleting what is not there is no error: only the place counts.
TEST_F(WithGobgpd, AddingAgainAndDeletingGoByThePlace) {
  GobgpMitigator mitigator(options(RouteKind::unicast));
  ASSERT_TRUE(mitigator.open().ok());
  const auto rule = rule_of("192.0.2.1/32", {}, {}, model::RuleAction::blackhole);
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(mitigator.apply({install(rule)}).ok());
  EXPECT_EQ(mitigator.list()->rules.size(), 1u);
  ASSERT_TRUE(mitigator.apply({remove(rule), remove(rule_of("192.0.2.9/32"))}).ok());
  EXPECT_TRUE(mitigator.list()->rules.empty());
}

TEST_F(WithGobgpd, TheRoutesOfOthersAreNotTouched) {
  auto other = options(RouteKind::unicast);
  other.announcement.marker = {64512, 1};
  GobgpMitigator ours(options(RouteKind::unicast)), theirs(other);
  ASSERT_TRUE(ours.open().ok());
  ASSERT_TRUE(theirs.open().ok());
  const auto rule = rule_of("192.0.2.1/32", {}, {}, model::RuleAction::blackhole);
  ASSERT_TRUE(theirs.apply({install(rule)}).ok());
  ASSERT_TRUE(ours.apply({install(rule)}).ok());
  // The same prefix, side by side.
  EXPECT_EQ(ours.list()->rules.size(), 1u);
  EXPECT_EQ(theirs.list()->rules.size(), 1u);
  ASSERT_TRUE(ours.apply({remove(rule)}).ok());
  ASSERT_TRUE(ours.remove_foreign().ok());
  ASSERT_TRUE(ours.clear().ok());
  EXPECT_EQ(theirs.list()->rules.size(), 1u);
  EXPECT_TRUE(theirs.list()->foreign.empty());
}

TEST_F(WithGobgpd, WhatBearsOurMarkAndIsNotOursIsForeign) {
  for (const auto kind : {RouteKind::unicast, RouteKind::flow}) {
    GobgpMitigator mitigator(options(kind));
    ASSERT_TRUE(mitigator.open().ok());
    const auto rule = rule_of("192.0.2.1/32", {}, {}, model::RuleAction::blackhole);
    ASSERT_TRUE(mitigator.apply({install(rule)}).ok());
    Speaker hand(speaker());
    ASSERT_TRUE(hand.connect().ok());
    const auto announcement = options(kind).announcement;
    auto made = kind == RouteKind::unicast ? blackhole_route(announcement, rule_of("192.0.2.66/32"))
                                           : flow_route(announcement, rule_of("192.0.2.66/32"));
    Route copied = *made;
    copied.identifier = 7;
    Route scribbled = *made;
    scribbled.large_communities.push_back({64512, 4646, 0x70000001});
    // "not 25", which we never write.
    Route odd = *made;
    odd.nlri = *base::from_hex(
        "0a"
        "0120c0000242"
        "048619");
    odd.nlri[0] = static_cast<std::uint8_t>(odd.nlri.size() - 1);
    ASSERT_TRUE(hand.send({copied, scribbled}).ok());
    if (kind == RouteKind::flow) {
      ASSERT_TRUE(hand.send({odd}).ok());
    }
    const std::size_t foreign = kind == RouteKind::flow ? 3 : 2;
    EXPECT_EQ(mitigator.list()->foreign.size(), foreign);
    const auto removed = mitigator.remove_foreign();
    ASSERT_TRUE(removed.ok());
    EXPECT_EQ(removed->size(), foreign);
    EXPECT_TRUE(std::any_of(removed->begin(), removed->end(), [](const std::string& text) {
      return text.find("192.0.2.66/32") != std::string::npos;
    })) << removed->front();  // gobgpd lists in any order
    const auto listing = mitigator.list();
    EXPECT_TRUE(listing->foreign.empty());
    EXPECT_EQ(listing->rules.size(), 1u);
    ASSERT_TRUE(mitigator.clear().ok());
  }
}

// FIELD_NOTES: a /33 that gobgpd takes ends the session with the peer.
TEST_F(WithGobgpd, ABadRuleIsRefusedBeforeAnythingIsSent) {
  for (const auto kind : {RouteKind::unicast, RouteKind::flow}) {
    GobgpMitigator mitigator(options(kind));
    ASSERT_TRUE(mitigator.open().ok());
    const auto good = rule_of("192.0.2.1/32", {}, {}, model::RuleAction::blackhole);
    auto bad = rule_of("192.0.2.2/32", {}, {}, model::RuleAction::blackhole);
    bad.match.target.length = 33;
    const auto applied = mitigator.apply({install(good), install(bad)});
    ASSERT_FALSE(applied.ok());
    EXPECT_EQ(applied.error().reason, model::RefusalReason::scope);
    EXPECT_TRUE(mitigator.list()->rules.empty());
  }
}

TEST_F(WithGobgpd, ARuleAndAListWithTheSameSpecificationStandSideBySide) {
  GobgpMitigator mitigator(options(RouteKind::flow));
  ASSERT_TRUE(mitigator.open().ok());
  const auto rule = rule_of("192.0.2.0/24", {}, {}, model::RuleAction::limit, 1000);
  const auto list = tests::list_of(tests::list_key("a", "c", "l"), 0, {tests::filter_rule("e", {"192.0.2.0/24"})});
  ASSERT_TRUE(mitigator.apply({install(rule)}).ok());
  ASSERT_TRUE(mitigator.apply_filters({tests::put_list(list)}).ok());
  EXPECT_EQ(mitigator.list()->rules.size(), 1u);
  EXPECT_EQ(mitigator.list()->filters.size(), 1u);
  ASSERT_TRUE(mitigator.apply({remove(rule)}).ok());
  EXPECT_EQ(mitigator.list()->filters.at(0).digest, model::digest_of(list));
}

TEST_F(WithGobgpd, AListOfWhichARouteIsMissingIsNotThere) {
  GobgpMitigator mitigator(options(RouteKind::flow));
  ASSERT_TRUE(mitigator.open().ok());
  const auto list =
      tests::list_of(tests::list_key("a", "c", "l"), 0, {tests::filter_rule("e", {"192.0.2.0/24", "2001:db8::/32"})});
  ASSERT_TRUE(mitigator.apply_filters({tests::put_list(list)}).ok());
  Speaker hand(speaker());
  ASSERT_TRUE(hand.connect().ok());
  const auto seen = hand.routes(RouteKind::flow, {64512, 4646});
  ASSERT_EQ(seen->size(), 2u);
  Route gone;
  gone.family = seen->front().family;
  gone.kind = RouteKind::flow;
  gone.nlri = seen->front().nlri;
  gone.identifier = seen->front().identifier;
  gone.withdraw = true;
  ASSERT_TRUE(hand.send({gone}).ok());
  EXPECT_NE(mitigator.list()->filters.at(0).digest, model::digest_of(list));
  ASSERT_TRUE(mitigator.apply_filters({tests::put_list(list)}).ok());
  EXPECT_EQ(mitigator.list()->filters.at(0).digest, model::digest_of(list));
}

TEST_F(WithGobgpd, AnotherConfigurationIsAnnouncedAtTheNextOpen) {
  const auto rule = rule_of("192.0.2.1/32", {}, {}, model::RuleAction::blackhole);
  auto changed = options(RouteKind::unicast);
  {
    GobgpMitigator before(changed);
    ASSERT_TRUE(before.open().ok());
    ASSERT_TRUE(before.apply({install(rule)}).ok());
  }
  changed.announcement.communities = {64500u << 16 | 666};
  GobgpMitigator after(changed);
  ASSERT_TRUE(after.open().ok());
  EXPECT_EQ(after.list()->rules.size(), 1u);
  Speaker look(speaker());
  ASSERT_TRUE(look.connect().ok());
  const auto seen = look.routes(RouteKind::unicast, changed.announcement.marker);
  ASSERT_EQ(seen->size(), 1u);
  EXPECT_EQ(read(changed.announcement.marker, seen->front().large_communities)->profile,
            profile_of(changed.announcement));
}

// What bears a former marker is ours still, a list of filters with its name.
TEST_F(WithGobgpd, AnotherMarkerLeavesNothingBehind) {
  const auto rule = rule_of("192.0.2.1/32");
  const auto list = tests::list_of(tests::list_key("a", "c", "l"), 0, {tests::filter_rule("e", {"192.0.2.0/24"})});
  auto changed = options(RouteKind::flow);
  {
    GobgpMitigator before(changed);
    ASSERT_TRUE(before.open().ok());
    ASSERT_TRUE(before.apply({install(rule)}).ok());
    ASSERT_TRUE(before.apply_filters({tests::put_list(list)}).ok());
  }
  changed.former_markers = {changed.announcement.marker};
  changed.announcement.marker = {64512, 9};
  GobgpMitigator after(changed);
  ASSERT_TRUE(after.open().ok());
  ASSERT_TRUE(after.apply_filters({tests::put_list(list)}).ok());
  const auto listing = after.list();
  ASSERT_EQ(listing->rules.size(), 1u);
  EXPECT_EQ(listing->rules.at(0).rule, rule);
  ASSERT_EQ(listing->filters.size(), 1u);
  EXPECT_EQ(listing->filters.at(0).digest, model::digest_of(list));
  EXPECT_TRUE(listing->foreign.empty());
  Speaker look(speaker());
  ASSERT_TRUE(look.connect().ok());
  EXPECT_TRUE(look.routes(RouteKind::flow, changed.former_markers.front())->empty());
  ASSERT_TRUE(after.clear().ok());
  EXPECT_TRUE(look.routes(RouteKind::flow, changed.announcement.marker)->empty());
}

TEST_F(WithGobgpd, SaysWhenAnotherRouteIsPreferred) {
  GobgpMitigator mitigator(options(RouteKind::unicast));
  ASSERT_TRUE(mitigator.open().ok());
  ASSERT_TRUE(mitigator.apply({install(rule_of("192.0.2.1/32", {}, {}, model::RuleAction::blackhole))}).ok());
  Speaker look(speaker());
  ASSERT_TRUE(look.connect().ok());
  const auto announcement = options(RouteKind::unicast).announcement;
  EXPECT_FALSE(look.routes(RouteKind::unicast, announcement.marker)->at(0).outdone);
  Route theirs = *blackhole_route(announcement, rule_of("192.0.2.1/32"));
  theirs.identifier = 0;
  theirs.large_communities.clear();
  theirs.local_preference = announcement.local_preference - 1;
  ASSERT_TRUE(look.send({theirs}).ok());
  EXPECT_FALSE(look.routes(RouteKind::unicast, announcement.marker)->at(0).outdone);
  theirs.local_preference = 500;
  ASSERT_TRUE(look.send({theirs}).ok());
  EXPECT_TRUE(look.routes(RouteKind::unicast, announcement.marker)->at(0).outdone);
}

TEST_F(WithGobgpd, WithoutPeersNothingIsInForce) {
  GobgpMitigator mitigator(options(RouteKind::unicast));
  ASSERT_TRUE(mitigator.open().ok());
  ASSERT_TRUE(mitigator.apply({install(rule_of("192.0.2.1/32"))}).ok());
  EXPECT_EQ(mitigator.list()->rules.at(0).not_in_force, "gobgpd has no BGP peer");
  EXPECT_TRUE(mitigator.abilities().confirms);
  EXPECT_FALSE(mitigator.abilities().counts);
}

TEST_F(WithGobgpd, AnAbsentOneFailsAtOnceAndOneThatHangsInTime) {
  auto short_time = options(RouteKind::unicast);
  short_time.speaker.timeout = std::chrono::milliseconds{500};
  GobgpMitigator mitigator(short_time);
  ASSERT_TRUE(mitigator.open().ok());
  gobgpd->pause();
  auto begin = Clock::now();
  const auto applied = mitigator.apply({install(rule_of("192.0.2.1/32"))});
  EXPECT_FALSE(applied.ok());
  EXPECT_EQ(applied.error().reason, model::RefusalReason::hardware);
  EXPECT_FALSE(mitigator.list().ok());
  EXPECT_LT(Clock::now() - begin, std::chrono::seconds{3});
  gobgpd->go_on();
  ASSERT_TRUE(mitigator.open().ok());
  ASSERT_TRUE(mitigator.apply({install(rule_of("192.0.2.1/32"))}).ok());
  gobgpd->stop();
  const auto listing = mitigator.list();
  ASSERT_FALSE(listing.ok());
  EXPECT_NE(listing.error().message.find(gobgpd->api()), std::string::npos) << listing.error().message;
  begin = Clock::now();
  EXPECT_FALSE(mitigator.open().ok());
  EXPECT_LT(Clock::now() - begin, std::chrono::milliseconds{400});
  gobgpd->start();
  ASSERT_TRUE(mitigator.open().ok());
  EXPECT_TRUE(mitigator.list()->rules.empty());
}

// Not a limit but a figure; the reference is one call for each route, in the same run.
TEST_F(WithGobgpd, AnnouncesInBatchesManyTimesFasterThanOneByOne) {
  Speaker one(speaker(30000));
  ASSERT_TRUE(one.connect().ok());
  Announcement announcement = options(RouteKind::unicast).announcement;
  const auto route = [&](int block, int i) {
    const auto target =
        "10." + std::to_string(block) + "." + std::to_string(i / 256) + "." + std::to_string(i % 256) + "/32";
    return *blackhole_route(announcement, rule_of(target.c_str()));
  };
  const auto rate = [](int routes, Clock::time_point begin) {
    return routes / std::chrono::duration<double>(Clock::now() - begin).count();
  };
  constexpr int kAlone = 1000, kStream = 10000, kBatch = 500;
  auto begin = Clock::now();
  for (int i = 0; i < kAlone; ++i) ASSERT_TRUE(one.send_alone(route(1, i)).ok());
  const double alone = rate(kAlone, begin);
  begin = Clock::now();
  for (int i = 0; i < kStream; i += kBatch) {
    std::vector<Route> batch;
    for (int j = 0; j < kBatch; ++j) batch.push_back(route(2, i + j));
    ASSERT_TRUE(one.send(batch).ok());
  }
  const double stream = rate(kStream, begin);
  begin = Clock::now();
  const auto seen = one.routes(RouteKind::unicast, announcement.marker);
  const double list = rate(kAlone + kStream, begin);
  ASSERT_TRUE(seen.ok());
  EXPECT_EQ(seen->size(), static_cast<std::size_t>(kAlone + kStream));
  std::printf("announcements/s: one by one %.0f, stream in batches of %d %.0f (%.1f times); listed/s: %.0f\n", alone,
              kBatch, stream, stream / alone, list);
  EXPECT_GT(stream, alone);
}

}  // namespace
}  // namespace dots::adapters::mitigators::gobgp
