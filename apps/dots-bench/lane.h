// One session of the load generator: a UDP socket of its own and, except towards the UDP echo, a DTLS association.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "adapters/net/credentials.h"
#include "adapters/net/ticket_cache.h"
#include "adapters/net/udp_socket.h"
#include "base/time.h"
#include "model/peer.h"
#include "ports/secure_channel.h"

namespace dots::bench {

class Lane {
 public:
  // A lane without `connector` sends and receives as it is told; one with it starts a handshake. `number` chooses the
  // address on the loopback that it comes from: one address has ports for some 20,000 of them.
  static base::Result<Lane> open(const model::SocketAddress& server, ports::ChannelConnector* connector,
                                 std::size_t number = 0);

  // Returns the size of the datagram; 0 when it did not leave.
  std::size_t send(base::ByteView message);
  // What is there: appends plaintexts. False when the session is over; reason() says why.
  bool receive(std::vector<base::Bytes>& plaintexts);
  // Repeats a flight of the handshake when it is due.
  bool on_timeout();
  std::optional<base::Duration> timeout() const { return channel_ ? channel_->timeout() : std::nullopt; }
  void close();

  bool is_open() const { return !channel_ || channel_->is_open(); }
  bool resumed() const { return channel_ && channel_->resumed(); }  // REQUIRES: is_open()
  int fd() const { return socket_->fd(); }
  const std::string& reason() const { return reason_; }
  std::uint64_t received_datagrams() const { return received_datagrams_; }
  std::uint64_t received_bytes() const { return received_bytes_; }

  // For who sends: message ids go round in 65,536 steps, so a session may only send so many in their lifetime.
  std::uint16_t next_message_id = 0;
  base::SteadyTime last_send{};

 private:
  bool absorb(ports::ChannelEvents& events, std::vector<base::Bytes>* plaintexts);
  std::size_t send_datagram(base::ByteView datagram);

  std::optional<adapters::net::UdpSocket> socket_;
  std::unique_ptr<ports::SecureChannel> channel_;
  std::string reason_;
  std::uint64_t received_datagrams_ = 0;
  std::uint64_t received_bytes_ = 0;
};

using ClientCredentials = std::shared_ptr<const adapters::net::Credentials>;

struct OpenOptions {
  model::SocketAddress server;
  std::vector<ClientCredentials> credentials;  // lane i takes number i mod size
  std::size_t sessions = 256;
  std::size_t in_flight = 16;
  bool keep = true;                                               // else each is closed as soon as it is open
  base::Duration patience = std::chrono::seconds{60};             // without any handshake that ends
  std::shared_ptr<adapters::net::TicketCache> tickets = nullptr;  // kept and offered; nothing: full handshakes
};
struct Opened {
  std::vector<Lane> lanes;                 // with `keep`
  std::vector<base::Duration> handshakes;  // how long each took
  std::size_t resumed = 0;                 // so many of them by a ticket
};
// Closed loop of handshakes. Fails when one fails.
base::Result<Opened> open_sessions(const OpenOptions& options);
// Lanes without DTLS.
base::Result<std::vector<Lane>> open_plain(const model::SocketAddress& server, std::size_t count);

}  // namespace dots::bench
