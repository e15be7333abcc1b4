// What the BGP sessions of a speaker mean for the rules that it was given. Pure.
#pragma once

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

}  // namespace dots::adapters::mitigators::gobgp
