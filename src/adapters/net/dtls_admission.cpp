#include "adapters/net/dtls_admission.h"

#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>

#include <algorithm>
#include <array>
#include <cassert>
#include <stdexcept>

namespace dots::adapters::net {
namespace {

constexpr std::size_t kCookieBytes = 16;
constexpr std::size_t kRecordHeader = 13;
constexpr std::size_t kMessageHeader = 12;
constexpr std::size_t kLongestHelloBytes = 16384;

using Key = std::array<std::uint8_t, 32>;
using Cookie = std::array<std::uint8_t, kCookieBytes>;

struct Hello {
  base::ByteView record_sequence;  // 6 bytes
  std::uint16_t message_sequence = 0;
  base::ByteView cookie;
};

// Reads bytes and remembers whether they were there.
class Reader {
 public:
  explicit Reader(base::ByteView bytes) : rest_(bytes) {}
  base::ByteView take(std::size_t count) {
    if (count > rest_.size()) {
      ok_ = false;
      count = 0;
    }
    const base::ByteView taken = rest_.first(count);
    rest_ = rest_.subspan(count);
    return taken;
  }
  std::uint32_t number(std::size_t bytes) {
    std::uint32_t value = 0;
    for (const std::uint8_t byte : take(bytes)) value = value << 8 | byte;
    return value;
  }
  bool ok() const { return ok_; }
  std::size_t left() const { return rest_.size(); }

 private:
  base::ByteView rest_;
  bool ok_ = true;
};

// Nothing, with the reason, unless this is a first fragment of a ClientHello that holds the cookie field.
std::optional<Hello> parse_hello(base::ByteView datagram, const char*& reason) {
  Hello hello;
  reason = "no DTLS handshake record of epoch 0";
  if (datagram.size() < kRecordHeader + kMessageHeader) return std::nullopt;
  Reader record{datagram};
  const auto type = record.number(1);
  const auto version = record.number(2);
  const auto epoch = record.number(2);
  hello.record_sequence = record.take(6);
  const auto record_length = record.number(2);
  if (type != 22 || version >> 8 != 0xfe || epoch != 0 || record_length > record.left()) return std::nullopt;

  reason = "no ClientHello at fragment offset 0";
  Reader message{datagram.subspan(kRecordHeader, record_length)};
  const auto message_type = message.number(1);
  const auto length = message.number(3);
  hello.message_sequence = static_cast<std::uint16_t>(message.number(2));
  const auto offset = message.number(3);
  const auto fragment = message.number(3);
  if (!message.ok() || message_type != 1 || offset != 0) return std::nullopt;

  reason = "malformed ClientHello";
  if (length > kLongestHelloBytes || fragment > length || fragment > message.left()) return std::nullopt;
  message.take(2 + 32);
  const auto session_id = message.number(1);
  message.take(session_id);
  hello.cookie = message.take(message.number(1));
  if (!message.ok() || session_id > 32) return std::nullopt;
  return hello;
}

// Its size does not depend on the hello and is smaller than any hello: nothing to amplify.
base::Bytes hello_verify_request(const Hello& hello, const Cookie& cookie) {
  constexpr std::uint8_t body = 3 + kCookieBytes;
  // RFC 6347 4.2.1: version DTLS 1.0 whatever will be negotiated; the record takes the hello's sequence number.
  base::Bytes out{22, 0xfe, 0xff, 0, 0};
  out.insert(out.end(), hello.record_sequence.begin(), hello.record_sequence.end());
  out.insert(out.end(), {0, kMessageHeader + body});
  out.insert(out.end(), {3, 0, 0, body, 0, 0, 0, 0, 0, 0, 0, body});
  out.insert(out.end(), {0xfe, 0xff, kCookieBytes});
  out.insert(out.end(), cookie.begin(), cookie.end());
  return out;
}

template <std::size_t N>
std::array<std::uint8_t, N> hmac(const Key& key, base::ByteView text) {
  Key full{};
  const int code = gnutls_hmac_fast(GNUTLS_MAC_SHA256, key.data(), key.size(), text.data(), text.size(), full.data());
  if (code < 0) throw std::runtime_error{"HMAC-SHA256 is not available"};
  std::array<std::uint8_t, N> out{};
  std::copy_n(full.begin(), N, out.begin());
  return out;
}

}  // namespace

struct DtlsAdmission::State {
  std::shared_ptr<const Credentials> credentials;
  DtlsOptions options;
  base::Duration key_time;
  Key master{};
  // The two keys that are good, by the period that they belong to.
  std::int64_t period = -1;
  Key current{}, previous{};

  Key key_of(std::int64_t number) const {
    std::array<std::uint8_t, 8> text{};
    for (std::size_t i = 0; i < 8; ++i) text[i] = static_cast<std::uint8_t>(number >> (56 - 8 * i) & 0xff);
    return hmac<32>(master, text);
  }
  void turn(base::WallTime now) {
    const std::int64_t wanted = now.time_since_epoch() / key_time;
    if (wanted == period) return;
    period = wanted;
    current = key_of(wanted);
    previous = key_of(wanted - 1);
  }
};

DtlsAdmission::DtlsAdmission(std::shared_ptr<const Credentials> credentials, const DtlsOptions& options,
                             base::Duration cookie_key_time)
    : state_(std::make_unique<State>()) {
  assert(credentials->side() == Side::server && cookie_key_time > base::Duration::zero());
  state_->credentials = std::move(credentials);
  state_->options = options;
  state_->key_time = cookie_key_time;
  if (gnutls_rnd(GNUTLS_RND_KEY, state_->master.data(), state_->master.size()) < 0) {
    throw std::runtime_error{"no random numbers for the cookie key"};
  }
}
DtlsAdmission::DtlsAdmission(DtlsAdmission&&) noexcept = default;
DtlsAdmission& DtlsAdmission::operator=(DtlsAdmission&&) noexcept = default;
DtlsAdmission::~DtlsAdmission() = default;

void DtlsAdmission::replace_credentials(std::shared_ptr<const Credentials> credentials) {
  state_->credentials = std::move(credentials);
}

ports::Admission::Verdict DtlsAdmission::consider(base::ByteView datagram, base::ByteView peer_address,
                                                  base::WallTime now) {
  State& s = *state_;
  Verdict verdict;
  const char* reason = "";
  const auto hello = parse_hello(datagram, reason);
  if (!hello) {
    verdict.reason = reason;
    return verdict;
  }
  s.turn(now);
  const Cookie cookie = hmac<kCookieBytes>(s.current, peer_address);
  const auto matches = [&](const Cookie& good) {
    return hello->cookie.size() == good.size() && gnutls_memcmp(hello->cookie.data(), good.data(), good.size()) == 0;
  };
  if (hello->cookie.size() != kCookieBytes ||
      (!matches(cookie) && !matches(hmac<kCookieBytes>(s.previous, peer_address)))) {
    verdict.kind = Verdict::Kind::answer;
    verdict.answer = hello_verify_request(*hello, cookie);
    return verdict;
  }
  Reader sequence{hello->record_sequence.subspan(2)};
  auto channel = accept_channel(s.credentials, s.options, {sequence.number(4), hello->message_sequence});
  if (!channel) {
    verdict.reason = channel.error().message;
    return verdict;
  }
  verdict.kind = Verdict::Kind::admit;
  verdict.channel = std::move(*channel);
  return verdict;
}

}  // namespace dots::adapters::net
