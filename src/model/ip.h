// IP addresses and prefixes as values (RFC 9132 4.4.1.1 target-prefix; inet:ip-prefix of RFC 6991).
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace dots::model {

enum class Family : std::uint8_t { ipv4 = 4, ipv6 = 6 };

// An address in network byte order; an IPv4 address uses the first four bytes and the rest is zero.
struct IpAddress {
  Family family = Family::ipv4;
  std::array<std::uint8_t, 16> bytes{};

  int width() const { return family == Family::ipv4 ? 32 : 128; }
  // Bit 0 is the most significant one. REQUIRES: i < width().
  bool bit(int i) const { return (bytes[static_cast<std::size_t>(i) / 8] >> (7 - i % 8) & 1) != 0; }

  friend auto operator<=>(const IpAddress&, const IpAddress&) = default;
};

// Plain textual forms only ("192.0.2.1", "2001:db8::1"); no zone, no brackets. IPv4-mapped IPv6 stays IPv6.
base::Result<IpAddress> parse_ip_address(std::string_view text);
// Canonical text (RFC 5952).
std::string to_string(const IpAddress& address);

// A CIDR prefix. `address` may have host bits set, as the peer sent it; masked() is what matching uses
// (accept host bits, mask for matching, echo as sent).
struct Prefix {
  IpAddress address;
  std::uint8_t length = 0;

  Prefix masked() const;
  bool contains(const IpAddress& other) const;
  // True when every address of `other` lies in this prefix.
  bool contains(const Prefix& other) const;
  bool overlaps(const Prefix& other) const { return contains(other) || other.contains(*this); }
  bool is_host() const { return length == address.width(); }

  friend auto operator<=>(const Prefix&, const Prefix&) = default;
};

// "192.0.2.0/24", "2001:db8::/32". The length is required, decimal without sign or leading zeros, at most 32 or 128.
base::Result<Prefix> parse_prefix(std::string_view text);
// Canonical address text and length; host bits are kept.
std::string to_string(const Prefix& prefix);
Prefix host_prefix(const IpAddress& address);

// Why a target prefix can never be mitigated: it intersects broadcast, loopback, multicast or unspecified space
// (RFC 9132 4.4.1.1: "MUST NOT include broadcast, loopback, or multicast addresses"). Nothing when it may.
std::optional<std::string> forbidden_target(const Prefix& prefix);

}  // namespace dots::model
