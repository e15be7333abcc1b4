// Routes and sessions as GoBGP's messages have them. Private to this room.
#pragma once

#include <gobgp_api.pb.h>

#include "adapters/mitigators/gobgp/route.h"

namespace dots::adapters::mitigators::gobgp {

apipb::Family family_of(model::Family family, RouteKind kind);
apipb::Path path_of(const Route& route);
// The large communities among attributes as octets; nonsense among them is passed over.
std::vector<LargeCommunity> large_communities_of(const apipb::Path& path);
PeerView peer_of(const apipb::Peer& peer);

}  // namespace dots::adapters::mitigators::gobgp
