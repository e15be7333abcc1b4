// What filters mean for a packet: the reading that every back end has to have (RFC 8783 4.1, 4.3). For tests,
// simulations, and "what would happen to this packet?".
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "model/filter.h"

namespace dots::model {

// The parts of a packet that filters look at. Transport parts count only where the protocol has them, and not in a
// fragment that is not the first.
struct PacketHeader {
  IpAddress source, destination;
  std::uint8_t protocol = 0;
  std::uint16_t length = 0;  // total length (IPv4), payload length (IPv6)
  std::uint8_t dscp = 0, ecn = 0, ttl = 64;
  std::uint16_t fragment = 0;      // FragmentBits
  std::uint8_t header_length = 5;  // IPv4: in words of 32 bits
  // IPv4; flags as in IpMatch, the fragment offset in units of 8 octets
  std::uint16_t flags = 0, offset = 0, identification = 0;
  std::uint32_t flow_label = 0;  // IPv6
  std::uint16_t source_port = 0, destination_port = 0;
  std::uint16_t tcp_flags = 0;  // the low 12 bits of bytes 12 and 13
  std::uint32_t sequence_number = 0, acknowledgement_number = 0;
  std::uint8_t data_offset = 5;
  std::uint16_t window_size = 0, urgent_pointer = 0;
  std::uint16_t udp_length = 0;
  std::uint8_t icmp_type = 0, icmp_code = 0;
  std::string icmp_rest;  // the octets after the checksum
};

// TCP options, which a PacketHeader does not have, never match here.
bool matches(const FilterMatch& match, const PacketHeader& packet);

}  // namespace dots::model
