// Messages and changes in a line each, for a simulation that is told step by step.
#pragma once

#include <string>
#include <vector>

#include "base/bytes.h"
#include "ports/store.h"
#include "signal/server/events.h"

namespace dots::sim {

std::string describe(base::ByteView plaintext_coap);
std::string describe(const std::vector<ports::Change>& changes);
std::string describe(const signal::server::DesiredRules& rules);

}  // namespace dots::sim
