// SPDX-License-Identifier: GPL-2.0-only
// Ordered lists of filters as this program knows them, and the nft text of what an entry matches.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "rules.h"

namespace nfthelper {

// Bounds of what one may ask for. Entries of all lists together: kMaxFilterEntries.
constexpr std::size_t kMaxFilterChanges = 4096;
constexpr std::size_t kMaxFilterLists = 16384;
constexpr std::size_t kMaxFilterEntries = 65'536;
constexpr std::size_t kMaxFilterEntriesAtOnce = 16'384;
constexpr std::size_t kMaxFilterNameBytes = 1024;
constexpr std::size_t kMaxFilterRulesOfAnEntry = 256;
constexpr std::size_t kMaxFilterGates = 1024;

// Domain, client, list: texts of strangers. They are kept in the table, encoded, and never name anything in it.
using FilterKey = std::array<std::string, 3>;
std::string to_string(const FilterKey& key);

struct Bits {  // all of `bits` set, or any of them; or not so
  bool any = false;
  bool negated = false;
  std::uint16_t bits = 0;
  bool matches(std::uint16_t data) const { return (any ? (data & bits) != 0 : (data & bits) == bits) != negated; }
};
struct PortSpan {
  Ports ports;
  bool negated = false;
};

// A field that holds one number: its name in a request, its bound, and how nft spells it ("" where there is none).
struct NumberField {
  const char* name;
  std::uint64_t high;
  const char* v4;
  const char* v6;
  unsigned shift = 0;  // to where nft wants it
};
struct NumberMatch {
  const NumberField* field = nullptr;
  std::uint64_t value = 0;
};

enum class Transport : std::uint8_t { none, tcp, udp, icmp };

struct FilterMatch {
  std::optional<Family> family;
  std::optional<Prefix> source, destination;
  std::optional<std::uint8_t> protocol;
  std::optional<Bits> fragment;  // 1 do not fragment, 2 is a fragment, 4 the first, 8 the last
  Transport transport = Transport::none;
  std::optional<Family> icmp_family;
  std::optional<PortSpan> source_port, destination_port;
  std::optional<Bits> tcp_bits;  // the low 12 bits of bytes 12 and 13
  std::vector<std::uint8_t> icmp_rest;
  std::vector<NumberMatch> numbers;            // of the network header
  std::vector<NumberMatch> transport_numbers;  // of the transport header
};

enum class FilterAction : std::uint8_t { accept, drop, limit };
struct FilterEntry {
  std::string name;
  FilterMatch match;
  FilterAction action = FilterAction::drop;
  std::uint64_t bytes_per_s = 0;  // only with limit
  std::size_t to = 0;             // which of the list's destinations
};

struct FilterList {
  FilterKey key;
  std::uint32_t place = 0;
  std::string digest;  // the caller's; hexadecimal
  std::vector<std::vector<Prefix>> destinations;
  std::vector<FilterEntry> entries;
};
struct FilterChange {
  FilterKey key;
  std::optional<FilterList> list;  // nothing: remove
};

// Without prefixes that lie in others; sorted.
std::vector<Prefix> maximal(std::vector<Prefix> prefixes);
std::vector<Prefix> of_family(const std::vector<Prefix>& prefixes, Family family);

// One rule of an entry. Later fragments must be kept away from rules that look at a transport header: the kernel (seen
// with 6.18) takes the octets that stand where it would be.
struct MatchText {
  std::string text;
  bool transport = false;
};

// The matches of an entry, one for each rule that it takes; no packet fits two of them. Empty when no packet can fit.
// `whole`: the destinations of all entries of the list, maximal; who jumps to the list's chain has tested them if
// `gated` is set here.
std::vector<MatchText> match_texts(const FilterMatch& match, const std::vector<Prefix>& destinations,
                                   const std::vector<Prefix>& whole, bool& gated);

// For the parser of requests.
const NumberField* network_field(const std::string& name);
const NumberField* transport_field(Transport transport, const std::string& name);

}  // namespace nfthelper
