// The mark that `dotsctl emergency remove-all` leaves in the state directory: a daemon that finds it at its start keeps
// its mitigations but installs no rule, until the operator clears the mark.
#pragma once

#include <optional>
#include <string>

#include "base/result.h"
#include "base/time.h"

namespace dots::adapters::store {

struct EmergencyMarker {
  base::WallTime at;   // whole seconds
  std::string author;  // who removed the rules
  std::string note;
  friend bool operator==(const EmergencyMarker&, const EmergencyMarker&) = default;
};

base::Result<void> write_emergency_marker(const std::string& state_dir, const EmergencyMarker& marker);
// Nothing when there is none. A mark that cannot be understood still counts: it comes back with its author unknown.
base::Result<std::optional<EmergencyMarker>> read_emergency_marker(const std::string& state_dir);
// False when there was none.
base::Result<bool> clear_emergency_marker(const std::string& state_dir);

}  // namespace dots::adapters::store
