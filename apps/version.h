// The version that programs print and the management API reports.
#pragma once

namespace dots {

inline constexpr const char* kVersion = "0.1.0";

}  // namespace dots
