#include "dots-bench/lane.h"

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "adapters/net/dtls_channel.h"
#include "dots-bench/poller.h"

namespace dots::bench {
namespace {

constexpr std::uint32_t kReceiveBufferBytes = 65536;
constexpr const char* kServerName = "localhost";

}  // namespace

base::Result<Lane> Lane::open(const model::SocketAddress& server, ports::ChannelConnector* connector) {
  auto socket = adapters::net::UdpSocket::connect(server, kReceiveBufferBytes);
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
  for (const auto& credentials : options.credentials)
    connectors.emplace_back(credentials, adapters::net::DtlsOptions{});

  Opened opened;
  opened.handshakes.reserve(options.sessions);
  // A descriptor that is closed leaves the poller by itself.
  Poller poller;
  std::vector<std::optional<Attempt>> attempts(std::min(options.in_flight, options.sessions));
  std::size_t begun = 0;
  std::vector<base::Bytes> plaintexts;
  const base::SteadyTime give_up = steady_now() + options.patience;

  const auto begin = [&](std::size_t slot) -> base::Result<void> {
    const base::SteadyTime now = steady_now();
    auto lane = Lane::open(options.server, &connectors[begun % connectors.size()]);
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
  for (auto& lane : kept) opened.lanes.push_back(std::move(*lane));
  return opened;
}

base::Result<std::vector<Lane>> open_plain(const model::SocketAddress& server, std::size_t count) {
  std::vector<Lane> lanes;
  for (std::size_t i = 0; i < count; ++i) {
    auto lane = Lane::open(server, nullptr);
    if (!lane) return lane.error();
    lanes.push_back(std::move(*lane));
  }
  return lanes;
}

}  // namespace dots::bench
