#include "adapters/mitigators/gobgp/messages.h"

#include <algorithm>

namespace dots::adapters::mitigators::gobgp {

using model::Family;

namespace {

constexpr std::uint32_t kIp = 1, kIp6 = 2, kUnicast = 1, kFlowSpec = 133;
constexpr std::uint32_t kOriginIncomplete = 2;
constexpr std::uint32_t kRedirectToIp = 0x0c;  // draft-ietf-idr-flowspec-redirect-ip
constexpr std::uint8_t kLargeCommunities = 32, kExtendedLength = 0x10;
constexpr std::size_t kLargeCommunityOctets = 12;

template <class Message>
void pack(const Message& message, apipb::Packed& out) {
  out.set_type_url("type.googleapis.com/" + std::string(message.GetTypeName()));
  message.SerializeToString(out.mutable_value());
}

// Walks the octets of a flow specification, ours or not; what it cannot follow it leaves out.
void put_flow(Family family, base::ByteView octets, apipb::FlowSpecNLRI& nlri) {
  for (std::size_t at = 0; at < octets.size();) {
    const std::uint8_t type = octets[at++];
    if (type <= static_cast<std::uint8_t>(FlowType::source)) {
      model::Prefix prefix;
      prefix.address.family = family;
      const std::size_t head = family == Family::ipv4 ? 1 : 2;
      if (at + head > octets.size()) return;
      prefix.length = octets[at];
      const std::uint32_t offset = family == Family::ipv4 ? 0 : octets[at + 1];
      at += head;
      const std::size_t size = (prefix.length + 7u) / 8u;
      if (prefix.length > prefix.address.width() || at + size > octets.size()) return;
      std::copy_n(octets.begin() + static_cast<std::ptrdiff_t>(at), size, prefix.address.bytes.begin());
      at += size;
      apipb::FlowSpecIPPrefix out;
      out.set_type(type);
      out.set_prefix_len(prefix.length);
      out.set_prefix(model::to_string(prefix.address));
      out.set_offset(offset);
      pack(out, *nlri.add_rules());
      continue;
    }
    apipb::FlowSpecComponent out;
    out.set_type(type);
    for (bool end = false; !end;) {
      if (at >= octets.size()) return;
      const std::uint8_t op = octets[at++];
      const std::size_t size = std::size_t{1} << (op >> 4 & 3);
      if (at + size > octets.size()) return;
      std::uint64_t value = 0;
      for (std::size_t i = 0; i < size; ++i) value = value << 8 | octets[at++];
      end = (op & 0x80) != 0;
      auto& item = *out.add_items();
      item.set_op(op & 0x4f);  // GoBGP puts length and end itself
      item.set_value(value);
    }
    pack(out, *nlri.add_rules());
  }
}

void put_nlri(const Route& route, apipb::Packed& out) {
  const base::ByteView octets = route.nlri;
  if (octets.empty()) return;
  if (route.kind == RouteKind::unicast) {
    model::IpAddress address;
    address.family = route.family;
    std::copy_n(octets.begin() + 1, std::min(octets.size() - 1, address.bytes.size()), address.bytes.begin());
    apipb::IPAddressPrefix prefix;
    prefix.set_prefix_len(octets[0]);
    prefix.set_prefix(model::to_string(address));
    return pack(prefix, out);
  }
  apipb::FlowSpecNLRI nlri;
  put_flow(route.family, octets.subspan(octets[0] >= 0xf0 && octets.size() > 1 ? 2 : 1), nlri);
  pack(nlri, out);
}

void put_action(const FlowAction& action, apipb::Path& path) {
  apipb::ExtendedCommunitiesAttribute extended;
  apipb::IP6ExtendedCommunitiesAttribute extended6;
  if (action.rate) {
    apipb::TrafficRateExtended rate;
    rate.set_rate(*action.rate);
    pack(rate, *extended.add_communities());
  }
  if (action.goes_on) {
    // The bit is called terminal, and means that the next specifications are evaluated (RFC 8955 7.3).
    apipb::TrafficActionExtended more;
    more.set_terminal(true);
    pack(more, *extended.add_communities());
  }
  if (action.dscp) {
    apipb::TrafficRemarkExtended mark;
    mark.set_dscp(*action.dscp);
    pack(mark, *extended.add_communities());
  }
  if (action.redirect) {
    const RouteTarget& target = *action.redirect;
    if (const auto* address = std::get_if<model::IpAddress>(&target.administrator)) {
      apipb::RedirectIPv4AddressSpecificExtended out;
      out.set_address(model::to_string(*address));
      out.set_local_admin(target.number);
      pack(out, *extended.add_communities());
    } else if (const auto as_number = std::get<std::uint32_t>(target.administrator); as_number > 0xffff) {
      apipb::RedirectFourOctetAsSpecificExtended out;
      out.set_asn(as_number);
      out.set_local_admin(target.number);
      pack(out, *extended.add_communities());
    } else {
      apipb::RedirectTwoOctetAsSpecificExtended out;
      out.set_asn(as_number);
      out.set_local_admin(target.number);
      pack(out, *extended.add_communities());
    }
  }
  if (action.redirect_to) {
    const auto fill = [&](auto out) {
      out.set_is_transitive(true);
      out.set_sub_type(kRedirectToIp);
      out.set_address(model::to_string(*action.redirect_to));
      return out;
    };
    if (action.redirect_to->family == Family::ipv4) {
      pack(fill(apipb::IPv4AddressSpecificExtended{}), *extended.add_communities());
    } else {
      pack(fill(apipb::IPv6AddressSpecificExtended{}), *extended6.add_communities());
    }
  }
  if (extended.communities_size() > 0) pack(extended, *path.add_pattrs());
  if (extended6.communities_size() > 0) pack(extended6, *path.add_pattrs());
}

std::vector<std::pair<Family, RouteKind>> families_of(
    const google::protobuf::RepeatedPtrField<apipb::Packed>& capabilities) {
  std::vector<std::pair<Family, RouteKind>> out;
  for (const apipb::Packed& one : capabilities) {
    apipb::MultiProtocolCapability capability;
    if (!one.type_url().ends_with("/apipb.MultiProtocolCapability") || !capability.ParseFromString(one.value()))
      continue;
    const auto afi = capability.family().afi(), safi = capability.family().safi();
    if ((afi != kIp && afi != kIp6) || (safi != kUnicast && safi != kFlowSpec)) continue;
    out.emplace_back(afi == kIp ? Family::ipv4 : Family::ipv6, safi == kUnicast ? RouteKind::unicast : RouteKind::flow);
  }
  return out;
}

bool names_families(const google::protobuf::RepeatedPtrField<apipb::Packed>& capabilities) {
  return std::any_of(capabilities.begin(), capabilities.end(), [](const apipb::Packed& one) {
    return one.type_url().ends_with("/apipb.MultiProtocolCapability");
  });
}

const char* name_of(apipb::PeerState::SessionState state) {
  switch (state) {
    case apipb::PeerState::IDLE:
      return "idle";
    case apipb::PeerState::CONNECT:
      return "connect";
    case apipb::PeerState::ACTIVE:
      return "active";
    case apipb::PeerState::OPENSENT:
      return "open sent";
    case apipb::PeerState::OPENCONFIRM:
      return "open confirmed";
    case apipb::PeerState::ESTABLISHED:
      return "established";
    default:
      return "unknown";
  }
}

}  // namespace

apipb::Family family_of(Family family, RouteKind kind) {
  apipb::Family out;
  out.set_afi(family == Family::ipv4 ? kIp : kIp6);
  out.set_safi(kind == RouteKind::unicast ? kUnicast : kFlowSpec);
  return out;
}

apipb::Path path_of(const Route& route) {
  apipb::Path path;
  *path.mutable_family() = family_of(route.family, route.kind);
  path.set_identifier(route.identifier);
  path.set_is_withdraw(route.withdraw);
  put_nlri(route, *path.mutable_nlri());

  apipb::OriginAttribute origin;
  origin.set_origin(kOriginIncomplete);
  pack(origin, *path.add_pattrs());
  if (route.kind == RouteKind::unicast && route.family == Family::ipv4) {
    apipb::NextHopAttribute next_hop;
    next_hop.set_next_hop(route.next_hop ? model::to_string(*route.next_hop) : "0.0.0.0");
    pack(next_hop, *path.add_pattrs());
  } else {
    apipb::MpReachNLRIAttribute reach;
    *reach.mutable_family() = path.family();
    if (route.kind == RouteKind::unicast)
      reach.add_next_hops(route.next_hop ? model::to_string(*route.next_hop) : "::");
    *reach.add_nlris() = path.nlri();
    pack(reach, *path.add_pattrs());
  }
  if (route.withdraw) return path;

  apipb::LocalPrefAttribute preference;
  preference.set_local_pref(route.local_preference);
  pack(preference, *path.add_pattrs());
  if (!route.communities.empty()) {
    apipb::CommunitiesAttribute communities;
    for (const auto one : route.communities) communities.add_communities(one);
    pack(communities, *path.add_pattrs());
  }
  apipb::LargeCommunitiesAttribute large;
  for (const LargeCommunity& one : route.large_communities) {
    auto& out = *large.add_communities();
    out.set_global_admin(one.global);
    out.set_local_data1(one.first);
    out.set_local_data2(one.second);
  }
  if (large.communities_size() > 0) pack(large, *path.add_pattrs());
  if (route.kind == RouteKind::flow) put_action(route.action, path);
  return path;
}

std::vector<LargeCommunity> large_communities_of(const apipb::Path& path) {
  std::vector<LargeCommunity> out;
  for (const std::string& text : path.pattrs_binary()) {
    const base::ByteView octets = base::as_bytes(text);
    if (octets.size() < 3 || octets[1] != kLargeCommunities) continue;
    const std::size_t head = (octets[0] & kExtendedLength) != 0 ? 4 : 3;
    const auto number = [&](std::size_t at) {
      std::uint32_t value = 0;
      for (std::size_t i = 0; i < 4; ++i) value = value << 8 | octets[at + i];
      return value;
    };
    for (std::size_t at = head; at + kLargeCommunityOctets <= octets.size(); at += kLargeCommunityOctets) {
      out.push_back({number(at), number(at + 4), number(at + 8)});
    }
  }
  return out;
}

PeerView peer_of(const apipb::Peer& peer) {
  PeerView view;
  const std::string& text =
      peer.conf().neighbor_address().empty() ? peer.state().neighbor_address() : peer.conf().neighbor_address();
  if (const auto address = model::parse_ip_address(text)) view.address = *address;
  view.held_back = peer.graceful_restart().local_restarting();
  view.established = peer.state().session_state() == apipb::PeerState::ESTABLISHED;
  view.state = name_of(peer.state().session_state());
  if (peer.state().admin_state() != 0) view.state += ", shut down by its administrator";
  if (!view.established) return view;
  if (const auto local = model::parse_ip_address(peer.transport().local_address())) view.local = *local;
  const auto theirs = families_of(peer.state().remote_cap());
  for (const auto& family : families_of(peer.state().local_cap())) {
    if (std::find(theirs.begin(), theirs.end(), family) != theirs.end()) view.families.push_back(family);
  }
  // RFC 4760 8: who names no family has IPv4 unicast.
  if (!names_families(peer.state().remote_cap())) view.families = {{Family::ipv4, RouteKind::unicast}};
  return view;
}

}  // namespace dots::adapters::mitigators::gobgp
