#include "dots-bench/crowd.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "dots-bench/descriptor.h"
#include "dots-bench/exchange.h"

namespace dots::bench {
namespace {

constexpr const char* kServerName = "localhost";
constexpr std::size_t kSockets = 8;
constexpr std::uint32_t kFirstAddress = 0x7f01'0001;  // 127.1.0.1; the next eight sessions have the next one
constexpr std::size_t kHandshakesInFlight = 32;
constexpr base::Duration kPatience = std::chrono::seconds{60};
constexpr std::size_t kOneOf = 10000;  // beats may stay without an answer
constexpr int kReceiveBufferBytes = 8 << 20;

std::uint32_t number_of(const model::IpAddress& ip) {
  std::uint32_t number = 0;
  for (std::size_t i = 0; i < 4; ++i) number = number << 8 | ip.bytes[i];
  return number;
}

}  // namespace

base::Result<void> Crowd::bind() {
  for (std::size_t i = 0; i < kSockets; ++i) {
    Descriptor fd{::socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)};
    const int yes = 1;
    sockaddr_in own{};
    own.sin_family = AF_INET;
    socklen_t size = sizeof own;
    if (!fd.ok() || ::setsockopt(fd.get(), IPPROTO_IP, IP_PKTINFO, &yes, sizeof yes) != 0 ||
        ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&own), sizeof own) != 0 ||
        ::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&own), &size) != 0) {
      return base::Error{std::string{"no socket for the sessions: "} + std::strerror(errno)};
    }
    if (::setsockopt(fd.get(), SOL_SOCKET, SO_RCVBUFFORCE, &kReceiveBufferBytes, sizeof kReceiveBufferBytes) != 0) {
      ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVBUF, &kReceiveBufferBytes, sizeof kReceiveBufferBytes);
    }
    if (!poller_->add(fd.get(), i)) return base::Error{"the sockets cannot be watched"};
    sockets_.emplace_back(fd.release(), model::SocketAddress{*model::parse_ip_address("0.0.0.0"), ntohs(own.sin_port)});
  }
  return {};
}

model::Path Crowd::path_of(std::size_t member) const {
  const auto address = kFirstAddress + static_cast<std::uint32_t>(member / kSockets);
  model::Path path{server_, {server_.ip, sockets_[member % kSockets].bound().port}, model::Transport::udp};
  for (std::size_t i = 0; i < 4; ++i) path.local.ip.bytes[i] = static_cast<std::uint8_t>(address >> (24 - 8 * i));
  return path;
}

base::Result<void> Crowd::send(std::size_t member, ports::ChannelEvents& events) {
  std::vector<model::Datagram> datagrams;
  for (auto& bytes : events.datagrams) datagrams.push_back({path_of(member), std::move(bytes)});
  events.datagrams.clear();
  if (sockets_[member % kSockets].send(datagrams).dropped > 0) return base::Error{"a datagram could not be sent"};
  if (events.closed) return base::Error{"a session ended: " + events.reason};
  return {};
}

base::Result<void> Crowd::start(std::size_t member, adapters::net::DtlsConnector& connector) {
  ports::ChannelEvents events;
  auto channel = connector.connect(kServerName, events);
  if (!channel) return channel.error();
  members_[member].channel = std::move(*channel);
  return send(member, events);
}

// What waits at a socket, up to one call, into received_.
void Crowd::read(std::size_t socket) {
  received_.clear();
  sockets_[socket].receive(*buffers_, received_);
}

base::Result<Crowd> Crowd::open(const model::SocketAddress& server, const ClientCredentials& credentials,
                                std::size_t sessions) {
  Crowd crowd;
  crowd.server_ = server;
  if (auto bound = crowd.bind(); !bound) return bound.error();
  crowd.members_.resize(sessions);
  adapters::net::DtlsConnector connector{credentials, {}};
  std::size_t begun = 0;
  std::size_t open = 0;
  std::vector<std::size_t> going;
  base::SteadyTime give_up = steady_now() + kPatience;
  base::SteadyTime repeat_at = steady_now();
  while (open < sessions) {
    for (; going.size() < kHandshakesInFlight && begun < sessions; ++begun) {
      if (auto started = crowd.start(begun, connector); !started) return started.error();
      going.push_back(begun);
    }
    for (const std::size_t socket : crowd.poller_->wait(std::chrono::milliseconds{20})) {
      crowd.read(socket);
      for (const model::Datagram& datagram : crowd.received_) {
        const std::size_t member = (number_of(datagram.path.local.ip) - kFirstAddress) * kSockets + socket;
        if (member >= begun) continue;
        ports::ChannelEvents events;
        crowd.members_[member].channel->on_datagram(datagram.bytes, events);
        if (auto sent = crowd.send(member, events); !sent) return sent.error();
        if (!events.opened) continue;
        ++open;
        std::erase(going, member);
        give_up = steady_now() + kPatience;
      }
    }
    const base::SteadyTime now = steady_now();
    if (now > give_up) return base::Error{"the handshakes take too long"};
    if (now < repeat_at) continue;
    repeat_at = now + std::chrono::seconds{1};
    for (const std::size_t member : going) {
      ports::ChannelEvents events;
      crowd.members_[member].channel->on_timeout(events);
      if (auto sent = crowd.send(member, events); !sent) return sent.error();
    }
  }
  return crowd;
}

