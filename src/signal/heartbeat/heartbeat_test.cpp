#include "signal/heartbeat/heartbeat.h"

#include <gtest/gtest.h>

namespace dots::signal {
namespace {

using namespace std::chrono_literals;

constexpr base::SteadyTime kStart{1000s};

base::SteadyTime at(base::Duration offset) { return kStart + offset; }

// Runs the timer over a span without any traffic; returns when heartbeats were sent, with their status.
std::vector<std::pair<base::Duration, bool>> run(Heartbeat& heartbeat, base::Duration until, int* lost = nullptr) {
  std::vector<std::pair<base::Duration, bool>> sent;
  while (heartbeat.next_deadline() && *heartbeat.next_deadline() <= at(until)) {
    const base::SteadyTime now = *heartbeat.next_deadline();
    const HeartbeatEffects effects = heartbeat.on_timer(now);
    if (effects.send_peer_hb_status) sent.emplace_back(now - kStart, *effects.send_peer_hb_status);
    if (lost != nullptr && effects.lost) ++*lost;
  }
  return sent;
}

// S9132-4.5-01, S8612-SIG-003-01, S8612-SIG-004-02, S8811-3.1.3-01
TEST(HeartbeatTest, BothSidesSendEachInterval) {
  for (Side side : {Side::client, Side::server}) {
    Heartbeat heartbeat(side, {30s, 15}, kStart);
    std::vector<base::Duration> times;
    for (const auto& [when, status] : run(heartbeat, 95s)) times.push_back(when);
    EXPECT_EQ(times, (std::vector<base::Duration>{30s, 60s, 90s}));
  }
}

// S9132-4.5.2-04, S8612-SIG-004-02, S8612-SIG-011-02, S8811-3.1.3-01, S8811-3.2.5-01
TEST(HeartbeatTest, NeverMoreOftenThanEvery15Seconds) {
  Heartbeat heartbeat(Side::client, {5s, 15}, kStart);
  const auto sent = run(heartbeat, 31s);
  ASSERT_EQ(sent.size(), 2u);
  EXPECT_EQ(sent[0].first, 15s);
  EXPECT_EQ(sent[1].first, 30s);
}

// S9132-4.5.2-04: nor because the peer asks for heartbeats again and again.
TEST(HeartbeatTest, FollowingKeepsTheMinimumSpacing) {
  Heartbeat heartbeat(Side::server, {30s, 15}, kStart);
  std::vector<base::Duration> times;
  for (base::Duration t = 1s; t < 60s; t += 1s) {
    if (heartbeat.on_peer_heartbeat(false, at(t)).send_peer_hb_status) times.push_back(t);
    if (heartbeat.on_timer(at(t)).send_peer_hb_status) times.push_back(t);
  }
  ASSERT_GE(times.size(), 2u);
  for (std::size_t i = 1; i < times.size(); ++i) EXPECT_GE(times[i] - times[i - 1], 15s);
}

// A server says that a session is quiet at half of what makes a loss, once; traffic takes it back.
TEST(HeartbeatTest, AServerIsToldOfQuietSessions) {
  Heartbeat heartbeat(Side::server, {30s, 15}, kStart);
  std::vector<base::Duration> quiet;
  const auto wait = [&](base::Duration until) {
    while (*heartbeat.next_deadline() <= at(until)) {
      const base::SteadyTime now = *heartbeat.next_deadline();
      if (heartbeat.on_timer(now).quiet) quiet.push_back(now - kStart);
    }
  };
  wait(400s);
  EXPECT_EQ(quiet, std::vector<base::Duration>{225s});
  EXPECT_TRUE(heartbeat.on_traffic(at(400s)).recovered);
  EXPECT_FALSE(heartbeat.on_traffic(at(401s)).recovered);
  wait(700s);
  EXPECT_EQ(quiet.size(), 2u);
}

// S9132-4.5.1-04
TEST(HeartbeatTest, ZeroSwitchesOff) {
  Heartbeat heartbeat(Side::server, {0s, 15}, kStart);
  EXPECT_FALSE(heartbeat.next_deadline());
  const HeartbeatEffects effects = heartbeat.on_timer(at(10h));
  EXPECT_FALSE(effects.send_peer_hb_status);
  EXPECT_FALSE(effects.lost);
  EXPECT_FALSE(heartbeat.on_peer_heartbeat(false, at(10h)).send_peer_hb_status);
}

// S9132-4.7-05: true at the start (there was no time for the peer yet), false when nothing came for 2 x interval.
TEST(HeartbeatTest, StatusTellsWhetherThePeerIsHeard) {
  Heartbeat heartbeat(Side::client, {30s, 15}, kStart);
  const auto sent = run(heartbeat, 100s);
  ASSERT_EQ(sent.size(), 3u);
  EXPECT_TRUE(sent[0].second);
  EXPECT_FALSE(sent[2].second);
  EXPECT_TRUE(heartbeat.peer_hb_status(at(60s)));
  EXPECT_FALSE(heartbeat.peer_hb_status(at(61s)));
  heartbeat.on_peer_heartbeat(true, at(110s));
  EXPECT_TRUE(heartbeat.peer_hb_status(at(120s)));
}

// S9132-4.7-05: answers to our heartbeats are no heartbeats of the peer.
TEST(HeartbeatTest, AnswersDoNotMakeTheStatusTrue) {
  Heartbeat heartbeat(Side::client, {30s, 15}, kStart);
  for (base::Duration t = 1s; t < 61s; t += 1s) heartbeat.on_answer(at(t));
  EXPECT_FALSE(heartbeat.peer_hb_status(at(61s)));
}

// S9132-4.7-06, S9132-4.7-07
TEST(HeartbeatTest, ServerFollowsAClientThatDoesNotHearIt) {
  Heartbeat heartbeat(Side::server, {30s, 15}, kStart);
  run(heartbeat, 60s);
  EXPECT_FALSE(heartbeat.on_peer_heartbeat(true, at(80s)).send_peer_hb_status);
  run(heartbeat, 91s);
  EXPECT_TRUE(heartbeat.on_peer_heartbeat(false, at(110s)).send_peer_hb_status);
  // From here on each heartbeat of the client is followed by one of ours, and the own timer is only the fallback.
  EXPECT_TRUE(heartbeat.on_peer_heartbeat(true, at(140s)).send_peer_hb_status);
  EXPECT_TRUE(run(heartbeat, 184s).empty());
  EXPECT_EQ(run(heartbeat, 190s).size(), 1u);
}

// S9132-4.7-09, S8612-SIG-004-06, S8811-2.2.1-04
TEST(HeartbeatTest, ClientConcludesLossAfterMissingHbAllowedUnansweredHeartbeats) {
  Heartbeat heartbeat(Side::client, {30s, 15}, kStart);
  int lost = 0;
  run(heartbeat, 15 * 30s, &lost);  // 15 sent, the answer to the last may still come
  EXPECT_EQ(heartbeat.missed(), 14);
  EXPECT_EQ(lost, 0);
  EXPECT_TRUE(heartbeat.on_no_answer(at(455s)).lost);
  EXPECT_TRUE(heartbeat.is_lost());
  EXPECT_FALSE(heartbeat.on_no_answer(at(456s)).lost);
}

// S9132-4.7-22: without word of a failure an answer has the whole interval, as over TCP.
TEST(HeartbeatTest, AnAnswerMayTakeTheWholeInterval) {
  Heartbeat heartbeat(Side::client, {30s, 1}, kStart);
  run(heartbeat, 30s);
  EXPECT_FALSE(heartbeat.is_lost());
  EXPECT_FALSE(heartbeat.on_answer(at(59s)).recovered);
  int lost = 0;
  run(heartbeat, 60s, &lost);
  EXPECT_EQ(lost, 0);
  run(heartbeat, 90s, &lost);
  EXPECT_EQ(lost, 1);
}

// S9132-4.7-09: consecutive means consecutive.
TEST(HeartbeatTest, OneAnswerStartsTheCountAgain) {
  Heartbeat heartbeat(Side::client, {30s, 3}, kStart);
  int lost = 0;
  for (int round = 0; round < 5; ++round) {
    run(heartbeat, 30s * (3 * round + 3), &lost);
    heartbeat.on_answer(at(30s * (3 * round + 3) + 1s));
  }
  EXPECT_EQ(lost, 0);
}

// S9132-4.7-15, S8612-SIG-004-07
TEST(HeartbeatTest, HeartbeatsGoOnAfterTheLoss) {
  Heartbeat heartbeat(Side::client, {30s, 15}, kStart);
  int lost = 0;
  EXPECT_EQ(run(heartbeat, 1200s, &lost).size(), 40u);
  EXPECT_EQ(lost, 1);
}

// S9132-4.7-23
TEST(HeartbeatTest, AnyTrafficIsASignOfLife) {
  Heartbeat client(Side::client, {30s, 3}, kStart);
  Heartbeat server(Side::server, {30s, 3}, kStart);
  int lost = 0;
  for (base::Duration t = 10s; t <= 600s; t += 60s) {
    run(client, t, &lost);
    run(server, t, &lost);
    client.on_traffic(at(t));
    server.on_traffic(at(t));
  }
  EXPECT_EQ(lost, 0);
}

// S9132-4.7-18 (the sign that it waits for)
TEST(HeartbeatTest, TrafficAfterTheLossIsReportedOnce) {
  Heartbeat heartbeat(Side::client, {30s, 1}, kStart);
  run(heartbeat, 90s);
  ASSERT_TRUE(heartbeat.is_lost());
  EXPECT_TRUE(heartbeat.on_peer_heartbeat(true, at(91s)).recovered);
  EXPECT_FALSE(heartbeat.on_traffic(at(92s)).recovered);
  EXPECT_EQ(heartbeat.missed(), 0);
}

// S9132-4.7-19, S9132-4.7-20
TEST(HeartbeatTest, ServerKeepsAClientThatLeavesHeartbeatsUnansweredButSends) {
  Heartbeat heartbeat(Side::server, {30s, 15}, kStart);
  int lost = 0;
  for (base::Duration t = 20s; t < 2000s; t += 30s) {
    run(heartbeat, t, &lost);
    EXPECT_FALSE(heartbeat.on_no_answer(at(t)).lost);
    heartbeat.on_traffic(at(t));
  }
  EXPECT_EQ(lost, 0);
  EXPECT_FALSE(heartbeat.is_lost());
}

// S9132-4.4.1.1-49
TEST(HeartbeatTest, ServerConcludesLossAfterTheWholeSilence) {
  Heartbeat heartbeat(Side::server, {30s, 15}, kStart);
  heartbeat.on_traffic(at(7s));
  int lost = 0;
  run(heartbeat, 456s, &lost);
  EXPECT_EQ(lost, 0);
  EXPECT_EQ(heartbeat.next_deadline(), at(457s));
  run(heartbeat, 457s, &lost);
  EXPECT_EQ(lost, 1);
  run(heartbeat, 5000s, &lost);
  EXPECT_EQ(lost, 1);
}

// S9132-4.5-02, S9132-4.5-03: the sets of idle and mitigating time.
TEST(HeartbeatTest, ReconfigurationTakesEffectAtOnce) {
  Heartbeat heartbeat(Side::client, {240s, 15}, kStart);
  heartbeat.on_peer_heartbeat(true, at(10s));
  heartbeat.reconfigure({15s, 15}, at(100s));
  EXPECT_TRUE(heartbeat.peer_hb_status(at(101s)));  // the peer's old rhythm is not judged by the new one
  EXPECT_EQ(heartbeat.next_deadline(), at(100s));
  heartbeat.on_timer(at(100s));
  EXPECT_EQ(heartbeat.next_deadline(), at(115s));
  heartbeat.reconfigure({240s, 15}, at(116s));
  EXPECT_EQ(heartbeat.next_deadline(), at(340s));
}

TEST(HeartbeatTest, AShorterThresholdDoesNotCondemnPastSilence) {
  Heartbeat heartbeat(Side::server, {240s, 15}, kStart);
  heartbeat.on_traffic(at(10s));
  heartbeat.reconfigure({15s, 2}, at(200s));
  EXPECT_FALSE(heartbeat.on_timer(at(201s)).lost);
  EXPECT_TRUE(heartbeat.on_timer(at(230s)).lost);
}

TEST(HeartbeatTest, ALowerCountDoesNotCondemnHeartbeatsThatAServerSentBefore) {
  Heartbeat heartbeat(Side::server, {30s, 15}, kStart);
  for (int i = 1; i <= 10; ++i) heartbeat.on_timer(at(i * 30s));
  heartbeat.reconfigure({30s, 5}, at(301s));
  EXPECT_FALSE(heartbeat.on_timer(at(330s)).lost) << "silence alone counts, and the new threshold has just begun";
  EXPECT_FALSE(heartbeat.on_timer(at(450s)).lost);
  EXPECT_TRUE(heartbeat.on_timer(at(451s)).lost);
}

}  // namespace
}  // namespace dots::signal
