#include "dots-bench/lane.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "adapters/net/dtls_channel.h"
#include "adapters/net/socket_address.h"
#include "dots-bench/descriptor.h"
#include "dots-bench/poller.h"

namespace dots::bench {
namespace {

constexpr std::uint32_t kReceiveBufferBytes = 65536;
constexpr const char* kServerName = "localhost";
constexpr std::size_t kLanesPerAddress = 20'000;

// From 127.0.N.1, N from 1 on; the server is on the loopback too.
base::Result<adapters::net::UdpSocket> connect_from(std::size_t number, const model::SocketAddress& server) {
  Descriptor fd{::socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)};
  sockaddr_in own{};
  own.sin_family = AF_INET;
  own.sin_addr.s_addr = htonl(INADDR_LOOPBACK + (static_cast<std::uint32_t>(number) << 8));
  sockaddr_in peer{};
  peer.sin_family = AF_INET;
  std::memcpy(&peer.sin_addr, server.ip.bytes.data(), sizeof peer.sin_addr);
  peer.sin_port = htons(server.port);
  if (!fd.ok() || ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&own), sizeof own) != 0 ||
      ::connect(fd.get(), reinterpret_cast<const sockaddr*>(&peer), sizeof peer) != 0) {
    return base::Error{std::string{"no socket for a session: "} + std::strerror(errno)};
  }
  return adapters::net::UdpSocket{fd.release(), {}, true, server};
}

}  // namespace

base::Result<Lane> Lane::open(const model::SocketAddress& server, ports::ChannelConnector* connector,
                              std::size_t number) {
  const std::size_t address = number / kLanesPerAddress;
  auto socket =
      address == 0 ? adapters::net::UdpSocket::connect(server, kReceiveBufferBytes) : connect_from(address, server);
  if (!socket) return socket.error();
  Lane lane;
  lane.socket_ = std::move(*socket);
  if (connector == nullptr) return lane;
  ports::ChannelEvents events;
  auto channel = connector->connect(kServerName, events);
  if (!channel) return channel.error();
  lane.channel_ = std::move(*channel);
  lane.absorb(events, nullptr);
  return lane;
}

std::size_t Lane::send_datagram(base::ByteView datagram) {
  // A refused datagram reports an error of an earlier one first.
  for (int tries = 0; tries < 2; ++tries) {
    if (::send(socket_->fd(), datagram.data(), datagram.size(), MSG_DONTWAIT) >= 0) return datagram.size();
  }
  return 0;
}

bool Lane::absorb(ports::ChannelEvents& events, std::vector<base::Bytes>* plaintexts) {
  for (const auto& datagram : events.datagrams) send_datagram(datagram);
  if (plaintexts != nullptr) {
    for (auto& bytes : events.plaintexts) plaintexts->push_back(std::move(bytes));
  }
  if (!events.closed) return true;
  reason_ = events.reason.empty() ? "the server closed the session" : events.reason;
  return false;
}

std::size_t Lane::send(base::ByteView message) {
  if (!channel_) return send_datagram(message);
  ports::ChannelEvents events;
  if (!channel_->send(message, events) || events.datagrams.size() != 1) return 0;
  return send_datagram(events.datagrams.front());
}

bool Lane::receive(std::vector<base::Bytes>& plaintexts) {
  std::array<std::uint8_t, adapters::net::kLargestDatagramBytes> buffer;  // NOLINT: written before it is read
  const ssize_t size = ::recv(socket_->fd(), buffer.data(), buffer.size(), MSG_DONTWAIT);
  if (size < 0) {
    if (errno != ECONNREFUSED) return true;
    reason_ = "nobody listens at the server's port";
    return false;
  }
  ++received_datagrams_;
  received_bytes_ += static_cast<std::uint64_t>(size);
  const base::ByteView datagram{buffer.data(), static_cast<std::size_t>(size)};
  if (!channel_) {
    plaintexts.emplace_back(datagram.begin(), datagram.end());
    return true;
  }
  ports::ChannelEvents events;
  channel_->on_datagram(datagram, events);
  return absorb(events, &plaintexts);
}

