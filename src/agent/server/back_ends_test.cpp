#include "agent/server/back_ends.h"

#include <gtest/gtest.h>

namespace dots::agent::server {
namespace {

using mitigation::RuleState;
using signal::server::CountersReport;
using signal::server::RulesReport;

const model::RuleOwner kOwner{base::DomainId{"d"}, base::Cuid{"c"}, base::Mid{1}};

RulesReport::State only_state(const std::vector<ToDomain>& out) {
  EXPECT_EQ(out.size(), 1u);
  return std::get<RulesReport>(out.at(0).event).state;
}

using Parts = std::vector<signal::server::Plan::Part>;
const Parts kOnA{{"a", {}}};
const Parts kOnB{{"b", {}}};
const Parts kOnBoth{{"a", {}}, {"b", {}}};
const std::vector<mitigation::OwnerReport> kInstalled{{kOwner, RuleState::installed, ""}};

BackEnds::Route want(BackEnds& ends, Parts parts, const model::RuleOwner& owner = kOwner) {
  return ends.want(owner, parts);
}

RulesReport told(const BackEnds::Route& route) { return std::get<RulesReport>(route.told.value().event); }

TEST(BackEnds, InstalledOnlyWhenAllThatItUsesHaveInstalled) {
  BackEnds ends({"a", "b", "unused"});
  EXPECT_FALSE(want(ends, kOnBoth).told) << "nothing is known yet";
  EXPECT_EQ(only_state(ends.reported(0, kInstalled)), RulesReport::State::pending);
  EXPECT_EQ(only_state(ends.reported(1, kInstalled)), RulesReport::State::installed);
  EXPECT_TRUE(ends.reported(1, kInstalled).empty());
  const auto failed = ends.reported(0, {{kOwner, RuleState::failed, "no room", model::RefusalReason::capacity}});
  EXPECT_EQ(std::get<RulesReport>(failed.at(0).event).reason, "no room");
  EXPECT_EQ(std::get<RulesReport>(failed.at(0).event).why, model::RefusalReason::capacity);
}

TEST(BackEnds, WhatIsTakenButNotInForceIsPendingAndSaysWhatItWaitsFor) {
  BackEnds ends({"a", "b"});
  want(ends, kOnBoth);
  ends.reported(1, kInstalled);
  const auto taken = ends.reported(0, {{kOwner, RuleState::taken, "BGP peer is not established"}});
  EXPECT_EQ(only_state(taken), RulesReport::State::pending);
  EXPECT_EQ(std::get<RulesReport>(taken.at(0).event).reason, "BGP peer is not established");
}

TEST(BackEnds, AReportSaysWhichBackEndsHaveNothingOfIt) {
  BackEnds ends({"a", "b", "c"});
  want(ends, {{"a", {}}, {"b", {}}, {"c", {}}});
  const auto report = [&](std::size_t index, mitigation::OwnerReport one) {
    const auto out = ends.reported(index, {std::move(one)});
    return out.empty() ? RulesReport{} : std::get<RulesReport>(out.at(0).event);
  };
  using Names = std::set<std::string>;
  EXPECT_EQ(report(0, {kOwner, RuleState::installed, ""}).without, Names{});
  EXPECT_EQ(report(1, {kOwner, RuleState::failed, "full", model::RefusalReason::capacity}).without, Names{"b"});
  mitigation::OwnerReport away{kOwner, RuleState::failed, "c is unavailable", model::RefusalReason::hardware};
  away.away = true;
  const auto two = report(2, away);
  EXPECT_EQ(two.without, (Names{"b", "c"}));
  EXPECT_EQ(two.reason, "full") << "the first one that failed";
  // What only refuses a rule may have others.
  EXPECT_EQ(report(1, {kOwner, RuleState::failed, "bad rule", model::RefusalReason::hardware}).without, Names{"c"});
}

TEST(BackEnds, NeverMoreRulesThanTheLimitAreWantedHoweverManyPlanAtOnce) {
  const auto owner = [](std::uint32_t mid) { return model::RuleOwner{kOwner.domain, kOwner.cuid, base::Mid{mid}}; };
  BackEnds ends({"a", "b"});
  ends.limit_rules(3);
  const model::Rule rule;
  Parts two{{"a", {rule}}, {"b", {rule}}};
  Parts second = two;
  EXPECT_FALSE(ends.want(owner(1), two).told);
  const auto refused = ends.want(owner(2), second);
  EXPECT_TRUE(second.empty());
  EXPECT_TRUE(refused.hear.empty());
  EXPECT_EQ(told(refused).why, model::RefusalReason::capacity);
  EXPECT_EQ(told(refused).reason, "no room: 2 of 3 rules of all domains are used, and this needs 2");
  EXPECT_TRUE(told(refused).withheld);
  ends.undelivered(owner(2));
  EXPECT_EQ(only_state(ends.reported(0, {})), RulesReport::State::failed)
      << "it is told also when it finds a full queue";
  Parts one{{"a", {rule}}};
  EXPECT_FALSE(ends.want(owner(3), one).told);
  // A smaller limit takes nothing from what runs; when that goes others come in.
  ends.limit_rules(1);
  EXPECT_FALSE(ends.want(owner(1), two).told);
  EXPECT_EQ(two.size(), 2U);
  ends.limit_rules(3);
  Parts none;
  ends.want(owner(1), none);
  Parts again{{"a", {rule}}, {"b", {rule}}};
  EXPECT_EQ(ends.want(owner(2), again).hear, (std::vector<std::size_t>{0, 1}));
  EXPECT_EQ(again.size(), 2U);
}

TEST(BackEnds, WhoWantsItsRulesAgainIsToldAgain) {
  BackEnds ends({"a"});
  want(ends, kOnA);
  ends.reported(0, kInstalled);
  const auto again = want(ends, kOnA);
  EXPECT_EQ(again.told.value().domain, kOwner.domain);
  EXPECT_EQ(told(again).state, RulesReport::State::installed);
  EXPECT_EQ(told(again).mid, kOwner.mid);
  want(ends, {});
  EXPECT_EQ(ends.size(), 0u);
  EXPECT_FALSE(want(ends, kOnA).told) << "what was known is forgotten with the owner";
}

TEST(BackEnds, OnlyThoseThatAreUsedHearAndCount) {
  BackEnds ends({"a", "b"});
  EXPECT_EQ(want(ends, kOnA).hear, std::vector<std::size_t>{0});
  ends.reported(0, kInstalled);
  EXPECT_TRUE(ends.reported(1, {{kOwner, RuleState::failed, "not mine"}}).empty());
  const auto moved = want(ends, kOnB);
  EXPECT_EQ(moved.hear, (std::vector<std::size_t>{0, 1})) << "who is used no more has to let go";
  EXPECT_TRUE(ends.reported(0, {{kOwner, RuleState::failed, "too late"}}).empty());
  EXPECT_EQ(only_state(ends.reported(1, kInstalled)), RulesReport::State::installed);
  EXPECT_EQ(told(want(ends, kOnBoth)).state, RulesReport::State::pending) << "the new one has not spoken";
  EXPECT_EQ(want(ends, {}).hear, (std::vector<std::size_t>{0, 1}));
  EXPECT_TRUE(want(ends, {}).hear.empty());
}

TEST(BackEnds, AReportThatFoundNoRoomComesAgain) {
  BackEnds ends({"a"});
  want(ends, kOnA);
  ends.reported(0, kInstalled);
  EXPECT_TRUE(ends.reported(0, {}).empty());
  ends.undelivered(kOwner);
  EXPECT_EQ(only_state(ends.reported(0, {})), RulesReport::State::installed);
  EXPECT_TRUE(ends.reported(0, {}).empty()) << "once is enough";
}

TEST(BackEnds, CountersAddUpAndUnknownIsNotZero) {
  BackEnds ends({"a", "b"});
  want(ends, kOnBoth);
  model::DropCounters some;
  some.bytes_dropped = 10;
  auto out = ends.counted(0, {{kOwner, some}});
  EXPECT_EQ(std::get<CountersReport>(out.at(0).event).counters.bytes_dropped, 10u);
  out = ends.counted(1, {{kOwner, some}});
  EXPECT_EQ(std::get<CountersReport>(out.at(0).event).counters.bytes_dropped, 20u);
  EXPECT_FALSE(std::get<CountersReport>(out.at(0).event).counters.pkts_dropped);
}

// S9132-4.4.1.3-05
TEST(BackEnds, AreUnableOnlyWhenAllAre) {
  BackEnds two({"a", "b"});
  EXPECT_FALSE(two.able(0, true, ""));
  EXPECT_FALSE(two.able(0, false, "dead"));
  EXPECT_FALSE(two.able(0, false, "dead still"));
  const auto none = two.able(1, false, "dead too");
  ASSERT_TRUE(none);
  EXPECT_FALSE(none->able);
  EXPECT_EQ(none->reason, "dead too");
  const auto one = two.able(0, true, "");
  ASSERT_TRUE(one);
  EXPECT_TRUE(one->able);
}

model::Path path(const char* peer, std::uint16_t port) {
  return {{*model::parse_ip_address(peer), port}, {*model::parse_ip_address("192.0.2.1"), 4646}};
}

TEST(Exemptions, ALivePeerIsExemptUntilItsLastSessionEnds) {
  Exemptions exemptions({}, 10);
  exemptions.list();
  exemptions.opened(path("198.51.100.1", 1000));
  exemptions.opened(path("198.51.100.1", 1001));
  EXPECT_TRUE(exemptions.changed());
  EXPECT_EQ(exemptions.list().size(), 2u);  // the peer, and everybody to that address
  exemptions.closed(path("198.51.100.1", 1000));
  EXPECT_FALSE(exemptions.changed());
  exemptions.closed(path("198.51.100.1", 1001));
  EXPECT_TRUE(exemptions.changed());
  EXPECT_TRUE(exemptions.list().empty());
}

TEST(Exemptions, NewSessionsComeInThroughASharedOne) {
  Exemptions exemptions({{*model::parse_ip_address("192.0.2.1"), 4646}, {*model::parse_ip_address("::"), 4646}}, 1);
  exemptions.opened(path("198.51.100.1", 1000));
  exemptions.opened(path("198.51.100.2", 1000));
  const auto list = exemptions.list();
  ASSERT_EQ(list.size(), 3u);  // one live peer (the bound), and a shared one for each listening address
  EXPECT_EQ(list[1].peer.length, 0);
  EXPECT_EQ(model::to_string(list[1].server), "192.0.2.1");
  EXPECT_EQ(model::to_string(list[2].server), "::");
}

}  // namespace
}  // namespace dots::agent::server
