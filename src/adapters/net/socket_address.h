// model addresses <-> sockaddr; not for other rooms.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include "model/peer.h"

namespace dots::adapters::net {

inline model::IpAddress from_in(const in_addr& address) {
  model::IpAddress ip;
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(&address);
  for (std::size_t i = 0; i < 4; ++i) ip.bytes[i] = bytes[i];
  return ip;
}
inline model::IpAddress from_in6(const in6_addr& address) {
  model::IpAddress ip;
  ip.family = model::Family::ipv6;
  for (std::size_t i = 0; i < 16; ++i) ip.bytes[i] = address.s6_addr[i];
  return ip;
}
inline in_addr to_in(const model::IpAddress& ip) {
  in_addr address{};
  auto* bytes = reinterpret_cast<std::uint8_t*>(&address);
  for (std::size_t i = 0; i < 4; ++i) bytes[i] = ip.bytes[i];
  return address;
}
inline in6_addr to_in6(const model::IpAddress& ip) {
  in6_addr address{};
  for (std::size_t i = 0; i < 16; ++i) address.s6_addr[i] = ip.bytes[i];
  return address;
}

// A sockaddr of either family with its length.
struct NativeAddress {
  union {
    sockaddr any;
    sockaddr_in v4;
    sockaddr_in6 v6;
  };
  socklen_t length = sizeof(sockaddr_in6);

  NativeAddress() : v6{} {}
  explicit NativeAddress(const model::SocketAddress& address) : v6{} {
    if (address.ip.family == model::Family::ipv4) {
      v4 = {};
      v4.sin_family = AF_INET;
      v4.sin_port = htons(address.port);
      v4.sin_addr = to_in(address.ip);
      length = sizeof v4;
    } else {
      v6.sin6_family = AF_INET6;
      v6.sin6_port = htons(address.port);
      v6.sin6_addr = to_in6(address.ip);
    }
  }
  model::SocketAddress value() const {
    if (any.sa_family == AF_INET) return {from_in(v4.sin_addr), ntohs(v4.sin_port)};
    return {from_in6(v6.sin6_addr), ntohs(v6.sin6_port)};
  }
};

inline int native_family(model::Family family) { return family == model::Family::ipv4 ? AF_INET : AF_INET6; }

}  // namespace dots::adapters::net
