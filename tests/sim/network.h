// The network between clients and the server: loss, duplication, delay, reordering, damage, address translation.
#pragma once

#include <functional>
#include <map>
#include <string>

#include "base/bytes.h"
#include "base/ids.h"
#include "model/peer.h"
#include "tests/sim/random.h"
#include "tests/world/timeline.h"

namespace dots::sim {

class Network {
 public:
  struct Link {
    double loss_up = 0, loss_down = 0, duplicate = 0, damage = 0;
    base::Duration delay{}, jitter{};
  };
  // Where datagrams arrive.
  std::function<void(const model::Datagram&)> to_server = [](const auto&) {};
  std::function<void(const std::string& client, base::SessionId, base::ByteView)> to_client = [](const auto&, auto,
                                                                                                 auto) {};

  Network(world::Timeline& timeline, Random& random, base::Duration latency)
      : timeline_(timeline), random_(random), latency_(latency) {}

  Link& link(const std::string& client) { return links_[client]; }
  void all_well();

  void open(const std::string& client, base::SessionId session, const model::SocketAddress& server);
  void close(const std::string& client, base::SessionId session);
  // The client's process is gone: its sockets too.
  void close_all(const std::string& client);
  // The translator forgets: the same sockets appear under other ports, answers to the old ones are lost.
  void rebind(const std::string& client);

  void from_client(const std::string& client, base::SessionId session, const base::Bytes& bytes);
  void from_server(const model::Datagram& datagram);
  // Whose socket an address is; empty: nobody's.
  std::string owner(const model::SocketAddress& address) const;

 private:
  struct Socket {
    model::SocketAddress outside;
    model::SocketAddress server;
  };
  using Key = std::pair<std::string, base::SessionId>;
  model::SocketAddress fresh_address(const std::string& client);
  void carry(const Link& link, double loss, base::Bytes bytes, const std::function<void(base::Bytes)>& arrive);

  world::Timeline& timeline_;
  Random& random_;
  base::Duration latency_;
  std::map<std::string, Link> links_;
  std::map<Key, Socket> sockets_;
  std::map<model::SocketAddress, Key> by_address_;
  std::map<std::string, std::uint16_t> last_port_;
  std::map<model::SocketAddress, std::string> owners_;
};

}  // namespace dots::sim
