// Where handshakes and connections come from, as far as limits count them: IPv4 /24, IPv6 /48.
#pragma once

#include "model/ip.h"
#include "model/peer.h"

namespace dots::model {

inline Prefix source_prefix(const SocketAddress& address) {
  const auto length = static_cast<std::uint8_t>(address.ip.family == Family::ipv4 ? 24 : 48);
  Prefix prefix{address.ip, length};
  for (std::size_t i = length / 8U; i < prefix.address.bytes.size(); ++i) prefix.address.bytes[i] = 0;
  return prefix;
}

}  // namespace dots::model
