// SPDX-License-Identifier: GPL-2.0-only
#include "filters.h"

#include <algorithm>
#include <cstdio>

namespace nfthelper {
namespace {

constexpr const char* kOffset = "ip frag-off & 0x1fff ==";
constexpr const char* kFlags = "ip frag-off & 0xe000 ==";

// Positions and widths are those of RFC 791, 8200, 9293, 768 and 792.
constexpr NumberField kNetworkFields[] = {
    {"dscp", 63, "ip dscp", "ip6 dscp"},    {"ecn", 3, "ip ecn", "ip6 ecn"},
    {"ttl", 255, "ip ttl", "ip6 hoplimit"}, {"length", 65535, "ip length", "ip6 length"},
    {"ihl", 15, "ip hdrlength", ""},        {"flags", 7, kFlags, "", 13},
    {"offset", 8191, kOffset, ""},          {"id", 65535, "ip id", ""},
    {"flow", 0xfffff, "", "ip6 flowlabel"},
};
constexpr NumberField kTcpFields[] = {
    {"seq", 0xffffffff, "tcp sequence", "tcp sequence"},
    {"ack", 0xffffffff, "tcp ackseq", "tcp ackseq"},
    {"doff", 15, "tcp doff", "tcp doff"},
    {"reserved", 15, "@th,96,8 & 0x0f ==", "@th,96,8 & 0x0f =="},
    {"flags", 255, "@th,104,8", "@th,104,8"},
    {"window", 65535, "tcp window", "tcp window"},
    {"urgent", 65535, "tcp urgptr", "tcp urgptr"},
};
constexpr NumberField kUdpFields[] = {{"length", 65535, "udp length", "udp length"}};
constexpr NumberField kIcmpFields[] = {{"type", 255, "@th,0,8", "@th,0,8"}, {"code", 255, "@th,8,8", "@th,8,8"}};

template <std::size_t N>
const NumberField* find(const NumberField (&fields)[N], const std::string& name) {
  for (const NumberField& field : fields) {
    if (name == field.name) return &field;
  }
  return nullptr;
}

std::string hex(std::uint64_t value) {
  char text[24];
  std::snprintf(text, sizeof text, "0x%llx", static_cast<unsigned long long>(value));
  return text;
}

// What a packet can be: whole, the first fragment, one in the middle, the last.
enum : unsigned { kWhole = 1, kFirst = 2, kMiddle = 4, kLast = 8, kAll = 15 };
constexpr std::uint16_t bits_of(unsigned kind) {
  return kind == kWhole ? 0 : kind == kFirst ? 6 : kind == kLast ? 10 : 2;
}

std::vector<std::string> fragments_v4(const Bits& wanted) {
  unsigned with = 0, without = 0;  // DF
  for (unsigned kind = kWhole; kind <= kLast; kind <<= 1) {
    if (wanted.matches(bits_of(kind))) without |= kind;
    if (wanted.matches(static_cast<std::uint16_t>(bits_of(kind) | 1))) with |= kind;
  }
  static constexpr struct {
    unsigned kinds;
    const char* test;
  } kTests[] = {{kFirst | kMiddle | kLast, "ip frag-off & 0x3fff != 0 "},
                {kWhole | kFirst, "ip frag-off & 0x1fff == 0 "},
                {kMiddle | kLast, "ip frag-off & 0x1fff != 0 "},
                {kWhole | kLast, "ip frag-off & 0x2000 == 0 "},
                {kFirst | kMiddle, "ip frag-off & 0x2000 != 0 "},
                {kWhole, "ip frag-off & 0x3fff == 0 "},
                {kFirst, "ip frag-off & 0x3fff == 0x2000 "},
                {kMiddle, "ip frag-off & 0x2000 != 0 ip frag-off & 0x1fff != 0 "},
                {kLast, "ip frag-off & 0x2000 == 0 ip frag-off & 0x1fff != 0 "}};
  std::vector<std::string> out;
  const auto add = [&](unsigned kinds, const std::string& flag) {
    if (kinds == kAll) return out.push_back(flag);
    for (const auto& test : kTests) {
      if ((test.kinds & ~kinds) != 0) continue;
      out.push_back(flag + test.test);
      kinds &= ~test.kinds;
    }
  };
  add(with & without, "");
  add(with & ~without, "ip frag-off & 0x4000 != 0 ");
  add(without & ~with, "ip frag-off & 0x4000 == 0 ");
  return out;
}

// RFC 8783 A: a packet with a fragment header is a fragment; an atomic one (RFC 6946) is the first and the last.
std::vector<std::string> fragments_v6(const Bits& wanted) {
  const bool whole = wanted.matches(0), atomic = wanted.matches(14);
  const bool first = wanted.matches(6), middle = wanted.matches(2), last = wanted.matches(10);
  const bool all = atomic && first && middle && last;
  if (all && whole) return {""};
  std::vector<std::string> out;
  if (whole) out.emplace_back("exthdr frag missing ");
  if (all) return {"exthdr frag exists "};
  if (atomic) out.emplace_back("frag frag-off 0 frag more-fragments 0 ");
  if (first) out.emplace_back("frag frag-off 0 frag more-fragments 1 ");
  if (middle) out.emplace_back("frag frag-off != 0 frag more-fragments 1 ");
  if (last) out.emplace_back("frag frag-off != 0 frag more-fragments 0 ");
  return out;
}

bool contains(const Prefix& outer, const Prefix& inner) {
  if (outer.address.family != inner.address.family || outer.length > inner.length) return false;
  Prefix cut = inner;
  cut.length = outer.length;
  for (int i = outer.length; i < width(inner.address.family); ++i) {
    auto& byte = cut.address.bytes[static_cast<std::size_t>(i) / 8];
    byte = static_cast<std::uint8_t>(byte & ~(0x80u >> (i % 8)));
  }
  return cut == outer;
}

std::string address_test(Family family, const char* side, const Prefix& prefix) {
  if (prefix.length == 0) return {};
  return std::string(family == Family::v4 ? "ip " : "ip6 ") + side + " " + to_string(prefix) + " ";
}

std::string number_test(const NumberMatch& number, Family family) {
  return std::string(family == Family::v4 ? number.field->v4 : number.field->v6) + " " +
         std::to_string(number.value << number.field->shift) + " ";
}

// "" when every port fits. False when none does.
bool port_test(const PortSpan& span, const char* at, std::string& out) {
  const auto& [lower, upper] = span.ports;
  if (lower == 0 && upper == 65535) return !span.negated;
  out += std::string("@th,") + at + ",16 " + (span.negated ? "!= " : "") + std::to_string(lower);
  // A range even of one: libnftables 1.0.6 makes one comparison of two "!=" that stand side by side.
  if (upper != lower || span.negated) out += "-" + std::to_string(upper);
  out += " ";
  return true;
}

// False when no packet can fit.
bool tcp_bits_test(const Bits& wanted, std::string& out) {
  if (wanted.bits == 0) return wanted.matches(0);
  const std::string test = "@th,96,16 & " + hex(wanted.bits);
  // all: equal to the mask; any: not equal to 0
  out += test + (wanted.any == wanted.negated ? " == " : " != ") + (wanted.any ? "0" : hex(wanted.bits)) + " ";
  return true;
}

void rest_test(const std::vector<std::uint8_t>& rest, std::string& out) {
  for (std::size_t at = 0; at < rest.size(); at += 4) {
    const std::size_t n = std::min<std::size_t>(4, rest.size() - at);
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < n; ++i) value = value << 8 | rest[at + i];
    out += "@th," + std::to_string(32 + 8 * at) + "," + std::to_string(8 * n) + " " + hex(value) + " ";
  }
}

// False when no packet can fit.
bool transport_test(const FilterMatch& match, Family family, std::string& out) {
  std::optional<int> protocol = match.protocol;
  if (match.transport != Transport::none) {
    const int own = match.transport == Transport::tcp   ? 6
                    : match.transport == Transport::udp ? 17
                    : family == Family::v4              ? 1
                                                        : 58;
    if (protocol && *protocol != own) return false;
    protocol = own;
  }
  if (protocol) out += "meta l4proto " + std::to_string(*protocol) + " ";
  if (match.transport == Transport::none) return true;
  if (match.source_port && !port_test(*match.source_port, "0", out)) return false;
  if (match.destination_port && !port_test(*match.destination_port, "16", out)) return false;
  if (match.tcp_bits && !tcp_bits_test(*match.tcp_bits, out)) return false;
  for (const NumberMatch& number : match.transport_numbers) {
    out += number_test(number, family);
  }
  rest_test(match.icmp_rest, out);
  return true;
}

}  // namespace

