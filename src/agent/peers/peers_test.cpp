// The tables of peers with scripted channels: a hello flood, half-done handshakes, repeats, replacement, eviction.
#include <gtest/gtest.h>

#include <deque>

#include "agent/peers/admission_table.h"
#include "agent/peers/dtls_record.h"
#include "agent/peers/session_table.h"
#include "tests/support/scripted_channel.h"

namespace dots::agent {
namespace {

using namespace std::chrono_literals;
using test::ScriptedHello;

model::SocketAddress address(std::uint32_t ip, std::uint16_t port) {
  model::SocketAddress out;
  for (std::size_t i = 0; i < 4; ++i) out.ip.bytes[i] = static_cast<std::uint8_t>(ip >> (24 - 8 * i) & 0xff);
  out.port = port;
  return out;
}

const model::SocketAddress kServer = address(0xc0000201, 4646);

struct Client {
  model::Path path;
  std::unique_ptr<ports::SecureChannel> channel;
  std::vector<base::Bytes> received;
  bool opened = false, closed = false;
  std::string reason;
};

// One admission table and one shard; datagrams between them and the clients are delivered by the test.
class Peers : public ::testing::Test {
 protected:
  Client connect(const model::SocketAddress& from, const std::string& name = "client.example") {
    Client client;
    client.path = {from, kServer};
    ports::ChannelEvents events;
    test::ScriptedConnector connector{name, next_key_++};
    client.channel = *connector.connect("server.example", events);
    take(client, std::move(events));
    return client;
  }
  void take(Client& client, ports::ChannelEvents&& events) {
    for (auto& bytes : events.datagrams) to_server_.push_back({client.path, std::move(bytes)});
    for (auto& bytes : events.plaintexts) client.received.push_back(std::move(bytes));
    client.opened |= events.opened;
    client.closed |= events.closed;
    if (events.closed) client.reason = events.reason;
  }
  void to_client(Client& client, const model::Datagram& datagram) {
    if (datagram.path != client.path) return;
    ports::ChannelEvents events;
    client.channel->on_datagram(datagram.bytes, events);
    take(client, std::move(events));
  }
  // The kernel's steering: what is of epoch 0, a handshake or a cipher change goes to the admission socket.
  void deliver(const model::Datagram& datagram) {
    const auto record = first_record(datagram.bytes);
    if (!record || record->epoch == 0 || record->type == kHandshake || record->type == kChangeCipherSpec) {
      admission_.on_datagram(datagram, now_, admission_out_);
    } else {
      sessions_.on_datagram(datagram, now_, sessions_out_);
    }
    hand_over();
  }
  void hand_over() {
    for (auto& admitted : admission_out_.admitted) sessions_.adopt(std::move(admitted), now_, sessions_out_);
    for (auto& datagram : admission_out_.forward) sessions_.on_datagram(datagram, now_, sessions_out_);
    admission_out_.admitted.clear();
    admission_out_.forward.clear();
    for (auto& datagram : admission_out_.send) to_clients_.push_back(std::move(datagram));
    for (auto& datagram : sessions_out_.send) to_clients_.push_back(std::move(datagram));
    admission_out_.send.clear();
    sessions_out_.send.clear();
  }
  void settle(Client& client) {
    while (!to_server_.empty() || !to_clients_.empty()) {
      while (!to_server_.empty()) {
        const auto datagram = std::move(to_server_.front());
        to_server_.pop_front();
        deliver(datagram);
      }
      while (!to_clients_.empty()) {
        const auto datagram = std::move(to_clients_.front());
        to_clients_.pop_front();
        to_client(client, datagram);
      }
    }
  }
  Client open_session(const model::SocketAddress& from, const std::string& name = "client.example") {
    Client client = connect(from, name);
    settle(client);
    EXPECT_TRUE(client.opened);
    return client;
  }
  base::SessionId last_opened() const { return sessions_out_.opened.back().session; }

  void limit(const AdmissionLimits& admission, const SessionLimits& sessions = {}) {
    admission_ = AdmissionTable{scripted_, admission};
    sessions_ = SessionTable{3, sessions};
  }

