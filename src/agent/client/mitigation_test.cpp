// Mitigation requests of a client on the wire (RFC 9132 4.4), through the whole agent.
#include "agent/client/client_harness.h"

namespace dots::agent::client {
namespace {

// S9132-4.4-01, S9132-4.4-02, S9132-4.4.1.1-01, S9132-4.4.1.1-02, S9132-4.4.1.2-05, S9132-4.2-03, S8612-SIG-006-01,
// S8612-SIG-007-04
TEST(ClientMitigationTest, ARequestIsANonConfirmablePutOnCuidAndMid) {
  ClientHarness h;
  h.start();
  h.advance(1s);
  const base::Mid mid = h.mitigate("203.0.113.1/32");
  h.advance(1s);
  const auto puts = h.requests("PUT mitigate");
  ASSERT_EQ(puts.size(), 1u);
  EXPECT_EQ(puts[0].request.uri_path,
            (std::vector<std::string>{".well-known", "dots", "mitigate", "cuid=z85PF07F0YiHmas-fJkqRg",
                                      "mid=" + std::to_string(mid.value)}));
  EXPECT_FALSE(puts[0].request.confirmable);
  EXPECT_EQ(puts[0].request.content_format, 271);
  const auto body = wire::decode_mitigation_request(puts[0].request.payload);
  ASSERT_TRUE(body) << body.error().diagnostic;
  EXPECT_EQ(model::to_string(body->scope.target_prefix.at(0)), "203.0.113.1/32");
  EXPECT_EQ(body->lifetime, model::Lifetime{3600});
}

// S9132-4.4.1.1-20, S9132-4.4.1.1-21, S9132-4.4.1.1-22, S8612-2-02: nothing of the path in the body.
TEST(ClientMitigationTest, TheBodyIsTheScopeAlone) {
  ClientHarness h;
  h.start();
  h.advance(1s);
  h.mitigate("203.0.113.1/32");
  h.advance(1s);
  const std::string hex = base::to_hex(h.requests("PUT mitigate").at(0).request.payload);
  EXPECT_EQ(hex, "a101a10281a20681" +
                     base::to_hex(bytes_of("\x6e"
                                           "203.0.113.1/32")) +
                     "0e190e10");
}

// S9132-4.4-04, S9132-4.4-05, S9132-4.4-07, S8612-3.1-01: without an answer again and again, 3 s apart while no round
// trip is known.
TEST(ClientMitigationTest, WithoutAnAnswerTheSameRequestIsRepeatedEach3Seconds) {
  ClientHarness h;
  h.start();
  h.advance(1s);
  h.lost_request = [](const coap::Request& request) { return request.uri_path[2] == "mitigate"; };
  h.mitigate("203.0.113.1/32");
  h.advance(28s);
  auto puts = h.sends("PUT mitigate", h.opened[0].second);
  ASSERT_GE(puts.size(), 9u);
  for (std::size_t i = 1; i < puts.size(); ++i) {
    EXPECT_GE(puts[i].at - puts[i - 1].at, 3s);
    EXPECT_EQ(puts[i].request, puts[0].request);
  }
  h.lost_request = nullptr;
  h.advance(4s);
  const std::size_t answered = h.sends("PUT mitigate").size();
  h.advance(60s);
  EXPECT_EQ(h.requests("PUT mitigate").size(), 1u);
  EXPECT_EQ(h.sends("PUT mitigate").size(), answered);
}

// S9132-4.4-03, S9132-4.4-05, S8612-3.1-01, S8612-3.1-03: many at once keep to the rate together.
TEST(ClientMitigationTest, ManyRequestsTogetherKeepTheRateWithoutAnEstimate) {
  ClientHarness h;
  h.start();
  h.advance(1s);
  h.lost_request = [](const coap::Request& request) { return request.uri_path[2] == "mitigate"; };
  for (int i = 1; i <= 5; ++i) h.mitigate("203.0.113." + std::to_string(i) + "/32");
  h.advance(120s);
  std::set<std::vector<std::string>> paths;
  for (const auto& [opened_at, session] : h.opened) {
    (void)opened_at;
    const auto puts = h.sends("PUT mitigate", session);
    for (std::size_t i = 1; i < puts.size(); ++i) {
      paths.insert(puts[i].request.uri_path);
      // Heartbeats are answered, so from the first one on there is an estimate; later sessions inherit it.
      const base::SteadyTime estimated = h.opened.front().first + 30s;
      const base::Duration least = puts[i].at < estimated ? base::Duration{3s} : base::Duration{50ms};
      EXPECT_GE(puts[i].at - puts[i - 1].at, least);
    }
  }
  EXPECT_EQ(paths.size(), 5u);  // each has its turn
}

// S9132-4.4-05: an answer to a repeated request is no round-trip sample, so the next request waits its 3 s as well.
TEST(ClientMitigationTest, AfterARepeatedRequestTheNextOneKeepsThe3Seconds) {
  ClientHarness h;
  h.start();
  h.advance(1s);
  int lost = 0;
  h.lost_request = [&](const coap::Request&) { return lost++ == 0; };
  h.mitigate("203.0.113.1/32");
  h.advance(3s);
  h.mitigate("203.0.113.2/32");
  h.advance(15s);
  std::vector<base::SteadyTime> times;
  for (const auto& one : h.sent) times.push_back(one.at);
  ASSERT_GE(times.size(), 3u);
  EXPECT_GE(times[1] - times[0], 3s);
  EXPECT_GE(times[2] - times[1], 3s);
}

// S9132-4.4-05: nor does a withdrawal hurry after a request that is not answered.
TEST(ClientMitigationTest, AWithdrawalRightAfterItsRequestKeepsThe3Seconds) {
  ClientHarness h;
  h.start();
  h.advance(1s);
  h.lost_request = [](const coap::Request& request) { return request.method == wire::Method::put; };
  const base::Mid mid = h.mitigate("203.0.113.1/32");
  h.advance(500ms);
  h.call("withdraw", {{"mid", mid.value}});
  h.advance(20s);
  ASSERT_EQ(h.sends("PUT mitigate").size(), 1u);
  ASSERT_EQ(h.sends("DELETE mitigate").size(), 2u);  // the request may arrive after the first
  EXPECT_GE(h.sends("DELETE mitigate")[0].at - h.sends("PUT mitigate")[0].at, 3s);
  EXPECT_EQ(h.show(mid).at("phase").as_string(), "ended");
}

// S9132-4.4-03, S8612-3.1-03: one datagram per round trip, when that is known.
TEST(ClientMitigationTest, ABurstIsSpacedByTheRoundTrip) {
  ClientHarness h;
  h.latency = 100ms;
  h.start();
  h.advance(35s);  // a heartbeat gave the estimate
  for (int i = 1; i <= 10; ++i) {
    h.call("mitigate", {{"target-prefix", {"203.0.113." + std::to_string(i) + "/32"}}});
  }
  h.advance(20s);
  std::vector<base::SteadyTime> times;
  for (const auto& one : h.seen) {
    if (one.request.uri_path[2] == "mitigate") times.push_back(one.at);
  }
  ASSERT_GE(times.size(), 20u);  // ten requests and ten observations
  for (std::size_t i = 1; i < times.size(); ++i) EXPECT_GE(times[i] - times[i - 1], 200ms);
  for (std::size_t i = 0; i < 10; ++i) EXPECT_LT(times[i] - times[0], 3s);
}

// S9132-4.4.2.2-03: whatever interval is set, the next question waits for the answer to the last one.
TEST(ClientMitigationTest, PollingKeepsToTheRoundTrip) {
  ClientHarness h;
  h.latency = 100ms;
  h.settings.servers[0].requests.poll = 10ms;
  h.start();
  h.advance(35s);
  h.mitigate("203.0.113.1/32");
  h.advance(5s);
  h.sent.clear();
  h.advance(20s);
  const auto polls = h.sends("GET mitigate");
  ASSERT_GE(polls.size(), 20u);
  for (std::size_t i = 1; i < polls.size(); ++i) EXPECT_GE(polls[i].at - polls[i - 1].at, 200ms);
}

// A lossy link with a known round trip: quick tries first, so that help is asked for within seconds.
TEST(ClientMitigationTest, AKnownRoundTripMakesRepetitionFast) {
  ClientHarness h;
  h.latency = 25ms;
  h.start();
  h.advance(31s);
  int lost = 0;
  h.lose_up = [&](base::SessionId) { return ++lost <= 10; };
  const base::SteadyTime asked = h.now.steady;
  h.mitigate("203.0.113.1/32");
  h.advance(5s);
  ASSERT_FALSE(h.requests("PUT mitigate").empty());
  EXPECT_LT(h.requests("PUT mitigate")[0].at - asked, 3s);
  EXPECT_GE(lost, 11);
}

// S9132-4.4-06
TEST(ClientMitigationTest, FastTriesEndAfter64) {
  ClientHarness h;
  h.latency = 25ms;
  h.start();
  h.advance(31s);
  int sent = 0;
  std::vector<base::SteadyTime> times;
  h.lose_up = [&](base::SessionId session) {
    if (session != h.opened[0].second) return true;  // the handshakes of a parallel attempt
    ++sent;
    times.push_back(h.now.steady);
    return true;
  };
  h.mitigate("203.0.113.1/32");
  h.advance(28s);
  // 64 quick ones and then one each 3 s (a heartbeat may be among them).
  EXPECT_LE(sent, 64 + 12);
  EXPECT_GE(sent, 64);
}

// A request for help does not wait behind a question that finds no answer.
TEST(ClientMitigationTest, HelpGoesBeforeQuestions) {
  ClientHarness h;
  h.start();
  h.advance(1s);
  h.lost_request = [](const coap::Request& request) { return request.method == wire::Method::get; };
  for (int i = 1; i <= 3; ++i) h.mitigate("203.0.113." + std::to_string(i) + "/32");
  h.advance(60s);
  const base::SteadyTime asked = h.now.steady;
  h.mitigate("203.0.113.9/32");
  h.advance(4s);
  const auto puts = h.requests("PUT mitigate");
  EXPECT_GE(puts.back().at, asked);
  EXPECT_EQ(puts.size(), 4u);
}

// S9132-4.4.2.1-02, S9132-4.4.2-05, S9132-4.4.2.2-04
TEST(ClientMitigationTest, NotificationsAreFollowedToTheWithdrawal) {
  ClientHarness h;
  h.start();
  h.advance(1s);
  const base::Mid mid = h.mitigate("203.0.113.1/32");
  h.advance(5s);
  const auto gets = h.requests("GET mitigate");
  ASSERT_EQ(gets.size(), 1u);
  EXPECT_EQ(gets[0].request.observe, 0u);
  EXPECT_EQ(gets[0].request.uri_query, std::vector<std::string>{"c=n"});
  EXPECT_EQ(h.show(mid).at("status").as_string(), "attack-successfully-mitigated");
  h.notify(h.last_session(), mid, model::MitigationStatus::exceeded_capability);
  h.advance(1s);
  EXPECT_EQ(h.show(mid).at("status").as_string(), "attack-exceeded-capability");
  h.notify(h.last_session(), mid, model::MitigationStatus::attack_stopped);
  h.advance(5s);
  const auto deletes = h.requests("DELETE mitigate");
  ASSERT_EQ(deletes.size(), 1u);
  EXPECT_EQ(deletes[0].request.uri_path.back(), "mid=" + std::to_string(mid.value));
  EXPECT_EQ(h.show(mid).at("phase").as_string(), "ended");
  EXPECT_TRUE(h.store.client_requests.empty());
}

// S9132-4.4.2.1-15
TEST(ClientMitigationTest, TheObservationIsDeregisteredAfterTheWithdrawal) {
  ClientHarness h;
  h.start();
  h.advance(1s);
  const base::Mid mid = h.mitigate("203.0.113.1/32");
  h.advance(5s);
  h.call("withdraw", {{"mid", mid.value}});
  h.advance(10s);
  EXPECT_EQ(h.requests("GET mitigate").back().request.observe, 1u);
}

TEST(ClientMitigationTest, AWithdrawalIsRepeatedUntilItIsAnswered) {
  ClientHarness h;
  h.start();
  h.advance(1s);
  const base::Mid mid = h.mitigate("203.0.113.1/32");
  h.advance(5s);
  h.lost_request = [](const coap::Request& request) { return request.method == wire::Method::del; };
  h.call("withdraw", {{"mid", mid.value}});
  h.advance(20s);
  EXPECT_GE(h.sends("DELETE mitigate").size(), 5u);
  EXPECT_EQ(h.show(mid).at("phase").as_string(), "withdrawing");
  h.lost_request = nullptr;
  h.advance(4s);
  EXPECT_EQ(h.show(mid).at("phase").as_string(), "ended");
}

TEST(ClientMitigationTest, ANewSessionObservesAgain) {
  ClientHarness h;
  h.start();
  h.advance(1s);
  const base::Mid mid = h.mitigate("203.0.113.1/32");
  h.advance(70s);
  h.seen.clear();
  h.to_client(h.last_session(), bytes_of("bye"));
  h.advance(5s);
  ASSERT_EQ(h.opened.size(), 2u);
  const auto gets = h.requests("GET mitigate");
  ASSERT_GE(gets.size(), 1u);
  EXPECT_EQ(gets[0].request.observe, 0u);
  h.notify(h.last_session(), mid, model::MitigationStatus::in_progress);
  h.advance(1s);
  EXPECT_EQ(h.show(mid).at("status").as_string(), "attack-mitigation-in-progress");
}

// A request made while there is no session goes out with the session.
TEST(ClientMitigationTest, ARequestWaitsForTheSession) {
  ClientHarness h;
  h.unreachable.insert({model::parse_ip_address("192.0.2.53").value(), 4646});
  h.start();
  h.advance(10s);
  const base::Mid mid = h.mitigate("203.0.113.1/32");
  EXPECT_EQ(h.show(mid).at("phase").as_string(), "requesting");
  h.unreachable.clear();
  h.advance(60s);
  EXPECT_EQ(h.requests("PUT mitigate").size(), 1u);
  EXPECT_EQ(h.show(mid).at("phase").as_string(), "active");
}

TEST(ClientMitigationTest, AfterARestartTheRequestsGoOn) {
  ClientHarness h;
  h.lost_request = [](const coap::Request& request) { return request.uri_path[2] == "mitigate"; };
  h.start();
  h.advance(1s);
  const base::Mid waiting = h.mitigate("203.0.113.1/32");
  h.advance(1s);
  h.lost_request = nullptr;
  h.seen.clear();
  h.restart();
  h.advance(2s);
  ASSERT_EQ(h.requests("PUT mitigate").size(), 1u);
  EXPECT_EQ(h.requests("PUT mitigate")[0].request.uri_path.back(), "mid=" + std::to_string(waiting.value));
  h.advance(5s);
  h.seen.clear();
  h.restart();
  h.advance(2s);
  EXPECT_TRUE(h.requests("PUT mitigate").empty());
  EXPECT_EQ(h.requests("GET mitigate").size(), 1u);
  EXPECT_GT(h.mitigate("203.0.113.2/32"), waiting);
}

// S8612-GEN-002-01, S8811-1.3-01: Seeded loss in both directions: in the end both sides agree.
TEST(ClientMitigationTest, LossIsSurvived) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    ClientHarness h;
    h.start();
    h.advance(1s);
    std::uint64_t random = seed;
    const auto lose = [&](base::SessionId) {
      random = random * 6364136223846793005u + 1442695040888963407u;
      return (random >> 33) % 10 < 7;
    };
    h.lose_up = lose;
    h.lose_down = lose;
    const base::Mid kept = h.mitigate("203.0.113.1/32");
    const base::Mid gone = h.mitigate("203.0.113.2/32");
    h.advance(240s);
    EXPECT_EQ(h.show(kept).at("phase").as_string(), "active") << seed;
    h.call("withdraw", {{"mid", gone.value}});
    h.advance(240s);
    EXPECT_EQ(h.show(kept).at("phase").as_string(), "active") << seed;
    EXPECT_EQ(h.show(gone).at("phase").as_string(), "ended") << seed;
    EXPECT_EQ(h.store.client_requests.size(), 1u);
  }
}