base::Result<void> Crowd::take(std::size_t number, base::ByteView message, const Workload& workload,
                               LoadResult& result) {
  Member& member = members_[number];
  if (is_request(message)) {
    ++result.peer_requests;
    const base::Bytes answer = answer_to_heartbeat(message, member.next_message_id++);
    if (answer.empty()) return {};
    ports::ChannelEvents events;
    if (auto sent = member.channel->send(answer, events); !sent) return sent;
    return send(number, events);
  }
  if (!member.waits || number_of_token(message) != member.token) {
    if (result.unanswered > 0) return {};  // one of those that were given up
    return base::Error{"something came that answers nothing: " + base::to_hex(message)};
  }
  if (const auto wrong = workload.check(message, member.tag)) return base::Error{*wrong};
  member.waits = false;
  result.latencies.push_back(steady_now() - member.sent);
  result.answer_bytes += static_cast<double>(message.size());
  return {};
}

base::Result<LoadResult> Crowd::beat(const Workload& workload, base::Duration period, unsigned periods) {
  LoadResult result;
  const std::size_t total = members_.size() * periods;
  result.latencies.reserve(total);
  const base::SteadyTime begin = steady_now();
  const auto due = [&](std::size_t turn) {
    return begin + period * static_cast<std::int64_t>(turn) / static_cast<std::int64_t>(members_.size());
  };
  const std::size_t most_unanswered = total / kOneOf;
  while (result.latencies.size() + result.unanswered < total) {
    base::SteadyTime now = steady_now();
    for (; result.sent < total && due(result.sent) <= now; ++result.sent) {
      const std::size_t number = result.sent % members_.size();
      Member& member = members_[number];
      if (member.waits && ++result.unanswered > most_unanswered) {
        return base::Error{std::to_string(result.unanswered) + " beats were not answered within a period"};
      }
      member.token = next_token_++;
      const Outgoing outgoing = workload.make(number, member.next_message_id++, token_of_number(member.token));
      ports::ChannelEvents events;
      if (auto sent = member.channel->send(outgoing.message, events); !sent) return sent.error();
      member.sent = steady_now();
      member.tag = outgoing.tag;
      member.waits = true;
      if (auto sent = send(number, events); !sent) return sent.error();
      result.request_bytes += static_cast<double>(outgoing.message.size());
    }
    now = steady_now();
    if (now > begin + period * periods + kPatience) {
      result.unanswered = total - result.latencies.size();
      if (result.unanswered <= most_unanswered) break;
      return base::Error{std::to_string(result.unanswered) + " beats were not answered"};
    }
    const base::Duration wait = result.sent < total ? due(result.sent) - now : std::chrono::milliseconds{100};
    for (const std::size_t socket : poller_->wait(wait)) {
      read(socket);
      for (const model::Datagram& datagram : received_) {
        const std::size_t number = (number_of(datagram.path.local.ip) - kFirstAddress) * kSockets + socket;
        if (number >= members_.size()) continue;
        ports::ChannelEvents events;
        members_[number].channel->on_datagram(datagram.bytes, events);
        if (auto sent = send(number, events); !sent) return sent.error();
        for (const auto& plaintext : events.plaintexts) {
          if (auto taken = take(number, plaintext, workload, result); !taken) return taken.error();
        }
      }
    }
  }
  result.wall_s = std::chrono::duration<double>(steady_now() - begin).count();
  result.request_bytes /= static_cast<double>(total);
  result.answer_bytes /= static_cast<double>(total);
  return result;
}

}  // namespace dots::bench
