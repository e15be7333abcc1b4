// The admission and session tables over real DTLS, in memory and without sockets.
#include <gtest/gtest.h>

#include <chrono>
#include <random>
#include <thread>

#include "adapters/net/dtls_admission.h"
#include "adapters/net/dtls_channel.h"
#include "agent/peers/admission_table.h"
#include "agent/peers/session_table.h"

namespace dots {
namespace {

using namespace std::chrono_literals;
namespace net = adapters::net;

const base::Bytes kKey = *base::from_hex("000102030405060708090a0b0c0d0e0f");
const net::DtlsOptions kFast{.path_mtu_bytes = 1280, .pace = {.repeat_after = 10ms}, .handshake_time = 5s};

base::Now now() {
  return {base::SteadyTime{std::chrono::steady_clock::now().time_since_epoch()},
          base::WallTime{std::chrono::system_clock::now().time_since_epoch()}};
}

std::shared_ptr<const net::Credentials> psk(net::Side side, const std::string& identity = "home") {
  net::CredentialSources sources;
  sources.psk = {{identity, kKey}};
  auto loaded = net::Credentials::load(sources, side, now().wall);
  if (!loaded) throw std::runtime_error{to_string(loaded.error().front())};
  return *loaded;
}

model::Path path(std::uint16_t port, std::uint8_t host = 1) {
  model::Path out;
  out.peer = {*model::parse_ip_address("203.0.113." + std::to_string(host)), port};
  out.local = {*model::parse_ip_address("192.0.2.1"), 4646};
  return out;
}

class RealAdmission : public ::testing::Test {
 protected:
  base::Bytes hello(const std::string& identity = "home") {
    net::DtlsConnector connector{psk(net::Side::client, identity), kFast};
    ports::ChannelEvents events;
    client_ = *connector.connect("server.example", events);
    return events.datagrams.front();
  }
  // Carries datagrams both ways until the client is open or nothing moves; loses what `lose` says.
  bool run(const model::Path& at, base::Bytes first, const std::function<bool(bool to_server)>& lose = {}) {
    std::vector<base::Bytes> to_server{std::move(first)};
    bool opened = false;
    const auto end = std::chrono::steady_clock::now() + 5s;
    while (!opened && std::chrono::steady_clock::now() < end) {
      agent::AdmissionEffects admission;
      agent::SessionEffects sessions;
      for (auto& bytes : to_server) {
        if (!lose || !lose(true)) table_.on_datagram({at, std::move(bytes)}, now(), admission);
      }
      to_server.clear();
      table_.on_timer(now(), admission);
      for (auto& admitted : admission.admitted) sessions_.adopt(std::move(admitted), now(), sessions);
      for (auto& datagram : admission.forward) sessions_.on_datagram(datagram, now(), sessions);
      forwarded_ += admission.counters.forwarded;
      ports::ChannelEvents events;
      for (auto* sends : {&admission.send, &sessions.send}) {
        for (const auto& datagram : *sends) {
          if (!lose || !lose(false)) client_->on_datagram(datagram.bytes, events);
        }
      }
      if (events.datagrams.empty() && !events.opened) {
        if (const auto wait = client_->timeout()) std::this_thread::sleep_for(*wait);
        client_->on_timeout(events);
      }
      if (events.closed) return false;
      opened = events.opened;
      to_server = std::move(events.datagrams);
    }
    return opened;
  }

