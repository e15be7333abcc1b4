// The access control lists of the data channel (RFC 8783 7), with their ordered entries.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "model/ip.h"

namespace dots::model {

// When the entries of a list are enforced (RFC 8783 7.2, RFC 9133). The numbers are those of CBOR key 52.
enum class ActivationType : std::uint8_t { activate_when_mitigating = 1, immediate = 2, deactivate = 3 };

enum class Forwarding : std::uint8_t { accept, drop };

// A test of some bits of a packet (RFC 8783 4.3, typedef operator): all of `bits` set, or any of them; or not so.
struct BitsMatch {
  bool any = false;
  bool negated = false;
  std::uint16_t bits = 0;

  bool matches(std::uint16_t data) const { return (any ? (data & bits) != 0 : (data & bits) == bits) != negated; }
  friend auto operator<=>(const BitsMatch&, const BitsMatch&) = default;
};

// Bits of `fragment/type` (RFC 8783 4.3, typedef fragment-type).
struct FragmentBits {
  static constexpr std::uint16_t kDontFragment = 1;
  static constexpr std::uint16_t kIsFragment = 2;
  static constexpr std::uint16_t kFirst = 4;
  static constexpr std::uint16_t kLast = 8;
};

// Ports of one side (RFC 8519 port-range-or-operator).
struct PortMatch {
  enum class Operator : std::uint8_t { range, lte, gte, eq, neq };
  Operator op = Operator::eq;
  std::uint16_t port = 0;   // lower bound of a range
  std::uint16_t upper = 0;  // only of a range

  bool matches(std::uint16_t value) const;
  friend auto operator<=>(const PortMatch&, const PortMatch&) = default;
};

// What the network header must hold; an absent member says nothing. `ttl` is the hop limit of IPv6.
struct IpMatch {
  Family family = Family::ipv4;
  std::optional<std::uint8_t> dscp, ecn, ttl, protocol;
  std::optional<std::uint16_t> length;  // total length (IPv4), payload length (IPv6)
  std::optional<Prefix> destination, source;
  std::optional<BitsMatch> fragment;
  std::optional<std::uint8_t> header_length;            // IPv4: ihl, in words of 32 bits
  std::optional<std::uint16_t> flags;                   // IPv4: bit 0 reserved, 1 fragment, 2 more
  std::optional<std::uint16_t> offset, identification;  // IPv4; the fragment offset in units of 8 octets
  std::optional<std::uint32_t> flow_label;              // IPv6

  friend bool operator==(const IpMatch&, const IpMatch&) = default;
};
struct TcpMatch {
  std::optional<PortMatch> source_port, destination_port;
  std::optional<BitsMatch> flags_bitmask;  // FIN 1, SYN 2, RST 4, PSH 8, ACK 16, URG 32, ECE 64, CWR 128; 12 bits
  std::optional<std::uint32_t> sequence_number, acknowledgement_number;
  std::optional<std::uint8_t> data_offset, reserved;
  std::optional<std::uint16_t> flags;  // bits by their positions in the module: cwr 1 ... fin 8
  std::optional<std::uint16_t> window_size, urgent_pointer;
  std::optional<std::string> options;  // raw octets

  friend bool operator==(const TcpMatch&, const TcpMatch&) = default;
};
struct UdpMatch {
  std::optional<PortMatch> source_port, destination_port;
  std::optional<std::uint16_t> length;

  friend bool operator==(const UdpMatch&, const UdpMatch&) = default;
};
// ICMP or ICMPv6, as the network header of the entry or the type of its list says; both without either.
struct IcmpMatch {
  std::optional<Family> family;
  std::optional<std::uint8_t> type, code;
  std::optional<std::string> rest_of_header;  // raw octets

  friend bool operator==(const IcmpMatch&, const IcmpMatch&) = default;
};

// At most one network and one transport header; an entry without any matches every packet to the client domain.
struct FilterMatch {
  std::optional<IpMatch> ip;
  std::optional<TcpMatch> tcp;
  std::optional<UdpMatch> udp;
  std::optional<IcmpMatch> icmp;

  friend bool operator==(const FilterMatch&, const FilterMatch&) = default;
};

struct FilterEntry {
  std::string name;
  FilterMatch match;
  Forwarding forwarding = Forwarding::drop;
  std::optional<std::uint64_t> rate_limit_hundredths;  // of BYTES per second; only with accept

  friend bool operator==(const FilterEntry&, const FilterEntry&) = default;
};

// An access control list: its entries in the order of their evaluation.
struct Filter {
  std::string name;
  std::optional<Family> type;  // as sent
  ActivationType activation = ActivationType::activate_when_mitigating;
  std::vector<FilterEntry> entries;

  friend bool operator==(const Filter&, const Filter&) = default;
};

// The names of the module; nothing for other text.
std::string_view name_of(ActivationType type);
std::optional<ActivationType> activation_type_named(std::string_view name);

}  // namespace dots::model
