// Lifetimes and what ends with them (RFC 9132 4.4.1.1; docs/decisions/lifetimes.md).
#include "signal/server/domain_fixture.h"

namespace dots::signal::server {
namespace {

using model::ResponseCode;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using namespace std::chrono_literals;

class Lifetimes : public DomainTest {};

// S9132-4.4.1.1-44, S9132-4.4.2-16
TEST_F(Lifetimes, RemainingIsShown) {
  put(1, "192.0.2.1/32", 3600);
  pass(10s);
  EXPECT_EQ(lifetime(1), 3590);
  pass(500ms);
  EXPECT_EQ(lifetime(1), 3590) << "rounded up: nothing alive shows 0";
  pass(3589s + 499ms);
  EXPECT_EQ(lifetime(1), 1);
}

// S9132-4.4.1.1-45, S9132-3-20, S8612-SIG-007-03, S8612-SIG-007-01, S8811-2-06: the period after expiry, then removal.
TEST_F(Lifetimes, ExpiryEntersTheTerminatingPeriod) {
  put(1, "192.0.2.1/32", 100);
  report(1, RulesReport::State::installed);
  pass(99s);
  EXPECT_EQ(status(1), 2);
  pass(1s);
  EXPECT_EQ(status(1), 5);
  EXPECT_EQ(lifetime(1), 0);
  EXPECT_THAT(rules_of(1), ElementsAre("192.0.2.1/32"));
  EXPECT_THAT(audited("expire"), ElementsAre(HasSubstr("100 s")));
  pass(120s);
  EXPECT_EQ(get(1).code, ResponseCode::not_found);
  EXPECT_THAT(rules_of(1), IsEmpty());
}

// S9132-4.4.1.1-45 by the letter, when the policy wants it.
TEST_F(Lifetimes, ExpiryWithoutPeriod) {
  policy::DomainPolicy policy = test_policy();
  policy.terminate_after_expiry = false;
  start(policy);
  put(1, "192.0.2.1/32", 100);
  pass(99s);
  EXPECT_EQ(status(1), 1);
  pass(1s);
  EXPECT_EQ(get(1).code, ResponseCode::not_found);
  EXPECT_THAT(rules_of(1), IsEmpty());
  EXPECT_TRUE(store.mitigations.empty());
}

TEST_F(Lifetimes, ARefreshJustAfterExpiryIsInTime) {
  put(1, "192.0.2.1/32", 100);
  pass(150s);
  EXPECT_EQ(put(1, "192.0.2.1/32", 100).code, ResponseCode::changed);
  EXPECT_EQ(status(1), 1);
  EXPECT_EQ(lifetime(1), 100);
}

// S9132-3-20, S8811-2-06: nothing but its lifetime or somebody's word ends a mitigation.
TEST_F(Lifetimes, QuietTrafficEndsNothing) {
  put(1, "192.0.2.1/32", 86400);
  report(1, RulesReport::State::installed);
  step(CountersReport{base::Cuid{"cuid-a"}, base::Mid{1}, {0, 0, 0, 0}});
  for (const auto kind : {SessionEdge::Kind::opened, SessionEdge::Kind::silent, SessionEdge::Kind::closed}) {
    step(SessionEdge{kind, base::SessionId{1}, base::ClientId{"a"}});
  }
  pass(86399s);
  EXPECT_EQ(status(1), 2);
}

// An event that comes before the timer sees the state of its own time.
TEST_F(Lifetimes, ALateTimerDeceivesNobody) {
  put(1, "192.0.2.1/32", 100);
  now = now + 300s;
  EXPECT_EQ(get(1).code, ResponseCode::not_found);
  EXPECT_TRUE(store.mitigations.empty());
}

TEST_F(Lifetimes, ArmedRequestsExpireWithoutPeriod) {
  model::MitigationRequest request = request_for("192.0.2.1/32", 100);
  request.trigger_mitigation = false;
  put(1, request);
  pass(99s);
  EXPECT_EQ(status(1), 8);
  pass(1s);
  EXPECT_EQ(get(1).code, ResponseCode::not_found);
}

TEST_F(Lifetimes, DeadlinesAreKeptInOrder) {
  put(1, "192.0.2.1/32", 300);
  put(2, "192.0.2.2/32", 100);
  put(3, "192.0.2.3/32", 200);
  EXPECT_EQ(domain_->next_deadline(), now.steady + 100s);
  put(2, "192.0.2.2/32", 1000);
  EXPECT_EQ(domain_->next_deadline(), now.steady + 200s);
}

// Running deadlines are steady: a step of the wall clock ends nothing and prolongs nothing, also over a restart.
TEST_F(Lifetimes, TheWallClockSteps) {
  for (const base::Duration step_by : {base::Duration{-400 * 24h}, base::Duration{24h}, base::Duration{10s}}) {
    start(test_policy());
    put(1, "192.0.2.1/32", 1000);
    pass(100s);
    now.wall += step_by;
    EXPECT_EQ(lifetime(1), 900);
    EXPECT_THAT(audited("clock"), ElementsAre(HasSubstr("stepped")));
    pass(100s);
    restart();
    EXPECT_EQ(lifetime(1), 800);
    pass(800s);
    EXPECT_EQ(status(1), 5);
  }
}

TEST_F(Lifetimes, ASmallStepIsNoMatter) {
  put(1, "192.0.2.1/32", 1000);
  now.wall += 4s;
  EXPECT_EQ(lifetime(1), 1000);
  EXPECT_THAT(audited("clock"), IsEmpty());
}

}  // namespace
}  // namespace dots::signal::server
