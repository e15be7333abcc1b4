// Is the machine connected to anything?
#pragma once

#include <vector>

#include "model/peer.h"

namespace dots::adapters::net {

// True while an interface other than the loopback is up and running, or when all of `listening` is loopback. A machine
// that cannot be asked counts as connected.
bool uplink_is_up(const std::vector<model::SocketAddress>& listening);

}  // namespace dots::adapters::net
