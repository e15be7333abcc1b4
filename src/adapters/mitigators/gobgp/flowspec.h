// A flow specification as a value: what RFC 8955 and RFC 8956 put into NLRI, in one canonical form. Pure.
//
// Canonical: components by type; values of a component are disjoint ranges in rising order, neighbours joined; a range
// of one value is written "==", one from 0 or up to the most with one bound. Equal meanings of a component are equal
// octets, so NLRI can be compared, and what a speaker lists can be read back.
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "model/ip.h"

namespace dots::adapters::mitigators::gobgp {

// Component types (RFC 8955 4.2.2, RFC 8956 3). Types 1 and 2 are prefixes, 9 and 12 bits, the others numbers.
enum class FlowType : std::uint8_t {
  destination = 1,
  source = 2,
  protocol = 3,  // IPv6: upper-layer protocol
  port = 4,
  destination_port = 5,
  source_port = 6,
  icmp_type = 7,
  icmp_code = 8,
  tcp_flags = 9,
  length = 10,
  dscp = 11,
  fragment = 12,
  flow_label = 13,  // IPv6 only
};

// The largest value that a number of this type has; nothing for prefixes and bits.
std::optional<std::uint32_t> most_of(FlowType type);

struct FlowRange {
  std::uint32_t lower = 0;
  std::uint32_t upper = 0;
  friend auto operator<=>(const FlowRange&, const FlowRange&) = default;
};

// One test of bits (RFC 8955 4.2.1.2): of `bits` all are set, or any where not `all`; or not so.
struct FlowBits {
  bool and_before = false;  // both this and the one before it; else either
  bool negated = false;
  bool all = false;
  std::uint16_t bits = 0;
  friend auto operator<=>(const FlowBits&, const FlowBits&) = default;
};

struct FlowSpec {
  model::Family family = model::Family::ipv4;
  std::optional<model::Prefix> destination, source;
  std::map<FlowType, std::vector<FlowRange>> numbers;
  std::map<FlowType, std::vector<FlowBits>> bits;

  friend auto operator<=>(const FlowSpec&, const FlowSpec&) = default;
};

// With the octet of their length 239. GoBGP 3.10 writes the length of longer NLRI in two octets where one is due, and
// wrong ones from 240 on: the peer resets the session, and every mitigation is gone.
inline constexpr std::size_t kMostFlowOctets = 238;

// Sorts, joins, masks; a prefix of length 0 says nothing and goes.
FlowSpec canonical(FlowSpec spec);

// What is wrong with it: no destination, a prefix longer than its family has bits, a number out of bounds, bits that
// the header does not have, a component of the other family, or too long. REQUIRES: canonical.
base::Result<void> validate(const FlowSpec& spec);

// The octets of the components, without the length before them. REQUIRES: canonical.
base::Bytes encode(const FlowSpec& spec);
// Reads what encode() wrote, or another speaker: length octets included.
base::Result<FlowSpec> decode_nlri(model::Family family, base::ByteView nlri);

// As many as are needed for each to have at most kMostFlowOctets octets; together they match what `spec` does. Only a
// component with many values can be split; else what comes out is still too long, and validate() says so.
std::vector<FlowSpec> split(const FlowSpec& spec);

// "to 192.0.2.1/32 protocol 17 destination port 53".
std::string to_string(const FlowSpec& spec);

}  // namespace dots::adapters::mitigators::gobgp