  std::shared_ptr<ports::Admission> admission_ = std::make_shared<net::DtlsAdmission>(psk(net::Side::server), kFast);
  agent::AdmissionTable table_{admission_, agent::AdmissionLimits{}};
  agent::SessionTable sessions_{1, agent::SessionLimits{}};
  std::unique_ptr<ports::SecureChannel> client_;
  std::uint64_t forwarded_ = 0;
};

TEST_F(RealAdmission, SessionOpensThroughTheTables) {
  EXPECT_TRUE(run(path(1), hello()));
  EXPECT_EQ(sessions_.size(), 1U);
  EXPECT_EQ(table_.size(), 0U);
}

TEST_F(RealAdmission, FloodOfHellosKeepsNoStateAndAGenuineClientPasses) {
  const base::Bytes forged = hello();
  agent::AdmissionEffects effects;
  for (std::uint32_t i = 0; i < 20000; ++i) {
    table_.on_datagram({path(static_cast<std::uint16_t>(i), static_cast<std::uint8_t>(i >> 16)), forged}, now(),
                       effects);
    ASSERT_EQ(table_.size(), 0U);
  }
  EXPECT_EQ(effects.counters.cookies, 20000U);
  EXPECT_EQ(effects.counters.started, 0U);
  EXPECT_EQ(table_.size() + sessions_.size(), 0U);
  EXPECT_FALSE(table_.next_deadline().has_value());
  EXPECT_TRUE(run(path(7777), hello()));
}

TEST_F(RealAdmission, LossEverywhereStillEndsInASession) {
  for (unsigned seed = 1; seed <= 6; ++seed) {
    std::mt19937 random{seed};
    EXPECT_TRUE(run(path(static_cast<std::uint16_t>(seed)), hello(), [&](bool) { return random() % 4 == 0; })) << seed;
  }
  EXPECT_EQ(sessions_.size(), 6U);
}

TEST_F(RealAdmission, LostLastFlightComesBackThroughForwarding) {
  bool lost = false;
  EXPECT_TRUE(run(path(1), hello(), [&](bool to_server) {
    if (to_server || lost || sessions_.size() == 0) return false;
    lost = true;  // the second half of the server's last flight still arrives, but not the first
    return true;
  }));
  EXPECT_TRUE(lost);
  EXPECT_GE(forwarded_, 1U);
}

TEST_F(RealAdmission, RestartedClientAtTheSameAddressReplacesItsSession) {
  ASSERT_TRUE(run(path(1), hello()));
  ASSERT_TRUE(run(path(1), hello()));
  EXPECT_EQ(sessions_.size(), 1U);
  const auto finished = std::move(client_);
  // One that gives up in the middle and begins again gets through as well.
  const base::Bytes abandoned = hello();
  agent::AdmissionEffects effects;
  table_.on_datagram({path(2), abandoned}, now(), effects);
  ports::ChannelEvents events;
  client_->on_datagram(effects.send.at(0).bytes, events);
  table_.on_datagram({path(2), events.datagrams.at(0)}, now(), effects);
  ASSERT_EQ(table_.size(), 1U);
  EXPECT_TRUE(run(path(2), hello()));
}

// S9132-3-03: a CoAP request in clear gets no answer and leaves no state.
TEST_F(RealAdmission, ClearCoapGetsNothing) {
  agent::AdmissionEffects effects;
  const base::Bytes get = *base::from_hex("40 01 00 01 bb 2e 77 65 6c 6c 2d 6b 6e 6f 77 6e 04 63 6f 72 65");
  table_.on_datagram({path(1), get}, now(), effects);
  agent::SessionEffects sessions;
  sessions_.on_datagram({path(1), get}, now(), sessions);
  EXPECT_TRUE(effects.send.empty() && effects.admitted.empty() && effects.forward.empty());
  EXPECT_TRUE(sessions.send.empty() && sessions.plaintexts.empty());
  EXPECT_EQ(table_.size() + sessions_.size(), 0U);
}

TEST_F(RealAdmission, HelloFragmentsBehindTheFirstGetNothing) {
  base::Bytes fragment = hello();
  fragment[21] = 10;  // fragment offset
  agent::AdmissionEffects effects;
  table_.on_datagram({path(1), fragment}, now(), effects);
  EXPECT_TRUE(effects.send.empty());
  EXPECT_EQ(effects.counters.dropped, 1U);
}

TEST_F(RealAdmission, UnknownPskIdentityTimesOutWithAReasonForTheOperator) {
  agent::AdmissionTable brief{admission_, {.handshakes = 10, .handshakes_per_prefix = 10, .handshake_time = 50ms}};
  table_ = std::move(brief);
  base::Bytes next = hello("nobody");
  agent::AdmissionEffects effects;
  for (int i = 0; i < 3; ++i) {
    effects.send.clear();
    table_.on_datagram({path(1), next}, now(), effects);
    ports::ChannelEvents events;
    for (const auto& datagram : effects.send) client_->on_datagram(datagram.bytes, events);
    if (events.datagrams.empty()) break;
    next = events.datagrams.front();
  }
  ASSERT_EQ(table_.size(), 1U);
  effects.refusals.clear();
  table_.on_timer(now() + 60ms, effects);
  ASSERT_EQ(effects.refusals.size(), 1U);
  EXPECT_EQ(effects.refusals[0], "handshake with 203.0.113.1:1 timed out: PSK identity 'nobody' is unknown");
  EXPECT_EQ(sessions_.size(), 0U);
}

}  // namespace
}  // namespace dots
