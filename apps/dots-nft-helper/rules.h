// SPDX-License-Identifier: GPL-2.0-only
// Rules as this program knows them, and where in the table each one lives.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace nfthelper {

enum class Family : std::uint8_t { v4 = 4, v6 = 6 };
inline int width(Family family) { return family == Family::v4 ? 32 : 128; }
inline std::size_t bytes_of(Family family) { return family == Family::v4 ? 4 : 16; }

struct Address {
  Family family = Family::v4;
  std::array<std::uint8_t, 16> bytes{};
  friend auto operator<=>(const Address&, const Address&) = default;
};
struct Prefix {
  Address address;
  std::uint8_t length = 0;
  friend auto operator<=>(const Prefix&, const Prefix&) = default;
};
std::optional<Address> parse_address(std::string_view text);
// Host bits must be zero: a key with host bits would never match.
std::optional<Prefix> parse_prefix(std::string_view text);
bool is_masked(const Prefix& prefix);
std::string to_string(const Address& address);
std::string to_string(const Prefix& prefix);

struct Ports {
  std::uint16_t lower = 0;
  std::uint16_t upper = 0;
  friend auto operator<=>(const Ports&, const Ports&) = default;
};
struct Match {
  Prefix target;
  std::optional<std::uint8_t> protocol;
  std::optional<Ports> ports;  // only with a protocol that has ports
  friend auto operator<=>(const Match&, const Match&) = default;
};
bool has_ports(std::uint8_t protocol);

enum class Action : std::uint8_t { blackhole, drop, limit };  // in the order in which the table tries them
struct Rule {
  Match match;
  Action action = Action::drop;
  std::uint64_t bytes_per_s = 0;  // only with limit
  friend auto operator<=>(const Rule&, const Rule&) = default;
};
std::string to_string(const Rule& rule);

// Above it the kernel's arithmetic in nanosecond tokens overflows.
constexpr std::uint64_t kMaxLimitBytesPerS = 16'000'000'000;

struct Exemption {
  Address server;  // unspecified: any address of this machine
  std::uint16_t port = 0;
  Prefix peer;
  friend auto operator<=>(const Exemption&, const Exemption&) = default;
};

// One set of the table. Every prefix length has sets of its own, keyed by the masked address: exact-match look-ups, no
// interval to rebuild, and prefixes may nest. Only port ranges need interval sets; ranges that overlap lie in different
// layers, because such a set refuses overlaps.
struct SetName {
  // exempt_local: towards any address of this machine; what it answers does not come by our hook.
  // filter: a map, from the destinations of lists of filters to their chains.
  enum class Kind : std::uint8_t {
    exempt_in,
    exempt_out,
    exempt_local,
    filter,
    blackhole,
    drop,
    limit
  } kind = Kind::drop;
  enum class Shape : std::uint8_t { port, range, protocol, any } shape = Shape::any;  // narrow ones are tried first
  Family family = Family::v4;
  std::uint8_t length = 32;
  std::uint8_t layer = 0;  // only with range

  bool exempts() const { return kind <= Kind::exempt_local; }
  bool holds_rules() const { return kind >= Kind::blackhole; }
  bool looks_at_ports() const { return exempts() || (holds_rules() && shape <= Shape::range); }
  // The order of the rules in their chain: kind, longest prefix, shape, layer.
  friend bool operator<(const SetName& a, const SetName& b);
  friend bool operator==(const SetName&, const SetName&) = default;
};
constexpr std::uint8_t kMaxLayers = 16;
std::string to_string(const SetName& name);  // "tw_drop4_32_port"
std::optional<SetName> parse_set_name(std::string_view text);

// The map that holds this destination of filters.
SetName filter_map(const Prefix& prefix);

// An element's key as the kernel holds it: every part padded to four bytes.
using Key = std::vector<std::uint8_t>;
struct ElementKey {
  Key first;
  Key last;  // empty, except in interval sets
  friend auto operator<=>(const ElementKey&, const ElementKey&) = default;
};
SetName set_of(const Rule& rule, std::uint8_t layer);
ElementKey key_of(const Match& match, const SetName& set);
// Nothing when no rule of ours has this key.
std::optional<Match> match_of(const SetName& set, const ElementKey& key);
// Each exemption has four elements: UDP and TCP, towards the server and back. The unspecified address as server means
// every address of this machine; these have no way back.
std::vector<std::pair<SetName, ElementKey>> elements_of(const Exemption& exemption);

}  // namespace nfthelper
