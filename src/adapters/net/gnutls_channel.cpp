#include "adapters/net/gnutls_channel.h"

#include <arpa/inet.h>

#include <array>
#include <utility>

#include "adapters/net/event_loop.h"
#include "adapters/net/ticket_set.h"

namespace dots::adapters::net {
namespace {

constexpr base::Duration kPatienceWithATicket = std::chrono::seconds{10};

bool is_address(const std::string& name) {
  std::array<unsigned char, 16> bytes{};
  return inet_pton(AF_INET, name.c_str(), bytes.data()) == 1 || inet_pton(AF_INET6, name.c_str(), bytes.data()) == 1;
}

}  // namespace

GnutlsChannel::GnutlsChannel(std::shared_ptr<const Credentials> credentials, std::string server_name)
    : credentials_(std::move(credentials)) {
  context_.credentials = &credentials_->handles();
  context_.server_name = std::move(server_name);
}

GnutlsChannel::~GnutlsChannel() {
  // Given up by the caller after a while without a word of the server.
  if (state_ == State::handshake && offered_ && clock_() - begun_ > kPatienceWithATicket) {
    tickets_->in_vain(ticket_key_, ticket_turn_);
  }
  if (session_ != nullptr) gnutls_deinit(session_);
}

base::Result<void> GnutlsChannel::init_session(unsigned flags, const Resumption& resumption) {
  const Credentials::Handles& handles = credentials_->handles();
  const bool client = is_client();
  const auto& priorities = is_pinned(handles, context_.server_name) ? handles.pinned : handles.usual;
  if (handles.raw_key) flags |= GNUTLS_ENABLE_RAWPK;
  flags |= static_cast<unsigned>(client ? GNUTLS_CLIENT | GNUTLS_FORCE_CLIENT_CERT : GNUTLS_SERVER) | GNUTLS_NONBLOCK |
           GNUTLS_NO_SIGNAL;
  const bool tickets = client ? resumption.tickets != nullptr : resumption.keys != nullptr;
  if (!tickets) flags |= GNUTLS_NO_TICKETS;
  int code = gnutls_init(&session_, flags);
  if (code >= 0) {
    code = gnutls_priority_set(session_, (flags & GNUTLS_DATAGRAM) != 0 ? priorities.datagram : priorities.stream);
  }
  if (code >= 0 && handles.x509 != nullptr)
    code = gnutls_credentials_set(session_, GNUTLS_CRD_CERTIFICATE, handles.x509);
  if (code >= 0 && handles.psk_server != nullptr)
    code = gnutls_credentials_set(session_, GNUTLS_CRD_PSK, handles.psk_server);
  if (code >= 0 && handles.psk_client != nullptr)
    code = gnutls_credentials_set(session_, GNUTLS_CRD_PSK, handles.psk_client);
  if (code >= 0 && client && !is_address(context_.server_name)) {
    // RFC 6066 3: a name, never an address.
    code = gnutls_server_name_set(session_, GNUTLS_NAME_DNS, context_.server_name.data(), context_.server_name.size());
  }
  if (code < 0) return base::Error{std::string{"no (D)TLS session: "} + gnutls_strerror(code)};
  if (!client && handles.x509 != nullptr) gnutls_certificate_server_set_request(session_, GNUTLS_CERT_REQUIRE);
  gnutls_session_set_ptr(session_, &context_);
  if (!tickets) return {};
  context_.datagram = (flags & GNUTLS_DATAGRAM) != 0;
  if (client) {
    tickets_ = resumption.tickets;
    offer_ticket();
    return {};
  }
  context_.tickets = resumption.keys->current();
  if (code = enable_tickets(session_, *context_.tickets); code < 0) {
    return base::Error{std::string{"no session tickets: "} + gnutls_strerror(code)};
  }
  return {};
}

void GnutlsChannel::offer_ticket() {
  ticket_key_ = ticket_cache_key(credentials_->handles(), context_.server_name, context_.datagram);
  begun_ = clock_();
  gnutls_db_set_cache_expiration(session_, ticket_seconds(TicketCache::kLongestLife));
  const auto offer = tickets_->offer(ticket_key_, clock_now().wall);
  if (!offer) return;
  if (gnutls_session_set_data(session_, offer->session.data(), offer->session.size()) < 0) {
    return tickets_->forget(ticket_key_);
  }
  offered_ = true;
  ticket_turn_ = offer->turn;
}

void GnutlsChannel::keep_ticket() {
  if ((gnutls_session_get_flags(session_) & GNUTLS_SFLAGS_SESSION_TICKET) == 0) return;
  gnutls_datum_t data{};
  if (gnutls_session_get_data2(session_, &data) < 0) return;
  tickets_->put(ticket_key_, base::Bytes{data.data, data.data + data.size}, clock_now().wall);
  gnutls_memset(data.data, 0, data.size);
  gnutls_free(data.data);
  wants_ticket_ = false;
}

bool GnutlsChannel::prove_peer(std::string& why) {
  const Credentials::Handles& handles = credentials_->handles();
  const base::WallTime now = clock_now().wall;
  const auto key = chain_key(peer_chain(session_), context_.server_name);
  if (resumed_ && key) {
    if (const auto known = handles.verdicts.find(*key, now)) {
      identity_ = known->identity;
      expires_unix_s_ = known->expires_unix_s;
      return true;
    }
  }
  if (resumed_ && !check_resumed_peer(session_)) {
    if (tickets_) tickets_->forget(ticket_key_);
    why = context_.refusal;
    return false;
  }
  if (!take_identity()) {
    why = "the peer has not proven who it is";
    return false;
  }
  if (!key) return true;
  expires_unix_s_ = chain_expires_unix_s(session_);
  handles.verdicts.put(*key, {identity_, expires_unix_s_}, trust_ends_unix_s(handles, now), now);
  return true;
}

bool GnutlsChannel::open(ports::ChannelEvents& events) {
  resumed_ = gnutls_session_is_resumed(session_) != 0;
  if (std::string why; !prove_peer(why)) {
    gnutls_alert_send(session_, GNUTLS_AL_FATAL, GNUTLS_A_BAD_CERTIFICATE);
    fail(std::move(why), events);
    return false;
  }
  state_ = State::open;
  checked_with_ = credentials_;
  if (tickets_ && resumed_) tickets_->served(ticket_key_);
  // A TLS 1.2 ticket serves many times and a resumed session brings none; TLS 1.3 gives a new one each time.
  wants_ticket_ = tickets_ && (!resumed_ || gnutls_protocol_get_version(session_) == GNUTLS_TLS1_3);
  if (wants_ticket_) keep_ticket();
  context_.tickets.reset();
  context_.server_name.shrink_to_fit();
  events.opened = true;
  return true;
}

std::optional<std::string> GnutlsChannel::recheck(base::WallTime now) {
  if (static_cast<std::int64_t>(base::unix_seconds(now)) > expires_unix_s_) {
    return "its certificate chain has expired";
  }
  const auto newest = credentials_->newest();
  if (!newest || newest == checked_with_.lock()) return std::nullopt;
  checked_with_ = newest;
  return why_refused_now(session_, credentials_->handles(), newest->handles(), context_.server_name);
}

void GnutlsChannel::fail(std::string reason, ports::ChannelEvents& events) {
  if (offered_ && state_ == State::handshake) tickets_->in_vain(ticket_key_, ticket_turn_);
  // The server resumed what it then refused: a full handshake settles who we are.
  if (tickets_ && resumed_ && state_ == State::open && !heard_) tickets_->forget(ticket_key_);
  state_ = State::closed;
  events.closed = true;
  events.reason = std::move(reason);
}

void GnutlsChannel::fail_handshake(int code, ports::ChannelEvents& events) {
  if (code != GNUTLS_E_TIMEDOUT && code != GNUTLS_E_FATAL_ALERT_RECEIVED) {
    gnutls_alert_send_appropriate(session_, code);
  }
  fail(why(code), events);
}

bool GnutlsChannel::take_identity() {
  const bool client = is_client();
  switch (client ? gnutls_auth_server_get_type(session_) : gnutls_auth_client_get_type(session_)) {
    case GNUTLS_CRD_PSK: {
      if (client) {
        // The server has proven that it knows our key; it has no name of its own.
        identity_ = identity_of_psk(context_.server_name);
        return true;
      }
      gnutls_datum_t name{};
      if (gnutls_psk_server_get_username2(session_, &name) < 0) return false;
      identity_ = identity_of_psk({reinterpret_cast<const char*>(name.data), name.size});
      return context_.unknown_psk_identity.empty();
    }
    case GNUTLS_CRD_CERTIFICATE: {
      unsigned count = 0;
      const gnutls_datum_t* chain = gnutls_certificate_get_peers(session_, &count);
      if (chain != nullptr && count == 1 && shows_raw_key(session_)) {
        identity_ = identity_of_raw_key(chain[0]);
        return true;
      }
      gnutls_x509_crt_t certificate = nullptr;
      if (chain == nullptr || count == 0 || gnutls_x509_crt_init(&certificate) < 0) return false;
      const bool read = gnutls_x509_crt_import(certificate, &chain[0], GNUTLS_X509_FMT_DER) >= 0;
      if (read) identity_ = identity_of(certificate);
      gnutls_x509_crt_deinit(certificate);
      return read && !identity_.fingerprint.empty();
    }
    default:
      return false;
  }
}

std::string GnutlsChannel::hint() const {
  if (!context_.unknown_psk_identity.empty()) return "PSK identity '" + context_.unknown_psk_identity + "' is unknown";
  const Credentials::Handles& handles = credentials_->handles();
  if (handles.psk_client != nullptr)
    return "no answer, or the server does not know our PSK identity or has another key";
  gnutls_datum_t name{};
  if (handles.psk_server != nullptr && gnutls_psk_server_get_username2(session_, &name) >= 0 && name.data != nullptr) {
    return "the key of PSK identity '" + std::string{reinterpret_cast<const char*>(name.data), name.size} +
           "' may differ";
  }
  return "";
}

std::string GnutlsChannel::why(int code) const {
  if (!context_.refusal.empty()) return context_.refusal;
  switch (code) {
    case GNUTLS_E_TIMEDOUT: {
      const std::string more = hint();
      return more.empty() ? "the handshake timed out" : "the handshake timed out: " + more;
    }
    case GNUTLS_E_FATAL_ALERT_RECEIVED: {
      const char* name = gnutls_alert_get_name(gnutls_alert_get(session_));
      return std::string{"the peer ended it with the alert '"} + (name != nullptr ? name : "unknown") + "'";
    }
    case GNUTLS_E_UNSUPPORTED_VERSION_PACKET:
      return "the peer does not speak (D)TLS 1.2 or later";
    case GNUTLS_E_NO_CIPHER_SUITES:
    case GNUTLS_E_INSUFFICIENT_CREDENTIALS:
      return "no common cipher suite for the credentials of both sides";
    case GNUTLS_E_NO_CERTIFICATE_FOUND:
      return "it presented no certificate";
    default:
      return gnutls_strerror(code);
  }
}

}  // namespace dots::adapters::net
