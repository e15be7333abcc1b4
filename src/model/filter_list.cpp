#include "model/filter_list.h"

#include <array>
#include <cstddef>
#include <type_traits>

namespace dots::model {
namespace {

__extension__ typedef unsigned __int128 Product;

// FNV-1a with 128 bits. Every value goes in with its length or presence, so that two contents never run together.
class Digest {
 public:
  void octet(std::uint8_t value) {
    low_ ^= value;
    // times 2^88 + 0x13b
    constexpr std::uint64_t kPrimeLow = 0x13b;
    const Product product = static_cast<Product>(low_) * kPrimeLow;
    high_ = high_ * kPrimeLow + static_cast<std::uint64_t>(product >> 64) + (low_ << 24);
    low_ = static_cast<std::uint64_t>(product);
  }
  template <class Number>
  void number(Number value) {
    static_assert(std::is_integral_v<Number> || std::is_enum_v<Number>);
    auto bits = static_cast<std::uint64_t>(value);
    for (std::size_t i = 0; i < sizeof(Number); ++i, bits >>= 8) octet(static_cast<std::uint8_t>(bits));
  }
  void text(const std::string& value) {
    number(value.size());
    for (const char c : value) octet(static_cast<std::uint8_t>(c));
  }
  template <class T, class Put>
  void maybe(const std::optional<T>& value, Put put) {
    octet(value ? 1 : 0);
    if (value) put(*value);
  }
  template <class... Number>
  void numbers(const std::optional<Number>&... values) {
    (maybe(values, [this](auto value) { this->number(value); }), ...);
  }
  void prefix(const Prefix& value) {
    number(value.address.family);
    for (const std::uint8_t byte : value.address.bytes) octet(byte);
    number(value.length);
  }
  void prefixes(const std::optional<Prefix>& value) {
    maybe(value, [this](const Prefix& one) { prefix(one); });
  }
  void bits(const std::optional<BitsMatch>& value) {
    maybe(value, [this](const BitsMatch& one) {
      octet(one.any ? 1 : 0);
      octet(one.negated ? 1 : 0);
      number(one.bits);
    });
  }
  void port(const std::optional<PortMatch>& value) {
    maybe(value, [this](const PortMatch& one) {
      number(one.op);
      number(one.port);
      number(one.upper);
    });
  }
  void texts(const std::optional<std::string>& value) {
    maybe(value, [this](const std::string& one) { text(one); });
  }
  std::string hex() const {
    std::string out;
    for (const std::uint64_t half : {high_, low_}) {
      for (int shift = 60; shift >= 0; shift -= 4) out += "0123456789abcdef"[(half >> shift) & 15];
    }
    return out;
  }

 private:
  std::uint64_t high_ = 0x6c62272e07bb0142;
  std::uint64_t low_ = 0x62b821756295c58d;
};

void put(Digest& digest, const IpMatch& ip) {
  digest.number(ip.family);
  digest.numbers(ip.dscp, ip.ecn, ip.ttl, ip.protocol, ip.length, ip.header_length, ip.flags, ip.offset,
                 ip.identification, ip.flow_label);
  digest.prefixes(ip.destination);
  digest.prefixes(ip.source);
  digest.bits(ip.fragment);
}

void put(Digest& digest, const TcpMatch& tcp) {
  digest.port(tcp.source_port);
  digest.port(tcp.destination_port);
  digest.bits(tcp.flags_bitmask);
  digest.numbers(tcp.sequence_number, tcp.acknowledgement_number, tcp.data_offset, tcp.reserved, tcp.flags,
                 tcp.window_size, tcp.urgent_pointer);
  digest.texts(tcp.options);
}

void put(Digest& digest, const UdpMatch& udp) {
  digest.port(udp.source_port);
  digest.port(udp.destination_port);
  digest.numbers(udp.length);
}

void put(Digest& digest, const IcmpMatch& icmp) {
  digest.numbers(icmp.family, icmp.type, icmp.code);
  digest.texts(icmp.rest_of_header);
}

void put(Digest& digest, const FilterRule& rule) {
  const FilterEntry& entry = rule.entry;
  digest.text(entry.name);
  digest.number(entry.forwarding);
  digest.numbers(entry.rate_limit_hundredths);
  const auto header = [&digest](const auto& match) { put(digest, match); };
  digest.maybe(entry.match.ip, header);
  digest.maybe(entry.match.tcp, header);
  digest.maybe(entry.match.udp, header);
  digest.maybe(entry.match.icmp, header);
  digest.number(rule.destinations.size());
  for (const Prefix& prefix : rule.destinations) digest.prefix(prefix);
}

}  // namespace

std::string digest_of(const FilterList& list) {
  Digest digest;
  digest.text(list.key.domain.value);
  digest.text(list.key.cuid.value);
  digest.text(list.key.list);
  digest.number(list.place);
  digest.number(list.rules.size());
  for (const FilterRule& rule : list.rules) put(digest, rule);
  return digest.hex();
}

std::string to_string(const FilterListKey& key) {
  return "filter list '" + key.list + "' of cuid " + key.cuid.value + " of domain " + key.domain.value;
}

}  // namespace dots::model
