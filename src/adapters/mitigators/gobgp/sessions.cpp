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

PeerView unknown(const model::IpAddress& address) { return {address, false, "gobgpd has no such neighbor", {}, false}; }

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

}  // namespace dots::adapters::mitigators::gobgp
