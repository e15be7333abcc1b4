// The stateless half of the DTLS server: ClientHello without a good cookie -> HelloVerifyRequest; with one -> a
// channel.
//
// Only a hello at fragment offset 0 is looked at: its first fragment holds the cookie whatever its length (RFC 6347
// 4.2.1, 4.2.3). The cookie is an HMAC over the peer's address; its key changes every `cookie_key_time` and the one
// before stays good, so a cookie lives between one and two of these times.
#pragma once

#include <memory>

#include "adapters/net/credentials.h"
#include "adapters/net/dtls_channel.h"
#include "ports/secure_channel.h"

namespace dots::adapters::net {

// Threads: one thread at a time (the admission thread).
class DtlsAdmission final : public ports::Admission {
 public:
  DtlsAdmission(std::shared_ptr<const Credentials> credentials, const DtlsOptions& options,
                base::Duration cookie_key_time = std::chrono::minutes{5});
  DtlsAdmission(DtlsAdmission&&) noexcept;
  DtlsAdmission& operator=(DtlsAdmission&&) noexcept;
  ~DtlsAdmission() override;

  Verdict consider(base::ByteView datagram, base::ByteView peer_address, base::WallTime now) override;

  // For handshakes from now on.
  void replace_credentials(std::shared_ptr<const Credentials> credentials);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace dots::adapters::net
