// The choice of family and transport (RFC 9132 4.3), and sessions over TCP, through the whole agent.
#include "agent/client/client_harness.h"

namespace dots::agent::client {
namespace {

constexpr auto kUdp = model::Transport::udp;
constexpr auto kTcp = model::Transport::tcp;

bool over_udp(const Way& way) { return way.transport == kUdp; }

struct Eyeballs : ClientHarness {
  // IPv4 stands first in the configuration: the family decides, not the place.
  Eyeballs() : ClientHarness({"192.0.2.53", "2001:db8::53"}) { with_tcp = true; }

  std::vector<std::string> tried() {
    std::vector<std::string> out;
    for (const auto& [at, session] : opened) {
      const Way& way = peers[session].way;
      out.push_back(std::string{model::to_string(way.transport)} +
                    (way.server.ip.family == model::Family::ipv6 ? "6" : "4"));
    }
    return out;
  }
  std::size_t tried_over(model::Transport transport) {
    return static_cast<std::size_t>(std::count_if(
        opened.begin(), opened.end(), [&](const auto& one) { return peers[one.second].way.transport == transport; }));
  }
  // The established one, of which there is one at most; attempts may stand beside it.
  boost::json::value session() {
    boost::json::value open;
    const auto body = answered(call("status")).body;
    for (const auto& one : body.at("servers").at(0).at("sessions").as_array()) {
      if (one.at("state").as_string() != "open") continue;
      EXPECT_TRUE(open.is_null());
      open = one;
    }
    return open;
  }
  std::string transport() {
    const auto one = session();
    return one.is_object() ? std::string{one.at("transport").as_string()} : "";
  }
};

// S9132-4.3-02, S9132-4.3-05, S8612-GEN-002-03, S8612-SIG-001-02, S8612-3.1-02
TEST(EyeballsTest, TheOrderIsUdpBeforeTcpAndIpv6BeforeIpv4) {
  Eyeballs h;
  h.blocked = [](const Way&) { return true; };
  h.start();
  h.advance(10s);
  EXPECT_EQ(h.tried(), (std::vector<std::string>{"udp6", "udp4", "tcp6", "tcp4"}));
  for (std::size_t i = 1; i < h.opened.size(); ++i) EXPECT_EQ(h.opened[i].first - h.opened[i - 1].first, 250ms);
}

// S9132-4.3-02, S8612-SIG-001-01, S8612-SIG-001-03: each in its turn, when those before it are blocked.
TEST(EyeballsTest, TheFirstThatAnswersWins) {
  for (std::size_t first = 0; first < 4; ++first) {
    Eyeballs h;
    h.blocked = [first](const Way& way) {
      const std::size_t rank = (over_udp(way) ? 0U : 2U) + (way.server.ip.family == model::Family::ipv6 ? 0U : 1U);
      return rank < first;
    };
    h.start();
    h.advance(2s);
    EXPECT_EQ(h.opened.size(), first + 1);
    EXPECT_EQ(h.transport(), first < 2 ? "udp" : "tcp");
    EXPECT_EQ(h.session().as_object().contains("because"), first == 1 || first == 3) << "as far as it is known";
  }
}

// S9132-4.3-03: the last of four answers within three delays and a handshake.
TEST(EyeballsTest, AttemptsAreNotSerialised) {
  Eyeballs h;
  h.blocked = [](const Way& way) { return over_udp(way) || way.server.ip.family == model::Family::ipv6; };
  h.start();
  h.advance(3 * 250ms + 4 * h.latency);
  EXPECT_TRUE(h.told("CLIENT_SESSION_OPENED"));
}

// S9132-4.3-04
TEST(EyeballsTest, UnderAttackTheDelayIs100Ms) {
  Eyeballs h;
  h.start();
  h.advance(11min);
  h.mitigate("203.0.113.1/32");
  h.opened.clear();
  h.blocked = [](const Way&) { return true; };
  h.blocked = {};
  h.to_client(base::SessionId{1}, bytes_of("bye"));
  h.advance(h.latency);
  h.blocked = [](const Way&) { return true; };
  h.advance(2s);
  EXPECT_EQ(h.tried(), (std::vector<std::string>{"udp6", "udp4", "tcp6", "tcp4"}));
  for (std::size_t i = 1; i < h.opened.size(); ++i) EXPECT_EQ(h.opened[i].first - h.opened[i - 1].first, 100ms);
}

// A lost datagram is no verdict on UDP: what was begun there goes on, and wins the session back.
TEST(EyeballsTest, AttemptsOverUdpOutliveTheVictoryOfTcp) {
  Eyeballs h;
  h.blocked = over_udp;
  h.start();
  h.advance(2s);
  EXPECT_EQ(h.transport(), "tcp");
  h.blocked = {};
  h.advance(3s);
  EXPECT_EQ(h.transport(), "udp");
  EXPECT_EQ(h.opened.size(), 3U) << "no attempt was added";
}

// S9132-4.3-09, S9132-4.3-10: a day later UDP is tried again; the session moves, and requests go on.
TEST(EyeballsTest, UdpIsProbedOnceADay) {
  Eyeballs h;
  h.blocked = over_udp;
  h.start();
  h.advance(5min);
  EXPECT_EQ(h.transport(), "tcp");
  EXPECT_NE(h.session().at("because").as_string().find("no handshake within 60 s"), std::string::npos);
  EXPECT_EQ(h.tried_over(kUdp), 2U);
  h.advance(23h);
  EXPECT_EQ(h.tried_over(kUdp), 2U);
  h.advance(1h);
  EXPECT_EQ(h.tried_over(kUdp), 4U) << "and in vain";
  EXPECT_EQ(h.tried_over(kTcp), 1U);
  EXPECT_EQ(h.count_told("CLIENT_SESSION_FAILED"), 0) << "a probe that fails is no news";
  h.blocked = {};
  h.advance(22h);
  EXPECT_EQ(h.transport(), "tcp");
  h.advance(3h);
  EXPECT_EQ(h.transport(), "udp");
  EXPECT_EQ(h.tried_over(kUdp), 5U);
  h.mitigate("203.0.113.1/32");
  h.advance(5s);
  EXPECT_EQ(h.seen.back().session, h.last_session());
  const auto before = h.opened.size();
  h.advance(50h);
  EXPECT_EQ(h.opened.size(), before) << "nothing is left to look for";
}

// S9132-4.3-11
TEST(EyeballsTest, NeverMoreOftenThanEach5Minutes) {
  Eyeballs h;
  h.settings.servers[0].upstream.udp_probe = 60s;
  h.blocked = over_udp;
  h.start();
  h.advance(62min);
  std::vector<base::SteadyTime> probes;
  for (const auto& [at, session] : h.opened) {
    if (over_udp(h.peers[session].way) && h.peers[session].way.server.ip.family == model::Family::ipv6) {
      probes.push_back(at);
    }
  }
  ASSERT_GE(probes.size(), 10U);
  for (std::size_t i = 1; i < probes.size(); ++i) EXPECT_GE(probes[i] - probes[i - 1], 5min);
}

// S9132-4.3-07: what is known to be dead is not tried at once again. S9132-4.3-08: it is forgotten after 10 minutes.
TEST(EyeballsTest, OutcomesAreRememberedForAWhile) {
  Eyeballs h;
  h.blocked = over_udp;
  h.start();
  h.advance(70s);
  EXPECT_EQ(h.tried(), (std::vector<std::string>{"udp6", "udp4", "tcp6"}));
  h.opened.clear();
  h.to_client(base::SessionId{3}, bytes_of("bye"));
  h.advance(5s);
  EXPECT_EQ(h.tried(), (std::vector<std::string>{"tcp6"}));
  h.advance(11min);
  h.opened.clear();
  h.to_client(base::SessionId{4}, bytes_of("bye"));
  h.advance(5s);
  EXPECT_EQ(h.tried(), (std::vector<std::string>{"udp6", "udp4", "tcp6"}));
}

// A memory that leads nowhere is dropped.
TEST(EyeballsTest, WhenWhatWorkedFailsEverythingIsTriedAgain) {
  Eyeballs h;
  h.blocked = over_udp;
  h.start();
  h.advance(70s);
  h.opened.clear();
  h.to_client(base::SessionId{3}, bytes_of("bye"));
  h.advance(h.latency);
  h.blocked = [](const Way& way) { return !over_udp(way); };
  h.advance(6min);
  EXPECT_EQ(h.transport(), "udp");
}

// S9132-4.3-06, S9132-4.3-12: the chosen session carries what follows.
TEST(EyeballsTest, RequestsGoOverTheChosenSession) {
  Eyeballs h;
  h.blocked = over_udp;
  h.start();
  h.advance(1min);
  for (const char* target : {"203.0.113.1/32", "203.0.113.2/32", "203.0.113.3/32"}) h.mitigate(target);
  h.advance(500ms);
  const auto puts = std::count_if(h.seen.begin(), h.seen.end(), [](const auto& one) {
    return one.request.method == wire::Method::put && one.request.uri_path.at(2) == "mitigate";
  });
  EXPECT_EQ(puts, 3) << "TCP has its own rate: no pause of 3 s between them";
  for (const auto& one : h.seen) EXPECT_EQ(h.peers[one.session].way.transport, kTcp);
  EXPECT_EQ(h.tried_over(kTcp), 1U);
}

// Over TCP nothing is repeated but after a long silence.
TEST(EyeballsTest, ARequestIsSentOnceOverTcp) {
  Eyeballs h;
  h.blocked = over_udp;
  h.start();
  h.advance(1min);
  h.custom = [](const coap::Request& request) -> std::optional<coap::Response> {
    if (request.uri_path.at(2) != "mitigate") return std::nullopt;
    coap::Response later;
    later.code = model::ResponseCode::service_unavailable;
    later.max_age_s = 1000;
    return later;
  };
  h.lose_down = [](base::SessionId) { return true; };
  h.mitigate("203.0.113.1/32");
  const auto puts = [&] {
    return std::count_if(h.seen.begin(), h.seen.end(), [](const auto& one) {
      return one.request.method == wire::Method::put && one.request.uri_path.at(2) == "mitigate";
    });
  };
  h.advance(29s);
  EXPECT_EQ(puts(), 1);
  h.advance(5s);
  EXPECT_EQ(puts(), 2);
}

// S9132-4.7-22: over TCP an answer to a heartbeat may take until the next one; then it counts as over UDP.
TEST(EyeballsTest, HeartbeatsOverTcpMayTakeAnInterval) {
  Eyeballs h;
  h.settings.servers[0].config.wanted.idle.set(model::Parameter::missing_hb_allowed, 3);
  h.blocked = over_udp;
  h.start();
  h.advance(45s);
  h.lose_down = [](base::SessionId) { return true; };
  h.advance(40s);  // a heartbeat left at 60 s
  EXPECT_EQ(h.session().at("missed-heartbeats").as_int64(), 0);
  h.advance(10s);
  EXPECT_EQ(h.session().at("missed-heartbeats").as_int64(), 1);
  h.advance(60s);
  EXPECT_TRUE(h.told("CLIENT_SESSION_LOST"));
}

// S8811-3.1.2-04
TEST(EyeballsTest, TheSessionStandsWhenTheServerHasSpoken) {
  Eyeballs h;
  h.blocked = over_udp;
  h.lose_down = [](base::SessionId) { return false; };
  int pieces = 0;
  h.lose_down = [&](base::SessionId session) {
    return h.peers[session].way.transport == kTcp && ++pieces > 1;  // the handshake passes, the CSM does not
  };
  h.start();
  h.advance(20s);
  EXPECT_FALSE(h.told("CLIENT_SESSION_OPENED"));
}

TEST(EyeballsTest, AReleaseOpensANewSession) {
  Eyeballs h;
  h.blocked = over_udp;
  h.start();
  h.advance(2min);
  const base::SessionId old = h.last_session();
  coap::Effects released;
  h.peers[old].endpoint->release("maintenance", released);
  h.absorb(old, released);
  h.advance(1s);
  EXPECT_EQ(h.closed.back(), old);
  const auto closing = std::find_if(h.messages.begin(), h.messages.end(), [](const auto& message) {
    return message.id == std::string{"CLIENT_SESSION_CLOSED"};
  });
  ASSERT_NE(closing, h.messages.end());
  EXPECT_NE(closing->details.find("the peer released the connection: maintenance"), std::string::npos);
  EXPECT_EQ(h.transport(), "tcp");
  EXPECT_NE(h.last_session(), old);
}

TEST(EyeballsTest, TheEndOfTheConnectionEndsTheSession) {
  Eyeballs h;
  h.blocked = over_udp;
  h.start();
  h.advance(2min);
  const base::SessionId tcp = h.last_session();
  h.with([&](ClientEffects& out) { h.agent->on_unreachable(tcp, "the peer reset the connection", h.now, out); });
  EXPECT_TRUE(h.told("CLIENT_SESSION_CLOSED"));
  EXPECT_EQ(h.closed.back(), tcp);
  h.blocked = {};
  h.advance(15min);
  h.to_client(h.last_session(), bytes_of("bye"));
  h.advance(1s);
  ASSERT_EQ(h.transport(), "udp");
  const auto closed = h.closed.size();
  h.with([&](ClientEffects& out) { h.agent->on_unreachable(h.last_session(), "forged", h.now, out); });
  EXPECT_EQ(h.closed.size(), closed) << "anybody can say so about UDP";
}

TEST(EyeballsTest, OneTransportAlone) {
  Eyeballs udp;
  udp.settings.servers[0].upstream.tcp = false;
  udp.blocked = [](const Way&) { return true; };
  udp.start();
  udp.advance(10s);
  EXPECT_EQ(udp.tried(), (std::vector<std::string>{"udp6", "udp4"}));
  Eyeballs tcp;
  tcp.settings.servers[0].upstream.udp = false;
  tcp.start();
  tcp.advance(50h);
  EXPECT_EQ(tcp.tried(), (std::vector<std::string>{"tcp6"})) << "and UDP is not probed";
}

// S9132-4.7-13 with both transports: the same floor of 60 s, and no storm while nothing answers.
TEST(EyeballsTest, FourAttemptsEachTimeAndNoMore) {
  Eyeballs h;
  h.blocked = [](const Way&) { return true; };
  h.start();
  h.advance(1h);
  EXPECT_LE(h.opened.size(), 4U * 15U);
}

}  // namespace
}  // namespace dots::agent::client
