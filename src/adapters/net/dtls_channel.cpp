#include "adapters/net/dtls_channel.h"

#include <gnutls/dtls.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <iterator>

#include "adapters/net/gnutls_channel.h"

namespace dots::adapters::net {
namespace {

constexpr std::uint32_t kIpv6UdpHeaderBytes = 48;  // the larger of the two families, for both
constexpr std::size_t kRecordHeaderBytes = 13;
constexpr std::size_t kLargestPlaintextBytes = 16384;
constexpr int kEchoes = 6;
constexpr unsigned kNeverMs = 24 * 3600'000;
constexpr std::uint8_t kChangeCipherSpec = 20, kHandshake = 22;

// The complete records at the front of a datagram. GnuTLS would keep a truncated one and take the next datagram for its
// rest, so that one forged header swallows the peer's records; no record spans datagrams (RFC 6347 4.1.1).
base::ByteView complete_records(base::ByteView datagram) {
  std::size_t end = 0;
  while (datagram.size() - end >= kRecordHeaderBytes && datagram[end + 1] == 0xfe) {
    const std::size_t length = static_cast<std::size_t>(datagram[end + 11]) << 8 | datagram[end + 12];
    if (length > datagram.size() - end - kRecordHeaderBytes) break;
    end += kRecordHeaderBytes + length;
  }
  return datagram.first(end);
}

bool is_flight(base::ByteView record) {
  return !record.empty() && (record[0] == kHandshake || record[0] == kChangeCipherSpec);
}

class DtlsChannel final : public GnutlsChannel {
 public:
  DtlsChannel(std::shared_ptr<const Credentials> credentials, std::string server_name)
      : GnutlsChannel(std::move(credentials), std::move(server_name)) {}

  base::Result<void> init(const DtlsOptions& options) {
    clock_ = options.clock;
    flights_ = FlightGate{options.pace};
    pace_ = options.pace.repeat_after;
    if (auto ready = init_session(GNUTLS_DATAGRAM, options.resumption); !ready) {
      return ready;
    }
    gnutls_transport_set_ptr(session_, this);
    gnutls_transport_set_push_function(session_, push);
    gnutls_transport_set_pull_function(session_, pull);
    gnutls_transport_set_pull_timeout_function(session_, pull_timeout);
    record_bytes_ = std::max<std::uint32_t>(options.path_mtu_bytes, 576) - kIpv6UdpHeaderBytes;
    gnutls_dtls_set_mtu(session_, record_bytes_);
    // Zero stays zero when it is doubled: GnuTLS repeats its flight in each call, and flights_ decides what leaves. The
    // other one is GnuTLS's own end of a handshake, and of its repeats of the last flight afterwards; ours is end_.
    gnutls_dtls_set_timeouts(session_, 0, kNeverMs);
    end_ = clock_() + options.handshake_time;
    return {};
  }

  void set_hello(HelloSequence hello) {
    gnutls_dtls_prestate_st prestate{};
    prestate.record_seq = hello.record;
    prestate.hsk_read_seq = hello.message;
    prestate.hsk_write_seq = 0;  // HelloVerifyRequest
    gnutls_dtls_prestate_set(session_, &prestate);
  }

  void start(ports::ChannelEvents& events) { drive(events); }

  void on_datagram(base::ByteView datagram, ports::ChannelEvents& events) override {
    in_ = complete_records(datagram);
    if (state_ == State::closed || in_.empty()) return;
    drive(events);
    in_ = {};
  }

  void on_timeout(ports::ChannelEvents& events) override {
    if (state_ == State::open) return echo(events);
    if (state_ != State::handshake) return;
    if (clock_() >= end_) return fail_handshake(GNUTLS_E_TIMEDOUT, events);
    drive(events);
    flights_.skip(clock_());
  }

  std::optional<base::Duration> timeout() const override {
    if (state_ == State::closed || (state_ == State::open && echoes_ == 0)) return std::nullopt;
    const base::SteadyTime next = state_ == State::handshake ? std::min(flights_.due(), end_) : echo_at_;
    return std::max<base::Duration>(next - clock_(), std::chrono::milliseconds{1});
  }

