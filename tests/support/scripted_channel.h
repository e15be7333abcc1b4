// A secure channel without cryptography, for unit tests and simulations: the shapes of DTLS 1.2 (cookie, flights,
// repeats, epochs, replay window, integrity, close) in clear, deterministic bytes, so that the peer tables sort the
// datagrams as they sort real ones.
//
//   hello -> (cookie) -> hello with cookie -> server hello, hello done -> key exchange, finished -> finished;
//   then data, close. Each flight is one datagram (without hello done and key exchange) unless `two_part_flights` is
//   set: then flights may lose one half and arrive in either order.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/time.h"
#include "model/peer.h"
#include "ports/secure_channel.h"

namespace dots::test {

inline constexpr std::uint8_t kScriptedHello = 1, kScriptedServerHello = 2, kScriptedVerify = 3,
                              kScriptedHelloDone = 14, kScriptedKeyExchange = 16, kScriptedRefusal = 40;

// 13 bytes of record header as in DTLS; protected records carry the session's key (8), a tag (8) and the plaintext.
inline base::Bytes scripted_record(std::uint8_t type, std::uint16_t epoch, std::uint64_t sequence,
                                   base::ByteView payload) {
  base::Bytes out{type, 0xfe, 0xfd, static_cast<std::uint8_t>(epoch >> 8), static_cast<std::uint8_t>(epoch & 0xff)};
  for (int shift = 40; shift >= 0; shift -= 8) out.push_back(static_cast<std::uint8_t>(sequence >> shift & 0xff));
  out.push_back(static_cast<std::uint8_t>(payload.size() >> 8));
  out.push_back(static_cast<std::uint8_t>(payload.size() & 0xff));
  out.insert(out.end(), payload.begin(), payload.end());
  return out;
}

inline std::uint64_t scripted_number(base::ByteView bytes) {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < 8 && i < bytes.size(); ++i) value = value << 8 | bytes[i];
  return value;
}

inline void scripted_put(base::Bytes& out, std::uint64_t value) {
  for (int shift = 56; shift >= 0; shift -= 8) out.push_back(static_cast<std::uint8_t>(value >> shift & 0xff));
}

inline constexpr std::size_t kScriptedProtection = 13 + 16;

// What stands for the authentication of DTLS: a damaged or forged record has another tag.
inline std::uint64_t scripted_tag(std::uint64_t key, std::uint8_t type, std::uint64_t sequence, base::ByteView text) {
  std::uint64_t tag = (0xcbf29ce484222325 ^ key ^ type) * 0x100000001b3 ^ sequence;
  for (const std::uint8_t byte : text) tag = (tag ^ byte) * 0x100000001b3;
  return tag;
}

// A protected record of this key; `sequence` is below 2^48.
inline base::Bytes scripted_protected(std::uint8_t type, std::uint64_t key, std::uint64_t sequence,
                                      base::ByteView text = {}) {
  base::Bytes payload;
  payload.reserve(16 + text.size());
  scripted_put(payload, key);
  scripted_put(payload, scripted_tag(key, type, sequence, text));
  payload.insert(payload.end(), text.begin(), text.end());
  return scripted_record(type, 1, sequence, payload);
}

// The plaintext of a record of application data, for those who watch the network of a simulation.
inline std::optional<base::ByteView> scripted_plaintext(base::ByteView d) {
  if (d.size() < kScriptedProtection || d[0] != 23) return std::nullopt;
  const std::uint64_t sequence = scripted_number(d.subspan(3)) & 0xffffffffffff;
  const base::ByteView text = d.subspan(kScriptedProtection);
  if (scripted_number(d.subspan(21)) != scripted_tag(scripted_number(d.subspan(13)), d[0], sequence, text)) {
    return std::nullopt;  // damaged on its way
  }
  return text;
}

inline model::PeerIdentity scripted_identity(const std::string& name) {
  model::PeerIdentity identity;
  identity.names = {name};
  identity.fingerprint.assign(32, 0);
  for (std::size_t i = 0; i < name.size(); ++i) {
    identity.fingerprint[i % 32] = static_cast<std::uint8_t>(identity.fingerprint[i % 32] * 31 + name[i]);
  }
  return identity;
}

// Handshake message: type, length, message sequence 0, fragment offset 0, fragment length, body.
inline base::Bytes scripted_handshake(std::uint8_t type, base::ByteView body) {
  const auto high = static_cast<std::uint8_t>(body.size() >> 8);
  const auto low = static_cast<std::uint8_t>(body.size() & 0xff);
  base::Bytes out{type, 0, high, low, 0, 0, 0, 0, 0, 0, high, low};
  out.insert(out.end(), body.begin(), body.end());
  return out;
}

// Client hello body: version, 32 bytes of random (the key first), cookie flag, then cookie (8) and name.
struct ScriptedHello {
  std::uint64_t key = 0;
  std::optional<std::uint64_t> cookie;
  std::string name;

