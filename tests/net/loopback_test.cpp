// A whole server half on loopback: admission thread, two shards, kernel steering, real clients and a flood of hellos.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <thread>

#include "adapters/net/dtls_admission.h"
#include "adapters/net/dtls_channel.h"
#include "adapters/net/event_loop.h"
#include "adapters/net/steering.h"
#include "agent/peers/admission_table.h"
#include "agent/peers/session_table.h"
#include "tests/support/test_pki.h"

namespace dots {
namespace {

using namespace std::chrono_literals;
namespace net = adapters::net;

constexpr std::uint32_t kShards = 2;

// Echoes what clients send, upside down.
class EchoServer {
 public:
  EchoServer(const model::SocketAddress& address, std::shared_ptr<const net::Credentials> credentials)
      : admission_(std::make_shared<net::DtlsAdmission>(std::move(credentials), net::DtlsOptions{}), {}) {
    auto group = net::open_listen_group(address, kShards);
    if (!group) throw std::runtime_error{group.error().message};
    bound_ = group->bound;
    for (std::uint16_t i = 0; i < kShards; ++i) {
      shards_.push_back(std::make_unique<Shard>(i));
      start_shard(*shards_.back(), std::move(group->shards[i]));
    }
    admission_loop_.set_handlers({.on_datagrams =
                                      [this](std::span<model::Datagram> datagrams) {
                                        agent::AdmissionEffects out;
                                        for (const auto& d : datagrams)
                                          admission_.on_datagram(d, admission_loop_.now(), out);
                                        perform(std::move(out));
                                      },
                                  .on_deadline =
                                      [this] {
                                        agent::AdmissionEffects out;
                                        admission_.on_timer(admission_loop_.now(), out);
                                        perform(std::move(out));
                                      },
                                  .after_round = [this] { admission_loop_.set_deadline(admission_.next_deadline()); }});
    admission_loop_.add_socket(std::move(group->admission[0]));
    for (auto& shard : shards_) threads_.emplace_back([&shard] { shard->loop.run(); });
    threads_.emplace_back([this] { admission_loop_.run(); });
  }
  ~EchoServer() {
    admission_loop_.stop();
    for (auto& shard : shards_) shard->loop.stop();
    for (auto& thread : threads_) thread.join();
  }
  const model::SocketAddress& bound() const { return bound_; }
  std::uint64_t cookies() const { return cookies_; }
  std::uint64_t started() const { return started_; }
  std::uint64_t opened(std::uint32_t shard) const { return shards_[shard]->opened; }
  std::uint64_t unknown() const { return shards_[0]->unknown + shards_[1]->unknown; }

 private:
  struct Shard {
    explicit Shard(std::uint16_t number) : table(number, {}) {}
    net::EventLoop loop;
    agent::SessionTable table;
    std::atomic<std::uint64_t> opened{0}, unknown{0};
  };
  void start_shard(Shard& shard, net::UdpSocket socket) {
    shard.loop.set_handlers({.on_datagrams =
                                 [this, &shard](std::span<model::Datagram> datagrams) {
                                   agent::SessionEffects out;
                                   for (const auto& d : datagrams) shard.table.on_datagram(d, shard.loop.now(), out);
                                   perform(shard, std::move(out));
                                 },
                             .on_deadline = {},
                             .after_round = {}});
    shard.loop.add_socket(std::move(socket));
  }
  void perform(Shard& shard, agent::SessionEffects&& out) {
    shard.opened += out.opened.size();
    shard.unknown += out.unknown_peer;
    for (auto& plaintext : out.plaintexts) {
      std::reverse(plaintext.bytes.begin(), plaintext.bytes.end());
      shard.table.send(plaintext.session, plaintext.bytes, shard.loop.now(), out);
    }
    shard.loop.send(out.send);
  }
  void perform(agent::AdmissionEffects&& out) {
    admission_loop_.send(out.send);
    cookies_ += out.counters.cookies;
    started_ += out.counters.started;
    for (auto& admitted : out.admitted) {
      Shard& shard = *shards_[model::shard_of(admitted.path.peer, kShards)];
      shard.loop.post(
          [this, &shard, admitted = std::move(admitted)]() mutable {
            agent::SessionEffects effects;
            shard.table.adopt(std::move(admitted), shard.loop.now(), effects);
            perform(shard, std::move(effects));
          },
          net::Priority::reserved);
    }
    for (auto& datagram : out.forward) {
      Shard& shard = *shards_[model::shard_of(datagram.path.peer, kShards)];
      shard.loop.post([this, &shard, datagram = std::move(datagram)] {
        agent::SessionEffects effects;
        shard.table.on_datagram(datagram, shard.loop.now(), effects);
        perform(shard, std::move(effects));
      });
    }
  }

