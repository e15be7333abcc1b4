#include "adapters/net/tls_channel.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "adapters/net/gnutls_channel.h"

namespace dots::adapters::net {
namespace {

constexpr std::size_t kRecordHeaderBytes = 5;
constexpr std::size_t kLargestRecordBytes = 16384;
// Of one message; records are cut by GnuTLS.
constexpr std::size_t kLargestPlaintextBytes = 1U << 20;

class TlsChannel final : public GnutlsChannel {
 public:
  TlsChannel(std::shared_ptr<const Credentials> credentials, std::string server_name, std::string alpn)
      : GnutlsChannel(std::move(credentials), std::move(server_name)), alpn_(std::move(alpn)) {}

  base::Result<void> init(const Resumption& resumption) {
    if (auto ready = init_session(0, resumption); !ready) return ready;
    gnutls_transport_set_ptr(session_, this);
    gnutls_transport_set_push_function(session_, push);
    gnutls_transport_set_pull_function(session_, pull);
    gnutls_transport_set_pull_timeout_function(session_, pull_timeout);
    gnutls_handshake_set_timeout(session_, 0);  // the caller's clock decides
    const gnutls_datum_t protocol{reinterpret_cast<unsigned char*>(const_cast<char*>(alpn_.data())),
                                  static_cast<unsigned>(alpn_.size())};
    const int code = gnutls_alpn_set_protocols(session_, &protocol, 1, insists() ? GNUTLS_ALPN_MANDATORY : 0);
    if (code < 0) return base::Error{std::string{"no ALPN: "} + gnutls_strerror(code)};
    return {};
  }

  void start(ports::ChannelEvents& events) { drive(events); }

  void on_datagram(base::ByteView piece, ports::ChannelEvents& events) override {
    if (state_ == State::closed || piece.empty()) return;
    in_ = piece;
    drive(events);
    in_ = {};
  }
  void on_timeout(ports::ChannelEvents&) override {}
  std::optional<base::Duration> timeout() const override { return std::nullopt; }

  base::Result<void> send(base::ByteView plaintext, ports::ChannelEvents& events) override {
    if (state_ != State::open) return base::Error{"the session is not open"};
    if (plaintext.size() > kLargestPlaintextBytes) {
      return base::Error{"a message of " + std::to_string(plaintext.size()) + " bytes is over the bound of " +
                         std::to_string(kLargestPlaintextBytes)};
    }
    out_ = &events;
    while (!plaintext.empty()) {
      const ssize_t sent = gnutls_record_send(session_, plaintext.data(), plaintext.size());
      if (sent <= 0) {
        out_ = nullptr;
        return base::Error{std::string{"TLS cannot send: "} + gnutls_strerror(static_cast<int>(sent))};
      }
      plaintext = plaintext.subspan(static_cast<std::size_t>(sent));
    }
    out_ = nullptr;
    return {};
  }

  void close(ports::ChannelEvents& events) override {
    if (state_ == State::open) {
      out_ = &events;
      gnutls_bye(session_, GNUTLS_SHUT_WR);
      out_ = nullptr;
    } else if (state_ == State::handshake) {
      events.reason = hint();
    }
    state_ = State::closed;
  }

  std::size_t max_plaintext() const override { return kLargestPlaintextBytes; }

 private:
  static ssize_t push(gnutls_transport_ptr_t self, const void* data, std::size_t size) {
    auto& channel = *static_cast<TlsChannel*>(self);
    if (channel.out_ == nullptr) return static_cast<ssize_t>(size);
    const auto* bytes = static_cast<const std::uint8_t*>(data);
    auto& pieces = channel.out_->datagrams;
    if (pieces.empty()) pieces.emplace_back();
    pieces.back().insert(pieces.back().end(), bytes, bytes + size);
    return static_cast<ssize_t>(size);
  }
  static ssize_t pull(gnutls_transport_ptr_t self, void* data, std::size_t size) {
    auto& channel = *static_cast<TlsChannel*>(self);
    if (channel.in_.empty()) {
      channel.starved_ = true;
      gnutls_transport_set_errno(channel.session_, EAGAIN);
      return -1;
    }
    const std::size_t count = std::min(size, channel.in_.size());
    std::memcpy(data, channel.in_.data(), count);
    channel.in_ = channel.in_.subspan(count);
    return static_cast<ssize_t>(count);
  }
  static int pull_timeout(gnutls_transport_ptr_t self, unsigned) {
    auto& channel = *static_cast<TlsChannel*>(self);
    if (!channel.in_.empty()) return 1;
    channel.starved_ = true;
    return 0;
  }

