// TLS handshakes with scripted channels: bounds in number, per network and in time.
#include "agent/peers/stream_admission.h"

#include <gtest/gtest.h>

#include "tests/support/scripted_channel.h"

namespace dots::agent {
namespace {

using namespace std::chrono_literals;
using test::ScriptedChannel;

class Acceptor final : public ports::ChannelAcceptor {
 public:
  base::Result<std::unique_ptr<ports::SecureChannel>> accept() override {
    return std::unique_ptr<ports::SecureChannel>{
        std::make_unique<ScriptedChannel>(7, "server.example", test::scripted_identity("client.example"))};
  }
};

class StreamAdmissionTest : public ::testing::Test {
 protected:
  static model::Path path(std::uint8_t network, std::uint16_t port) {
    model::Path out;
    out.peer = {*model::parse_ip_address("198.51." + std::to_string(network) + ".1"), port};
    out.local = {*model::parse_ip_address("192.0.2.1"), 4646};
    out.transport = model::Transport::tcp;
    return out;
  }
  StreamAdmissionEffects accept(const model::Path& from) {
    StreamAdmissionEffects out;
    table.on_accepted(from, now, out);
    return out;
  }
  StreamAdmissionEffects bytes(const model::Path& from, const base::Bytes& piece) {
    StreamAdmissionEffects out;
    table.on_bytes(from, piece, out);
    return out;
  }

  AdmissionLimits limits{.handshakes = 4, .handshakes_per_prefix = 2, .handshake_time = 10s};
  StreamAdmission table{std::make_shared<Acceptor>(), limits};
  base::Now now{base::SteadyTime{1000s}, base::WallTime{1700000000s}};
};

TEST_F(StreamAdmissionTest, AProvenSessionIsHandedOver) {
  const auto from = path(100, 1);
  EXPECT_EQ(accept(from).counters.started, 1U);
  ScriptedChannel client{7, "client.example"};
  ports::ChannelEvents hello, finished;
  client.start(hello);
  const auto answer = bytes(from, hello.datagrams.at(0));
  ASSERT_EQ(answer.send.size(), 1U);
  EXPECT_EQ(answer.send[0].path, from);
  client.on_datagram(answer.send[0].bytes, finished);
  const auto opened = bytes(from, finished.datagrams.at(0));
  ASSERT_EQ(opened.admitted.size(), 1U);
  EXPECT_EQ(opened.admitted[0].path, from);
  EXPECT_TRUE(opened.admitted[0].channel->is_open());
  EXPECT_EQ(opened.admitted[0].last_flight.size(), 1U) << "the shard sends it";
  EXPECT_TRUE(opened.send.empty());
  EXPECT_TRUE(opened.close.empty());
  EXPECT_EQ(table.size(), 0U);
  EXPECT_FALSE(table.next_deadline());
}

TEST_F(StreamAdmissionTest, HandshakesAreBoundedInNumber) {
  EXPECT_TRUE(accept(path(100, 1)).drop.empty());
  EXPECT_TRUE(accept(path(100, 2)).drop.empty());
  const auto third = accept(path(100, 3));
  EXPECT_EQ(third.drop, std::vector<model::Path>{path(100, 3)});
  EXPECT_EQ(third.counters.limited, 1U);
  EXPECT_NE(third.refusals.at(0).find("from its network"), std::string::npos) << third.refusals[0];
  EXPECT_TRUE(accept(path(101, 1)).drop.empty());
  EXPECT_TRUE(accept(path(102, 1)).drop.empty());
  EXPECT_EQ(accept(path(103, 1)).drop.size(), 1U) << "too many in total";
  EXPECT_EQ(table.size(), 4U);
  StreamAdmissionEffects out;
  table.on_ended(path(100, 1), "the peer closed the connection", out);
  EXPECT_EQ(out.counters.failed, 1U);
  EXPECT_TRUE(accept(path(100, 4)).drop.empty()) << "room again";
}

TEST_F(StreamAdmissionTest, ASlowHandshakeIsGivenUp) {
  accept(path(100, 1));
  now.steady += 5s;
  accept(path(100, 2));
  EXPECT_EQ(table.next_deadline(), now.steady + 5s);
  // A byte now and then does not buy time.
  bytes(path(100, 1), {22});
  now.steady += 5s;
  StreamAdmissionEffects out;
  table.on_timer(now, out);
  EXPECT_EQ(out.close, std::vector<model::Path>{path(100, 1)});
  EXPECT_EQ(out.counters.timed_out, 1U);
  EXPECT_EQ(table.size(), 1U);
  EXPECT_EQ(table.next_deadline(), now.steady + 5s);
}

TEST_F(StreamAdmissionTest, EndedHandshakesLeaveNothing) {
  for (std::uint16_t port = 1; port < 1000; ++port) {
    accept(path(100, port));
    StreamAdmissionEffects out;
    table.on_ended(path(100, port), "gone", out);
  }
  EXPECT_EQ(table.size(), 0U);
  EXPECT_FALSE(table.next_deadline());
}

}  // namespace
}  // namespace dots::agent
