// What this machine answers to.
#pragma once

#include <vector>

#include "model/ip.h"

namespace dots::adapters::net {

// The addresses of all its interfaces, for listeners that take every one; none when they cannot be read.
std::vector<model::IpAddress> machine_addresses();

}  // namespace dots::adapters::net
