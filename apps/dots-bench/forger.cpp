#include "dots-bench/forger.h"

#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <random>
#include <thread>

#include "adapters/net/socket_address.h"
#include "dots-bench/poller.h"

namespace dots::bench {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t kSources = 64;
constexpr std::size_t kHellos = 500;
constexpr std::size_t kBurst = 8;  // from one address
constexpr int kPatienceMs = 2000;
constexpr std::array<std::uint16_t, 6> kCiphers = {0xc02b, 0xc02c, 0xcca9, 0xc023, 0xccac, 0x00a8};

class Bytes {
 public:
  void number(std::uint64_t value, std::size_t size) {
    for (std::size_t i = size; i-- > 0;) out.push_back(static_cast<std::uint8_t>(value >> (8 * i)));
  }
  void add(base::ByteView bytes) { out.insert(out.end(), bytes.begin(), bytes.end()); }
  void extension(std::uint16_t kind, const base::Bytes& body) {
    number(kind, 2);
    number(body.size(), 2);
    add(body);
  }
  base::Bytes out;
};

}  // namespace

// RFC 6347 4.2.1.
base::Bytes forged_hello(std::uint32_t seed, bool with_cookie) {
  std::mt19937 random{seed};
  Bytes extensions;
  extensions.extension(10, {0, 4, 0, 0x17, 0, 0x1d});  // groups
  extensions.extension(11, {1, 0});                    // point formats
  extensions.extension(13, {0, 4, 4, 3, 5, 3});        // signatures
  extensions.extension(23, {});                        // extended master secret
  extensions.extension(0xff01, {0});                   // secure renegotiation
  Bytes body;
  body.number(0xfefd, 2);
  for (int i = 0; i < 8; ++i) body.number(random(), 4);
  body.number(0, 1);  // no session
  body.number(with_cookie ? 16 : 0, 1);
  for (int i = 0; with_cookie && i < 4; ++i) body.number(random(), 4);
  body.number(2 * kCiphers.size(), 2);
  for (const std::uint16_t cipher : kCiphers) body.number(cipher, 2);
  body.number(0x0100, 2);  // one compression: none
  body.number(extensions.out.size(), 2);
  body.add(extensions.out);
  Bytes message;
  message.number(22, 1);
  message.number(0xfeff, 2);
  message.number(0, 8);  // epoch and sequence
  message.number(12 + body.out.size(), 2);
  message.number(1, 1);
  message.number(body.out.size(), 3);
  message.number(0, 2);
  message.number(0, 3);
  message.number(body.out.size(), 3);
  message.add(body.out);
  return message.out;
}

base::Result<Forger> Forger::open(const model::SocketAddress& server) {
  Forger forger;
  for (std::uint32_t i = 0; i < kHellos; ++i) forger.hellos_.push_back(forged_hello(i, i % 2 == 1));
  adapters::net::NativeAddress peer{};
  peer.v4.sin_family = AF_INET;
  std::memcpy(&peer.v4.sin_addr, server.ip.bytes.data(), sizeof peer.v4.sin_addr);
  peer.v4.sin_port = htons(server.port);
  std::mt19937 random{7};
  for (std::size_t i = 0; i < kSources; ++i) {
    Descriptor fd{::socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)};
    adapters::net::NativeAddress own{};
    own.v4.sin_family = AF_INET;
    own.v4.sin_addr.s_addr = htonl(0x7f000000U | static_cast<std::uint32_t>(1 + random() % 0xfffffd));
    if (!fd.ok() || ::bind(fd.get(), &own.any, sizeof own.v4) != 0 ||
        ::connect(fd.get(), &peer.any, sizeof peer.v4) != 0) {
      return base::Error{std::string{"no socket for forged hellos: "} + std::strerror(errno)};
    }
    forger.sockets_.push_back(std::move(fd));
  }
  return forger;
}

std::size_t Forger::send(std::size_t socket, std::size_t count) {
  std::array<iovec, kBurst> where{};
  std::array<mmsghdr, kBurst> headers{};
  count = std::min(count, kBurst);
  for (std::size_t i = 0; i < count; ++i) {
    base::Bytes& hello = hellos_[next_hello_++ % hellos_.size()];
    where[i] = {hello.data(), hello.size()};
    headers[i].msg_hdr.msg_iov = &where[i];
    headers[i].msg_hdr.msg_iovlen = 1;
  }
  const int sent = ::sendmmsg(sockets_[socket].get(), headers.data(), static_cast<unsigned>(count), 0);
  return sent > 0 ? static_cast<std::size_t>(sent) : 0;
}

base::Result<void> Forger::ask(std::uint64_t count) {
  std::vector<pollfd> waits;
  for (const Descriptor& socket : sockets_) waits.push_back({socket.get(), POLLIN, 0});
  std::array<std::uint8_t, 2048> answer{};
  for (std::uint64_t done = 0; done < count;) {
    std::size_t open = 0;
    for (std::size_t i = 0; i < sockets_.size() && done + open < count; ++i) {
      open += send(i, std::min<std::uint64_t>(kBurst, count - done - open));
    }
    done += open;
    while (open > 0) {
      if (::poll(waits.data(), waits.size(), kPatienceMs) <= 0) {
        return base::Error{std::to_string(open) + " hellos were not answered"};
      }
      for (const pollfd& wait : waits) {
        if ((wait.revents & POLLIN) == 0) continue;
        while (open > 0 && ::recv(wait.fd, answer.data(), answer.size(), 0) > 0) --open;
      }
    }
  }
  return {};
}

std::uint64_t Forger::flood(unsigned per_s, const std::atomic<bool>& stop) {
  const base::SteadyTime begin = steady_now();
  std::uint64_t sent = 0;
  std::uint64_t offered = 0;
  for (std::size_t socket = 0; !stop.load(); socket = (socket + 1) % sockets_.size()) {
    const auto due = static_cast<std::uint64_t>(std::chrono::duration<double>(steady_now() - begin).count() * per_s);
    if (due <= offered) {
      std::this_thread::sleep_for(500us);
      continue;
    }
    const std::uint64_t burst = std::min<std::uint64_t>(kBurst, due - offered);
    sent += send(socket, burst);
    offered += burst;
  }
  return sent;
}

}  // namespace dots::bench
