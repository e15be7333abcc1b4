// Who the other side is, and where it is reached.
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "model/ip.h"

namespace dots::model {

enum class CredentialKind : std::uint8_t { x509, psk, raw_public_key };

// The proven identity of the other side of a (D)TLS session.
struct PeerIdentity {
  CredentialKind kind = CredentialKind::x509;
  std::vector<std::string> names;  // x509: DNS SANs, then URI and e-mail SANs, then CN; psk: the one identity
  base::Bytes fingerprint;         // SHA-256 of DER SPKI (x509, raw public key) or of the PSK identity
  std::int64_t not_after_unix_s = INT64_MAX;  // when the credential expires
  friend bool operator==(const PeerIdentity&, const PeerIdentity&) = default;
};

// The default cuid for these credentials (RFC 9132 4.4.1.1): base64url of the first 16 bytes of the fingerprint.
std::string default_cuid(const PeerIdentity& identity);

struct SocketAddress {
  IpAddress ip;
  std::uint16_t port = 0;
  friend auto operator<=>(const SocketAddress&, const SocketAddress&) = default;
};
// "192.0.2.1:4646", "[2001:db8::1]:4646"
std::string to_string(const SocketAddress& address);

// What carries a signal channel (RFC 9132 section 3): DTLS over UDP or TLS over TCP.
enum class Transport : std::uint8_t { udp, tcp };
inline const char* to_string(Transport transport) { return transport == Transport::udp ? "udp" : "tcp"; }

// The two ends of a flow. `local` is the address the peer wrote to, so that the answer leaves from it.
struct Path {
  SocketAddress peer;
  SocketAddress local;
  Transport transport = Transport::udp;
  friend auto operator<=>(const Path&, const Path&) = default;
};

// With Transport::tcp a piece of the byte stream, in order.
struct Datagram {
  Path path;
  base::Bytes bytes;
};

// Which shard owns the session of a peer address: the same function runs in the kernel, which steers datagrams to the
// sockets of the shards (adapters/net/steering.h). Cheap, and fit for classic BPF: 32-bit arithmetic only.
std::uint32_t shard_of(const SocketAddress& peer, std::uint32_t shards);

}  // namespace dots::model
