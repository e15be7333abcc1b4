// One or two shards with scripted channels, real CoAP clients and a store that answers when the test says so.
#include "tests/support/shard_fixture.h"

namespace dots::agent::server {
namespace {

// S9132-3-07, S8612-SIG-001-01, S8612-DM-009-01: the same requests over TCP.
TEST_F(ShardTest, ARequestOverTcpIsAnswered) {
  Peer& peer = connect("acme.example", 1000, model::Transport::tcp);
  EXPECT_TRUE(peer.endpoint->peer_ready()) << "our CSM came";
  send(peer, put(1, "192.0.2.1/32"));
  settle_all();
  ASSERT_EQ(peer.responses.size(), 1U);
  EXPECT_EQ(peer.responses[0].response.code, model::ResponseCode::created);
  const auto views = shards[0]->sessions(now);
  ASSERT_EQ(views.size(), 1U);
  EXPECT_EQ(views[0].path.transport, model::Transport::tcp);
}

// S8811-3.1-02
TEST_F(ShardTest, TheSamePortsOverBothTransportsAreTwoSessions) {
  Peer& udp = connect("acme.example", 1000);
  Peer& tcp = connect("acme.example", 1000, model::Transport::tcp);
  EXPECT_EQ(shards[0]->sessions(now).size(), 2U);
  ShardOutput out;
  shards[0]->on_disconnected(tcp.path, "the peer reset the connection", now, out);
  finish(0, out);
  ASSERT_EQ(shards[0]->sessions(now).size(), 1U);
  EXPECT_EQ(shards[0]->sessions(now)[0].path, udp.path);
  EXPECT_EQ(std::count(lines.begin(), lines.end(), "SESSION_CLOSED"), 1);
}

TEST_F(ShardTest, APeerThatBreaksTheRulesOfTcpIsAborted) {
  Peer& peer = connect("acme.example", 1000, model::Transport::tcp);
  from_peer(peer, *base::from_hex("1045ff"));
  EXPECT_EQ(peer.close_reason, "the peer aborted the connection: a payload marker without a payload");
  EXPECT_EQ(closed, std::vector<model::Path>{peer.path});
  EXPECT_TRUE(shards[0]->sessions(now).empty());
}

TEST_F(ShardTest, AServerThatStopsReleasesItsPeers) {
  Peer& peer = connect("acme.example", 1000, model::Transport::tcp);
  ShardOutput out;
  shards[0]->close_all("the server stops", now, out);
  finish(0, out);
  EXPECT_EQ(peer.close_reason, "the peer released the connection: the server stops");
  EXPECT_EQ(closed, std::vector<model::Path>{peer.path});
}

// S9132-3-08, S9132-11-04, S8612-SEC-003-02, S8811-2.3-01: another domain's mitigation and prefixes are out of reach.
TEST_F(ShardTest, DomainsDoNotTouchEachOther) {
  Peer& acme = connect("acme.example", 1000);
  Peer& zeta = connect("zeta.example", 1001);
  send(acme, put(1, "192.0.2.1/32"));
  settle_all();
  send(zeta, bare(wire::Method::get, 1));
  send(zeta, bare(wire::Method::del, 1));
  send(zeta, put(1, "192.0.2.1/32"));
  settle_all();
  EXPECT_EQ(codes(zeta), "4.04 2.02 4.00 ");
  send(acme, bare(wire::Method::get, 1));
  settle_all();
  EXPECT_EQ(codes(acme), "2.01 2.05 ");
  EXPECT_EQ(shards[0]->mitigations(now).size(), 1u);
}

// S9132-7.2-09, S8612-SIG-011-01, S8612-SIG-011-02, S8811-3.1-04: who the client is follows from its credential, not
// from the address and port it comes from.
TEST_F(ShardTest, AnotherPortIsTheSameClient) {
  Peer& before = connect("acme.example", 1000);
  send(before, put(1, "192.0.2.1/32"));
  settle_all();
  Peer& after = connect("acme.example", 1001);
  send(after, bare(wire::Method::get, 1));
  settle_all();
  EXPECT_EQ(codes(after), "2.05 ");
}

// S8612-SEC-005-01
TEST_F(ShardTest, AStrangersSessionIsKeptOnlyToBeRefused) {
  Peer& stranger = connect("nobody.example", 1000);
  send(stranger, put(1, "192.0.2.1/32"));
  EXPECT_EQ(codes(stranger), "4.01 ");
  EXPECT_TRUE(store.empty());
  EXPECT_EQ(lines.front(), "SESSION_STRANGER");
  now = now + 61s;
  ShardOutput out;
  shards[0]->on_timer(now, out);
  finish(0, out);
  EXPECT_TRUE(shards[0]->sessions(now).empty());
}

class SessionQuotaTest : public ShardTest {
 protected:
  SessionQuotaTest() : ShardTest(1, limited(6, 3)) {}
  std::size_t said(const std::string& id) const {
    return static_cast<std::size_t>(std::count(lines.begin(), lines.end(), id));
  }
  std::set<std::uint16_t> ports() const {
    std::set<std::uint16_t> all;
    for (const auto& view : shards[0]->sessions(now)) all.insert(view.path.peer.port);
    return all;
  }
};

TEST_F(SessionQuotaTest, AClientThatOpensSessionAfterSessionLosesItsOwn) {
  connect("zeta.example", 900);
  Peer& working = connect("acme.example", 1000);
  send(working, put(1, "192.0.2.1/32"));
  settle_all();
  for (std::uint16_t port = 1001; port <= 1010; ++port) connect("acme.example", port);
  EXPECT_EQ(ports(), (std::set<std::uint16_t>{900, 1000, 1009, 1010}));
  EXPECT_EQ(said("SESSIONS_OVER_LIMIT"), 8u);
  send(working, bare(wire::Method::get, 1));
  EXPECT_EQ(codes(working), "2.01 2.05 ") << "the session that works was never touched";
}

TEST_F(SessionQuotaTest, StrangersCannotFillTheTable) {
  for (std::uint16_t port = 1; port <= 20; ++port) connect("nobody.example", port);
  EXPECT_EQ(ports().size(), 3u);
  connect("acme.example", 1000);
  EXPECT_TRUE(ports().contains(1000));
}

TEST_F(SessionQuotaTest, TheOperatorHearsOfANewcomerWithoutRoom) {
  for (std::uint16_t port = 1; port <= 3; ++port) connect("nobody.example", port);
  for (std::uint16_t port = 11; port <= 13; ++port) connect("acme.example", port);
  EXPECT_EQ(said("SESSION_REFUSED"), 0u);
  room = false;
  connect("zeta.example", 900);
  EXPECT_EQ(said("SESSION_REFUSED"), 1u);
  EXPECT_EQ(ports(), (std::set<std::uint16_t>{1, 2, 3, 11, 12, 13})) << "live sessions lose nothing";
}

// The session's shard and the domain's shard differ for one of the two; both get their answers.
TEST_F(TwoShards, RequestsCrossToTheOwnerAndAnswersComeBack) {
  std::uint32_t crossed = 0;
  for (std::uint16_t port = 1000; port < 1008; ++port) {
    const bool acme = port % 2 == 0;
    Peer& peer = connect(acme ? "acme.example" : "zeta.example", port);
    const std::uint32_t of_session = model::shard_of(peer.path.peer, 2);
    const std::uint32_t of_domain = owner_of(base::DomainId{acme ? "acme" : "zeta"}, 2);
    crossed += of_session != of_domain ? 1 : 0;
    send(peer, put(port, (acme ? "192.0.2." : "198.51.100.") + std::to_string(port - 1000) + "/32"));
    settle_all();
    EXPECT_EQ(codes(peer), "2.01 ") << port;
  }
  EXPECT_GT(crossed, 0u);
  EXPECT_LT(crossed, 8u);
}

TEST_F(TwoShards, AFullQueueTellsThePeerToComeAgain) {
  std::uint16_t port = 1000;
  const model::IpAddress ip = *model::parse_ip_address("203.0.113.5");
  while (model::shard_of({ip, port}, 2) == owner_of(base::DomainId{"acme"}, 2)) ++port;
  Peer& peer = connect("acme.example", port);
  coap::Effects effects;
  peer.endpoint->send(put(1, "192.0.2.1/32"), {}, now.steady, effects);
  ports::ChannelEvents events;
  ASSERT_TRUE(peer.channel->send(effects.send.at(0), events));
  const std::uint32_t of_session = model::shard_of(peer.path.peer, 2);
  ShardOutput out;
  shards[of_session]->on_datagram({peer.path, events.datagrams.at(0)}, now, out);
  ASSERT_EQ(out.to_domain.size(), 1u);
  ShardOutput refused;
  shards[of_session]->on_undelivered(out.to_domain.begin()->second.at(0), now, refused);
  perform(of_session, std::move(refused));
  EXPECT_EQ(codes(peer), "5.03 ");
}

// Nobody repeats what became of a session; a domain that had not heard of one would take its client for lost.
TEST_F(TwoShards, WhatBecameOfASessionIsToldAgainAfterAFullQueue) {
  using signal::server::SessionEdge;
  std::uint16_t port = 1000;
  const model::IpAddress ip = *model::parse_ip_address("203.0.113.5");
  while (model::shard_of({ip, port}, 2) == owner_of(base::DomainId{"acme"}, 2)) ++port;
  Peer& peer = connect("acme.example", port);
  Shard& shard = *shards[model::shard_of(peer.path.peer, 2)];
  const auto edges = [](const ShardOutput& out) {
    std::vector<ToDomain> found;
    for (const auto& [to, messages] : out.to_domain) {
      for (const auto& message : messages) {
        if (std::holds_alternative<SessionEdge>(message.event)) found.push_back(message);
      }
    }
    return found;
  };
  const auto full = [&](const ToDomain& message) {
    ShardOutput none;
    shard.on_undelivered(message, now, none);
    EXPECT_TRUE(edges(none).empty());
  };
  const auto wait = [&] {
    ShardOutput out;
    for (int i = 0; i < 100 && edges(out).empty() && shard.next_deadline(); ++i) {
      now = now + (*shard.next_deadline() - now.steady);
      shard.on_timer(now, out);
    }
    return edges(out);
  };
  const auto quiet = wait();
  ASSERT_EQ(quiet.size(), 1u);
  full(quiet[0]);
  const base::SteadyTime undelivered = now.steady;
  const auto again = wait();
  EXPECT_LE(now.steady - undelivered, 1s);
  ASSERT_EQ(again.size(), 1u);
  EXPECT_EQ(std::get<SessionEdge>(again[0].event).kind, SessionEdge::Kind::quiet);
  EXPECT_FALSE(std::get<SessionEdge>(again[0].event).credential_cuid.value.empty());

  full(again[0]);
  ShardOutput closing;
  shard.close_all("the test closes it", now, closing);
  EXPECT_TRUE(edges(closing).empty());  // in its turn
  const auto ended = wait();
  ASSERT_EQ(ended.size(), 1u);
  EXPECT_EQ(std::get<SessionEdge>(ended[0].event).kind, SessionEdge::Kind::closed);
  // An older word does not undo a newer one that came through.
  full(quiet[0]);
  EXPECT_TRUE(wait().empty());
}

// Clients are counted by the owner of their domain; a shard whose timers come late says so before it judges anybody.
TEST_F(ShardTest, CountsClientsAndNoticesAStall) {
  connect("acme.example", 1001);
  ASSERT_TRUE(clients);
  EXPECT_EQ(*clients, (signal::server::ClientCounts{1, 0}));
  ShardOutput out;
  now = now + 225s;
  shards[0]->on_timer(now, out);
  EXPECT_TRUE(out.stalled) << "its first heartbeat was due long ago";
  finish(0, out);
  EXPECT_EQ(*clients, (signal::server::ClientCounts{1, 1}));
  out = {};
  now = *shards[0]->next_deadline() > now.steady ? now + (*shards[0]->next_deadline() - now.steady) : now;
  shards[0]->on_timer(now, out);
  EXPECT_FALSE(out.stalled);
}

// S9132-4.7-21, and the decision on the server's own outages: what the stall made silent starts only when the client
// has not come back within twice the threshold.
TEST_F(ShardTest, AStallStartsNothing) {
  Peer& peer = connect("acme.example", 1001);
  send(peer, put(1, "192.0.2.1/32", true));
  settle_all();
  EXPECT_EQ(codes(peer), "2.01 ");
  wants.clear();
  ShardOutput out;
  now = now + 1000s;
  shards[0]->on_timer(now, out);
  finish(0, out);
  settle_all();
  EXPECT_TRUE(wants.empty());
  for (int i = 0; i < 60; ++i) {
    now = now + 15s;
    out = {};
    shards[0]->on_timer(now, out);
    finish(0, out);
    settle_all();
    EXPECT_EQ(wants.empty(), i < 59) << i;
  }
}

// S8811-2.3-01: The same cuid in two domains is no collision (RFC 9132 4.4.1.1: it is unique among the clients of a
// domain).
TEST_F(ShardTest, TheSameCuidInAnotherDomain) {
  Peer& acme = connect("acme.example", 1001);
  send(acme, put(1, "192.0.2.1/32"));
  settle_all();
  Peer& zeta = connect("zeta.example", 1002);
  send(zeta, put(1, "198.51.100.1/32"));
  settle_all();
  EXPECT_EQ(codes(acme), "2.01 ");
  EXPECT_EQ(codes(zeta), "2.01 ");
}

}  // namespace
}  // namespace dots::agent::server
