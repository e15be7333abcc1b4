// DELETE, the active-but-terminating period, and withdrawal by the operator (RFC 9132 4.4.4).
#include "signal/server/domain_fixture.h"

namespace dots::signal::server {
namespace {

using model::ResponseCode;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using namespace std::chrono_literals;

class Withdraw : public DomainTest {
 protected:
  // How long status 5 lasts from now on.
  std::int64_t period() {
    std::int64_t seconds = 0;
    while (get(1).code == ResponseCode::content && status(1) == 5 && seconds < 1000) {
      pass(1s);
      ++seconds;
    }
    return seconds;
  }
};

// S9132-4.4.4-05, S9132-4.4.4-07, S9132-4.4.4-08, S8612-2-02, S8612-SIG-006-09, S8612-SIG-006-10, S8612-SIG-006-11
TEST_F(Withdraw, IsAcknowledgedAtOnceAndRunsOut) {
  put(1, "192.0.2.1/32");
  report(1, RulesReport::State::installed);
  EXPECT_EQ(del(1), (Answer{ResponseCode::deleted, {}, {}, {}}));
  EXPECT_EQ(status(1), 5);
  EXPECT_EQ(lifetime(1), 0);
  EXPECT_THAT(rules_of(1), ElementsAre("192.0.2.1/32"));
  EXPECT_TRUE(mitigating["a"]);
}

// S9132-4.4.4-09, S9132-4.4.4-12, S9132-4.4.4-10, S8612-SIG-006-14, S8612-SIG-006-16, S8811-2-06
TEST_F(Withdraw, IsTerminatedAfterTheFirstPeriod) {
  put(1, "192.0.2.1/32");
  del(1);
  pass(119s);
  EXPECT_EQ(status(1), 5);
  pass(1s);
  EXPECT_EQ(get(1).code, ResponseCode::not_found);
  EXPECT_EQ(get().code, ResponseCode::not_found);
  EXPECT_THAT(rules_of(1), IsEmpty());
  EXPECT_TRUE(store.mitigations.empty());
  EXPECT_FALSE(mitigating["a"]);
}

// S9132-4.4.4-06
TEST_F(Withdraw, AnUnknownMidIsFineToo) {
  EXPECT_EQ(del(1).code, ResponseCode::deleted);
  put(1, "192.0.2.1/32");
  EXPECT_EQ(del(2).code, ResponseCode::deleted);
  EXPECT_EQ(del(1).code, ResponseCode::deleted);
  pass(60s);
  EXPECT_EQ(del(1).code, ResponseCode::deleted) << "a second DELETE";
  pass(60s);
  EXPECT_EQ(get(1).code, ResponseCode::not_found) << "prolongs nothing";
}

// S9132-4.4.4-11, S8612-SIG-006-15
TEST_F(Withdraw, ThePeriodDoublesUpToItsMaximum) {
  put(1, "192.0.2.1/32");
  for (const std::int64_t expected : {120, 240, 300}) {
    del(1);
    pass(10s);
    EXPECT_EQ(put(1, "192.0.2.1/32").code, ResponseCode::changed);
    EXPECT_EQ(status(1), 1);
    del(1);
    const ModelStore here = store;
    const base::Now then = now;
    EXPECT_EQ(period(), std::min<std::int64_t>(expected * 2, 300)) << "after " << expected;
    now = then;
    reload(here);
    put(1, "192.0.2.1/32");
  }
}

// S9132-4.4.4-15, S9132-4.4.1.1-46, S8612-SIG-006-12, S8612-SIG-006-13 in the period: the same mid is active again as
// if nothing had been.
TEST_F(Withdraw, TheSameMidComesBack) {
  put(1, "192.0.2.1/32");
  report(1, RulesReport::State::installed);
  const auto start_time = entry(1).mitigation_start_s;
  pass(100s);
  del(1);
  pass(100s);
  EXPECT_EQ(put(1, "192.0.2.1/32", 500).code, ResponseCode::changed);
  EXPECT_EQ(status(1), 2);
  EXPECT_EQ(lifetime(1), 500);
  EXPECT_EQ(entry(1).mitigation_start_s, start_time);
  pass(200s);
  EXPECT_EQ(status(1), 2) << "the end of the old period means nothing now";
  EXPECT_EQ(put(1, "192.0.2.7/32").code, ResponseCode::bad_request);
}

// S9132-4.4.4-15, S8612-SIG-006-12, S8612-SIG-006-13: another mid, higher or lower, takes over the running mitigation.
TEST_F(Withdraw, ANewMidTakesOverWhatRuns) {
  for (const std::uint32_t mid : {11U, 9U}) {
    start(test_policy());
    put(10, "192.0.2.1/32");
    const auto start_time = entry(10).mitigation_start_s;
    pass(100s);
    del(10);
    pass(100s);
    EXPECT_EQ(put(mid, "192.0.2.1/32").code, ResponseCode::created);
    ASSERT_EQ(desired.size(), 1U);
    EXPECT_EQ(desired.front().wants.size(), 2U);
    EXPECT_EQ(get(10).code, ResponseCode::not_found);
    EXPECT_EQ(entry(mid).mitigation_start_s, start_time);
    EXPECT_THAT(rules_of(mid), ElementsAre("192.0.2.1/32"));
    del(mid);
    pass(239s);
    EXPECT_EQ(status(mid), 5) << "the period has doubled";
    pass(1s);
    EXPECT_EQ(get(mid).code, ResponseCode::not_found);
  }
}

TEST_F(Withdraw, AnotherScopeLeavesItAlone) {
  put(10, "192.0.2.1/32");
  del(10);
  put(9, "192.0.2.2/32");
  EXPECT_EQ(status(10), 5);
  EXPECT_EQ(status(9), 1);
}

TEST_F(Withdraw, NoPeriodWhenThePolicySaysSo) {
  policy::DomainPolicy policy = test_policy();
  policy.terminating_period = 0s;
  start(policy);
  put(1, "192.0.2.1/32");
  EXPECT_EQ(del(1).code, ResponseCode::deleted);
  EXPECT_EQ(get(1).code, ResponseCode::not_found);
  EXPECT_THAT(rules_of(1), IsEmpty());
}

// S8612-SIG-006-08: An armed request runs nothing that would have to end slowly.
TEST_F(Withdraw, AnArmedRequestIsGoneAtOnce) {
  armed(1, "192.0.2.1/32");
  EXPECT_EQ(del(1).code, ResponseCode::deleted);
  EXPECT_EQ(get(1).code, ResponseCode::not_found);
  EXPECT_TRUE(store.mitigations.empty());
}

// S9132-4.4.1.3-23
TEST_F(Withdraw, ByTheOperatorAtOnce) {
  put(1, "192.0.2.1/32");
  observe(1, 42);
  pass(10s);
  step(OperatorWithdraw{77, base::Cuid{"cuid-a"}, base::Mid{1}, "root", "false alarm"});
  ASSERT_EQ(notified.size(), 1U);
  EXPECT_EQ(notified.front().answer.entries.front().status, model::MitigationStatus::withdrawn);
  ASSERT_EQ(operator_answers.size(), 1U);
  EXPECT_EQ(operator_answers.front().ticket, 77U);
  EXPECT_TRUE(operator_answers.front().ok);
  EXPECT_THAT(rules_of(1), IsEmpty());
  EXPECT_TRUE(store.mitigations.empty());
  EXPECT_EQ(get(1).code, ResponseCode::not_found);
  EXPECT_THAT(audited("withdraw"), ElementsAre(HasSubstr("false alarm")));
  EXPECT_EQ(store.audit.back().actor, "operator root");
  pass(10s);
  ASSERT_EQ(all_notified.size(), 1U);
  EXPECT_EQ(all_notified[0].second.answer.code, ResponseCode::not_found);
  // The client may ask again.
  EXPECT_EQ(put(1, "192.0.2.1/32").code, ResponseCode::created);
}

TEST_F(Withdraw, TheOperatorMistypes) {
  step(OperatorWithdraw{78, base::Cuid{"cuid-a"}, base::Mid{1}, "root", ""});
  ASSERT_EQ(operator_answers.size(), 1U);
  EXPECT_FALSE(operator_answers.front().ok);
  EXPECT_THAT(operator_answers.front().text, HasSubstr("mid=1"));
  EXPECT_TRUE(store.audit.empty());
}

}  // namespace
}  // namespace dots::signal::server