std::string to_string(const FilterKey& key) {
  return "filter list '" + key[2] + "' of cuid " + key[1] + " of domain " + key[0];
}

const NumberField* network_field(const std::string& name) { return find(kNetworkFields, name); }
const NumberField* transport_field(Transport transport, const std::string& name) {
  switch (transport) {
    case Transport::tcp:
      return find(kTcpFields, name);
    case Transport::udp:
      return find(kUdpFields, name);
    case Transport::icmp:
      return find(kIcmpFields, name);
    case Transport::none:
      break;
  }
  return nullptr;
}

std::vector<Prefix> maximal(std::vector<Prefix> prefixes) {
  std::sort(prefixes.begin(), prefixes.end());  // by address, the shorter one first
  std::vector<Prefix> out;
  for (const Prefix& prefix : prefixes) {
    if (out.empty() || !contains(out.back(), prefix)) out.push_back(prefix);
  }
  return out;
}

std::vector<Prefix> of_family(const std::vector<Prefix>& prefixes, Family family) {
  std::vector<Prefix> out;
  for (const Prefix& prefix : prefixes) {
    if (prefix.address.family == family) out.push_back(prefix);
  }
  return out;
}

std::vector<MatchText> match_texts(const FilterMatch& match, const std::vector<Prefix>& destinations,
                                   const std::vector<Prefix>& whole, bool& gated) {
  std::vector<MatchText> out;
  const bool transport = match.transport != Transport::none;
  for (const Family family : {Family::v4, Family::v6}) {
    const bool v4 = family == Family::v4;
    if (match.family && *match.family != family) continue;
    if (match.transport == Transport::icmp && match.icmp_family && *match.icmp_family != family) continue;
    const std::vector<Prefix> own = maximal(of_family(destinations, family));
    if (own.empty()) continue;
    const bool tested = own.size() > 1 && own == of_family(whole, family);

    std::string rest;
    bool possible = true;
    for (const auto& [prefix, side] : {std::pair(match.destination, "daddr"), std::pair(match.source, "saddr")}) {
      if (!prefix) continue;
      possible = possible && prefix->address.family == family;
      rest += address_test(family, side, *prefix);
    }
    for (const NumberMatch& number : match.numbers) {
      possible = possible && *(v4 ? number.field->v4 : number.field->v6) != '\0';
      rest += number_test(number, family);
    }
    if (!possible || !transport_test(match, family, rest)) continue;
    const auto fragments = !match.fragment ? std::vector<std::string>{""}
                           : v4            ? fragments_v4(*match.fragment)
                                           : fragments_v6(*match.fragment);
    gated = gated || tested;
    for (const std::string& fragment : fragments) {
      const std::string all = fragment + rest;
      const std::string start = v4 ? "meta nfproto ipv4 " : "meta nfproto ipv6 ";
      if (tested) {
        out.push_back({start + all, transport});
        continue;
      }
      for (const Prefix& prefix : own) {
        out.push_back({start + address_test(family, "daddr", prefix) + all, transport});
      }
    }
  }
  return out;
}

}  // namespace nfthelper