  base::Bytes datagram(std::uint64_t sequence) const {
    base::Bytes body{0xfe, 0xfd};
    scripted_put(body, key);
    body.resize(34);
    body.push_back(cookie ? 8 : 0);
    if (cookie) scripted_put(body, *cookie);
    body.insert(body.end(), name.begin(), name.end());
    return scripted_record(22, 0, sequence, scripted_handshake(1, body));
  }
  static std::optional<ScriptedHello> parse(base::ByteView datagram) {
    if (datagram.size() < 13 + 12 + 35 || datagram[0] != 22 || datagram[4] != 0 || datagram[13] != 1)
      return std::nullopt;
    if (datagram[19] != 0 || datagram[20] != 0 || datagram[21] != 0) return std::nullopt;  // fragment offset
    ScriptedHello hello;
    hello.key = scripted_number(datagram.subspan(27));
    base::ByteView rest = datagram.subspan(59);
    if (rest[0] == 8) {
      if (rest.size() < 9) return std::nullopt;
      hello.cookie = scripted_number(rest.subspan(1));
      rest = rest.subspan(9);
    } else {
      rest = rest.subspan(1);
    }
    hello.name = base::as_text(rest);
    return hello;
  }
};

class ScriptedChannel final : public ports::SecureChannel {
 public:
  // Client side.
  ScriptedChannel(std::uint64_t key, std::string own_name) : client_(true), key_(key), own_(std::move(own_name)) {}
  // Server side: `peer` is who the client turned out to be; nothing: refused.
  ScriptedChannel(std::uint64_t key, std::string own_name, std::optional<model::PeerIdentity> peer)
      : key_(key), own_(std::move(own_name)), peer_(std::move(peer)) {}

  void start(ports::ChannelEvents& events) { send_flight(Flight::hello, events); }

  void on_datagram(base::ByteView d, ports::ChannelEvents& events) override {
    if (closed_ || d.size() < 13) return;
    const std::uint16_t epoch = static_cast<std::uint16_t>(d[3] << 8 | d[4]);
    if (epoch == 0) {
      if (d[0] == 22 && d.size() >= 25 && !open_) clear_handshake(d, events);
      return;
    }
    if (d.size() < kScriptedProtection || scripted_number(d.subspan(13)) != key_) return;  // another session's key
    const std::uint64_t sequence = scripted_number(d.subspan(3)) & 0xffffffffffff;
    const base::ByteView body = d.subspan(kScriptedProtection);
    if (scripted_number(d.subspan(21)) != scripted_tag(key_, d[0], sequence, body)) return;     // damaged or forged
    if (seen_.contains(sequence) || (seen_.size() >= 64 && sequence < *seen_.begin())) return;  // replay window
    seen_.insert(sequence);
    if (seen_.size() > 64) seen_.erase(seen_.begin());
    if (d[0] == 22) return finished(events);
    if (!open_) return;
    if (d[0] == 23) events.plaintexts.emplace_back(body.begin(), body.end());
    if (d[0] == 21) fail("the peer closed the session", events);
  }

  void on_timeout(ports::ChannelEvents& events) override {
    if (flight_ == Flight::none) return;
    if (++repeats_ > 6) return fail("handshake timed out", events);
    repeat_flight(events);
  }
  std::optional<base::Duration> timeout() const override {
    if (closed_ || flight_ == Flight::none) return std::nullopt;
    return base::Duration{std::chrono::seconds{1}} * (1 << std::min(repeats_, 6));
  }
  base::Result<void> send(base::ByteView plaintext, ports::ChannelEvents& events) override {
    if (!open_ || closed_) return base::Error{"the session is not open"};
    if (plaintext.size() > max_plaintext()) return base::Error{"the plaintext does not fit one datagram"};
    events.datagrams.push_back(protect(23, plaintext));
    return {};
  }
  void close(ports::ChannelEvents& events) override {
    if (open_ && !closed_) events.datagrams.push_back(protect(21, {}));
    closed_ = true;
  }
  bool is_open() const override { return open_ && !closed_; }
  const model::PeerIdentity& identity() const override { return *peer_; }
  std::size_t max_plaintext() const override { return max_plaintext_bytes; }
  bool resumed() const override { return false; }
  std::optional<std::string> recheck(base::WallTime) override { return credential_problem; }

  std::optional<std::string> credential_problem;  // what recheck() says

  std::size_t max_plaintext_bytes = 1195;
  bool two_part_flights = false;

 private:
  enum class Flight : std::uint8_t { none, hello, server_hello, client_finished };

