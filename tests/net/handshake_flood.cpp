// One valid client that opens DTLS session after session from new ports and abandons them without a word.
// usage: dots_handshake_flood PORT SECONDS IDENTITY KEY_IN_HEX    (the server is on 127.0.0.1); prints how many it
// opened.
#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <utility>
#include <vector>

#include "adapters/net/dtls_channel.h"
#include "adapters/net/event_loop.h"

namespace {

namespace net = dots::adapters::net;
using dots::ports::ChannelEvents;
constexpr std::size_t kInFlight = 16;
constexpr std::chrono::seconds kPatience{5};

sockaddr_in address(const char* ip, std::uint16_t port) {
  sockaddr_in out{};
  out.sin_family = AF_INET;
  out.sin_port = htons(port);
  inet_pton(AF_INET, ip, &out.sin_addr);
  return out;
}

// One handshake from a port of its own.
class Attempt {
 public:
  Attempt(net::DtlsConnector& connector, std::uint16_t port) : fd_(::socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0)) {
    const sockaddr_in own = address("127.9.9.9", 0), server = address("127.0.0.1", port);
    ChannelEvents events;
    auto channel = connector.connect("localhost", events);
    if (::bind(fd_, reinterpret_cast<const sockaddr*>(&own), sizeof own) != 0 ||
        ::connect(fd_, reinterpret_cast<const sockaddr*>(&server), sizeof server) != 0 || !channel) {
      std::perror("no attempt");
      std::exit(1);
    }
    channel_ = std::move(*channel);
    take(std::move(events));
  }
  Attempt(const Attempt&) = delete;
  Attempt& operator=(const Attempt&) = delete;
  ~Attempt() { ::close(fd_); }

  int fd() const { return fd_; }
  bool opened() const { return opened_; }
  bool over() const { return opened_ || closed_ || std::chrono::steady_clock::now() - begun_ > kPatience; }
  void run() {
    std::array<std::uint8_t, 2048> buffer{};
    for (ssize_t n = 0; !over() && (n = ::recv(fd_, buffer.data(), buffer.size(), 0)) > 0;) {
      ChannelEvents events;
      channel_->on_datagram({buffer.data(), static_cast<std::size_t>(n)}, events);
      take(std::move(events));
    }
    if (const auto wait = channel_->timeout(); !over() && wait && *wait <= dots::base::Duration::zero()) {
      ChannelEvents events;
      channel_->on_timeout(events);
      take(std::move(events));
    }
  }

 private:
  void take(ChannelEvents&& events) {
    for (const auto& bytes : events.datagrams) (void)!::send(fd_, bytes.data(), bytes.size(), 0);
    opened_ |= events.opened;
    closed_ |= events.closed;
  }

  int fd_;
  std::unique_ptr<dots::ports::SecureChannel> channel_;
  std::chrono::steady_clock::time_point begun_ = std::chrono::steady_clock::now();
  bool opened_ = false, closed_ = false;
};

}  // namespace

int main(int argc, char** argv) {
  const auto key = argc == 5 ? dots::base::from_hex(argv[4]) : std::nullopt;
  if (!key) return 2;
  net::CredentialSources sources;
  sources.psk = {{argv[3], *key}};
  const auto credentials = net::Credentials::load(sources, net::Side::client, net::clock_now().wall);
  if (!credentials) return 2;
  net::DtlsConnector connector{*credentials, {}};
  const auto port = static_cast<std::uint16_t>(std::atoi(argv[1]));
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds{std::atoi(argv[2])};
  std::vector<std::unique_ptr<Attempt>> attempts;
  std::size_t opened = 0;
  while (std::chrono::steady_clock::now() < end) {
    while (attempts.size() < kInFlight) attempts.push_back(std::make_unique<Attempt>(connector, port));
    std::vector<pollfd> waits;
    for (const auto& attempt : attempts) waits.push_back({attempt->fd(), POLLIN, 0});
    (void)::poll(waits.data(), waits.size(), 100);
    for (const auto& attempt : attempts) attempt->run();
    for (const auto& attempt : attempts) opened += attempt->opened() ? 1 : 0;
    std::erase_if(attempts, [](const auto& attempt) { return attempt->over(); });
  }
  std::printf("%zu\n", opened);
}
