#include "adapters/net/event_loop.h"

#include <gtest/gtest.h>

#include <future>
#include <thread>

#include "adapters/net/steering.h"

namespace dots::adapters::net {
namespace {

using namespace std::chrono_literals;

model::SocketAddress loopback() { return {*model::parse_ip_address("127.0.0.1"), 0}; }

TEST(EventLoop, DatagramsTasksAndRounds) {
  auto group = open_listen_group(loopback(), 1);
  ASSERT_TRUE(group.ok()) << group.error().message;
  EventLoop server, client;
  std::size_t rounds = 0;
  server.set_handlers({.on_datagrams =
                           [&](std::span<model::Datagram> datagrams) {
                             for (auto& datagram : datagrams)
                               std::reverse(datagram.bytes.begin() + 13, datagram.bytes.end());
                             server.send(datagrams);
                           },
                       .on_deadline = {},
                       .after_round = [&] { ++rounds; }});
  server.add_socket(std::move(group->shards[0]));

  auto socket = UdpSocket::connect(group->bound);
  ASSERT_TRUE(socket.ok());
  const model::Path path{group->bound, socket->bound()};
  std::vector<base::Bytes> answers;
  client.set_handlers({.on_datagrams =
                           [&](std::span<model::Datagram> datagrams) {
                             for (auto& datagram : datagrams) answers.push_back(std::move(datagram.bytes));
                             if (answers.size() == 100) client.stop();
                           },
                       .on_deadline = [&] { client.stop(); },
                       .after_round = {}});
  client.add_socket(std::move(*socket));
  client.set_deadline(client.now().steady + 10s);
  std::thread server_thread{[&] { server.run(); }};
  std::thread poster{[&] {
    for (std::uint8_t i = 0; i < 100; ++i) {
      EXPECT_TRUE(client.post([&client, path, i] {
        base::Bytes bytes(15, 0);
        bytes[0] = 23;
        bytes[4] = 1;
        bytes[14] = i;
        const model::Datagram datagram{path, bytes};
        client.send({&datagram, 1});
      }));
    }
  }};
  client.run();
  poster.join();
  server.stop();
  server_thread.join();
  ASSERT_EQ(answers.size(), 100U);
  for (std::uint8_t i = 0; i < 100; ++i) EXPECT_EQ(answers[i][13], i) << "in order";
  EXPECT_GT(rounds, 0U);
  EXPECT_EQ(server.counters().received, 100U);
  EXPECT_EQ(client.counters().sent, 100U);
}

TEST(EventLoop, DeadlineIsCalledOnceAndCanBeMovedAndTakenBack) {
  EventLoop loop;
  int called = 0;
  const auto begin = loop.now().steady;
  base::SteadyTime at{};
  loop.set_handlers({.on_datagrams = {},
                     .on_deadline =
                         [&] {
                           ++called;
                           at = loop.now().steady;
                           loop.set_deadline(std::nullopt);
                           loop.stop();
                         },
                     .after_round = {}});
  loop.set_deadline(begin + 1h);
  loop.set_deadline(std::nullopt);
  loop.set_deadline(begin + 1h);
  loop.set_deadline(begin + 20ms);
  loop.run();
  EXPECT_EQ(called, 1);
  EXPECT_GE(at, begin + 20ms);
}

TEST(EventLoop, SameDeadlineAgainFiresAgain) {
  EventLoop loop;
  int called = 0;
  const auto past = loop.now().steady - 1s;
  loop.set_handlers({.on_datagrams = {},
                     .on_deadline =
                         [&] {
                           if (++called == 3) return loop.stop();
                           loop.set_deadline(past);
                         },
                     .after_round = {}});
  loop.set_deadline(past);
  loop.run();
  EXPECT_EQ(called, 3);
}

// An idle loop sleeps, also when every round moves the deadline, as "a second from now" does.
TEST(EventLoop, ADeadlineThatMovesWithEveryRoundMakesNoRounds) {
  EventLoop loop;
  std::size_t rounds = 0;
  loop.set_handlers({.on_datagrams = {}, .on_deadline = {}, .after_round = [&] {
                       ++rounds;
                       loop.set_deadline(loop.now().steady + 10s);
                     }});
  loop.set_deadline(loop.now().steady + 10s);
  EXPECT_TRUE(loop.post([] {}));
  std::thread stopper{[&] {
    std::this_thread::sleep_for(100ms);
    loop.stop();
  }};
  loop.run();
  stopper.join();
  EXPECT_LE(rounds, 5U);
}

TEST(EventLoop, ADeadlineThatWasMovedBackIsNotEarly) {
  EventLoop loop;
  const base::SteadyTime begin = loop.now().steady;
  base::SteadyTime called{};
  loop.set_handlers({.on_datagrams = {},
                     .on_deadline =
                         [&] {
                           called = loop.now().steady;
                           loop.stop();
                         },
                     .after_round = {}});
  loop.set_deadline(begin + 10ms);
  loop.set_deadline(begin + 60ms);
  loop.run();
  EXPECT_GE(called - begin, 60ms);
}

TEST(EventLoop, FullQueueRefusesButKeepsRoomForTheReserved) {
  EventLoop loop{{.tasks = 4, .reserved_tasks = 2}};
  std::vector<int> order;
  const auto note = [&order](int i) { return Task{[&order, i] { order.push_back(i); }}; };
  EXPECT_TRUE(loop.post(note(1)));
  EXPECT_TRUE(loop.post(note(2)));
  EXPECT_FALSE(loop.post(note(3)));
  EXPECT_TRUE(loop.post(note(4), Priority::reserved));
  EXPECT_TRUE(loop.post(note(5), Priority::reserved));
  EXPECT_FALSE(loop.post(note(6), Priority::reserved));
  EXPECT_EQ(loop.counters().tasks_refused, 2U);
  loop.set_handlers({.on_datagrams = {}, .on_deadline = {}, .after_round = [&] { loop.stop(); }});
  loop.run();
  EXPECT_EQ(order, (std::vector<int>{1, 2, 4, 5})) << "order of arrival";
}

// Many long tasks at once must not hold up what a round brings: answers leave between any two of them.
TEST(EventLoop, OnePatientTaskInARound) {
  EventLoop loop;
  std::string story;
  loop.set_handlers({.on_datagrams = {}, .on_deadline = {}, .after_round = [&] { story += '|'; }});
  for (const char name : {'a', 'b', 'c'}) {
    EXPECT_TRUE(loop.post(
        [&, name] {
          story += name;
          if (name == 'c') loop.stop();
        },
        Priority::patient));
  }
  EXPECT_TRUE(loop.post([&] { story += '1'; }));
  EXPECT_TRUE(loop.post([&] { story += '2'; }));
  loop.run();
  EXPECT_EQ(story, "12a|b|c|");
}

TEST(EventLoop, PatientTasksAreBounded) {
  EventLoop loop{{.tasks = 4, .reserved_tasks = 1}};
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(loop.post([] {}, Priority::patient));
  EXPECT_FALSE(loop.post([] {}, Priority::patient));
  EXPECT_TRUE(loop.post([] {}, Priority::reserved));
}

TEST(EventLoop, TasksMayBeMoveOnlyAndMayPost) {
  EventLoop loop;
  auto value = std::make_unique<int>(42);
  int seen = 0;
  loop.post([&, value = std::move(value)] {
    loop.post([&, copy = *value] {
      seen = copy;
      loop.stop();
    });
  });
  loop.run();
  EXPECT_EQ(seen, 42);
}

TEST(EventLoop, ARemovedSocketIsSilent) {
  auto group = open_listen_group(loopback(), 1);
  ASSERT_TRUE(group.ok());
  EventLoop loop;
  std::size_t got = 0;
  const auto handle = loop.add_socket(std::move(group->shards[0]));
  auto client = UdpSocket::connect(group->bound);
  ASSERT_TRUE(client.ok());
  base::Bytes bytes(20, 0);
  bytes[0] = 23;
  bytes[4] = 1;
  const model::Datagram datagram{{group->bound, client->bound()}, bytes};
  ASSERT_EQ(client->send({&datagram, 1}).sent, 1U);
  loop.set_handlers({.on_datagrams = [&](std::span<model::Datagram> d) { got += d.size(); },
                     .on_deadline = [&] { loop.stop(); },
                     .after_round = {}});
  loop.remove_socket(handle);
  loop.set_deadline(loop.now().steady + 20ms);
  loop.run();
  EXPECT_EQ(got, 0U);
  loop.send({&datagram, 1});
  EXPECT_EQ(loop.counters().send_dropped, 1U) << "no socket has this address any more";
}

TEST(EventLoop, SilenceAtTheOtherEndIsNoError) {
  // A port where nobody listens answers with ICMP errors: the client's socket goes on.
  auto gone = open_listen_group(loopback(), 1);
  ASSERT_TRUE(gone.ok());
  auto client = UdpSocket::connect(gone->bound);
  ASSERT_TRUE(client.ok());
  const model::Path path{gone->bound, client->bound()};
  gone->shards.clear();
  gone->admission.clear();
  EventLoop loop;
  loop.add_socket(std::move(*client));
  int deadlines = 0;
  loop.set_handlers({.on_datagrams = {},
                     .on_deadline =
                         [&] {
                           const model::Datagram datagram{path, base::Bytes(20, 1)};
                           loop.send({&datagram, 1});
                           if (++deadlines == 5) return loop.stop();
                           loop.set_deadline(loop.now().steady + 2ms);
                         },
                     .after_round = {}});
  loop.set_deadline(loop.now().steady);
  loop.run();
  EXPECT_EQ(loop.counters().sent, 5U);
}

}  // namespace
}  // namespace dots::adapters::net