// What a known other server does: text in 2.02, no Observe option in the first answer, empty arrays in bodies.
TEST(ClientMitigationTest, QuirksOfAnotherServerAreTolerated) {
  ClientHarness h;
  h.custom = [](const coap::Request& request) -> std::optional<coap::Response> {
    coap::Response response;
    if (request.method == wire::Method::del) {
      response.code = model::ResponseCode::deleted;
      response.payload = bytes_of("Deleted");
      return response;
    }
    if (request.method == wire::Method::get && request.uri_path[2] == "mitigate") {
      response.code = model::ResponseCode::content;
      response.content_format = 271;
      // mid 1, target-port-range [], target-fqdn [], lifetime 3000, status 2
      response.payload = base::from_hex("a101a10281a5 0501 0780 0b80 0e190bb8 1002").value();
      return response;
    }
    return std::nullopt;
  };
  h.start();
  h.advance(1s);
  const base::Mid mid = h.mitigate("203.0.113.1/32");
  h.advance(5s);
  ASSERT_EQ(mid, base::Mid{1});
  EXPECT_EQ(h.show(mid).at("status").as_string(), "attack-successfully-mitigated");
  EXPECT_EQ(h.show(mid).at("lifetime").to_number<int>(), 2995);
  h.call("withdraw", {{"mid", mid.value}});
  h.advance(5s);
  EXPECT_EQ(h.show(mid).at("phase").as_string(), "ended");
}

}  // namespace
}  // namespace dots::agent::client
