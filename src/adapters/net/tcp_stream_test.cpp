// TCP in the event loop, on loopback: accept, talk, hand over, close, and a peer that does not read.
#include "adapters/net/tcp_stream.h"

#include <gtest/gtest.h>

#include <thread>

#include "adapters/net/event_loop.h"

namespace dots::adapters::net {
namespace {

using namespace std::chrono_literals;

base::Bytes bytes_of(std::string_view text) { return {text.begin(), text.end()}; }

class Streams : public ::testing::TestWithParam<const char*> {
 protected:
  TcpListener listen(const TcpOptions& options = {}) {
    auto listener = TcpListener::listen({*model::parse_ip_address(GetParam()), 0}, options);
    if (!listener) throw std::runtime_error{listener.error().message};
    return std::move(*listener);
  }
  void run(EventLoop& loop, base::Duration most = 10s) {
    loop.set_deadline(loop.now().steady + most);
    loop.run();
  }
};

TEST_P(Streams, BytesGoBothWaysAndTheEndIsTold) {
  TcpListener listener = listen();
  const model::SocketAddress address = listener.bound();
  EventLoop loop;
  std::string heard, answered, ended;
  std::optional<model::Path> client, server;
  loop.set_handlers({.on_datagrams =
                         [&](std::span<model::Datagram> pieces) {
                           for (auto& piece : pieces) {
                             EXPECT_EQ(piece.path.transport, model::Transport::tcp);
                             if (piece.path == client) {
                               answered += base::as_text(piece.bytes);
                               if (answered == "answer") loop.close_stream(*client);
                               continue;
                             }
                             heard += base::as_text(piece.bytes);
                             if (heard == "hello") {
                               const model::Datagram answer{piece.path, bytes_of("answer")};
                               loop.send(std::span{&answer, 1});
                             }
                           }
                         },
                     .on_deadline = [&] { loop.stop(); },
                     .after_round = {},
                     .on_stream_ended =
                         [&](const model::Path& path, const std::string& reason) {
                           EXPECT_EQ(path, *server) << "what we close ourselves is not told";
                           ended = reason;
                           loop.stop();
                         },
                     .on_accepted =
                         [&](TcpStream stream) {
                           server = stream.path();
                           loop.add_stream(std::move(stream));
                         }});
  loop.add_listener(std::move(listener));
  auto stream = TcpStream::connect(address);
  ASSERT_TRUE(stream.ok());
  client = stream->path();
  loop.add_stream(std::move(*stream));
  const model::Datagram hello{*client, bytes_of("hello")};
  loop.send(std::span{&hello, 1});  // before the connection stands
  run(loop);
  EXPECT_EQ(heard, "hello");
  EXPECT_EQ(answered, "answer");
  EXPECT_EQ(ended, "the peer closed the connection");
  ASSERT_TRUE(server);
  EXPECT_EQ(server->peer, client->local);
  EXPECT_EQ(server->local, client->peer);
}

TEST_P(Streams, ARefusedConnectionIsTold) {
  model::SocketAddress nobody;
  {
    TcpListener gone = listen();
    nobody = gone.bound();
  }
  EventLoop loop;
  std::string ended;
  loop.set_handlers({.on_datagrams = {},
                     .on_deadline = [&] { loop.stop(); },
                     .after_round = {},
                     .on_stream_ended =
                         [&](const model::Path&, const std::string& reason) {
                           ended = reason;
                           loop.stop();
                         }});
  auto stream = TcpStream::connect(nobody);
  if (stream.ok()) {
    loop.add_stream(std::move(*stream));
    run(loop);
  } else {
    ended = stream.error().message;
  }
  EXPECT_NE(ended.find("the connection was refused"), std::string::npos) << ended;
}

TEST_P(Streams, APeerThatDoesNotReadIsGivenUp) {
  TcpOptions small;
  small.unsent_bytes = 100000;
  TcpListener listener = listen(small);
  auto silent = TcpStream::connect(listener.bound());
  ASSERT_TRUE(silent.ok());
  EventLoop loop;
  std::string ended;
  std::size_t sent = 0;
  std::optional<model::Path> path;
  const auto pour = [&] {
    if (!path) return;
    for (int i = 0; i < 16; ++i) {
      const model::Datagram piece{*path, base::Bytes(50000, 'x')};
      loop.send(std::span{&piece, 1});
      sent += piece.bytes.size();
    }
  };
  loop.set_handlers({.on_datagrams = {},
                     .on_deadline = [&] { loop.stop(); },
                     .after_round =
                         [&] {
                           if (sent >= (64U << 20)) return;
                           pour();
                           loop.post([] {});  // another round
                         },
                     .on_stream_ended =
                         [&](const model::Path&, const std::string& reason) {
                           ended = reason;
                           path.reset();
                           loop.stop();
                         },
                     .on_accepted =
                         [&](TcpStream stream) {
                           path = stream.path();
                           loop.add_stream(std::move(stream));
                         }});
  loop.add_listener(std::move(listener));
  run(loop);
  EXPECT_EQ(ended, "the peer does not read: more than 100000 bytes wait for it");
}

// What waits for the peer goes with the connection, and so does what the peer has sent.
TEST_P(Streams, AConnectionMovesToAnotherLoop) {
  TcpListener listener = listen();
  auto client = TcpStream::connect(listener.bound());
  ASSERT_TRUE(client.ok());
  EventLoop first, second;
  first.set_handlers(
      {.on_datagrams =
           [&](std::span<model::Datagram> pieces) {
             const model::Path path = pieces[0].path;
             auto stream = first.remove_stream(path);
             ASSERT_TRUE(stream);
             EXPECT_FALSE(first.remove_stream(path));
             second.post([&second, moved = std::move(*stream)]() mutable { second.add_stream(std::move(moved)); });
             first.stop();
           },
       .on_deadline = [&] { first.stop(); },
       .after_round = {},
       .on_stream_ended = {},
       .on_accepted = [&](TcpStream stream) { first.add_stream(std::move(stream)); }});
  first.add_listener(std::move(listener));
  std::string heard;
  second.set_handlers({.on_datagrams =
                           [&](std::span<model::Datagram> pieces) {
                             for (auto& piece : pieces) heard += base::as_text(piece.bytes);
                             if (heard == "second") second.stop();
                           },
                       .on_deadline = [&] { second.stop(); },
                       .after_round = {}});
  std::thread other{[&] { run(second); }};
  // Two reading calls: the first loop must not take the second part.
  std::thread writer{[&] {
    for (int i = 0; i < 1000 && !client->flush(); ++i) std::this_thread::sleep_for(1ms);
    EXPECT_TRUE(client->send(bytes_of("first ")));
    std::this_thread::sleep_for(100ms);
    EXPECT_TRUE(client->send(bytes_of("second")));
  }};
  run(first);
  writer.join();
  other.join();
  EXPECT_EQ(heard, "second");
}

TEST_P(Streams, ThePortOfAnotherIsNotTaken) {
  TcpListener listener = listen();
  const auto again = TcpListener::listen(listener.bound());
  ASSERT_FALSE(again.ok());
  EXPECT_NE(again.error().message.find("is in use by another process"), std::string::npos) << again.error().message;
}

INSTANTIATE_TEST_SUITE_P(Families, Streams, ::testing::Values("127.0.0.1", "::1"));

}  // namespace
}  // namespace dots::adapters::net