  base::Bytes protect(std::uint8_t type, base::ByteView plaintext) {
    return scripted_protected(type, key_, next_++, plaintext);
  }
  void send_flight(Flight flight, ports::ChannelEvents& events) {
    if (flight_ != flight) repeats_ = 0;
    flight_ = flight;
    repeat_flight(events);
  }
  // With new record numbers, as in DTLS.
  void repeat_flight(ports::ChannelEvents& events) {
    const auto put = [&](base::Bytes datagram) { events.datagrams.push_back(std::move(datagram)); };
    if (flight_ == Flight::hello) put(ScriptedHello{key_, cookie_, own_}.datagram(next_++));
    if (flight_ == Flight::server_hello) {
      put(clear(kScriptedServerHello, own_));
      if (two_part_flights) put(clear(kScriptedHelloDone));
    }
    if (flight_ == Flight::client_finished) {
      if (two_part_flights) put(clear(kScriptedKeyExchange));
      put(protect(22, {}));
    }
  }
  void fail(const std::string& reason, ports::ChannelEvents& events) {
    closed_ = events.closed = true;
    flight_ = Flight::none;
    events.reason = reason;
  }
  base::Bytes clear(std::uint8_t type, const std::string& text = {}) {
    base::Bytes body;
    scripted_put(body, key_);
    body.insert(body.end(), text.begin(), text.end());
    return scripted_record(22, 0, next_++, scripted_handshake(type, body));
  }
  void clear_handshake(base::ByteView d, ports::ChannelEvents& events) {
    const std::uint8_t type = d[13];
    if (type == kScriptedVerify && client_ && !cookie_) {
      cookie_ = scripted_number(d.subspan(25));
      repeats_ = 0;
      return repeat_flight(events);
    }
    if (type == kScriptedHello && !client_) {
      if (!peer_) {
        events.datagrams.push_back(clear(kScriptedRefusal));
        return fail("unknown credentials", events);
      }
      return send_flight(Flight::server_hello, events);
    }
    if (d.size() < 33 || scripted_number(d.subspan(25)) != key_) return;  // of another handshake
    if (client_ && type == kScriptedRefusal) return fail("the server refused these credentials", events);
    if (client_ && type == kScriptedServerHello && !peer_) {
      peer_ = scripted_identity(std::string{base::as_text(d.subspan(33))});
      if (!two_part_flights) hello_done_ = true;
    } else if (client_ && type == kScriptedHelloDone) {
      hello_done_ = true;
    } else if (!client_ && type == kScriptedKeyExchange) {
      key_exchanged_ = true;
      if (peer_finished_) finished(events);
      return;
    } else {
      return;
    }
    // Both parts of the server's flight, in either order; a repeat of its end is answered by the same flight again.
    if (peer_ && hello_done_) send_flight(Flight::client_finished, events);
  }
  void finished(ports::ChannelEvents& events) {
    peer_finished_ = true;
    if (client_ ? !peer_ || !hello_done_ : two_part_flights && !key_exchanged_) return;
    if (!client_) events.datagrams.push_back(protect(22, {}));  // repeated when the client's is
    if (open_) return;
    open_ = events.opened = true;
    flight_ = Flight::none;
  }

  bool client_ = false;
  std::uint64_t key_ = 0;
  std::string own_;
  std::optional<model::PeerIdentity> peer_;
  std::optional<std::uint64_t> cookie_;
  bool open_ = false, closed_ = false;
  bool hello_done_ = false, key_exchanged_ = false, peer_finished_ = false;  // parts of the peer's flight
  std::uint64_t next_ = 0;
  int repeats_ = 0;
  Flight flight_ = Flight::none;
  std::set<std::uint64_t> seen_;
};

// `identify` says who a name is, and nothing for strangers.
class ScriptedAdmission final : public ports::Admission {
 public:
  using Identify = std::function<std::optional<model::PeerIdentity>(const std::string& name)>;

  explicit ScriptedAdmission(
      std::string server_name = "server.example",
      Identify identify = [](const std::string& name) { return scripted_identity(name); })
      : name_(std::move(server_name)), identify_(std::move(identify)) {}

  Verdict consider(base::ByteView datagram, base::ByteView peer_address, base::WallTime) override {
    Verdict verdict;
    ++considered;
    const auto hello = ScriptedHello::parse(datagram);
    if (!hello) {
      verdict.reason = "no ClientHello at fragment offset 0";
      return verdict;
    }
    std::uint64_t cookie = 0x9e3779b97f4a7c15;
    for (const std::uint8_t byte : peer_address) cookie = (cookie ^ byte) * 0x100000001b3;
    if (hello->cookie != cookie) {
      verdict.kind = Verdict::Kind::answer;
      base::Bytes body;
      scripted_put(body, cookie);
      verdict.answer = scripted_record(22, 0, 0, scripted_handshake(3, body));
      return verdict;
    }
    verdict.kind = Verdict::Kind::admit;
    auto channel = std::make_unique<ScriptedChannel>(hello->key, name_, identify_(hello->name));
    channel->two_part_flights = two_part_flights;
    verdict.channel = std::move(channel);
    return verdict;
  }

  bool two_part_flights = false;
  std::uint64_t considered = 0;

 private:
  std::string name_;
  Identify identify_;
};

class ScriptedConnector final : public ports::ChannelConnector {
 public:
  explicit ScriptedConnector(std::string own_name, std::uint64_t first_key = 1)
      : own_(std::move(own_name)), key_(first_key) {}

  base::Result<std::unique_ptr<ports::SecureChannel>> connect(const std::string&,
                                                              ports::ChannelEvents& events) override {
    auto channel = std::make_unique<ScriptedChannel>(key_++, own_);
    channel->two_part_flights = two_part_flights;
    channel->start(events);
    return std::unique_ptr<ports::SecureChannel>{std::move(channel)};
  }

  bool two_part_flights = false;

 private:
  std::string own_;
  std::uint64_t key_;
};

}  // namespace dots::test
