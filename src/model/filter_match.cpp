#include "model/filter_match.h"

namespace dots::model {
namespace {

constexpr std::uint8_t kIcmp = 1, kTcp = 6, kUdp = 17, kIcmpv6 = 58;

template <class T>
bool fits(const std::optional<T>& wanted, T value) {
  return !wanted || *wanted == value;
}
bool fits(const std::optional<Prefix>& wanted, const IpAddress& address) {
  return !wanted || wanted->contains(address);
}
bool fits(const std::optional<BitsMatch>& wanted, std::uint16_t bits) { return !wanted || wanted->matches(bits); }
bool fits(const std::optional<PortMatch>& wanted, std::uint16_t port) { return !wanted || wanted->matches(port); }

bool matches_ip(const IpMatch& ip, const PacketHeader& packet) {
  if (ip.family != packet.destination.family) return false;
  if (!fits(ip.destination, packet.destination) || !fits(ip.source, packet.source)) return false;
  if (!fits(ip.dscp, packet.dscp) || !fits(ip.ecn, packet.ecn) || !fits(ip.ttl, packet.ttl)) return false;
  if (!fits(ip.protocol, packet.protocol) || !fits(ip.length, packet.length)) return false;
  if (!fits(ip.fragment, packet.fragment) || !fits(ip.flow_label, packet.flow_label)) return false;
  return fits(ip.header_length, packet.header_length) && fits(ip.flags, packet.flags) &&
         fits(ip.offset, packet.offset) && fits(ip.identification, packet.identification);
}

// cwr is bit 1 of the module and the highest of the header's byte, fin bit 8 and the lowest.
std::uint16_t module_flags(std::uint16_t tcp_flags) {
  std::uint16_t out = 0;
  for (int bit = 0; bit < 8; ++bit) {
    if ((tcp_flags >> bit & 1) != 0) out = static_cast<std::uint16_t>(out | 1 << (8 - bit));
  }
  return out;
}

bool matches_tcp(const TcpMatch& tcp, const PacketHeader& packet) {
  return fits(tcp.source_port, packet.source_port) && fits(tcp.destination_port, packet.destination_port) &&
         fits(tcp.flags_bitmask, packet.tcp_flags) && fits(tcp.sequence_number, packet.sequence_number) &&
         fits(tcp.acknowledgement_number, packet.acknowledgement_number) && fits(tcp.data_offset, packet.data_offset) &&
         fits(tcp.reserved, static_cast<std::uint8_t>(packet.tcp_flags >> 8 & 15)) &&
         fits(tcp.flags, module_flags(packet.tcp_flags)) && fits(tcp.window_size, packet.window_size) &&
         fits(tcp.urgent_pointer, packet.urgent_pointer);
}

}  // namespace

bool matches(const FilterMatch& match, const PacketHeader& packet) {
  if (match.ip && !matches_ip(*match.ip, packet)) return false;
  const bool whole =
      (packet.fragment & FragmentBits::kIsFragment) == 0 || (packet.fragment & FragmentBits::kFirst) != 0;
  if (match.tcp) {
    const TcpMatch& tcp = *match.tcp;
    return packet.protocol == kTcp && whole && !tcp.options && matches_tcp(tcp, packet);
  }
  if (match.udp) {
    const UdpMatch& udp = *match.udp;
    return packet.protocol == kUdp && whole && fits(udp.source_port, packet.source_port) &&
           fits(udp.destination_port, packet.destination_port) && fits(udp.length, packet.udp_length);
  }
  if (match.icmp) {
    const IcmpMatch& icmp = *match.icmp;
    const bool v4 = packet.destination.family == Family::ipv4;
    return packet.protocol == (v4 ? kIcmp : kIcmpv6) && whole &&
           (!icmp.rest_of_header || packet.icmp_rest.starts_with(*icmp.rest_of_header)) &&
           fits(icmp.family, packet.destination.family) && fits(icmp.type, packet.icmp_type) &&
           fits(icmp.code, packet.icmp_code);
  }
  return true;
}

}  // namespace dots::model
