// Preconfigured requests and the loss of the signal (RFC 9132 4.4.1.3, 4.4.2, 4.7; docs/decisions/armed-requests.md).
#include "signal/server/domain_fixture.h"

namespace dots::signal::server {
namespace {

using model::ResponseCode;
using Kind = SessionEdge::Kind;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using namespace std::chrono_literals;

class Armed : public DomainTest {
 protected:
  Armed() {
    for (const char* client : {"a", "b", "c"}) edge(Kind::opened, client);
  }
  void lose(const std::string& client = "a") {
    edge(Kind::quiet, client);
    edge(Kind::silent, client);
  }
  int status_of(std::uint32_t mid, const std::string& client) {
    const Answer answer = get(mid, GetMitigation::Filter::all, client);
    return answer.entries.empty() ? 0 : static_cast<int>(*answer.entries[0].status);
  }
  // The statuses of all notifications of the last pass().
  std::vector<int> told() const {
    std::vector<int> all;
    for (const auto& [at, notify] : all_notified) all.push_back(static_cast<int>(*notify.answer.entries.at(0).status));
    return all;
  }
};

// S9132-4.4.1.1-48, S9132-4.7-21, S9132-4.4.1.1-49, S9132-4.4.2-18, S8811-3.3.3-01
TEST_F(Armed, StartsWhenTheSignalIsLost) {
  armed(1, "192.0.2.0/24");
  EXPECT_EQ(status(1), 8);
  EXPECT_FALSE(entry(1).mitigation_start_s);
  EXPECT_THAT(rules, IsEmpty());
  lose();
  EXPECT_THAT(rules_of(1), ElementsAre("192.0.2.0/24"));
  EXPECT_THAT(notes, ElementsAre("ARMED_STARTED"));
  EXPECT_EQ(status(1), 1);
  EXPECT_TRUE(entry(1).mitigation_start_s);
  EXPECT_EQ(entry(1).trigger_mitigation, false);
  EXPECT_TRUE(mitigating["a"]);
  report(1, RulesReport::State::installed);
  EXPECT_EQ(status(1), 2);
  EXPECT_THAT(audited("trigger"), ElementsAre("the signal of client a is lost"));
}

// S9132-4.7-19, S8811-3.3.3-01: one quiet session is no loss while another one is alive, and a quiet one alone is none
// yet.
TEST_F(Armed, OneLivingSessionIsEnough) {
  armed(1, "192.0.2.0/24");
  step(SessionEdge{Kind::opened, base::SessionId{9}, base::ClientId{"a"}, {}, {}});
  lose();
  EXPECT_EQ(status(1), 8);
  step(SessionEdge{Kind::quiet, base::SessionId{9}, base::ClientId{"a"}, {}, {}});
  EXPECT_EQ(status(1), 8);
  step(SessionEdge{Kind::silent, base::SessionId{9}, base::ClientId{"a"}, {}, {}});
  EXPECT_EQ(status(1), 1);
  EXPECT_EQ(status_of(1, "b"), 0);
}

// Decision on A-31: an orderly close starts the clock, and a client that comes back in time stops it.
TEST_F(Armed, ACloseIsNoLossByItself) {
  armed(1, "192.0.2.0/24");
  edge(Kind::closed);
  pass(449s);
  EXPECT_EQ(status(1), 8);
  edge(Kind::opened);
  pass(1000s);
  EXPECT_EQ(status(1), 8);
  edge(Kind::closed);
  pass(450s);
  EXPECT_EQ(status(1), 1);
}

TEST_F(Armed, TheThresholdOfTheSessionCounts) {
  armed(1, "192.0.2.0/24");
  step(SessionEdge{Kind::closed, base::SessionId{1}, base::ClientId{"a"}, 60s, {}});
  pass(59s);
  EXPECT_EQ(status(1), 8);
  pass(1s);
  EXPECT_EQ(status(1), 1);
}

// S9132-4.4.4-13: recovery is no reason to stop. S9132-4.4.4-14: DELETE, expiry and the end of the attack are.
TEST_F(Armed, GoesOnWhenTheSignalIsBack) {
  armed(1, "192.0.2.0/24", 600);
  armed(2, "198.51.100.0/25", 2000);
  armed(3, "198.51.100.128/25", 2000);
  lose();
  edge(Kind::alive);
  EXPECT_EQ(status(1), 1);
  pass(100s);
  EXPECT_THAT(rules_of(1), ElementsAre("192.0.2.0/24"));
  del(2);
  EXPECT_EQ(status(2), 5);
  pass(120s);
  EXPECT_EQ(get(2).code, ResponseCode::not_found);
  step(AttackReport{base::Cuid{"cuid-a"}, base::Mid{3}, true});
  EXPECT_THAT(rules_of(3), IsEmpty());
  pass(380s);
  EXPECT_EQ(status(1), 5) << "expired";
  pass(120s);
  EXPECT_EQ(get(1).code, ResponseCode::not_found);
  EXPECT_EQ(status(3), 8);
}

// S9132-4.4.2-22, S9132-4.4.2.1-16: 3 four times, then 8; and it is ready for the next loss, not for this one.
TEST_F(Armed, TheEndOfTheAttackIsToldFourTimes) {
  armed(1, "192.0.2.0/24");
  lose();
  edge(Kind::alive);
  observe(1, 1);
  pass(7s);
  step(AttackReport{base::Cuid{"cuid-a"}, base::Mid{1}, true});
  EXPECT_EQ(notified.size(), 1U);
  EXPECT_EQ(status(1), 3);
  EXPECT_FALSE(mitigating["a"]);
  pass(200s);
  EXPECT_THAT(told(), ElementsAre(3, 3, 3, 8));
  lose();
  EXPECT_EQ(status(1), 1);
  step(AttackReport{base::Cuid{"cuid-a"}, base::Mid{1}, true});
  pass(1000s);
  EXPECT_EQ(status(1), 8);
}

// S9132-4.4.2-23: an immediate request says 3 until it is withdrawn or expires.
TEST_F(Armed, AnImmediateRequestStaysAtThree) {
  put(1, "192.0.2.0/24", 500);
  observe(1, 1);
  pass(7s);
  step(AttackReport{base::Cuid{"cuid-a"}, base::Mid{1}, true});
  pass(300s);
  for (const int one : told()) EXPECT_EQ(one, 3);
  EXPECT_GE(told().size(), 9U);
  EXPECT_EQ(status(1), 3);
  EXPECT_THAT(rules_of(1), ElementsAre("192.0.2.0/24"));
  step(AttackReport{base::Cuid{"cuid-a"}, base::Mid{1}, false});
  EXPECT_EQ(status(1), 1);
}

// S9132-4.4.1.3-20, S9132-4.4.1.3-21, S9132-4.4.1.3-23, S9132-4.4.2-24: an immediate request of the client takes over:
// 7 four times, then 8, and its rules are gone at once.
TEST_F(Armed, AnImmediateRequestTakesOver) {
  armed(1, "192.0.2.0/24");
  armed(2, "198.51.100.0/24");
  lose();
  edge(Kind::alive);
  observe(1, 1);
  pass(7s);
  EXPECT_EQ(put(5, "192.0.2.1/32").code, ResponseCode::created);
  ASSERT_EQ(notified.size(), 1U);
  EXPECT_EQ(notified[0].answer.entries[0].status, model::MitigationStatus::withdrawn);
  EXPECT_FALSE(notified[0].answer.entries[0].conflict) << "the same client is no conflict";
  EXPECT_THAT(rules_of(1), IsEmpty());
  EXPECT_THAT(rules_of(5), ElementsAre("192.0.2.1/32"));
  EXPECT_THAT(rules_of(2), ElementsAre("198.51.100.0/24")) << "no overlap";
  pass(200s);
  EXPECT_THAT(told(), ElementsAre(7, 7, 7, 8));
}

// Decision on A-39: an armed request that overlaps a running immediate one waits. S9132-4.4.1.3-22, S9132-4.4.1.3-23:
// on the loss it goes first, and the immediate one is withdrawn without a terminating period.
TEST_F(Armed, GoesBeforeImmediateRequestsOnALoss) {
  put(1, "192.0.2.1/32");
  put(2, "198.51.100.1/32");
  put(3, "198.51.100.9/32", 3600, "b");
  EXPECT_EQ(armed(9, "192.0.2.0/24").code, ResponseCode::created);
  EXPECT_EQ(status(9), 8);
  EXPECT_EQ(status(1), 1);
  observe(1, 1);
  pass(7s);
  edge(Kind::silent);
  ASSERT_EQ(notified.size(), 1U);
  EXPECT_EQ(notified[0].answer.entries[0].status, model::MitigationStatus::withdrawn);
  EXPECT_THAT(rules_of(9), ElementsAre("192.0.2.0/24"));
  EXPECT_THAT(rules_of(1), IsEmpty());
  EXPECT_EQ(get(1).code, ResponseCode::not_found);
  EXPECT_EQ(status(2), 1) << "no overlap";
  EXPECT_EQ(status_of(3, "b"), 1);
}

// Armed requests of several clients: only those of the lost one start.
TEST_F(Armed, OnlyTheLostClientsRequestsStart) {
  armed(1, "192.0.2.0/25");
  armed(1, "192.0.2.128/25", 3600, "b");
  lose("b");
  EXPECT_EQ(status(1), 8);
  EXPECT_EQ(status_of(1, "b"), 1);
}

// A request of another client stands in the way: it waits, and starts when that ends and the signal is still lost.
TEST_F(Armed, AConflictHoldsItBack) {
  put(1, "192.0.2.1/32", 3600, "b");
  EXPECT_FALSE(armed(1, "192.0.2.0/24").entries[0].conflict) << "waiting requests are in nobody's way";
  lose();
  EXPECT_EQ(status(1), 8);
  EXPECT_THAT(rules_of(1), IsEmpty());
  EXPECT_EQ(entry(1).conflict->status, model::ConflictStatus::inactive_other_active);
  EXPECT_THAT(audited("trigger"), ElementsAre(HasSubstr("client b, mid=1")));
  EXPECT_EQ(status_of(1, "b"), 1);
  del(1, "b");
  EXPECT_EQ(status(1), 1);
  EXPECT_THAT(rules_of(1), ElementsAre("192.0.2.0/24"));
}

TEST_F(Armed, HeldBackUntilTheSignalReturns) {
  put(1, "192.0.2.1/32", 3600, "b");
  armed(1, "192.0.2.0/24");
  lose();
  edge(Kind::alive);
  EXPECT_FALSE(entry(1).conflict);
  del(1, "b");
  EXPECT_EQ(status(1), 8);
}

TEST_F(Armed, PriorityLetsItStart) {
  policy::DomainPolicy policy = test_policy();
  policy.clients[0].priority = 200;
  change_policy(policy);
  put(1, "192.0.2.1/32", 3600, "b");
  armed(1, "192.0.2.0/24", 1000);
  lose();
  EXPECT_EQ(status(1), 1);
  EXPECT_EQ(status_of(1, "b"), 7);
  EXPECT_EQ(get(1, GetMitigation::Filter::all, "b").entries[0].conflict->retry_timer_s, 1000U);
}

// One that runs gives way to a higher priority with 7, waits as 8, and starts again while its client stays away.
TEST_F(Armed, GivesWayAndComesBack) {
  policy::DomainPolicy policy = test_policy();
  policy.clients[1].priority = 200;
  change_policy(policy);
  armed(1, "192.0.2.0/24");
  lose();
  EXPECT_EQ(put(1, "192.0.2.1/32", 3600, "b").code, ResponseCode::created);
  EXPECT_EQ(status(1), 7);
  EXPECT_THAT(rules_of(1), IsEmpty());
  pass(120s);
  EXPECT_EQ(status(1), 8);
  del(1, "b");
  EXPECT_EQ(status(1), 1);
}

// A refresh of a running one prolongs it; rollover and renewal replace by mid as ever.
TEST_F(Armed, ARefreshProlongsWhatRuns) {
  armed(1, "192.0.2.0/24", 1000);
  lose();
  pass(500s);
  edge(Kind::alive);
  EXPECT_EQ(armed(1, "192.0.2.0/24", 1000).code, ResponseCode::changed);
  EXPECT_EQ(status(1), 1);
  EXPECT_EQ(lifetime(1), 1000);
}

// ---- the server's own troubles

TEST_F(Armed, AStartCountsNoLossForTwiceTheThreshold) {
  armed(1, "192.0.2.0/24", 5000);
  restart();
  pass(899s);
  EXPECT_EQ(status(1), 8);
  pass(1s);
  EXPECT_EQ(status(1), 1) << "nobody came back";
}

TEST_F(Armed, AClientThatReturnsAfterAStartIsNotLost) {
  armed(1, "192.0.2.0/24", 5000);
  restart();
  pass(100s);
  edge(Kind::opened);
  pass(2000s);
  EXPECT_EQ(status(1), 8);
  lose();
  EXPECT_EQ(status(1), 1);
}

TEST_F(Armed, WhatRanGoesOnAfterAStart) {
  armed(1, "192.0.2.0/24", 5000);
  lose();
  restart();
  EXPECT_EQ(status(1), 1);
  EXPECT_THAT(rules_of(1), ElementsAre("192.0.2.0/24"));
}

TEST_F(Armed, AFailedCommitKeepsTheVerdictPending) {
  armed(1, "192.0.2.0/24", 5000);
  edge(Kind::closed);
  pass(400s);
  reload(store);
  pass(49s);
  EXPECT_EQ(status(1), 8);
  pass(1s);
  EXPECT_EQ(status(1), 1);
}

TEST_F(Armed, AStartThatWasNotCommittedIsTriedAgain) {
  armed(1, "192.0.2.0/24", 5000);
  armed(2, "198.51.100.0/24", 5000);
  lose();
  step(AttackReport{base::Cuid{"cuid-a"}, base::Mid{2}, true});
  edge(Kind::alive);
  step(AttackReport{base::Cuid{"cuid-a"}, base::Mid{1}, true});
  const ModelStore kept = store;
  lose();
  EXPECT_EQ(rules.size(), 2U);
  reload(kept);
  EXPECT_THAT(rules, IsEmpty());
  pass(1s);
  EXPECT_EQ(status(1), 1);
  EXPECT_EQ(status(2), 1);
  EXPECT_EQ(rules.size(), 2U);
}

TEST_F(Armed, TheGuardHoldsAndLetsGo) {
  armed(1, "192.0.2.0/24", 9000);
  step(SignalGuard{true, {}});
  lose();
  pass(3000s);
  EXPECT_EQ(status(1), 8);
  step(SignalGuard{false, 450s});
  pass(449s);
  EXPECT_EQ(status(1), 8);
  pass(1s);
  EXPECT_EQ(status(1), 1) << "really lost";
}

TEST_F(Armed, ThoseWhoReturnWithinTheGraceAreNotLost) {
  armed(1, "192.0.2.0/24", 9000);
  step(SignalGuard{true, {}});
  lose();
  pass(600s);
  step(SignalGuard{false, 450s});
  pass(300s);
  edge(Kind::alive);
  pass(600s);
  EXPECT_EQ(status(1), 8);
}

// A stall of the process: silence that was counted meanwhile proves nothing.
TEST_F(Armed, AStallGivesGrace) {
  armed(1, "192.0.2.0/24", 9000);
  step(SignalGuard{false, 900s});
  lose();
  pass(899s);
  EXPECT_EQ(status(1), 8);
  pass(1s);
  EXPECT_EQ(status(1), 1);
}

TEST_F(Armed, ClientsAreCountedByTheirSignal) {
  EXPECT_EQ(domain_->clients(), (ClientCounts{3, 0}));
  edge(Kind::quiet, "a");
  EXPECT_EQ(domain_->clients(), (ClientCounts{3, 1}));
  edge(Kind::alive, "a");
  EXPECT_EQ(domain_->clients(), (ClientCounts{3, 0}));
  edge(Kind::closed, "b");
  EXPECT_EQ(domain_->clients(), (ClientCounts{3, 0}));
  pass(225s);
  EXPECT_EQ(domain_->clients(), (ClientCounts{3, 1}));
  pass(225s);
  EXPECT_EQ(domain_->clients(), (ClientCounts{2, 0})) << "judged: lost";
  lose("a");
  EXPECT_EQ(domain_->clients(), (ClientCounts{1, 0}));
}

}  // namespace
}  // namespace dots::signal::server
