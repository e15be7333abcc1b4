#include "adapters/mitigators/gobgp/sessions.h"

#include <algorithm>

namespace dots::adapters::mitigators::gobgp {

namespace {

std::string family_text(model::Family family, RouteKind kind) {
  return std::string(family == model::Family::ipv4 ? "IPv4" : "IPv6") +
         (kind == RouteKind::unicast ? " routes" : " flow specifications");
}

bool carries(const PeerView& peer, model::Family family, RouteKind kind) {
  return std::find(peer.families.begin(), peer.families.end(), std::make_pair(family, kind)) != peer.families.end();
}

std::string missing(const PeerView& peer, model::Family family, RouteKind kind) {
  const std::string name = "BGP peer " + model::to_string(peer.address);
  if (!peer.established) return name + " is not established (" + peer.state + ")";
  if (!carries(peer, family, kind)) return name + " takes no " + family_text(family, kind);
  if (peer.held_back) return "gobgpd restarts gracefully and holds its routes back for " + name;
  return {};
}

constexpr std::uint32_t kTcp = 6, kBgp = 179;
// As many ports at least make it likely that the other end of a connection is among them.
constexpr std::uint32_t kManyPorts = 1024;

bool takes(const FlowSpec& flow, FlowType type, std::uint32_t value) {
  const auto found = flow.numbers.find(type);
  if (found == flow.numbers.end()) return true;
  return std::any_of(found->second.begin(), found->second.end(),
                     [&](const FlowRange& range) { return range.lower <= value && value <= range.upper; });
}
bool takes_many(const FlowSpec& flow, FlowType type) {
  const auto found = flow.numbers.find(type);
  if (found == flow.numbers.end()) return true;
  return std::any_of(found->second.begin(), found->second.end(),
                     [&](const FlowRange& range) { return range.upper - range.lower >= kManyPorts - 1; });
}
bool may_be_bgp(const FlowSpec& flow) {
  if (!takes(flow, FlowType::protocol, kTcp) || !takes(flow, FlowType::port, kBgp)) return false;
  if (flow.numbers.contains(FlowType::icmp_type) || flow.numbers.contains(FlowType::icmp_code)) return false;
  return (takes(flow, FlowType::destination_port, kBgp) && takes_many(flow, FlowType::source_port)) ||
         (takes(flow, FlowType::source_port, kBgp) && takes_many(flow, FlowType::destination_port));
}

PeerView unknown(const model::IpAddress& address) {
  return {address, false, "gobgpd has no such neighbor", {}, false, {}};
}

}  // namespace

std::vector<ports::BackEndLink> links_of(const std::vector<PeerView>& peers,
                                         const std::vector<model::IpAddress>& needed, RouteKind kind) {
  std::vector<PeerView> all = peers;
  for (const model::IpAddress& address : needed) {
    if (std::none_of(peers.begin(), peers.end(), [&](const PeerView& peer) { return peer.address == address; }))
      all.push_back(unknown(address));
  }
  std::vector<ports::BackEndLink> out;
  for (const PeerView& peer : all) {
    std::string state = peer.state;
    if (peer.established) {
      std::string with;
      for (const auto family : {model::Family::ipv4, model::Family::ipv6}) {
        if (carries(peer, family, kind)) with += (with.empty() ? "" : ", ") + family_text(family, kind);
      }
      state += with.empty() ? " without " + std::string(kind == RouteKind::unicast ? "routes" : "flow specifications")
                            : " with " + with;
    }
    const bool any = carries(peer, model::Family::ipv4, kind) || carries(peer, model::Family::ipv6, kind);
    out.push_back({"BGP peer " + model::to_string(peer.address), peer.established && any, std::move(state)});
  }
  return out;
}

std::string why_not_in_force(const std::vector<PeerView>& peers, const std::vector<model::IpAddress>& needed,
                             model::Family family, RouteKind kind) {
  for (const model::IpAddress& address : needed) {
    const auto found =
        std::find_if(peers.begin(), peers.end(), [&](const PeerView& peer) { return peer.address == address; });
    if (auto why = missing(found == peers.end() ? unknown(address) : *found, family, kind); !why.empty()) return why;
  }
  if (!needed.empty()) return {};
  std::string why;
  for (const PeerView& peer : peers) {
    const std::string one = missing(peer, family, kind);
    if (one.empty()) return {};
    why += (why.empty() ? "" : "; ") + one;
  }
  return why.empty() ? "gobgpd has no BGP peer" : why;
}

std::vector<model::IpAddress> receivers(const std::vector<PeerView>& peers, const std::vector<model::IpAddress>& needed,
                                        model::Family family, RouteKind kind) {
  if (!needed.empty()) return needed;
  std::vector<model::IpAddress> out;
  for (const PeerView& peer : peers) {
    if (missing(peer, family, kind).empty()) out.push_back(peer.address);
  }
  return out;
}

std::string why_not_announced(const Announced& announced, bool all, const SeenRoute& route) {
  if (route.outdone) return "gobgpd has another route to it, not ours, and prefers that";
  std::string without;
  for (const auto& [peer, routes] : announced) {
    if (!routes.contains(route.nlri)) {
      without += (without.empty() ? "BGP peer " : ", BGP peer ") + model::to_string(peer);
    } else if (!all) {
      return {};
    }
  }
  if (without.empty()) return {};
  return "gobgpd does not announce it to " + without + ": an export policy or its next hop forbids it";
}

const PeerView* cut_by(const std::vector<PeerView>& peers, const FlowSpec& flow) {
  if (!may_be_bgp(flow)) return nullptr;
  const auto packet = [&](const std::optional<model::IpAddress>& from, const std::optional<model::IpAddress>& to) {
    if (!to || !flow.destination || !flow.destination->contains(*to)) return false;
    return !flow.source || (from && flow.source->contains(*from));
  };
  for (const PeerView& peer : peers) {
    if (packet(peer.local, peer.address) || packet(peer.address, peer.local)) return &peer;
  }
  return nullptr;
}

}  // namespace dots::adapters::mitigators::gobgp
