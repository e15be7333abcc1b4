// What a DTLS and a TLS channel have in common: credentials, who the peer is, and why it failed. Not for other rooms.
#pragma once

#include <memory>
#include <string>

#include "adapters/net/gnutls_handles.h"
#include "adapters/net/resumption.h"
#include "adapters/net/steady_now.h"
#include "ports/secure_channel.h"

namespace dots::adapters::net {

class GnutlsChannel : public ports::SecureChannel {
 public:
  GnutlsChannel(const GnutlsChannel&) = delete;
  GnutlsChannel& operator=(const GnutlsChannel&) = delete;
  ~GnutlsChannel() override;

  bool is_open() const final { return state_ == State::open; }
  const model::PeerIdentity& identity() const final { return identity_; }
  bool resumed() const final { return resumed_; }
  std::optional<std::string> recheck(base::WallTime now) final;

 protected:
  enum class State : std::uint8_t { handshake, open, closed };

  GnutlsChannel(std::shared_ptr<const Credentials> credentials, std::string server_name);

  bool is_client() const { return credentials_->side() == Side::client; }
  // The session with our credentials; `flags` beside those of the side. The transport functions are the caller's.
  base::Result<void> init_session(unsigned flags, const Resumption& resumption = {});
  // At the end of the handshake. False: the peer is nobody, and the channel has failed.
  bool open(ports::ChannelEvents& events);
  // Application data has come: call it for each. TLS 1.3 sends its tickets after the handshake.
  void heard() {
    heard_ = true;
    if (wants_ticket_) keep_ticket();
  }
  void fail(std::string reason, ports::ChannelEvents& events);
  // Tells the peer by an alert where that makes sense, then fails.
  void fail_handshake(int code, ports::ChannelEvents& events);
  // What the operator should know about a handshake that came to no end; may be empty.
  std::string hint() const;
  std::string why(int code) const;

  base::SteadyTime (*clock_)() = steady_now;
  std::shared_ptr<const Credentials> credentials_;
  SessionContext context_;
  gnutls_session_t session_ = nullptr;
  model::PeerIdentity identity_;
  State state_ = State::handshake;
  bool resumed_ = false;

 private:
  // Who the peer is, after the checks that its way of opening the session asks for; false: it is nobody, and `why`
  // says more.
  bool prove_peer(std::string& why);
  bool take_identity();
  void offer_ticket();
  std::int64_t expires_unix_s_ = INT64_MAX;        // the peer's chain
  std::weak_ptr<const Credentials> checked_with_;  // what was in force at the last check
  void keep_ticket();

  std::shared_ptr<TicketCache> tickets_;  // client
  std::string ticket_key_;
  base::SteadyTime begun_{};
  bool wants_ticket_ = false;
  bool offered_ = false;  // a ticket
  std::uint64_t ticket_turn_ = 0;
  bool heard_ = false;
};

}  // namespace dots::adapters::net
