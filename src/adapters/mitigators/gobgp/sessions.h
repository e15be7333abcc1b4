// What the BGP sessions of a speaker mean for the rules that it was given. Pure.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "adapters/mitigators/gobgp/route.h"
#include "ports/mitigator.h"

namespace dots::adapters::mitigators::gobgp {

// One for each session; those in `needed` that the speaker does not have are down.
std::vector<ports::BackEndLink> links_of(const std::vector<PeerView>& peers,
                                         const std::vector<model::IpAddress>& needed, RouteKind kind);
// Why routes of a family reach no router, or not all of `needed`. Empty: they do. Without `needed` one session with the
// family is enough.
std::string why_not_in_force(const std::vector<PeerView>& peers, const std::vector<model::IpAddress>& needed,
                             model::Family family, RouteKind kind);

// The peers that are asked what they are sent of a family: all of `needed`, else those that could have it.
std::vector<model::IpAddress> receivers(const std::vector<PeerView>& peers, const std::vector<model::IpAddress>& needed,
                                        model::Family family, RouteKind kind);
// What each of the receivers is sent; by the word of the speaker, after its choice of routes and its export policies.
using Announced = std::map<model::IpAddress, std::set<base::Bytes>>;
// Why a route reaches no receiver, or not all where `all` must have it. Empty: it does.
std::string why_not_announced(const Announced& announced, bool all, const SeenRoute& route);

// The peer whose session would lose packets to this, or nothing.
const PeerView* cut_by(const std::vector<PeerView>& peers, const FlowSpec& flow);

}  // namespace dots::adapters::mitigators::gobgp