  agent::AdmissionTable admission_;
  net::EventLoop admission_loop_;
  std::vector<std::unique_ptr<Shard>> shards_;
  model::SocketAddress bound_;
  std::atomic<std::uint64_t> cookies_{0}, started_{0};
  std::vector<std::thread> threads_;
};

// Connects, sends `messages` one after the other, and returns the answers; empty when it did not work.
std::vector<std::string> talk(const model::SocketAddress& server, ports::ChannelConnector& connector,
                              const std::vector<std::string>& messages, std::chrono::seconds limit = 20s) {
  auto socket = net::UdpSocket::connect(server);
  if (!socket) return {};
  const model::Path path{server, socket->bound()};
  net::EventLoop loop;
  std::unique_ptr<ports::SecureChannel> channel;
  std::vector<std::string> answers;
  const auto end = loop.now().steady + limit;
  const auto perform = [&](ports::ChannelEvents&& events) {
    std::vector<model::Datagram> sends;
    for (const auto& bytes : events.plaintexts) answers.emplace_back(base::as_text(bytes));
    if (events.closed || answers.size() == messages.size()) return loop.stop();
    ports::ChannelEvents more;
    if (events.opened || !events.plaintexts.empty()) {
      (void)channel->send(base::as_bytes(messages[answers.size()]), more);
    }
    for (auto* list : {&events.datagrams, &more.datagrams}) {
      for (auto& bytes : *list) sends.push_back({path, std::move(bytes)});
    }
    loop.send(sends);
  };
  loop.set_handlers({.on_datagrams =
                         [&](std::span<model::Datagram> datagrams) {
                           for (const auto& datagram : datagrams) {
                             ports::ChannelEvents events;
                             channel->on_datagram(datagram.bytes, events);
                             perform(std::move(events));
                           }
                         },
                     .on_deadline =
                         [&] {
                           if (loop.now().steady >= end) return loop.stop();
                           ports::ChannelEvents events;
                           channel->on_timeout(events);
                           perform(std::move(events));
                         },
                     .after_round =
                         [&] {
                           const auto wait = channel->timeout();
                           loop.set_deadline(wait ? std::min(end, loop.now().steady + *wait) : end);
                         }});
  loop.add_socket(std::move(*socket));
  loop.post([&] {
    ports::ChannelEvents events;
    auto opened = connector.connect("server.example", events);
    if (!opened) return loop.stop();
    channel = std::move(*opened);
    perform(std::move(events));
  });
  loop.run();
  return answers;
}

class Loopback : public ::testing::TestWithParam<const char*> {
 protected:
  static std::shared_ptr<const net::Credentials> load(const net::CredentialSources& sources, net::Side side) {
    auto loaded = net::Credentials::load(sources, side, net::clock_now().wall);
    if (!loaded) throw std::runtime_error{to_string(loaded.error().front())};
    return *loaded;
  }
  test::TestPki pki_;
  test::IssuedCertificate server_ = pki_.issue({.name = "server", .dns = {"server.example"}});
  test::IssuedCertificate client_ = pki_.issue({.name = "client", .dns = {"client.example"}});
};

TEST_P(Loopback, CertificateAndPskClientsWhileHellosFlood) {
  net::CredentialSources sources;
  sources.ca_file = pki_.ca_file();
  sources.certificate_file = server_.certificate_file;
  sources.key_file = server_.key_file;
  sources.psk = {{"home", base::Bytes(16, 5)}};
  EchoServer server{{*model::parse_ip_address(GetParam()), 0}, load(sources, net::Side::server)};

  std::atomic<bool> flooding{true};
  std::thread flood{[&] {
    net::CredentialSources psk;
    psk.psk = {{"home", base::Bytes(16, 5)}};
    net::DtlsConnector connector{load(psk, net::Side::client), {}};
    ports::ChannelEvents events;
    const auto channel = connector.connect("server.example", events);
    while (flooding) {
      // A new socket for each batch: many addresses that never answer their cookie.
      auto socket = net::UdpSocket::connect(server.bound());
      if (!socket) break;
      const std::vector<model::Datagram> batch(20, {{server.bound(), socket->bound()}, events.datagrams.front()});
      socket->send(batch);
      std::this_thread::sleep_for(1ms);
    }
  }};
  std::atomic<int> good{0};
  std::vector<std::thread> clients;
  for (int i = 0; i < 8; ++i) {
    clients.emplace_back([&, i] {
      net::CredentialSources own;
      if (i % 2 == 0) {
        own.ca_file = pki_.ca_file();
        own.certificate_file = client_.certificate_file;
        own.key_file = client_.key_file;
      } else {
        own.psk = {{"home", base::Bytes(16, 5)}};
      }
      net::DtlsConnector connector{load(own, net::Side::client), {}};
      if (talk(server.bound(), connector, {"abc", "heartbeat", std::string(1000, 'x') + "y"}) ==
          std::vector<std::string>{"cba", "taebtraeh", "y" + std::string(1000, 'x')}) {
        ++good;
      }
    });
  }
  for (auto& client : clients) client.join();
  flooding = false;
  flood.join();
  EXPECT_EQ(good, 8);
  EXPECT_EQ(server.opened(0) + server.opened(1), 8U);
  EXPECT_EQ(server.unknown(), 0U) << "every record of a session found its shard";
  EXPECT_GT(server.cookies(), 20U) << "the flood was there";
  EXPECT_EQ(server.started(), 8U) << "and started nothing";
}

INSTANTIATE_TEST_SUITE_P(Families, Loopback, ::testing::Values("127.0.0.1", "::1"),
                         [](const auto& which) { return std::string{which.param[0] == '1' ? "v4" : "v6"}; });

}  // namespace
}  // namespace dots
