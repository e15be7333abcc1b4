// Packets as octets, from the headers that filters look at.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "model/filter_match.h"

namespace dots::tests {

using Octets = std::vector<std::uint8_t>;

inline void put16(Octets& out, unsigned value) {
  out.push_back(static_cast<std::uint8_t>(value >> 8));
  out.push_back(static_cast<std::uint8_t>(value));
}
inline void put32(Octets& out, std::uint32_t value) {
  put16(out, value >> 16);
  put16(out, value & 0xffff);
}

inline bool has_transport(const model::PacketHeader& packet) {
  return (packet.fragment & model::FragmentBits::kIsFragment) == 0 ||
         (packet.fragment & model::FragmentBits::kFirst) != 0;
}

inline Octets transport_octets(const model::PacketHeader& packet) {
  Octets out;
  switch (has_transport(packet) ? packet.protocol : 0) {
    case 6:
      put16(out, packet.source_port);
      put16(out, packet.destination_port);
      put32(out, packet.sequence_number);
      put32(out, packet.acknowledgement_number);
      put16(out, static_cast<unsigned>(packet.data_offset << 12 | packet.tcp_flags));
      put16(out, packet.window_size);
      put16(out, 0);
      put16(out, packet.urgent_pointer);
      break;
    case 17:
      put16(out, packet.source_port);
      put16(out, packet.destination_port);
      put16(out, packet.udp_length);
      put16(out, 0);
      break;
    case 1:
    case 58:
      out = {packet.icmp_type, packet.icmp_code, 0, 0};
      out.insert(out.end(), packet.icmp_rest.begin(), packet.icmp_rest.end());
      break;
    default:
      break;
  }
  out.resize(72, 0x35);  // as a port or a type this would be one that filters ask for
  return out;
}

// Sets `length`, and the fragment bits from flags and offset.
inline Octets ipv4_octets(model::PacketHeader& packet) {
  using model::FragmentBits;
  const bool dont = (packet.flags & 2) != 0, more = (packet.flags & 4) != 0;
  packet.fragment = dont ? FragmentBits::kDontFragment : 0;
  if (more || packet.offset != 0) packet.fragment |= FragmentBits::kIsFragment;
  if (more && packet.offset == 0) packet.fragment |= FragmentBits::kFirst;
  if (!more && packet.offset != 0) packet.fragment |= FragmentBits::kLast;
  const Octets payload = transport_octets(packet);
  packet.length = static_cast<std::uint16_t>(packet.header_length * 4u + payload.size());
  Octets out = {static_cast<std::uint8_t>(0x40 | packet.header_length),
                static_cast<std::uint8_t>(packet.dscp << 2 | packet.ecn)};
  put16(out, packet.length);
  put16(out, packet.identification);
  put16(out, ((packet.flags & 1) != 0 ? 0x8000u : 0u) | (dont ? 0x4000u : 0u) | (more ? 0x2000u : 0u) | packet.offset);
  out.insert(out.end(), {packet.ttl, packet.protocol, 0, 0});
  for (const auto& address : {packet.source, packet.destination}) {
    out.insert(out.end(), address.bytes.begin(), address.bytes.begin() + 4);
  }
  out.resize(packet.header_length * 4u, 1);  // no-operation options
  std::uint32_t sum = 0;
  for (std::size_t i = 0; i < out.size(); i += 2) sum += static_cast<std::uint32_t>(out[i] << 8 | out[i + 1]);
  while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
  out[10] = static_cast<std::uint8_t>(~sum >> 8);
  out[11] = static_cast<std::uint8_t>(~sum);
  out.insert(out.end(), payload.begin(), payload.end());
  return out;
}

enum class Ipv6Fragment : std::uint8_t { none, atomic, first, middle, last };

// Sets `length` and the fragment bits.
inline Octets ipv6_octets(model::PacketHeader& packet, Ipv6Fragment fragment, bool destination_options) {
  static constexpr std::uint16_t kBits[] = {0, 14, 6, 2, 10};
  packet.fragment = kBits[static_cast<int>(fragment)];
  Octets rest;
  std::uint8_t next = packet.protocol;
  if (fragment != Ipv6Fragment::none) {
    const bool more = fragment == Ipv6Fragment::first || fragment == Ipv6Fragment::middle;
    const bool later = fragment == Ipv6Fragment::middle || fragment == Ipv6Fragment::last;
    rest = {next, 0};
    put16(rest, (later ? 185u << 3 : 0u) | (more ? 1u : 0u));
    put32(rest, 0xabcdef01);
    next = 44;
  }
  if (destination_options) {
    rest.insert(rest.begin(), {next, 0, 1, 4, 0, 0, 0, 0});
    next = 60;
  }
  const Octets payload = transport_octets(packet);
  rest.insert(rest.end(), payload.begin(), payload.end());
  packet.length = static_cast<std::uint16_t>(rest.size());
  Octets out;
  put32(out, 6u << 28 | static_cast<std::uint32_t>(packet.dscp << 2 | packet.ecn) << 20 | packet.flow_label);
  put16(out, packet.length);
  out.insert(out.end(), {next, packet.ttl});
  for (const auto& address : {packet.source, packet.destination}) {
    out.insert(out.end(), address.bytes.begin(), address.bytes.end());
  }
  out.insert(out.end(), rest.begin(), rest.end());
  return out;
}

}  // namespace dots::tests
