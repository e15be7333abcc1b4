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

TEST(BackEnds, InstalledOnlyWhenAllHaveInstalled) {
  BackEnds two(2);
  EXPECT_EQ(only_state(two.reported(0, {{kOwner, RuleState::installed, ""}})), RulesReport::State::pending);
  EXPECT_EQ(only_state(two.reported(1, {{kOwner, RuleState::installed, ""}})), RulesReport::State::installed);
  EXPECT_TRUE(two.reported(1, {{kOwner, RuleState::installed, ""}}).empty());
  const auto failed = two.reported(0, {{kOwner, RuleState::failed, "no room"}});
  EXPECT_EQ(std::get<RulesReport>(failed.at(0).event).reason, "no room");
}

TEST(BackEnds, WhoWantsItsRulesAgainIsToldAgain) {
  BackEnds one(1);
  EXPECT_FALSE(one.wanted(kOwner)) << "nothing is known yet";
  one.reported(0, {{kOwner, RuleState::installed, ""}});
  const auto again = one.wanted(kOwner);
  ASSERT_TRUE(again);
  EXPECT_EQ(again->domain, kOwner.domain);
  EXPECT_EQ(std::get<RulesReport>(again->event).state, RulesReport::State::installed);
  EXPECT_EQ(std::get<RulesReport>(again->event).mid, kOwner.mid);
  one.forget(kOwner);
  EXPECT_FALSE(one.wanted(kOwner));
}

TEST(BackEnds, AReportThatFoundNoRoomComesAgain) {
  BackEnds one(1);
  one.reported(0, {{kOwner, RuleState::installed, ""}});
  EXPECT_TRUE(one.reported(0, {}).empty());
  one.undelivered(kOwner);
  EXPECT_EQ(only_state(one.reported(0, {})), RulesReport::State::installed);
  EXPECT_TRUE(one.reported(0, {}).empty()) << "once is enough";
}

TEST(BackEnds, CountersAddUpAndUnknownIsNotZero) {
  BackEnds two(2);
  model::DropCounters some;
  some.bytes_dropped = 10;
  auto out = two.counted(0, {{kOwner, some}});
  EXPECT_EQ(std::get<CountersReport>(out.at(0).event).counters.bytes_dropped, 10u);
  out = two.counted(1, {{kOwner, some}});
  EXPECT_EQ(std::get<CountersReport>(out.at(0).event).counters.bytes_dropped, 20u);
  EXPECT_FALSE(std::get<CountersReport>(out.at(0).event).counters.pkts_dropped);
}

// S9132-4.4.1.3-05
TEST(BackEnds, AreUnableOnlyWhenAllAre) {
  BackEnds two(2);
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