  void drive(ports::ChannelEvents& events) {
    out_ = &events;
    starved_ = false;
    // More turns than records can be in the piece: a bound, should GnuTLS ever say "again" without reading.
    tries_ = in_.size() / kRecordHeaderBytes + 16;
    if (state_ == State::handshake) handshake(events);
    if (state_ == State::open) receive(events);
    out_ = nullptr;
  }

  // A web server without ALPN speaks HTTP/1.1; nothing else was offered.
  bool insists() const { return !is_client() || alpn_ != "http/1.1"; }

  void handshake(ports::ChannelEvents& events) {
    for (; tries_ > 0 && !starved_; --tries_) {
      const int code = gnutls_handshake(session_);
      if (code == GNUTLS_E_SUCCESS) return handshake_done(events);
      if (gnutls_error_is_fatal(code) != 0) return fail_handshake(code, events);
    }
  }

  void handshake_done(ports::ChannelEvents& events) {
    gnutls_datum_t chosen{};
    if (is_client() && insists() && gnutls_alpn_get_selected_protocol(session_, &chosen) < 0) {
      gnutls_alert_send(session_, GNUTLS_AL_FATAL, GNUTLS_A_NO_APPLICATION_PROTOCOL);
      return fail("the peer does not negotiate ALPN '" + alpn_ + "'", events);
    }
    open(events);
  }

  void receive(ports::ChannelEvents& events) {
    std::array<std::uint8_t, kLargestRecordBytes> buffer;  // NOLINT: written before it is read
    for (; tries_ > 0 && !starved_; --tries_) {
      const ssize_t size = gnutls_record_recv(session_, buffer.data(), buffer.size());
      if (size > 0) {
        events.plaintexts.emplace_back(buffer.data(), buffer.data() + size);
        heard();
        continue;
      }
      if (size == 0) {
        gnutls_bye(session_, GNUTLS_SHUT_WR);
        return fail("the peer closed the session", events);
      }
      const int code = static_cast<int>(size);
      if (code == GNUTLS_E_REHANDSHAKE) {
        gnutls_alert_send(session_, GNUTLS_AL_WARNING, GNUTLS_A_NO_RENEGOTIATION);
      } else if (gnutls_error_is_fatal(code) != 0) {
        return fail(why(code), events);
      }
    }
  }

  const std::string alpn_;
  base::ByteView in_;                    // of this call, not yet read
  ports::ChannelEvents* out_ = nullptr;  // of this call
  std::size_t tries_ = 0;
  bool starved_ = false;  // GnuTLS wanted bytes and there were none
};

}  // namespace

TlsAcceptor::TlsAcceptor(std::shared_ptr<const Credentials> credentials, Resumption resumption, std::string protocol)
    : credentials_(std::move(credentials)), resumption_(std::move(resumption)), protocol_(std::move(protocol)) {}

void TlsAcceptor::replace_credentials(std::shared_ptr<const Credentials> credentials) {
  credentials_ = std::move(credentials);
}

base::Result<std::unique_ptr<ports::SecureChannel>> TlsAcceptor::accept() {
  auto channel = std::make_unique<TlsChannel>(credentials_, "", protocol_);
  if (auto ready = channel->init(resumption_); !ready) return ready.error();
  return std::unique_ptr<ports::SecureChannel>{std::move(channel)};
}

TlsConnector::TlsConnector(std::shared_ptr<const Credentials> credentials, Resumption resumption, std::string protocol)
    : credentials_(std::move(credentials)), resumption_(std::move(resumption)), protocol_(std::move(protocol)) {}

base::Result<std::unique_ptr<ports::SecureChannel>> TlsConnector::connect(const std::string& server_name,
                                                                          ports::ChannelEvents& events) {
  if (server_name.empty()) return base::Error{"the server has no name: its certificate could not be checked"};
  auto channel = std::make_unique<TlsChannel>(credentials_, server_name, protocol_);
  if (auto ready = channel->init(resumption_); !ready) return ready.error();
  channel->start(events);
  return std::unique_ptr<ports::SecureChannel>{std::move(channel)};
}

}  // namespace dots::adapters::net
