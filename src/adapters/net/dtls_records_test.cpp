// Records and flights: loss, replay, size, noise, close.
#include <malloc.h>

#include <random>

#include "tests/support/dtls_fixture.h"

namespace dots::adapters::net {
namespace {

// S9132-7.1-08, S8612-SEC-004-01
TEST_F(Dtls, ReplayedRecordIsDropped) {
  const auto p = pair(client_credentials());
  ASSERT_TRUE(p->send(p->client, p->server, "once"));
  const base::Bytes record = p->server.inbox.front();
  p->settle();
  for (int i = 0; i < 3; ++i) p->deliver_to_server(record);
  EXPECT_EQ(p->server.received, std::vector<std::string>{"once"});
  EXPECT_TRUE(p->server.channel->is_open());
}

TEST_F(Dtls, HandshakeSurvivesLossAndReordering) {
  // Seeded, so that a failure can be repeated; the clock is GnuTLS's own.
  for (unsigned seed = 1; seed <= 8; ++seed) {
    std::mt19937 random{seed};
    std::optional<base::Bytes> held;
    const auto lossy = [&](bool, base::Bytes& datagram) {
      const unsigned dice = static_cast<unsigned>(random() % 10);
      if (dice < 3) return false;
      if (dice == 3) {
        if (held)
          std::swap(*held, datagram);
        else
          held = datagram;
      }
      return true;
    };
    const bool psk = seed % 2 == 0;
    DtlsOptions patient = kFast;
    patient.pace.repeat_after = 5ms;
    patient.handshake_time = 15s;
    admission_ = DtlsAdmission{server_credentials(), patient};
    const auto p = pair(psk ? psk_client("home", kKey) : client_credentials(), "server.example", lossy, patient);
    EXPECT_TRUE(p->client.opened && p->server.opened)
        << "seed " << seed << ": " << p->client.reason << p->server.reason;
  }
}

TEST_F(Dtls, LostLastFlightIsRepeatedByTheOpenServer) {
  DtlsPair p{admission_, wall_now()};
  DtlsConnector connector{psk_client("home", kKey), kFast};
  p.connect(connector, "server.example");
  bool lost = false;
  p.run([&](bool to_server, base::Bytes&) {
    if (!to_server && p.server.opened && !lost) {
      lost = true;
      return false;
    }
    return true;
  });
  EXPECT_TRUE(lost);
  EXPECT_TRUE(p.client.opened) << p.client.reason;
}

// S9132-7.3-01, S9132-7.3-03, S9132-7.3-05, S8612-SIG-002-01, S8612-SIG-002-03: nothing that leaves is larger than 1280
// bytes with IPv6 and UDP headers.
TEST_F(Dtls, EveryDatagramFitsThePathMtu) {
  std::size_t largest = 0;
  const auto measure = [&](bool, base::Bytes& datagram) {
    largest = std::max(largest, datagram.size());
    return true;
  };
  const auto chained = pki().issue({.name = "chained",
                                    .common_name = std::string(60, 'c'),
                                    .dns = {"client.example", std::string(60, 'd') + ".example"},
                                    .through_intermediate = true});
  const auto p = pair(load(sources(chained), Side::client), "server.example", measure);
  ASSERT_TRUE(p->client.opened && p->server.opened) << p->server.reason;
  EXPECT_LE(largest, 1280U - 48U);
  for (test::ChannelEnd* end : {&p->client, &p->server}) {
    test::ChannelEnd& other = end == &p->client ? p->server : p->client;
    const std::size_t limit = end->channel->max_plaintext();
    EXPECT_FALSE(p->send(*end, other, std::string(limit + 1, 'x')));
    ASSERT_TRUE(p->send(*end, other, std::string(limit, 'x')));
    ASSERT_EQ(other.inbox.size(), 1U);
    EXPECT_EQ(other.inbox.front().size(), 1280U - 48U) << "max_plaintext is exact";
    p->settle();
    EXPECT_EQ(other.received.back().size(), limit);
  }
}

TEST_F(Dtls, CloseIsToldAndAnswered) {
  const auto p = pair(client_credentials());
  ports::ChannelEvents events;
  p->client.channel->close(events);
  p->client.take(std::move(events), p->server);
  p->settle();
  EXPECT_TRUE(p->server.closed);
  EXPECT_EQ(p->server.reason, "the peer closed the session");
  EXPECT_FALSE(p->server.channel->is_open());
  EXPECT_FALSE(p->send(p->server, p->client, "late"));
}

// S8612-SEC-002-01
TEST_F(Dtls, RandomAndTruncatedDatagramsDoNotDisturbAnOpenSession) {
  const auto p = pair(psk_client("home", kKey));
  ASSERT_TRUE(p->send(p->client, p->server, std::string(300, 'x')));
  const base::Bytes record = p->server.inbox.front();
  p->server.inbox.clear();
  std::mt19937 random{7};
  for (int i = 0; i < 2000; ++i) {
    base::Bytes noise = record;
    switch (i % 4) {
      case 0:
        noise.resize(random() % record.size());
        break;
      case 1:
        noise[random() % noise.size()] ^= static_cast<std::uint8_t>(1 + random() % 255);
        break;
      case 2:
        noise.resize(random() % 1400);
        for (auto& byte : noise) byte = static_cast<std::uint8_t>(random());
        break;
      default:  // any type, the right epoch
        noise[0] = static_cast<std::uint8_t>(random());
        noise[13 + random() % 20] ^= 1;
    }
    if (noise == record) continue;
    p->deliver_to_server(noise);
    ASSERT_TRUE(p->server.received.empty()) << "datagram " << i << " " << base::to_hex(noise).substr(0, 40)
                                            << " instead of " << base::to_hex(record).substr(0, 40);
    ASSERT_TRUE(p->server.channel->is_open())
        << "datagram " << i << " " << base::to_hex(noise) << ": " << p->server.reason;
  }
  p->deliver_to_server(record);
  EXPECT_EQ(p->server.received.size(), 1U);
}

TEST_F(Dtls, ForgedHeaderDoesNotSwallowTheNextRecord) {
  const auto p = pair(psk_client("home", kKey));
  const auto next = [&] {
    EXPECT_TRUE(p->send(p->client, p->server, "good"));
    base::Bytes record = p->server.inbox.front();
    p->server.inbox.clear();
    return record;
  };
  base::Bytes good = next();
  base::Bytes header{good.begin(), good.begin() + 13};
  header[11] = 0x3f;  // announces 16,000 bytes
  p->deliver_to_server(header);
  p->deliver_to_server(good);
  EXPECT_EQ(p->server.received.size(), 1U);
  good = next();
  p->deliver_to_server({good.begin(), good.end() - 1});
  p->deliver_to_server(good);
  EXPECT_EQ(p->server.received.size(), 2U);
  // Complete records before a truncated one count.
  good = next();
  base::Bytes both = good;
  both.insert(both.end(), header.begin(), header.end());
  p->deliver_to_server(both);
  p->deliver_to_server(next());
  EXPECT_EQ(p->server.received.size(), 4U);
}

TEST_F(Dtls, RandomDatagramsNeverCrashAHandshake) {
  std::mt19937 random{11};
  for (int round = 0; round < 60; ++round) {
    DtlsPair p{admission_, wall_now()};
    DtlsConnector connector{psk_client("home", kKey), kFast};
    p.connect(connector, "server.example");
    int budget = 200;
    p.settle([&](bool, base::Bytes& datagram) {
      if (random() % 3 == 0 && !datagram.empty())
        datagram[random() % datagram.size()] ^= static_cast<std::uint8_t>(random());
      if (random() % 5 == 0) datagram.resize(random() % (datagram.size() + 1));
      return --budget > 0;
    });
  }
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
// 16 KB for an idle PSK session is the goal for everything together; the channel must leave room for the rest.
TEST_F(Dtls, OpenPskSessionsAreSmall) {
  const auto credentials = psk_client("home", kKey);
  pair(credentials);  // whatever is allocated once
  std::vector<std::unique_ptr<ports::SecureChannel>> servers;
  servers.reserve(50);
  const std::size_t before = mallinfo2().uordblks;
  for (int i = 0; i < 50; ++i) {
    auto p = pair(credentials);
    ASSERT_TRUE(p->server.opened);
    servers.push_back(std::move(p->server.channel));
  }
  const std::size_t each = (mallinfo2().uordblks - before) / servers.size();
  RecordProperty("bytes_per_session", static_cast<int>(each));
  EXPECT_LT(each, 14U * 1024);
}
#endif

}  // namespace
}  // namespace dots::adapters::net
