// The SecureChannel port: one (D)TLS association without sockets or clocks of its own.
//
// Over TCP the same words carry a byte stream: what goes in and out as a "datagram" is a piece of it, of any size and
// in order; a plaintext that comes out may hold a part of a message or several; there is no timeout, since TCP repeats.
//
// Bytes from the network go in, bytes for the network and plaintext come out. The adapter is GnuTLS driven through its
// push and pull functions (src/adapters/net); simulations script it. RFC 9132 section 7.1.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "base/time.h"
#include "model/peer.h"

namespace dots::ports {

struct ChannelEvents {
  std::vector<base::Bytes> datagrams;   // to be sent to the peer, in order
  std::vector<base::Bytes> plaintexts;  // decrypted application data, in order
  bool opened = false;                  // the handshake ended in this call; identity() is there from now on
  bool closed = false;                  // the peer closed, or the association failed
  std::string reason;                   // why it closed, for the operator
};

// Ownership: owned by the peer table of one shard. Threads: that shard's thread (the admission thread before `opened`).
class SecureChannel {
 public:
  virtual ~SecureChannel() = default;

  virtual void on_datagram(base::ByteView datagram, ChannelEvents& events) = 0;
  // Call when `timeout()` has passed: repeats handshake flights.
  virtual void on_timeout(ChannelEvents& events) = 0;
  // Until the next on_timeout; nothing when none is needed.
  virtual std::optional<base::Duration> timeout() const = 0;
  // REQUIRES: open. Refuses plaintext over max_plaintext().
  virtual base::Result<void> send(base::ByteView plaintext, ChannelEvents& events) = 0;
  // close_notify.
  virtual void close(ChannelEvents& events) = 0;

  virtual bool is_open() const = 0;
  virtual const model::PeerIdentity& identity() const = 0;  // REQUIRES: is_open()
  virtual std::size_t max_plaintext() const = 0;            // bytes that fit one datagram under the path MTU
  virtual bool resumed() const = 0;
  // Why the peer's credential is good no longer: expired, revoked, or not trusted by what is in force now; nothing
  // while it is good. Cheap unless what is trusted has changed since the last call. REQUIRES: is_open()
  virtual std::optional<std::string> recheck([[maybe_unused]] base::WallTime now) { return std::nullopt; }
};

// The stateless half of a DTLS server: what is decided before any state exists (RFC 6347 4.2.1).
class Admission {
 public:
  virtual ~Admission() = default;
  struct Verdict {
    enum class Kind : std::uint8_t { drop, answer, admit } kind = Kind::drop;
    base::Bytes answer;                      // HelloVerifyRequest, with Kind::answer
    std::unique_ptr<SecureChannel> channel;  // with Kind::admit: a proven address; feed it the same datagram
    std::string reason;                      // with Kind::drop
  };
  // `peer_address` is the source address and port in any stable byte form; the cookie binds to it.
  virtual Verdict consider(base::ByteView datagram, base::ByteView peer_address, base::WallTime now) = 0;
};

// The server half over TCP: a channel for each connection; a listening port needs no cookies.
class ChannelAcceptor {
 public:
  virtual ~ChannelAcceptor() = default;
  virtual base::Result<std::unique_ptr<SecureChannel>> accept() = 0;
};

// The client half: opens an association to a server.
class ChannelConnector {
 public:
  virtual ~ChannelConnector() = default;
  // `events` receives the first flight.
  virtual base::Result<std::unique_ptr<SecureChannel>> connect(const std::string& server_name,
                                                               ChannelEvents& events) = 0;
};

}  // namespace dots::ports
