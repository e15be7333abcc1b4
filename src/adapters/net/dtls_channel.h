// SecureChannel over GnuTLS: one DTLS 1.2 association driven from memory (RFC 6347; RFC 9132 7.1).
//
// The repeats of a handshake's flights follow flights.h; timeout() tells the caller when to come back.
#pragma once

#include <memory>
#include <string>

#include "adapters/net/credentials.h"
#include "adapters/net/flights.h"
#include "adapters/net/resumption.h"
#include "adapters/net/steady_now.h"
#include "ports/secure_channel.h"

namespace dots::adapters::net {

struct DtlsOptions {
  // IP packet size that every path is trusted to carry; records fit it with IPv6 and UDP headers (RFC 9132 7.3).
  std::uint32_t path_mtu_bytes = 1280;
  FlightPace pace = {};
  base::Duration handshake_time = std::chrono::seconds{60};  // then the channel fails by itself
  Resumption resumption = {};
  base::SteadyTime (*clock)() = steady_now;  // of the handshake
};

// Where the cookie exchange left the two sequence numbers of the first ClientHello that counts (RFC 6347 4.2.1).
struct HelloSequence {
  std::uint32_t record = 0;
  std::uint32_t message = 0;
};

// The server side after a proven cookie. Feed it the datagram with the ClientHello.
base::Result<std::unique_ptr<ports::SecureChannel>> accept_channel(std::shared_ptr<const Credentials> credentials,
                                                                   const DtlsOptions& options, HelloSequence hello);

// The client side. Threads: connect may run on any one thread at a time.
class DtlsConnector final : public ports::ChannelConnector {
 public:
  // REQUIRES: credentials->side() is client.
  DtlsConnector(std::shared_ptr<const Credentials> credentials, const DtlsOptions& options);
  base::Result<std::unique_ptr<ports::SecureChannel>> connect(const std::string& server_name,
                                                              ports::ChannelEvents& events) override;

 private:
  std::shared_ptr<const Credentials> credentials_;
  DtlsOptions options_;
};

}  // namespace dots::adapters::net
