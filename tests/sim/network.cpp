#include "tests/sim/network.h"

#include <utility>

namespace dots::sim {

void Network::all_well() {
  for (auto& [client, link] : links_) link = {};
}

model::SocketAddress Network::fresh_address(const std::string& client) {
  model::SocketAddress address;
  // One address for each client, from the block for benchmarks (198.18.0.0/15).
  std::uint8_t host = 0;
  for (const char c : client) host = static_cast<std::uint8_t>(host * 31 + c);
  address.ip.bytes[0] = 198;
  address.ip.bytes[1] = 18;
  address.ip.bytes[3] = host;
  address.port = static_cast<std::uint16_t>(20000 + ++last_port_[client]);
  owners_[address] = client;
  return address;
}

void Network::open(const std::string& client, base::SessionId session, const model::SocketAddress& server) {
  const Socket socket{fresh_address(client), server};
  sockets_[{client, session}] = socket;
  by_address_[socket.outside] = {client, session};
}

void Network::close(const std::string& client, base::SessionId session) {
  const auto it = sockets_.find({client, session});
  if (it == sockets_.end()) return;
  by_address_.erase(it->second.outside);
  sockets_.erase(it);
}

void Network::close_all(const std::string& client) {
  std::erase_if(sockets_, [&](const auto& entry) {
    if (entry.first.first != client) return false;
    by_address_.erase(entry.second.outside);
    return true;
  });
}

void Network::rebind(const std::string& client) {
  for (auto& [key, socket] : sockets_) {
    if (key.first != client) continue;
    by_address_.erase(socket.outside);
    socket.outside = fresh_address(client);
    by_address_[socket.outside] = key;
  }
}

std::string Network::owner(const model::SocketAddress& address) const {
  const auto it = owners_.find(address);
  return it == owners_.end() ? std::string{} : it->second;
}

void Network::carry(const Link& link, double loss, base::Bytes bytes, const std::function<void(base::Bytes)>& arrive) {
  const int copies = random_.chance(link.duplicate) ? 2 : 1;
  for (int i = 0; i < copies; ++i) {
    if (random_.chance(loss)) continue;
    base::Bytes copy = bytes;
    if (!copy.empty() && random_.chance(link.damage)) {
      // A damaged handshake message ends in nothing: the Finished of both sides covers it.
      if (copy.size() < 5 || (copy[3] == 0 && copy[4] == 0)) continue;
      copy[random_.below(copy.size())] ^= static_cast<std::uint8_t>(1U << random_.below(8));
    }
    const base::Duration time = latency_ + link.delay + random_.up_to(link.jitter + latency_ / 10);
    timeline_.after(time, [arrive, copy = std::move(copy)]() mutable { arrive(std::move(copy)); });
  }
}

void Network::from_client(const std::string& client, base::SessionId session, const base::Bytes& bytes) {
  const auto it = sockets_.find({client, session});
  if (it == sockets_.end()) return;
  const model::Path path{it->second.outside, it->second.server};
  const Link& link = links_[client];
  carry(link, link.loss_up, bytes, [this, path](base::Bytes copy) { to_server({path, std::move(copy)}); });
}

void Network::from_server(const model::Datagram& datagram) {
  const auto it = by_address_.find(datagram.path.peer);
  if (it == by_address_.end()) return;
  const Link& link = links_[it->second.first];
  carry(link, link.loss_down, datagram.bytes, [this, peer = datagram.path.peer](base::Bytes copy) {
    const auto found = by_address_.find(peer);
    if (found != by_address_.end()) to_client(found->second.first, found->second.second, copy);
  });
}

}  // namespace dots::sim
