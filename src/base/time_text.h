// Points and lengths of time as people read them.
#pragma once

#include <string>

#include "base/time.h"

namespace dots::base {

// "2026-11-22 14:02:11 UTC".
std::string utc_text(WallTime time);
// "59 s", "14 min 3 s", "23 h 0 min", "2 d 1 h"; what is negative is "0 s".
std::string duration_text(Duration duration);

}  // namespace dots::base
