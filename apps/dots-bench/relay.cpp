#include "dots-bench/relay.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <deque>
#include <map>
#include <optional>
#include <random>
#include <vector>

#include "base/bytes.h"
#include "dots-bench/descriptor.h"
#include "dots-bench/poller.h"

namespace dots::bench {
namespace {

sockaddr_in native(const model::SocketAddress& address) {
  sockaddr_in out{};
  out.sin_family = AF_INET;
  std::memcpy(&out.sin_addr, address.ip.bytes.data(), sizeof out.sin_addr);
  out.sin_port = htons(address.port);
  return out;
}

Descriptor udp_socket() { return Descriptor{::socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)}; }

}  // namespace

class Relay::Link {
 public:
  Link(Relay& relay, Descriptor front, const sockaddr_in& server, base::Duration one_way, std::uint32_t seed)
      : relay_(relay), front_(std::move(front)), server_(server), one_way_(one_way), random_(seed) {
    poller_.add(front_.get(), 0);
  }

  void run() {
    while (!relay_.stop_) {
      base::Duration wait = std::chrono::milliseconds{50};
      for (const base::SteadyTime now = steady_now(); !on_the_way_.empty(); on_the_way_.pop_front()) {
        const Flying& next = on_the_way_.front();
        if (next.arrives > now) {
          wait = std::min(wait, next.arrives - now);
          break;
        }
        deliver(next);
      }
      for (const std::size_t number : poller_.wait(wait)) {
        if (number == 0) {
          from_clients();
        } else {
          from_server(number - 1);
        }
      }
    }
  }

 private:
  struct Client {
    sockaddr_in address{};
    Descriptor back;  // connected to the server
  };
  struct Flying {
    base::SteadyTime arrives;
    std::size_t client = 0;
    bool up = false;
    base::Bytes bytes;
  };

  std::optional<std::size_t> client_at(const sockaddr_in& address) {
    const std::uint64_t key = static_cast<std::uint64_t>(address.sin_addr.s_addr) << 16 | address.sin_port;
    if (const auto found = by_address_.find(key); found != by_address_.end()) return found->second;
    Client client{address, udp_socket()};
    if (!client.back.ok() ||
        ::connect(client.back.get(), reinterpret_cast<const sockaddr*>(&server_), sizeof server_) != 0) {
      return std::nullopt;
    }
    const std::size_t number = clients_.size();
    poller_.add(client.back.get(), number + 1);
    clients_.push_back(std::move(client));
    by_address_[key] = number;
    return number;
  }

  void from_clients() {
    sockaddr_in peer{};
    socklen_t size = sizeof peer;
    for (ssize_t n = 0; (n = ::recvfrom(front_.get(), buffer_.data(), buffer_.size(), 0,
                                        reinterpret_cast<sockaddr*>(&peer), &size)) >= 0;
         size = sizeof peer) {
      if (const auto client = client_at(peer)) carry(*client, true, static_cast<std::size_t>(n));
    }
  }
  void from_server(std::size_t client) {
    for (ssize_t n = 0; (n = ::recv(clients_[client].back.get(), buffer_.data(), buffer_.size(), 0)) >= 0;) {
      carry(client, false, static_cast<std::size_t>(n));
    }
  }
  void carry(std::size_t client, bool up, std::size_t size) {
    if (random_() % 100 < relay_.loss_percent_) {
      ++relay_.lost_;
      return;
    }
    ++relay_.carried_;
    on_the_way_.push_back(
        {steady_now() + one_way_, client, up, {buffer_.begin(), buffer_.begin() + static_cast<std::ptrdiff_t>(size)}});
  }
  void deliver(const Flying& flying) {
    const Client& client = clients_[flying.client];
    if (flying.up) {
      ::send(client.back.get(), flying.bytes.data(), flying.bytes.size(), 0);
    } else {
      ::sendto(front_.get(), flying.bytes.data(), flying.bytes.size(), 0,
               reinterpret_cast<const sockaddr*>(&client.address), sizeof client.address);
    }
  }

  Relay& relay_;
  Descriptor front_;
  sockaddr_in server_;
  base::Duration one_way_;
  std::mt19937 random_;
  Poller poller_;
  std::vector<Client> clients_;
  std::map<std::uint64_t, std::size_t> by_address_;
  std::deque<Flying> on_the_way_;  // all take the same time, so they arrive in order
  std::array<std::uint8_t, 9216> buffer_{};
};

Relay::Relay() = default;

base::Result<std::unique_ptr<Relay>> Relay::start(const model::SocketAddress& server, base::Duration one_way,
                                                  std::uint32_t seed) {
  std::unique_ptr<Relay> relay{new Relay};
  relay->address_ = {*model::parse_ip_address("127.0.0.1"), 0};
  Descriptor front = udp_socket();
  sockaddr_in own = native(relay->address_);
  socklen_t size = sizeof own;
  if (!front.ok() || ::bind(front.get(), reinterpret_cast<const sockaddr*>(&own), sizeof own) != 0 ||
      ::getsockname(front.get(), reinterpret_cast<sockaddr*>(&own), &size) != 0) {
    return base::Error{std::string{"no socket for the link: "} + std::strerror(errno)};
  }
  relay->address_.port = ntohs(own.sin_port);
  relay->link_ = std::make_unique<Link>(*relay, std::move(front), native(server), one_way, seed);
  relay->thread_ = std::thread{[link = relay->link_.get()] { link->run(); }};
  return relay;
}

Relay::~Relay() {
  stop_ = true;
  if (thread_.joinable()) thread_.join();
}

}  // namespace dots::bench
