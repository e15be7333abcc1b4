// The kernel's choice of a socket against model::shard_of, on loopback.
#include "adapters/net/steering.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <map>

#include "adapters/net/socket_address.h"

namespace dots::adapters::net {
namespace {

model::SocketAddress loopback(model::Family family, std::uint16_t port = 0) {
  model::SocketAddress address;
  address.ip.family = family;
  if (family == model::Family::ipv4) {
    address.ip.bytes[0] = 127;
    address.ip.bytes[3] = 1;
  } else {
    address.ip.bytes[15] = 1;
  }
  address.port = port;
  return address;
}

base::Bytes record(std::uint8_t type, std::uint16_t epoch, std::size_t size = 40) {
  base::Bytes bytes(size, 0);
  bytes[0] = type;
  bytes[1] = 0xfe;
  bytes[2] = 0xfd;
  bytes[3] = static_cast<std::uint8_t>(epoch >> 8);
  bytes[4] = static_cast<std::uint8_t>(epoch & 0xff);
  return bytes;
}

// What waits on a socket.
std::vector<model::Datagram> drain(UdpSocket& socket, ReceiveBuffers& buffers) {
  std::vector<model::Datagram> out;
  while (socket.receive(buffers, out) > 0) {
  }
  return out;
}

class Steering : public ::testing::TestWithParam<std::pair<model::Family, std::uint32_t>> {};

TEST_P(Steering, KernelAndShardOfAgree) {
  const auto [family, shards] = GetParam();
  auto group = open_listen_group(loopback(family), shards);
  ASSERT_TRUE(group.ok()) << group.error().message;
  ASSERT_EQ(group->shards.size(), shards);
  ReceiveBuffers buffers;
  std::map<model::SocketAddress, std::uint32_t> expected;
  std::vector<UdpSocket> clients;
  for (int i = 0; i < 100; ++i) {
    auto client = UdpSocket::connect(group->bound);
    ASSERT_TRUE(client.ok()) << client.error().message;
    const model::Datagram data{{group->bound, client->bound()}, record(23, 1)};
    ASSERT_EQ(client->send({&data, 1}).sent, 1U);
    expected[client->bound()] = model::shard_of(client->bound(), shards);
    clients.push_back(std::move(*client));
  }
  std::size_t seen = 0;
  std::map<std::uint32_t, int> used;
  for (std::uint32_t shard = 0; shard < shards; ++shard) {
    for (const auto& datagram : drain(group->shards[shard], buffers)) {
      EXPECT_EQ(expected.at(datagram.path.peer), shard) << model::to_string(datagram.path.peer);
      EXPECT_EQ(datagram.path.local, group->bound) << "the address that was written to";
      ++seen;
      ++used[shard];
    }
  }
  EXPECT_EQ(seen, 100U);
  EXPECT_GE(used.size() * 2, shards) << "100 ports spread over the shards";
  EXPECT_TRUE(drain(group->admission[0], buffers).empty());
}

TEST_P(Steering, HandshakesAndClearBytesGoToAdmission) {
  const auto [family, shards] = GetParam();
  auto group = open_listen_group(loopback(family), shards);
  ASSERT_TRUE(group.ok()) << group.error().message;
  auto client = UdpSocket::connect(group->bound);
  ASSERT_TRUE(client.ok());
  ReceiveBuffers buffers;
  const std::vector<base::Bytes> to_admission = {record(22, 0), record(22, 1),      record(20, 0),     record(20, 1),
                                                 record(21, 0), record(23, 0),      record(23, 1, 12), {},
                                                 {0x40},        record(0x40, 0, 16)};
  for (const auto& bytes : to_admission) {
    const model::Datagram datagram{{group->bound, client->bound()}, bytes};
    ASSERT_EQ(client->send({&datagram, 1}).sent, 1U);
    EXPECT_EQ(drain(group->admission[0], buffers).size(), 1U) << base::to_hex(bytes);
  }
  for (auto& shard : group->shards) EXPECT_TRUE(drain(shard, buffers).empty());
  for (const auto& bytes : {record(23, 1), record(21, 1), record(25, 2), record(23, 0x100)}) {
    const model::Datagram datagram{{group->bound, client->bound()}, bytes};
    ASSERT_EQ(client->send({&datagram, 1}).sent, 1U);
    EXPECT_TRUE(drain(group->admission[0], buffers).empty()) << base::to_hex(bytes);
    EXPECT_EQ(drain(group->shards[model::shard_of(client->bound(), shards)], buffers).size(), 1U);
  }
}

INSTANTIATE_TEST_SUITE_P(Families, Steering,
                         ::testing::Values(std::pair{model::Family::ipv4, 1U}, std::pair{model::Family::ipv4, 2U},
                                           std::pair{model::Family::ipv4, 5U}, std::pair{model::Family::ipv4, 16U},
                                           std::pair{model::Family::ipv6, 1U}, std::pair{model::Family::ipv6, 3U},
                                           std::pair{model::Family::ipv6, 16U}),
                         [](const auto& which) {
                           return std::string{which.param.first == model::Family::ipv4 ? "v4" : "v6"} + "x" +
                                  std::to_string(which.param.second);
                         });

TEST(ListenGroup, SecondDaemonOnTheSamePortIsRefused) {
  for (const auto family : {model::Family::ipv4, model::Family::ipv6}) {
    auto first = open_listen_group(loopback(family), 2);
    ASSERT_TRUE(first.ok()) << first.error().message;
    auto second = open_listen_group(first->bound, 2);
    ASSERT_FALSE(second.ok());
    EXPECT_NE(second.error().message.find(model::to_string(first->bound) + " is in use by another process"),
              std::string::npos)
        << second.error().message;
    model::SocketAddress any;
    any.ip.family = family;
    any.port = first->bound.port;
    EXPECT_FALSE(open_listen_group(any, 1).ok()) << "the wildcard address includes it";
  }
}

TEST(ListenGroup, BothFamiliesShareAPort) {
  auto v4 = open_listen_group(model::SocketAddress{}, 2);
  ASSERT_TRUE(v4.ok()) << v4.error().message;
  model::SocketAddress any6;
  any6.ip.family = model::Family::ipv6;
  any6.port = v4->bound.port;
  auto v6 = open_listen_group(any6, 2);
  EXPECT_TRUE(v6.ok()) << v6.error().message;
}

TEST(ListenGroup, ForeignAddressAndBadCountAreRefused) {
  const model::SocketAddress foreign{*model::parse_ip_address("192.0.2.1"), 4646};
  auto group = open_listen_group(foreign, 1);
  ASSERT_FALSE(group.ok());
  EXPECT_NE(group.error().message.find("not an address of this machine"), std::string::npos) << group.error().message;
  EXPECT_FALSE(open_listen_group(loopback(model::Family::ipv4), 0).ok());
}

TEST(ListenGroup, AnswersLeaveFromTheAddressWrittenTo) {
  auto group = open_listen_group(model::SocketAddress{}, 1);
  ASSERT_TRUE(group.ok()) << group.error().message;
  model::SocketAddress second = loopback(model::Family::ipv4, group->bound.port);
  second.ip.bytes[3] = 2;  // 127.0.0.2
  auto client = UdpSocket::connect(second);
  ASSERT_TRUE(client.ok());
  const model::Datagram question{{second, client->bound()}, record(22, 0)};
  ASSERT_EQ(client->send({&question, 1}).sent, 1U);
  ReceiveBuffers buffers;
  auto got = drain(group->admission[0], buffers);
  ASSERT_EQ(got.size(), 1U);
  EXPECT_EQ(got[0].path.local, second);
  ASSERT_EQ(group->shards[0].send(got).sent, 1U) << "from the shard's socket, though it came in at another";
  got = drain(*client, buffers);  // connected: only 127.0.0.2 reaches it
  ASSERT_EQ(got.size(), 1U);
  EXPECT_EQ(got[0].bytes, question.bytes);
}

TEST(UdpSocket, OneBadDatagramDoesNotHoldTheOthersBack) {
  auto group = open_listen_group(loopback(model::Family::ipv4), 1);
  ASSERT_TRUE(group.ok());
  auto client = UdpSocket::connect(group->bound);
  ASSERT_TRUE(client.ok());
  std::vector<model::Datagram> batch(3, model::Datagram{{client->bound(), group->bound}, record(23, 1)});
  batch[1].bytes.assign(70000, 0);
  const SendCount count = group->shards[0].send(batch);
  EXPECT_EQ(count.sent, 2U);
  EXPECT_EQ(count.dropped, 1U);
}

TEST(UdpSocket, ReceiveBufferIsRaised) {
  auto group = open_listen_group(loopback(model::Family::ipv4), 1, 1u << 20);
  ASSERT_TRUE(group.ok());
  int plain = ::socket(AF_INET, SOCK_DGRAM, 0);
  int before = 0;
  socklen_t length = sizeof before;
  getsockopt(plain, SOL_SOCKET, SO_RCVBUF, &before, &length);
  ::close(plain);
  EXPECT_GE(group->receive_buffer_bytes, static_cast<std::uint32_t>(before) / 2);
  if (geteuid() == 0) {
    EXPECT_GE(group->receive_buffer_bytes, 1U << 20);
  }
}

}  // namespace
}  // namespace dots::adapters::net