  base::Result<void> send(base::ByteView plaintext, ports::ChannelEvents& events) override {
    if (state_ != State::open) return base::Error{"the session is not open"};
    if (plaintext.size() > max_plaintext_) {
      return base::Error{"a message of " + std::to_string(plaintext.size()) + " bytes does not fit one datagram of " +
                         std::to_string(max_plaintext_)};
    }
    out_ = &events;
    const ssize_t code = gnutls_record_send(session_, plaintext.data(), plaintext.size());
    out_ = nullptr;
    if (code < 0) return base::Error{std::string{"DTLS cannot send: "} + gnutls_strerror(static_cast<int>(code))};
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

  std::size_t max_plaintext() const override { return max_plaintext_; }

 private:
  // What GnuTLS sends; records of a flight share datagrams up to the path MTU, so that a lossy path sees fewer of them.
  static ssize_t push(gnutls_transport_ptr_t self, const void* data, std::size_t size) {
    auto& channel = *static_cast<DtlsChannel*>(self);
    if (channel.out_ == nullptr) return static_cast<ssize_t>(size);
    const auto* bytes = static_cast<const std::uint8_t*>(data);
    auto& datagrams = channel.out_->datagrams;
    const bool flight = is_flight({bytes, size});
    if (flight && !channel.flights_.lets_out({bytes, size}, channel.clock_())) return static_cast<ssize_t>(size);
    if (flight && !datagrams.empty() && datagrams.back().size() + size <= channel.record_bytes_) {
      datagrams.back().insert(datagrams.back().end(), bytes, bytes + size);
    } else {
      datagrams.emplace_back(bytes, bytes + size);
    }
    return static_cast<ssize_t>(size);
  }
  static ssize_t pull(gnutls_transport_ptr_t self, void* data, std::size_t size) {
    auto& channel = *static_cast<DtlsChannel*>(self);
    channel.flights_.pause();
    if (channel.in_.empty()) {
      channel.starved_ = true;
      gnutls_transport_set_errno(channel.session_, EAGAIN);
      return -1;
    }
    const std::size_t count = std::min(size, channel.in_.size());
    std::memcpy(data, channel.in_.data(), count);
    channel.in_ = {};
    return static_cast<ssize_t>(count);
  }
  static int pull_timeout(gnutls_transport_ptr_t self, unsigned) {
    auto& channel = *static_cast<DtlsChannel*>(self);
    channel.flights_.pause();
    if (!channel.in_.empty()) return 1;
    channel.starved_ = true;
    return 0;
  }

  void drive(ports::ChannelEvents& events) {
    out_ = &events;
    starved_ = false;
    flights_.pause();
    // GnuTLS answers "again" after each record that it throws away, also when the datagram holds more of them: what
    // counts is that it asked for a datagram in vain. The bound is more than the records that fit.
    tries_ = in_.size() / kRecordHeaderBytes + 16;
    if (state_ == State::handshake) handshake(events);
    if (state_ == State::open) receive(events);
    out_ = nullptr;
  }

  void handshake(ports::ChannelEvents& events) {
    int code = GNUTLS_E_AGAIN;
    for (; tries_ > 0 && !starved_; --tries_) {
      code = gnutls_handshake(session_);
      if (code == GNUTLS_E_SUCCESS || gnutls_error_is_fatal(code) != 0) break;
    }
    if (code == GNUTLS_E_SUCCESS) {
      flights_.answer_repeats();
      if (open(events)) max_plaintext_ = gnutls_dtls_get_data_mtu(session_);
    } else if (gnutls_error_is_fatal(code) != 0) {
      fail_handshake(code, events);
    }
  }

  // Whose side has the last word learns that it was lost when the peer repeats its own. At heavy loss such a repeat
  // seldom arrives, and the answer seldom too, so the answer leaves some times more: the same records, of which the
  // peer takes the first that it gets.
  void keep_for_echo(const ports::ChannelEvents& events, std::size_t from) {
    if (state_ != State::open) return;
    std::vector<base::Bytes> flight;
    std::copy_if(events.datagrams.begin() + static_cast<std::ptrdiff_t>(from), events.datagrams.end(),
                 std::back_inserter(flight), [](const base::Bytes& datagram) { return is_flight(datagram); });
    if (flight.empty()) return;
    echo_ = std::move(flight);
    echoes_ = kEchoes;
    echo_at_ = clock_() + pace_;
  }
  void stop_echo() {
    if (echoes_ == 0) return;
    echoes_ = 0;
    std::vector<base::Bytes>{}.swap(echo_);
  }
  void echo(ports::ChannelEvents& events) {
    if (echoes_ == 0 || clock_() < echo_at_) return;
    events.datagrams.insert(events.datagrams.end(), echo_.begin(), echo_.end());
    echo_at_ = clock_() + pace_;
    if (--echoes_ == 0) std::vector<base::Bytes>{}.swap(echo_);
  }

  void receive(ports::ChannelEvents& events) {
    const std::size_t before = events.datagrams.size();
    const bool was_open = answering_;
    answering_ = true;
    read_records(events);
    if (was_open && events.plaintexts.empty()) keep_for_echo(events, before);
  }

  void read_records(ports::ChannelEvents& events) {
    std::array<std::uint8_t, kLargestPlaintextBytes> buffer;  // NOLINT: written before it is read
    for (; tries_ > 0 && !starved_; --tries_) {
      const ssize_t size = gnutls_record_recv(session_, buffer.data(), buffer.size());
      if (size > 0) {
        events.plaintexts.emplace_back(buffer.data(), buffer.data() + size);
        heard();
        stop_echo();
        continue;
      }
      if (size == 0) {
        gnutls_bye(session_, GNUTLS_SHUT_WR);
        return fail("the peer closed the session", events);
      }
      const int code = static_cast<int>(size);
      if (code == GNUTLS_E_REHANDSHAKE) {
        // Renegotiation is refused and the session goes on.
        gnutls_alert_send(session_, GNUTLS_AL_WARNING, GNUTLS_A_NO_RENEGOTIATION);
      } else if (gnutls_error_is_fatal(code) != 0) {
        return fail(why(code), events);
      }
    }
  }

  FlightGate flights_{FlightPace{}};
  base::SteadyTime end_{};
  base::Duration pace_{};
  std::vector<base::Bytes> echo_;  // the last flight
  base::SteadyTime echo_at_{};
  int echoes_ = 0;  // still to come
  bool answering_ = false;
  base::ByteView in_;                    // the datagram of this call, not yet read
  ports::ChannelEvents* out_ = nullptr;  // of this call
  std::size_t max_plaintext_ = 0;
  std::uint32_t record_bytes_ = 0;
  std::size_t tries_ = 0;
  bool starved_ = false;  // GnuTLS wanted a datagram and there was none
};

}  // namespace

base::Result<std::unique_ptr<ports::SecureChannel>> accept_channel(std::shared_ptr<const Credentials> credentials,
                                                                   const DtlsOptions& options, HelloSequence hello) {
  auto channel = std::make_unique<DtlsChannel>(std::move(credentials), "");
  if (auto ready = channel->init(options); !ready) return ready.error();
  channel->set_hello(hello);
  return std::unique_ptr<ports::SecureChannel>{std::move(channel)};
}

DtlsConnector::DtlsConnector(std::shared_ptr<const Credentials> credentials, const DtlsOptions& options)
    : credentials_(std::move(credentials)), options_(options) {}

base::Result<std::unique_ptr<ports::SecureChannel>> DtlsConnector::connect(const std::string& server_name,
                                                                           ports::ChannelEvents& events) {
  if (server_name.empty()) return base::Error{"the server has no name: its certificate could not be checked"};
  auto channel = std::make_unique<DtlsChannel>(credentials_, server_name);
  if (auto ready = channel->init(options_); !ready) return ready.error();
  channel->start(events);
  return std::unique_ptr<ports::SecureChannel>{std::move(channel)};
}

}  // namespace dots::adapters::net
