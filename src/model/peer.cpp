#include "model/peer.h"

#include <algorithm>

namespace dots::model {

std::string default_cuid(const PeerIdentity& identity) {
  const std::size_t length = std::min<std::size_t>(16, identity.fingerprint.size());
  return base::to_base64url(base::ByteView{identity.fingerprint}.first(length));
}

std::string to_string(const SocketAddress& address) {
  const std::string ip = to_string(address.ip);
  return (address.ip.family == Family::ipv6 ? "[" + ip + "]" : ip) + ":" + std::to_string(address.port);
}

std::uint32_t shard_of(const SocketAddress& peer, std::uint32_t shards) {
  if (shards <= 1) return 0;
  std::uint32_t mix = 0;
  const std::size_t words = peer.ip.family == Family::ipv4 ? 1 : 4;
  for (std::size_t i = 0; i < words; ++i) {
    const auto& b = peer.ip.bytes;
    mix ^= static_cast<std::uint32_t>(b[4 * i] << 24 | b[4 * i + 1] << 16 | b[4 * i + 2] << 8 | b[4 * i + 3]);
  }
  mix ^= static_cast<std::uint32_t>(peer.port) << 16 | peer.port;
  mix *= 0x9e3779b1U;
  return (mix >> 16) % shards;
}

}  // namespace dots::model
