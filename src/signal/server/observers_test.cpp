// Notifications (RFC 9132 4.4.2.1).
#include "signal/server/domain_fixture.h"

namespace dots::signal::server {
namespace {

using model::ResponseCode;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using namespace std::chrono_literals;

class Observers : public DomainTest {
 protected:
  static int status_in(const Notify& notify) {
    if (notify.answer.entries.size() != 1) return -1;
    return static_cast<int>(notify.answer.entries.front().status.value_or(model::MitigationStatus{}));
  }
  std::vector<int> statuses() const {
    std::vector<int> all;
    for (const auto& [at, n] : all_notified) {
      all.push_back(n.answer.code == ResponseCode::content ? status_in(n) : 404);
    }
    return all;
  }
};

TEST_F(Observers, AreAcceptedWithTheFirstAnswer) {
  put(1, "192.0.2.1/32");
  const Reply reply = observe(1, 42);
  EXPECT_TRUE(reply.observe);
  EXPECT_THAT(mids(reply.answer), ElementsAre(1U));
}

TEST_F(Observers, OfNothingAreNone) {
  const Reply reply = observe(1, 42);
  EXPECT_FALSE(reply.observe);
  EXPECT_EQ(reply.answer.code, ResponseCode::not_found);
  put(1, "192.0.2.1/32");
  pass(100s);
  EXPECT_THAT(all_notified, IsEmpty());
  put(1, "192.0.2.1/32", 3600, "b");
  EXPECT_FALSE(observe(7, 1, "b").observe);
}

// S9132-4.4.2.1-05, S8612-SIG-006-02, S8612-SIG-006-04, S8612-SIG-006-05, S8811-2-04: at once on a change, and again
// and again without one.
TEST_F(Observers, HearOfChangesAndPeriodically) {
  put(1, "192.0.2.1/32");
  observe(1, 42);
  pass(10s);
  report(1, RulesReport::State::installed);
  ASSERT_EQ(notified.size(), 1U);
  EXPECT_EQ(notified.front().session, base::SessionId{1});
  EXPECT_EQ(notified.front().token, base::Bytes{42});
  EXPECT_EQ(status_in(notified.front()), 2);
  const base::SteadyTime change = now.steady;
  pass(95s);
  ASSERT_EQ(all_notified.size(), 3U);
  for (std::size_t i = 0; i < 3; ++i) {
    // S9132-4.4.2.1-07
    EXPECT_EQ(all_notified[i].first, change + (i + 1) * 30s);
    EXPECT_EQ(status_in(all_notified[i].second), 2);
  }
  EXPECT_LT(all_notified[1].second.answer.entries.front().lifetime,
            all_notified[0].second.answer.entries.front().lifetime);
}

// S9132-4.4.2.1-06: changes in between are told together, the last state wins.
TEST_F(Observers, NeverMoreThanOneForThreeSeconds) {
  put(1, "192.0.2.1/32");
  observe(1, 42);
  const base::SteadyTime begin = now.steady;
  for (int i = 0; i < 10; ++i) {
    report(1, RulesReport::State::installed);
    EXPECT_THAT(notified, IsEmpty());
    report(1, RulesReport::State::pending);
    now = now + 100ms;
  }
  report(1, RulesReport::State::installed);
  pass(10s);
  ASSERT_EQ(all_notified.size(), 1U);
  EXPECT_EQ(all_notified[0].first, begin + 3s);
  EXPECT_EQ(status_in(all_notified[0].second), 2);
}

// S9132-4.4.2.1-06, S8612-3.1-01: the limit is towards the peer, so the observations of one session share it, in turn.
TEST_F(Observers, OfOneSessionShareThePace) {
  for (std::uint32_t mid = 1; mid <= 4; ++mid) {
    put(mid, "192.0.2." + std::to_string(mid) + "/32");
    observe(mid, static_cast<std::uint8_t>(mid));
  }
  std::vector<std::pair<base::SteadyTime, base::Bytes>> sent;
  for (int second = 0; second < 60; ++second) {
    for (std::uint32_t mid = 1; mid <= 4; ++mid) {
      report(mid, second % 2 == 0 ? RulesReport::State::installed : RulesReport::State::pending);
      for (const Notify& n : notified) sent.emplace_back(now.steady, n.token);
    }
    pass(1s);
    for (const auto& [at, n] : all_notified) sent.emplace_back(at, n.token);
  }
  ASSERT_GE(sent.size(), 18U);
  std::map<base::Bytes, int> count;
  for (std::size_t i = 0; i < sent.size(); ++i) {
    ++count[sent[i].second];
    if (i > 0) {
      EXPECT_GE(sent[i].first - sent[i - 1].first, base::Duration{3s});
    }
  }
  for (std::uint8_t token = 1; token <= 4; ++token) EXPECT_GE(count[{token}], 4) << "nobody is left out";
}

// S9132-4.4.4-12, S8612-SIG-006-16, and the decision on A-21: 5, then 6 once, then 4.04, which ends it.
TEST_F(Observers, SeeTheEnd) {
  put(1, "192.0.2.1/32");
  observe(1, 42);
  pass(10s);
  del(1);
  ASSERT_EQ(notified.size(), 1U);
  EXPECT_EQ(status_in(notified.front()), 5);
  pass(300s);
  EXPECT_THAT(statuses(), ElementsAre(5, 5, 5, 6, 404));
  EXPECT_GE(all_notified[4].first - all_notified[3].first, base::Duration{3s});
  EXPECT_EQ(all_notified[3].second.answer.entries.front().lifetime->seconds, 0);
  put(1, "192.0.2.1/32");
  pass(100s);
  EXPECT_THAT(all_notified, IsEmpty()) << "the observation has ended";
}

TEST_F(Observers, OfAllSeeOneLeave) {
  put(1, "192.0.2.1/32");
  put(2, "192.0.2.2/32");
  observe({}, 42);
  del(1);
  pass(100s);
  step(OperatorWithdraw{1, base::Cuid{"cuid-a"}, base::Mid{2}, "root", ""});
  ASSERT_EQ(notified.size(), 1U);
  EXPECT_THAT(mids(notified.front().answer), ElementsAre(1U, 2U));
  EXPECT_EQ(notified.front().answer.entries[0].status, model::MitigationStatus::client_withdrawn);
  EXPECT_EQ(notified.front().answer.entries[1].status, model::MitigationStatus::withdrawn);
  pass(100s);
  EXPECT_EQ(statuses().back(), 404);
  EXPECT_EQ(statuses().at(statuses().size() - 2), 6);
}

// S9132-4.4.1.3-15: what was replaced is no longer available.
TEST_F(Observers, OfAReplacedMidAreEnded) {
  put(1, "192.0.2.1/32");
  observe(1, 42);
  observe({}, 43);
  pass(10s);
  put(2, "192.0.2.1/32");
  std::map<base::Bytes, Answer> last;
  for (const Notify& n : notified) last[n.token] = n.answer;
  pass(6s);
  for (const auto& [at, n] : all_notified) last[n.token] = n.answer;
  EXPECT_EQ(last.at(base::Bytes{42}).code, ResponseCode::not_found);
  EXPECT_THAT(mids(last.at(base::Bytes{43})), ElementsAre(2U));
}

// S9132-4.4.2.1-14, S9132-4.4.2.1-15
TEST_F(Observers, LeaveInEachOfTheWays) {
  put(1, "192.0.2.1/32");
  const auto silent = [&] {
    pass(100s);
    return all_notified.empty();
  };
  observe(1, 42);
  EXPECT_FALSE(silent());
  step(ObservationCancelled{base::SessionId{1}, {42}});
  EXPECT_TRUE(silent());
  observe(1, 42);
  GetMitigation stop;
  stop.origin = origin("a", 42);
  stop.cuid = base::Cuid{"cuid-a"};
  stop.mid = base::Mid{1};
  stop.observe = 1;
  EXPECT_EQ(ask(stop).code, ResponseCode::content);
  EXPECT_TRUE(silent());
  observe(1, 42);
  step(SessionEdge{SessionEdge::Kind::closed, base::SessionId{1}, base::ClientId{"a"}});
  EXPECT_TRUE(silent());
}

TEST_F(Observers, OfASilentSessionGoOn) {
  put(1, "192.0.2.1/32");
  observe(1, 42);
  step(SessionEdge{SessionEdge::Kind::silent, base::SessionId{1}, base::ClientId{"a"}});
  pass(31s);
  EXPECT_EQ(all_notified.size(), 1U);
}

TEST_F(Observers, TheSameTokenTakesItsOwnPlace) {
  put(1, "192.0.2.1/32");
  put(2, "192.0.2.2/32");
  observe(1, 42);
  observe(2, 42);
  pass(31s);
  ASSERT_EQ(all_notified.size(), 1U);
  EXPECT_THAT(mids(all_notified[0].second.answer), ElementsAre(2U));
}

TEST_F(Observers, AreBounded) {
  DomainLimits limits;
  limits.observers = 3;
  limits.observers_per_session = 2;
  start(test_policy(), limits);
  put(1, "192.0.2.1/32");
  put(1, "192.0.2.2/32", 3600, "b");
  EXPECT_TRUE(observe(1, 1).observe);
  EXPECT_TRUE(observe(1, 2).observe);
  const Reply third = observe(1, 3);
  EXPECT_FALSE(third.observe);
  EXPECT_EQ(third.answer.code, ResponseCode::content) << "a plain answer (RFC 7641 4.1)";
  EXPECT_TRUE(observe(1, 1, "b").observe);
  EXPECT_FALSE(observe(1, 2, "b").observe);
  EXPECT_TRUE(observe(1, 2).observe) << "the same again is no other";
}

// A mitigation that waits for a signal loss has nothing to tell; a client's quiet link stays quiet.
TEST_F(Observers, OfAnArmedRequestHearOfChangesOnly) {
  armed(1, "192.0.2.1/32");
  observe(1, 42);
  pass(600s);
  EXPECT_THAT(all_notified, IsEmpty());
  del(1);
  ASSERT_EQ(notified.size(), 1U);
  EXPECT_EQ(status_in(notified.front()), 6);
}

TEST_F(Observers, KeepTheirFilter) {
  put(1, "192.0.2.1/32");
  observe(1, 42, "a", GetMitigation::Filter::non_config);
  pass(31s);
  ASSERT_EQ(all_notified.size(), 1U);
  EXPECT_FALSE(all_notified[0].second.answer.entries.front().scope.has_value());
}

// S9132-3-08: an observation outlives the client's hold on its cuid for a moment; it must not show the next owner's.
TEST_F(Observers, DoNotFollowACuidToAnotherClient) {
  policy::DomainPolicy policy = test_policy();
  policy.max_cuids_per_client = 1;
  policy.terminating_period = 0s;
  start(policy);
  put(1, "192.0.2.1/32");
  observe(1, 42);
  observe({}, 43);
  del(1);
  put(2, request_for("192.0.2.2/32"), "a", "new-cuid");
  EXPECT_EQ(put(1, request_for("192.0.2.3/32"), "b", "cuid-a").code, ResponseCode::created);
  pass(60s);
  ASSERT_FALSE(all_notified.empty());
  for (const auto& [at, n] : all_notified) {
    for (const auto& shown : n.answer.entries) EXPECT_EQ(shown.status, model::MitigationStatus::terminated);
  }
}

}  // namespace
}  // namespace dots::signal::server
