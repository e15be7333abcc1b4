// The clock of handshakes. Measurements under virtual time put another one in its place.
#pragma once

#include <chrono>

#include "base/time.h"

namespace dots::adapters::net {

inline base::SteadyTime steady_now() { return base::SteadyTime{std::chrono::steady_clock::now().time_since_epoch()}; }

}  // namespace dots::adapters::net