bool Lane::on_timeout() {
  ports::ChannelEvents events;
  channel_->on_timeout(events);
  return absorb(events, nullptr);
}

void Lane::close() {
  if (!channel_) return;
  ports::ChannelEvents events;
  channel_->close(events);
  absorb(events, nullptr);
}

base::Result<Opened> open_sessions(const OpenOptions& options) {
  struct Attempt {
    Lane lane;
    std::size_t number = 0;
    base::SteadyTime started, due;
  };
  std::vector<adapters::net::DtlsConnector> connectors;
  adapters::net::DtlsOptions dtls;
  dtls.resumption.tickets = options.tickets;
  for (const auto& credentials : options.credentials) connectors.emplace_back(credentials, dtls);

  Opened opened;
  opened.handshakes.reserve(options.sessions);
  // A descriptor that is closed leaves the poller by itself.
  Poller poller;
  std::vector<std::optional<Attempt>> attempts(std::min(options.in_flight, options.sessions));
  std::size_t begun = 0;
  std::vector<base::Bytes> plaintexts;
  base::SteadyTime give_up = steady_now() + options.patience;

  const auto begin = [&](std::size_t slot) -> base::Result<void> {
    const base::SteadyTime now = steady_now();
    auto lane = Lane::open(options.server, &connectors[begun % connectors.size()], begun);
    if (!lane) return lane.error();
    if (!poller.add(lane->fd(), slot)) return base::Error{"the sockets cannot be watched"};
    const base::SteadyTime due = now + lane->timeout().value_or(std::chrono::seconds{1});
    attempts[slot].emplace(Attempt{std::move(*lane), begun, now, due});
    ++begun;
    return {};
  };
  for (std::size_t slot = 0; slot < attempts.size(); ++slot) {
    if (auto started = begin(slot); !started) return started.error();
  }
  std::vector<std::optional<Lane>> kept(options.keep ? options.sessions : 0);  // in order of their credentials
  while (opened.handshakes.size() < options.sessions) {
    for (const std::size_t slot : poller.wait(std::chrono::milliseconds{20})) {
      auto& attempt = attempts[slot];
      if (!attempt) continue;
      if (!attempt->lane.receive(plaintexts)) return base::Error{"a handshake failed: " + attempt->lane.reason()};
      if (!attempt->lane.is_open()) continue;
      opened.handshakes.push_back(steady_now() - attempt->started);
      if (attempt->lane.resumed()) ++opened.resumed;
      give_up = steady_now() + options.patience;
      if (options.keep) {
        poller.remove(attempt->lane.fd());
        kept[attempt->number] = std::move(attempt->lane);
      } else {
        attempt->lane.close();
      }
      attempt.reset();
      if (begun == options.sessions) continue;
      if (auto started = begin(slot); !started) return started.error();
    }
    const base::SteadyTime now = steady_now();
    if (now > give_up) return base::Error{"the handshakes take too long"};
    for (auto& attempt : attempts) {
      if (!attempt || attempt->due > now) continue;
      if (!attempt->lane.on_timeout()) return base::Error{"a handshake failed: " + attempt->lane.reason()};
      attempt->due = now + attempt->lane.timeout().value_or(std::chrono::seconds{1});
    }
  }
  opened.lanes.reserve(kept.size());
  for (auto& lane : kept) opened.lanes.push_back(std::move(*lane));
  return opened;
}

base::Result<std::vector<Lane>> open_plain(const model::SocketAddress& server, std::size_t count) {
  std::vector<Lane> lanes;
  for (std::size_t i = 0; i < count; ++i) {
    auto lane = Lane::open(server, nullptr, i);
    if (!lane) return lane.error();
    lanes.push_back(std::move(*lane));
  }
  return lanes;
}

}  // namespace dots::bench