  std::shared_ptr<test::ScriptedAdmission> scripted_ = std::make_shared<test::ScriptedAdmission>(
      "server.example", [](const std::string& name) -> std::optional<model::PeerIdentity> {
        if (name == "stranger") return std::nullopt;
        return test::scripted_identity(name);
      });
  base::Now now_{base::SteadyTime{1h}, base::WallTime{1000h}};
  AdmissionTable admission_{scripted_, AdmissionLimits{}};
  SessionTable sessions_{3, SessionLimits{}};
  AdmissionEffects admission_out_;
  SessionEffects sessions_out_;
  std::deque<model::Datagram> to_server_, to_clients_;
  std::uint64_t next_key_ = 1;
};

TEST_F(Peers, SessionOpensAndCarriesData) {
  Client client = open_session(address(0xcb007101, 40000));
  EXPECT_EQ(admission_.size(), 0U);
  ASSERT_EQ(sessions_.size(), 1U);
  EXPECT_EQ(last_opened().value >> 48, 3U);
  EXPECT_EQ(sessions_out_.opened[0].identity.names, std::vector<std::string>{"client.example"});
  EXPECT_EQ(sessions_.path(last_opened()), client.path);

  ports::ChannelEvents events;
  ASSERT_TRUE(client.channel->send(base::as_bytes("ping"), events).ok());
  take(client, std::move(events));
  settle(client);
  ASSERT_EQ(sessions_out_.plaintexts.size(), 1U);
  EXPECT_EQ(base::as_text(sessions_out_.plaintexts[0].bytes), "ping");

  EXPECT_TRUE(sessions_.send(last_opened(), base::as_bytes("pong"), now_, sessions_out_));
  hand_over();
  settle(client);
  ASSERT_EQ(client.received.size(), 1U);
  EXPECT_EQ(base::as_text(client.received[0]), "pong");
}

TEST_F(Peers, SendRefusesWhatDoesNotFitAndSessionsThatAreGone) {
  Client client = open_session(address(0xcb007101, 40000));
  const std::size_t limit = sessions_.max_plaintext(last_opened());
  EXPECT_TRUE(sessions_.send(last_opened(), base::Bytes(limit, 0), now_, sessions_out_));
  EXPECT_FALSE(sessions_.send(last_opened(), base::Bytes(limit + 1, 0), now_, sessions_out_));
  sessions_.close(last_opened(), "done", now_, sessions_out_);
  EXPECT_FALSE(sessions_.send(last_opened(), base::as_bytes("x"), now_, sessions_out_));
  EXPECT_EQ(sessions_.max_plaintext(last_opened()), 0U);
  EXPECT_FALSE(sessions_.path(last_opened()).has_value());
}

// S8811-5-06
TEST_F(Peers, FloodOfHellosWithoutCookieKeepsNothing) {
  for (std::uint32_t i = 0; i < 10000; ++i) {
    deliver({{address(0x0a000000 + i * 7, static_cast<std::uint16_t>(1024 + i % 60000)), kServer},
             ScriptedHello{i, std::nullopt, "x"}.datagram(0)});
  }
  EXPECT_EQ(admission_.size(), 0U);
  EXPECT_EQ(sessions_.size(), 0U);
  EXPECT_EQ(admission_out_.counters.cookies, 10000U);
  EXPECT_FALSE(admission_.next_deadline().has_value());
}

// S9132-3-03, S8612-SEC-003-01: bytes that are no DTLS, a clear CoAP GET among them, get no answer and no state.
TEST_F(Peers, NoiseGetsNothing) {
  const model::Path path{address(0xcb007101, 40000), kServer};
  const std::vector<base::Bytes> noise = {
      {},
      {22},
      base::Bytes(12, 22),
      {0x40, 0x01, 0x00, 0x01, 0xbb, '.', 'w', 'e', 'l', 'l', '-', 'k', 'n', 'o', 'w', 'n'},
      base::Bytes(1200, 0xff),
      test::scripted_record(23, 0, 0, base::as_bytes("clear")),
      test::scripted_record(22, 0, 0, base::Bytes(60, 1))};
  for (const auto& bytes : noise) {
    admission_.on_datagram({path, bytes}, now_, admission_out_);
    sessions_.on_datagram({path, bytes}, now_, sessions_out_);
  }
  EXPECT_TRUE(admission_out_.send.empty() && sessions_out_.send.empty());
  EXPECT_EQ(admission_.size() + sessions_.size(), 0U);
  EXPECT_EQ(admission_out_.counters.dropped, noise.size());
  EXPECT_EQ(sessions_out_.unknown_peer, noise.size());
}

TEST_F(Peers, StrangerIsRefusedWithAReason) {
  Client client = connect(address(0xcb007101, 40000), "stranger");
  settle(client);
  EXPECT_FALSE(client.opened);
  EXPECT_TRUE(client.closed);
  EXPECT_EQ(sessions_.size() + admission_.size(), 0U);
  ASSERT_EQ(admission_out_.refusals.size(), 1U);
  EXPECT_NE(admission_out_.refusals[0].find("203.0.113.1:40000 failed: unknown credentials"), std::string::npos);
}

// Takes a client through the cookie, so that its handshake is in progress.
void half_open(AdmissionTable& table, const model::Path& path, std::uint64_t key, base::Now now,
               AdmissionEffects& out) {
  ScriptedHello hello{key, std::nullopt, "client.example"};
  AdmissionEffects first;
  table.on_datagram({path, hello.datagram(0)}, now, first);
  ASSERT_EQ(first.send.size(), 1U);
  hello.cookie = test::scripted_number(base::ByteView{first.send[0].bytes}.subspan(25));
  table.on_datagram({path, hello.datagram(1)}, now, out);
}

// S8811-5-06
TEST_F(Peers, HandshakesAreBoundedInNumberAndPerPrefix) {
  limit({.handshakes = 6, .handshakes_per_prefix = 4, .handshake_time = 30s});
  for (std::uint32_t i = 0; i < 10; ++i) {
    half_open(admission_, {address(0xcb007101 + i, 1000), kServer}, i, now_, admission_out_);
  }
  EXPECT_EQ(admission_.size(), 4U) << "203.0.113.0/24 has its share";
  for (std::uint32_t i = 0; i < 10; ++i) {
    half_open(admission_, {address(0xc6336401 + (i << 8), 1000), kServer}, i, now_, admission_out_);
  }
  EXPECT_EQ(admission_.size(), 6U);
  EXPECT_EQ(admission_out_.counters.limited, 14U);

  now_ = now_ + 30s;
  admission_.on_timer(now_, admission_out_);
  EXPECT_EQ(admission_.size(), 0U);
  EXPECT_EQ(admission_out_.counters.timed_out, 6U);
  EXPECT_FALSE(admission_.next_deadline().has_value());
  half_open(admission_, {address(0xcb007101, 1000), kServer}, 99, now_, admission_out_);
  EXPECT_EQ(admission_.size(), 1U) << "the share of the prefix is free again";
}

TEST_F(Peers, HandshakeRepeatsItsFlightAndThenTimesOut) {
  half_open(admission_, {address(0xcb007101, 1000), kServer}, 1, now_, admission_out_);
  ASSERT_EQ(admission_out_.send.size(), 1U);
  ASSERT_EQ(admission_.next_deadline(), now_.steady + 1s);
  admission_.on_timer(now_ + 900ms, admission_out_);
  EXPECT_EQ(admission_out_.send.size(), 1U) << "not due yet";
  now_ = now_ + 1s;
  admission_.on_timer(now_, admission_out_);
  EXPECT_EQ(admission_out_.send.size(), 2U);
  EXPECT_EQ(admission_.next_deadline(), now_.steady + 2s);
  for (int i = 0; i < 10 && admission_.size() > 0; ++i) {
    now_.steady = *admission_.next_deadline();
    admission_.on_timer(now_, admission_out_);
  }
  EXPECT_EQ(now_.steady, base::SteadyTime{1h} + 30s) << "the table's own limit comes before the channel gives up";
  EXPECT_EQ(admission_out_.counters.timed_out, 1U);
}

TEST_F(Peers, RepeatedHelloBelongsToItsHandshakeAndANewOneReplacesIt) {
  const model::Path path{address(0xcb007101, 1000), kServer};
  half_open(admission_, path, 1, now_, admission_out_);
  half_open(admission_, path, 2, now_, admission_out_);
  EXPECT_EQ(admission_.size(), 1U);
  EXPECT_EQ(admission_out_.counters.started, 2U);

  // The old handshake's Finished is of no use any more, the new one's opens a session.
  deliver({path, test::scripted_protected(22, 1, 0)});
  EXPECT_EQ(sessions_.size(), 0U);
  deliver({path, test::scripted_protected(22, 2, 0)});
  EXPECT_EQ(sessions_.size(), 1U);
}

TEST_F(Peers, NoDataPassesBeforeTheShardHasTheSession) {
  Client client = connect(address(0xcb007101, 40000));
  // Up to the client's Finished, by hand.
  while (admission_out_.admitted.empty()) {
    ASSERT_FALSE(to_server_.empty());
    admission_.on_datagram(to_server_.front(), now_, admission_out_);
    to_server_.pop_front();
    auto sends = std::move(admission_out_.send);
    admission_out_.send.clear();
    for (const auto& datagram : sends) to_client(client, datagram);
  }
  EXPECT_FALSE(client.opened) << "the last flight is with the shard, not sent";
  ASSERT_EQ(admission_out_.admitted[0].last_flight.size(), 1U);
  hand_over();
  settle(client);
  EXPECT_TRUE(client.opened);
}

TEST_F(Peers, LostLastFlightIsRepeatedThroughTheForwarding) {
  Client client = connect(address(0xcb007101, 40000));
  while (sessions_.size() == 0) {
    const auto datagram = std::move(to_server_.front());
    to_server_.pop_front();
    deliver(datagram);
    if (sessions_.size() > 0) break;
    while (!to_clients_.empty()) {
      to_client(client, to_clients_.front());
      to_clients_.pop_front();
    }
  }
  to_clients_.clear();  // the server's Finished is lost
  ASSERT_FALSE(client.opened);
  ports::ChannelEvents events;
  client.channel->on_timeout(events);
  take(client, std::move(events));
  settle(client);
  EXPECT_TRUE(client.opened);
  EXPECT_EQ(admission_out_.counters.forwarded, 1U);
}

TEST_F(Peers, ProtectedHandshakeRecordsOfStrangersAreNotForwarded) {
  base::Bytes key(8, 1);
  deliver({{address(0xcb007101, 1), kServer}, test::scripted_record(22, 1, 0, key)});
  EXPECT_EQ(admission_out_.counters.forwarded, 0U);
  EXPECT_EQ(admission_out_.counters.dropped, 1U);
  // After a minute nobody repeats a Finished any more.
  Client client = open_session(address(0xcb007102, 2));
  now_ = now_ + 61s;
  deliver({client.path, test::scripted_record(22, 1, 9, key)});
  EXPECT_EQ(admission_out_.counters.forwarded, 0U);
}

TEST_F(Peers, LateCopyOfTheHelloStartsNothing) {
  Client client = connect(address(0xcb007101, 40000));
  model::Datagram with_cookie;
  while (!to_server_.empty() || !to_clients_.empty()) {
    while (!to_server_.empty()) {
      const auto datagram = std::move(to_server_.front());
      to_server_.pop_front();
      if (client_random(datagram.bytes)) with_cookie = datagram;
      deliver(datagram);
    }
    while (!to_clients_.empty()) {
      const auto datagram = std::move(to_clients_.front());
      to_clients_.pop_front();
      to_client(client, datagram);
    }
  }
  ASSERT_TRUE(client.opened);
  deliver(with_cookie);
  EXPECT_EQ(admission_.size(), 0U);
  EXPECT_EQ(admission_out_.counters.started, 1U);
}

TEST_F(Peers, MissteeredDataIsForwarded) {
  base::Bytes key(8, 1);
  admission_.on_datagram({{address(0xcb007101, 1), kServer}, test::scripted_record(23, 1, 0, key)}, now_,
                         admission_out_);
  EXPECT_EQ(admission_out_.forward.size(), 1U);
}

// S8811-3.1-02
TEST_F(Peers, OldSessionGivesWayOnlyToAProvenNewOne) {
  const auto from = address(0xcb007101, 40000);
  Client old = open_session(from);
  const auto old_id = last_opened();

  // A forged hello from that address, and one that knows the cookie but not the keys: the session stays.
  half_open(admission_, old.path, 777, now_, admission_out_);
  deliver({old.path, test::scripted_protected(22, 0xeeeeeeeeeeeeeeee, 5)});
  EXPECT_TRUE(sessions_.path(old_id).has_value());
  EXPECT_TRUE(sessions_out_.closed.empty());

  Client fresh = open_session(from);
  EXPECT_EQ(sessions_.size(), 1U);
  ASSERT_EQ(sessions_out_.closed.size(), 1U);
  EXPECT_EQ(sessions_out_.closed[0].session, old_id);
  EXPECT_NE(last_opened(), old_id);
  EXPECT_FALSE(fresh.closed) << "no close of the old session reaches the new one";
}

TEST_F(Peers, SameAddressAtTwoServerAddressesIsTwoSessions) {
  const auto from = address(0xcb007101, 40000);
  Client one = open_session(from);
  Client two = connect(from);
  two.path.local = address(0xc0000202, 4646);
  to_server_.front().path = two.path;
  settle(two);
  EXPECT_TRUE(two.opened);
  EXPECT_EQ(sessions_.size(), 2U);
}

TEST_F(Peers, LongestSilentSessionIsEvictedButNeverALiveOne) {
  limit({}, {.sessions = 2, .evictable_after = 450s});
  Client first = open_session(address(0xcb007101, 1));
  const auto first_id = last_opened();
  now_ = now_ + 100s;
  Client second = open_session(address(0xcb007102, 1));
  const auto second_id = last_opened();
  now_ = now_ + 300s;
  // The first speaks: now the second is the longest silent one, by 300 s.
  ports::ChannelEvents events;
  ASSERT_TRUE(first.channel->send(base::as_bytes("hb"), events).ok());
  take(first, std::move(events));
  settle(first);

  now_ = now_ + 149s;
  Client refused = connect(address(0xcb007103, 1));
  settle(refused);
  EXPECT_EQ(sessions_.size(), 2U);
  EXPECT_TRUE(refused.closed) << "the newcomer is told";
  ASSERT_EQ(sessions_out_.refusals.size(), 1U);
  EXPECT_NE(sessions_out_.refusals[0].find("full"), std::string::npos);

  now_ = now_ + 1s;
  Client third = open_session(address(0xcb007104, 1));
  EXPECT_EQ(sessions_.size(), 2U);
  EXPECT_TRUE(sessions_.path(first_id).has_value());
  EXPECT_FALSE(sessions_.path(second_id).has_value());
}

// S8612-SEC-004-01
TEST_F(Peers, ForgedAndReplayedRecordsAreNoSignOfLife) {
  limit({}, {.sessions = 1, .evictable_after = 450s});
  Client client = open_session(address(0xcb007101, 1));
  ports::ChannelEvents events;
  ASSERT_TRUE(client.channel->send(base::as_bytes("hb"), events).ok());
  const base::Bytes record = events.datagrams[0];
  deliver({client.path, record});
  now_ = now_ + 449s;
  deliver({client.path, record});
  deliver({client.path, test::scripted_protected(23, 0xeeeeeeeeeeeeeeee, 77, base::as_bytes("hb"))});
  EXPECT_EQ(sessions_out_.plaintexts.size(), 1U);
  now_ = now_ + 1s;
  open_session(address(0xcb007102, 1));
  EXPECT_EQ(sessions_out_.closed.size(), 1U);
}

TEST_F(Peers, PeersCloseAndCloseAll) {
  Client one = open_session(address(0xcb007101, 1));
  Client two = open_session(address(0xcb007102, 1));
  const auto two_id = last_opened();
  ports::ChannelEvents events;
  one.channel->close(events);
  take(one, std::move(events));
  settle(one);
  ASSERT_EQ(sessions_out_.closed.size(), 1U);
  EXPECT_EQ(sessions_out_.closed[0].reason, "the peer closed the session");
  sessions_.close_all("shutdown", now_, sessions_out_);
  hand_over();
  settle(two);
  EXPECT_EQ(sessions_.size(), 0U);
  ASSERT_EQ(sessions_out_.closed.size(), 2U);
  EXPECT_EQ(sessions_out_.closed[1].session, two_id);
  EXPECT_TRUE(two.closed);
  EXPECT_FALSE(sessions_.next_deadline().has_value());
}

TEST(DtlsRecord, FindsProtectedRecordBehindClearOnes) {
  base::Bytes datagram = test::scripted_record(22, 0, 3, base::Bytes(40, 16));
  EXPECT_FALSE(carries_protected_record(datagram));
  const base::Bytes finished = test::scripted_record(22, 1, 0, base::Bytes(8, 1));
  datagram.insert(datagram.end(), finished.begin(), finished.end());
  EXPECT_TRUE(carries_protected_record(datagram));
  datagram.pop_back();
  EXPECT_FALSE(carries_protected_record(datagram)) << "a truncated record is none";
}

TEST(DtlsRecord, RandomOnlyOfAHelloAtOffsetZero) {
  base::Bytes hello = ScriptedHello{7, std::nullopt, "c"}.datagram(0);
  ASSERT_TRUE(client_random(hello).has_value());
  EXPECT_EQ(test::scripted_number(*client_random(hello)), 7U);
  hello[21] = 1;
  EXPECT_FALSE(client_random(hello).has_value());
}

}  // namespace
}  // namespace dots::agent
