// SecureChannel over GnuTLS for a byte stream: TLS 1.2 and 1.3 driven from memory (RFC 9132 7.1; RFC 8323 8.2).
//
// ALPN (RFC 7301), `coap` (RFC 8323 8.2) unless said otherwise: our client offers it and insists on it, on `http/1.1` not; our server
// chooses it, and refuses a client that offers other protocols alone. One that offers none is served: nothing else
// listens there, and there are such clients.
#pragma once

#include <memory>
#include <string>

#include "adapters/net/credentials.h"
#include "adapters/net/resumption.h"
#include "ports/secure_channel.h"

namespace dots::adapters::net {

// The server side. Threads: one thread at a time.
class TlsAcceptor final : public ports::ChannelAcceptor {
 public:
  explicit TlsAcceptor(std::shared_ptr<const Credentials> credentials, Resumption resumption = {},
                       std::string protocol = "coap");
  base::Result<std::unique_ptr<ports::SecureChannel>> accept() override;
  // For handshakes from now on.
  void replace_credentials(std::shared_ptr<const Credentials> credentials);

 private:
  std::shared_ptr<const Credentials> credentials_;
  Resumption resumption_;
  std::string protocol_;
};

// The client side. Threads: connect may run on any one thread at a time.
class TlsConnector final : public ports::ChannelConnector {
 public:
  // REQUIRES: credentials->side() is client.
  explicit TlsConnector(std::shared_ptr<const Credentials> credentials, Resumption resumption = {},
                        std::string protocol = "coap");
  base::Result<std::unique_ptr<ports::SecureChannel>> connect(const std::string& server_name,
                                                              ports::ChannelEvents& events) override;

 private:
  std::shared_ptr<const Credentials> credentials_;
  Resumption resumption_;
  std::string protocol_;
};

}  // namespace dots::adapters::net
