#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <thread>

#include "adapters/net/credentials.h"
#include "adapters/net/dtls_admission.h"
#include "adapters/net/event_loop.h"
#include "base/bytes.h"
#include "dots-bench/descriptor.h"
#include "dots-bench/forger.h"
#include "dots-bench/lane.h"
#include "dots-bench/poller.h"
#include "dots-bench/relay.h"

namespace dots::bench {
namespace {

using namespace std::chrono_literals;

// A forged hello must be one that a server takes for a hello, else its price would be that of a dropped datagram.
TEST(Forger, ItsHellosAreAnsweredWithACookieAndNeverAdmitted) {
  adapters::net::CredentialSources sources;
  sources.psk = {{"somebody", base::Bytes(32, 1)}};
  const base::WallTime now = adapters::net::clock_now().wall;
  const auto credentials = adapters::net::Credentials::load(sources, adapters::net::Side::server, now);
  ASSERT_TRUE(credentials);
  adapters::net::DtlsAdmission admission{*credentials, {}};
  const std::array<std::uint8_t, 6> peer = {127, 1, 2, 3, 4, 5};
  for (std::uint32_t seed = 0; seed < 20; ++seed) {
    const base::Bytes hello = forged_hello(seed, seed % 2 == 1);
    const auto verdict = admission.consider(hello, peer, now);
    EXPECT_EQ(verdict.kind, ports::Admission::Verdict::Kind::answer) << seed << ": " << verdict.reason;
    EXPECT_LT(verdict.answer.size(), hello.size());
  }
  EXPECT_NE(forged_hello(1, false), forged_hello(2, false));
}

struct Ends {
  Descriptor server;
  model::SocketAddress address;
};

Ends listen() {
  Ends ends{Descriptor{::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)}, {*model::parse_ip_address("127.0.0.1"), 0}};
  sockaddr_in own{};
  own.sin_family = AF_INET;
  own.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof own;
  EXPECT_EQ(::bind(ends.server.get(), reinterpret_cast<const sockaddr*>(&own), sizeof own), 0);
  EXPECT_EQ(::getsockname(ends.server.get(), reinterpret_cast<sockaddr*>(&own), &size), 0);
  ends.address.port = ntohs(own.sin_port);
  const timeval patience{2, 0};
  ::setsockopt(ends.server.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  return ends;
}

TEST(Relay, CarriesBothWaysAfterItsDelay) {
  const Ends ends = listen();
  const auto relay = Relay::start(ends.address, 20ms, 1);
  ASSERT_TRUE(relay);
  auto lane = Lane::open((*relay)->address(), nullptr);
  ASSERT_TRUE(lane);
  const base::SteadyTime begin = steady_now();
  ASSERT_EQ(lane->send(base::Bytes{1, 2, 3}), 3U);
  std::array<std::uint8_t, 16> buffer{};
  sockaddr_in peer{};
  socklen_t size = sizeof peer;
  ASSERT_EQ(::recvfrom(ends.server.get(), buffer.data(), buffer.size(), 0, reinterpret_cast<sockaddr*>(&peer), &size),
            3);
  EXPECT_GE(steady_now() - begin, 20ms);
  ::sendto(ends.server.get(), buffer.data(), 2, 0, reinterpret_cast<const sockaddr*>(&peer), size);
  Poller poller;
  poller.add(lane->fd(), 0);
  std::vector<base::Bytes> answers;
  for (int looks = 0; looks < 100 && answers.empty(); ++looks) {
    poller.wait(50ms);
    ASSERT_TRUE(lane->receive(answers));
  }
  ASSERT_EQ(answers.size(), 1U);
  EXPECT_EQ(answers[0], (base::Bytes{1, 2}));
  EXPECT_GE(steady_now() - begin, 40ms);
}

TEST(Relay, LosesTheShareThatItIsTold) {
  const Ends ends = listen();
  const auto relay = Relay::start(ends.address, 0ms, 7);
  ASSERT_TRUE(relay);
  auto lane = Lane::open((*relay)->address(), nullptr);
  ASSERT_TRUE(lane);
  (*relay)->lose_percent(70);
  constexpr std::uint64_t kSent = 2000;
  for (std::uint64_t i = 1; i <= kSent; ++i) {
    lane->send(base::Bytes{1});
    // In steps, so that no buffer overflows.
    const base::SteadyTime end = steady_now() + 10s;
    while ((*relay)->lost() + (*relay)->carried() < i && steady_now() < end) std::this_thread::yield();
  }
  EXPECT_EQ((*relay)->lost() + (*relay)->carried(), kSent);
  EXPECT_NEAR(static_cast<double>((*relay)->lost()), 0.7 * kSent, 0.05 * kSent);
}

}  // namespace
}  // namespace dots::bench
