// The life of a client's sessions (RFC 9132 4.3, 4.7), through the whole agent.
#include "agent/client/client_harness.h"
#include "ops/facts/health.h"

namespace dots::agent::client {
namespace {

std::vector<base::Duration> gaps(const std::vector<std::pair<base::SteadyTime, base::SessionId>>& times) {
  std::vector<base::Duration> out;
  for (std::size_t i = 1; i < times.size(); ++i) out.push_back(times[i].first - times[i - 1].first);
  return out;
}

// Under attack an attempt holds up to three handshakes, some seconds apart: the floor is between attempts.
using Times = std::vector<std::pair<base::SteadyTime, base::SessionId>>;
void expect_attempts_60_seconds_apart(const Times& opened, std::size_t from = 0) {
  for (std::size_t i = from + 3; i < opened.size(); ++i) EXPECT_GE(opened[i].first - opened[i - 3].first, 60s);
  for (std::size_t i = from + 1; i < opened.size(); ++i) EXPECT_GE(opened[i].first - opened[i - 1].first, 8s);
}

// S9132-3-05, S9132-4.1-01, S8612-2-01
TEST(ClientSessionsTest, TheClientOpensTheSessionAtStart) {
  ClientHarness h;
  h.start();
  h.advance(1s);
  ASSERT_EQ(h.opened.size(), 1u);
  EXPECT_EQ(h.connector.names, std::vector<std::string>{"dots.example.net"});
  EXPECT_TRUE(h.told("CLIENT_SESSION_OPENED"));
  const auto status = h.answered(h.call("status")).body;
  EXPECT_EQ(status.at("servers").at(0).at("state").as_string(), "connected");
}

// S9132-4.5-01, S9132-4.7-01, S9132-4.7-03, S9132-4.7-04, S9132-4.7-08, S8612-SIG-003-01, S8612-SIG-004-01,
// S8612-SIG-004-05, S8811-2.1-02, S8811-2-05, S8811-2.2.1-04
TEST(ClientSessionsTest, HeartbeatsRunOverTheOneSession) {
  ClientHarness h;
  h.start();
  h.advance(95s);
  const auto beats = h.requests("PUT hb");
  ASSERT_EQ(beats.size(), 3u);
  for (const auto& beat : beats) {
    EXPECT_EQ(beat.request.uri_path, (std::vector<std::string>{".well-known", "dots", "hb"}));
    EXPECT_FALSE(beat.request.confirmable);
    EXPECT_EQ(beat.request.content_format, wire::kContentFormatDots);
    EXPECT_TRUE(wire::decode_heartbeat(beat.request.payload));
  }
  EXPECT_EQ(beats[1].at - beats[0].at, 30s);
  h.advance(24h);
  EXPECT_EQ(h.opened.size(), 1u);
  EXPECT_TRUE(h.closed.empty());
}

// S9132-4.7-05, S8811-2.2.1-04
TEST(ClientSessionsTest, WithoutHeartbeatsOfTheServerTheStatusTurnsFalse) {
  ClientHarness h;
  h.start();
  h.advance(95s);
  EXPECT_FALSE(wire::decode_heartbeat(h.requests("PUT hb").back().request.payload)->peer_hb_status);
  h.server_sends(h.last_session(), h.heartbeat());
  h.advance(30s);
  EXPECT_TRUE(wire::decode_heartbeat(h.requests("PUT hb").back().request.payload)->peer_hb_status);
}

// S9132-3-06, S9132-4.7-01, S8612-SIG-004-01
TEST(ClientSessionsTest, HeartbeatsOfTheServerAreAnswered) {
  ClientHarness h;
  h.start();
  h.advance(1s);
  h.server_sends(h.last_session(), h.heartbeat());
  h.advance(1s);
  const auto& responses = h.peers[h.last_session()].responses;
  ASSERT_EQ(responses.size(), 1u);
  EXPECT_EQ(responses[0].response.code, model::ResponseCode::changed);
  EXPECT_TRUE(responses[0].response.payload.empty());
}

// S9132-4.7-03, S9132-4.7-04, S9132-3-14
TEST(ClientSessionsTest, OtherRequestsOfTheServerAreRefused) {
  ClientHarness h;
  h.start();
  h.advance(1s);
  const auto answer_to = [&](const std::function<void(coap::Request&)>& change) {
    coap::Request request = h.heartbeat();
    change(request);
    h.server_sends(h.last_session(), request);
    h.advance(1s);
    const coap::Response& response = h.peers[h.last_session()].responses.back().response;
    EXPECT_FALSE(response.payload.empty());
    return response.code;
  };
  EXPECT_EQ(answer_to([](coap::Request& r) { r.method = wire::Method::get; }), model::ResponseCode::method_not_allowed);
  EXPECT_EQ(answer_to([](coap::Request& r) { r.uri_path = {".well-known", "core"}; }), model::ResponseCode::not_found);
  EXPECT_EQ(answer_to([](coap::Request& r) {
              r.uri_path = {".well-known", "dots", "mitigate", "cuid=a"};
            }),
            model::ResponseCode::not_found);
  EXPECT_EQ(answer_to([](coap::Request& r) { r.uri_path.push_back("cuid=x"); }), model::ResponseCode::bad_request);
  EXPECT_EQ(answer_to([](coap::Request& r) {
              r.payload = {0xa1, 0x18, 0x31, 0xa0};
            }),
            model::ResponseCode::bad_request);
  EXPECT_EQ(answer_to([](coap::Request& r) { r.payload.clear(); }), model::ResponseCode::bad_request);
}

// S9132-4.7-09, S9132-4.7-10, S8612-SIG-004-06: disconnected, and opened again without waiting.
TEST(ClientSessionsTest, WithoutAnAttackALostSessionIsReplaced) {
  ClientHarness h;
  h.start();
  h.advance(1s);
  const base::SessionId first = h.last_session();
  h.lose_down = [&](base::SessionId session) { return session == first; };
  h.advance(14 * 30s + 25s);
  EXPECT_EQ(h.opened.size(), 1u);
  h.advance(65s);
  EXPECT_TRUE(h.told("CLIENT_SESSION_LOST"));
  ASSERT_EQ(h.opened.size(), 2u);
  EXPECT_EQ(h.closed, std::vector<base::SessionId>{first});
  EXPECT_EQ(h.answered(h.call("status")).body.at("servers").at(0).at("state").as_string(), "connected");
}

// S9132-4.7-11, S9132-4.7-12, S9132-4.7-13
TEST(ClientSessionsTest, AnUnreachableServerIsTriedEach300Seconds) {
  ClientHarness h;
  h.start();
  h.advance(1s);
  h.unreachable.insert({model::parse_ip_address("192.0.2.53").value(), 4646});
  h.advance(2h);
  ASSERT_GE(h.opened.size(), 10u);
  const auto between = gaps(h.opened);
  for (std::size_t i = 1; i < between.size(); ++i) EXPECT_GE(between[i], 300s);
  EXPECT_GE(h.count_told("CLIENT_SESSION_FAILED"), 5);
}

// S9132-4.7-12: whatever is configured, and at the start as well.
TEST(ClientSessionsTest, NeverMoreOftenThanEach60Seconds) {
  ClientHarness h;
  h.settings.servers[0].upstream.retry = 1s;
  h.unreachable.insert({model::parse_ip_address("192.0.2.53").value(), 4646});
  h.start();
  h.advance(1000s);
  ASSERT_GE(h.opened.size(), 10u);
  for (const base::Duration gap : gaps(h.opened)) EXPECT_GE(gap, 60s);
}

// S9132-4.7-12: also when an operator asks for help, which otherwise does not wait for the 300 s.
TEST(ClientSessionsTest, AMitigationBringsTheNextAttemptForwardTo60Seconds) {
  ClientHarness h;
  h.start();
  h.advance(1s);
  h.unreachable.insert({model::parse_ip_address("192.0.2.53").value(), 4646});
  h.advance(1h);
  while (h.now.steady - h.opened.back().first > 40s) h.advance(1s);
  const base::SteadyTime last = h.opened.back().first;
  const std::size_t before = h.opened.size();
  h.mitigate("203.0.113.1/32");
  h.advance(130s);
  // The attempt that is under way gets another handshake; two more attempts follow when it has ended.
  const Times attempts(h.opened.begin() + static_cast<std::ptrdiff_t>(before) - 1, h.opened.end());
  expect_attempts_60_seconds_apart(attempts);
  EXPECT_EQ(
      std::count_if(attempts.begin(), attempts.end(), [&](const auto& one) { return (one.first - last) % 60s < 1s; }),
      3);
}

// S9132-4.7-14, S9132-4.7-15, S9132-4.7-16, S9132-4.7-17, S8612-SIG-003-01, S8612-SIG-004-07, S8612-SIG-004-08,
// S8612-SIG-004-09, S8612-SIG-004-10
TEST(ClientSessionsTest, UnderAttackTheSessionIsKeptAndASecondOneTried) {
  ClientHarness h;
  h.start();
  h.advance(1s);
  const base::SessionId first = h.last_session();
  h.mitigate("203.0.113.1/32");
  h.advance(1s);
  h.lose_down = [](base::SessionId) { return true; };  // the link towards us is full
  h.advance(600s);
  EXPECT_TRUE(h.closed.empty() || h.closed[0] != first);
  ASSERT_GE(h.opened.size(), 2u);

  // The new session comes through, the old one stays silent: both carry a new request.
  h.lose_down = [&](base::SessionId session) { return session == first; };
  h.advance(120s);
  const base::SessionId second = h.last_session();
  ASSERT_NE(second, first);
  h.seen.clear();
  h.lost_request = [](const coap::Request& request) { return request.uri_path[2] == "mitigate"; };
  h.sent.clear();
  h.mitigate("203.0.113.2/32");
  h.advance(30s);
  std::set<base::SessionId> sessions;
  for (const auto& put : h.sends("PUT mitigate")) sessions.insert(put.session);
  EXPECT_EQ(sessions, (std::set<base::SessionId>{first, second}));
  sessions.clear();
  h.advance(60s);
  for (const auto& beat : h.sends("PUT hb")) sessions.insert(beat.session);
  EXPECT_EQ(sessions, (std::set<base::SessionId>{first, second}));
}

// S9132-4.7-16, S9132-4.7-12
TEST(ClientSessionsTest, AttemptsUnderAttackKeepTheFloor) {
  ClientHarness h;
  h.start();
  h.advance(1s);
  h.mitigate("203.0.113.1/32");
  h.advance(1s);
  h.lose_down = [](base::SessionId) { return true; };
  h.advance(2000s);
  ASSERT_GE(h.opened.size(), 30u);
  expect_attempts_60_seconds_apart(h.opened, 1);
}

// S9132-4.7-18
TEST(ClientSessionsTest, WhenTrafficReturnsTheAttemptIsDropped) {
  ClientHarness h;
  h.start();
  h.advance(1s);
  const base::SessionId first = h.last_session();
  h.mitigate("203.0.113.1/32");
  h.advance(1s);
  h.lose_down = [](base::SessionId) { return true; };
  while (h.opened.size() < 2) h.advance(1s);
  h.lose_down = [&](base::SessionId session) { return session != first; };
  h.advance(35s);
  EXPECT_TRUE(h.told("CLIENT_SESSION_RECOVERED"));
  EXPECT_EQ(h.closed, std::vector<base::SessionId>{h.opened[1].second});
  EXPECT_EQ(h.opened.size(), 2u);
}

// S9132-4.7-18, S8612-SIG-004-11
TEST(ClientSessionsTest, OfTwoLivingSessionsTheNewOneStays) {
  ClientHarness h;
  h.start();
  h.advance(1s);
  const base::SessionId first = h.last_session();
  h.mitigate("203.0.113.1/32");
  h.advance(1s);
  h.lose_down = [&](base::SessionId session) { return session == first; };
  h.advance(600s);
  ASSERT_EQ(h.opened.size(), 2u);
  EXPECT_TRUE(h.closed.empty());
  h.lose_down = nullptr;
  h.advance(40s);
  EXPECT_EQ(h.closed, std::vector<base::SessionId>{first});
}

TEST(ClientSessionsTest, AfterTheAttackTheLostSessionIsClosed) {
  ClientHarness h;
  h.start();
  h.advance(1s);
  const base::SessionId first = h.last_session();
  const base::Mid mid = h.mitigate("203.0.113.1/32");
  h.advance(1s);
  h.lose_down = [&](base::SessionId session) { return session == first; };
  h.advance(600s);
  ASSERT_TRUE(h.closed.empty());
  h.call("withdraw", {{"mid", mid.value}});
  h.advance(10s);
  EXPECT_EQ(h.closed, std::vector<base::SessionId>{first});
}

TEST(ClientSessionsTest, ASessionThatTheServerClosesIsOpenedAgain) {
  ClientHarness h;
  h.start();
  h.advance(100s);
  h.to_client(h.last_session(), bytes_of("bye"));
  h.advance(1s);
  EXPECT_TRUE(h.told("CLIENT_SESSION_CLOSED"));
  EXPECT_EQ(h.opened.size(), 2u);
}

// The server has restarted, or a translator has given us another port: the session looks alive and is dead.
class DeadSession : public ::testing::Test {
 protected:
  DeadSession() {
    h.start();
    h.advance(2s);
    first = h.last_session();
    h.lose_up = [this](base::SessionId session) { return dead && session == first; };
  }
  ClientHarness h;
  base::SessionId first;
  bool dead = true;
};

// S9132-4.7-17, S8612-SIG-011-01, S8811-3.2.4-02: after 3 s a second session, seconds after the first was opened, and
// the request goes over both.
TEST_F(DeadSession, AnUnansweredRequestOpensAParallelSession) {
  h.mitigate("203.0.113.1/32");
  const base::SteadyTime sent = h.now.steady;
  h.advance(2900ms);
  EXPECT_EQ(h.opened.size(), 1u);
  h.advance(200ms);
  ASSERT_EQ(h.opened.size(), 2u);
  EXPECT_TRUE(h.told("CLIENT_PARALLEL_SESSION"));
  h.advance(1s);
  const auto puts = h.requests("PUT mitigate");
  ASSERT_EQ(puts.size(), 1u);
  EXPECT_EQ(puts[0].session, h.opened[1].second);
  EXPECT_LT(puts[0].at - sent, 3500ms);
  EXPECT_EQ(h.closed, std::vector<base::SessionId>{first}) << "once the new session has an answer";
  std::set<base::SessionId> tried;
  for (const auto& put : h.sends("PUT mitigate")) tried.insert(put.session);
  EXPECT_EQ(tried.size(), 2u);
}

// With a round trip that is known, eight sends in vain are enough.
TEST_F(DeadSession, EightSendsAreEnoughWhenTheRoundTripIsKnown) {
  dead = false;
  h.mitigate("203.0.113.1/32");
  h.advance(2s);
  dead = true;
  h.mitigate("203.0.113.2/32");
  h.advance(8 * 50ms);
  const auto before = h.now.steady;
  while (h.opened.size() < 2 && h.now.steady - before < 3s) h.advance(10ms);
  ASSERT_EQ(h.opened.size(), 2u);
  EXPECT_LT(h.now.steady - before, 1s);
  EXPECT_GE(h.sends("PUT mitigate").size(), 1u + Outbox::kDoubtfulTries);
}

// Heartbeats and questions open none.
TEST_F(DeadSession, OnlyRequestsForHelpCastDoubt) {
  dead = false;
  h.mitigate("203.0.113.1/32");
  h.advance(1s);
  dead = true;
  h.advance(120s);
  EXPECT_EQ(h.opened.size(), 1u);
}

// S9132-4.7-12
TEST_F(DeadSession, ParallelAttemptsAreAtLeast60SecondsApart) {
  h.lose_up = [](base::SessionId) { return true; };
  h.mitigate("203.0.113.1/32");
  h.advance(400s);
  ASSERT_GE(h.opened.size(), 5u);
  expect_attempts_60_seconds_apart(h.opened, 1);
}

// S9132-4.7-18
TEST_F(DeadSession, AnAnswerOnTheOldSessionEndsTheAttempt) {
  h.lose_up = [&](base::SessionId session) { return dead || session != first; };
  h.mitigate("203.0.113.1/32");
  h.advance(3100ms);
  ASSERT_EQ(h.opened.size(), 2u);
  dead = false;
  h.advance(4s);
  EXPECT_EQ(h.requests("PUT mitigate").size(), 1u);
  EXPECT_EQ(h.closed, std::vector<base::SessionId>{h.opened[1].second});
}

// S9132-4.3-03, S9132-4.3-05, S8612-GEN-002-02, S8811-2-02: the next address after 250 ms, not after the time-out of
// the first.
TEST(ClientSessionsTest, AddressesAreTriedWithAShortDelay) {
  ClientHarness h({"2001:db8::53", "192.0.2.53"});
  h.unreachable.insert({model::parse_ip_address("2001:db8::53").value(), 4646});
  h.start();
  h.advance(1s);
  ASSERT_EQ(h.opened.size(), 2u);
  EXPECT_EQ(gaps(h.opened)[0], 250ms);
  EXPECT_TRUE(h.told("CLIENT_SESSION_OPENED"));
  EXPECT_EQ(h.closed, std::vector<base::SessionId>{h.opened[0].second});
}

// S9132-4.3-04
TEST(ClientSessionsTest, UnderAttackTheDelayIsShorter) {
  ClientHarness h({"2001:db8::53", "192.0.2.53"});
  h.unreachable.insert({model::parse_ip_address("2001:db8::53").value(), 4646});
  h.start();
  h.advance(11min);  // what failed at the start is forgotten
  h.mitigate("203.0.113.1/32");
  h.opened.clear();
  h.to_client(base::SessionId{2}, bytes_of("bye"));
  h.advance(1s);
  ASSERT_EQ(h.opened.size(), 2u);
  EXPECT_EQ(gaps(h.opened)[0], 100ms);
}

TEST(ClientSessionsTest, TheFirstAddressThatAnswersIsEnough) {
  ClientHarness h({"2001:db8::53", "192.0.2.53"});
  h.start();
  h.advance(10s);
  EXPECT_EQ(h.opened.size(), 1u);
}

// S9132-4.3-02: IPv6 before IPv4; port 4646 (RFC 9132 3).
TEST(ClientSessionsTest, WithoutAddressesTheNameIsLookedUp) {
  ClientHarness h(std::vector<std::string>{});
  h.start();
  EXPECT_EQ(h.resolves, std::vector<std::string>{"dots.example.net"});
  EXPECT_TRUE(h.opened.empty());
  ports::Resolution resolution;
  resolution.name = "dots.example.net";
  resolution.outcome = ports::Resolution::Outcome::answered;
  resolution.addresses = {model::parse_ip_address("192.0.2.1").value(), model::parse_ip_address("2001:db8::1").value()};
  h.with([&](ClientEffects& out) { h.agent->on_resolved(resolution, h.now, out); });
  h.advance(1s);
  ASSERT_EQ(h.opened.size(), 1u);
  EXPECT_EQ(model::to_string(h.peers[h.last_session()].way.server), "[2001:db8::1]:4646");

  // A dead name server later: the last good answer serves on.
  h.advance(100s);
  h.to_client(h.last_session(), bytes_of("bye"));
  h.advance(1s);
  resolution.outcome = ports::Resolution::Outcome::failed;
  resolution.addresses.clear();
  h.with([&](ClientEffects& out) { h.agent->on_resolved(resolution, h.now, out); });
  EXPECT_EQ(h.opened.size(), 2u);
}

TEST(ClientSessionsTest, AHandshakeThatNeverEndsIsGivenUp) {
  ClientHarness h;
  h.lose_down = [](base::SessionId) { return true; };
  h.start();
  h.advance(59s);
  EXPECT_EQ(h.opened.size(), 1u);
  EXPECT_TRUE(h.closed.empty()) << "until the next attempt may begin it would only be silent";
  h.advance(2s);
  EXPECT_EQ(h.closed.size(), 1u);
  EXPECT_EQ(h.opened.size(), 2u);
  EXPECT_EQ(h.count_told("CLIENT_SESSION_FAILED"), 1);
  h.lose_down = nullptr;
  h.advance(3s);
  EXPECT_TRUE(h.told("CLIENT_SESSION_OPENED"));
}

// Under attack a handshake that finds no answer gets two more beside it, from ports of their own; the first that opens
// ends the others.
TEST(ClientSessionsTest, UnderAttackThreeHandshakesRunSideBySide) {
  ClientHarness h;
  h.lose_down = [](base::SessionId) { return true; };
  h.start();
  h.mitigate("203.0.113.1/32");
  h.advance(30s);
  ASSERT_EQ(h.opened.size(), 3u);
  EXPECT_EQ(gaps(h.opened), (std::vector<base::Duration>{8s, 8s}));
  const base::SessionId second = h.opened[1].second;
  h.lose_down = [&](base::SessionId session) { return session != second; };
  h.advance(10s);
  EXPECT_EQ(h.opened.size(), 3u);
  EXPECT_EQ(h.closed, (std::vector<base::SessionId>{h.opened[0].second, h.opened[2].second}));
  EXPECT_EQ(h.answered(h.call("status")).body.at("servers").at(0).at("sessions").as_array().size(), 1u);
  h.advance(20s);
  EXPECT_FALSE(h.requests("PUT mitigate").empty());
}

// The route goes while the first one is silent: what fails at once keeps to the pace of the others.
TEST(ClientSessionsTest, AHandshakeBesideAnotherThatFailsAtOnceIsNotRepeatedAtOnce) {
  ClientHarness h;
  h.lose_down = [](base::SessionId) { return true; };
  h.start();
  h.mitigate("203.0.113.1/32");
  h.advance(9s);
  ASSERT_EQ(h.opened.size(), 2u);
  h.with([&](ClientEffects& out) { h.agent->on_unreachable(h.last_session(), "no route", h.now, out); });
  EXPECT_EQ(h.opened.size(), 2u);
  h.advance(6s);
  EXPECT_EQ(h.opened.size(), 2u);
  h.advance(2s);
  EXPECT_EQ(h.opened.size(), 3u);
}

TEST(ClientSessionsTest, WithoutNeedThereIsOneHandshake) {
  ClientHarness h;
  h.lose_down = [](base::SessionId) { return true; };
  h.start();
  h.advance(50s);
  EXPECT_EQ(h.opened.size(), 1u);
}

// With as many addresses there are as many handshakes already.
TEST(ClientSessionsTest, ThreeAddressesAreEnoughSideBySide) {
  ClientHarness h({"2001:db8::53", "192.0.2.53", "192.0.2.54"});
  h.lose_down = [](base::SessionId) { return true; };
  h.start();
  h.mitigate("203.0.113.1/32");
  h.advance(50s);
  EXPECT_EQ(h.opened.size(), 3u);
}

// S9132-4.7-13
TEST(ClientSessionsTest, HealthTellsWhetherTheServerIsThere) {
  ClientHarness h;
  h.start();
  h.advance(100s);
  EXPECT_FALSE(h.health["UPSTREAM_LOST upstream"]);
  h.unreachable.insert({model::parse_ip_address("192.0.2.53").value(), 4646});
  h.advance(600s);
  EXPECT_TRUE(h.health["UPSTREAM_LOST upstream"]);
  h.unreachable.clear();
  h.advance(600s);
  EXPECT_FALSE(h.health["UPSTREAM_LOST upstream"]);
  EXPECT_NE(ops::facts::find_health("UPSTREAM_LOST"), nullptr);
}

TEST(ClientSessionsTest, StoppingSaysGoodbye) {
  ClientHarness h;
  h.start();
  h.advance(1s);
  ClientEffects out;
  h.agent->stop(h.now, out);
  ASSERT_EQ(out.send.size(), 1u);
  EXPECT_EQ(base::as_text(out.send[0].datagram), "bye");
  EXPECT_EQ(out.close.size(), 1u);
}

}  // namespace
}  // namespace dots::agent::client
