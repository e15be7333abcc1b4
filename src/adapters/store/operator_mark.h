// Marks that an operator leaves in the state directory, and that a daemon finds at its start: after `dotsctl emergency
// remove-all` it keeps its mitigations but installs no rule until the mark is cleared; while it is frozen (`dotsctl
// freeze`) it installs nothing new and removes nothing.
#pragma once

#include <optional>
#include <string>

#include "base/result.h"
#include "base/time.h"

namespace dots::adapters::store {

enum class Mark : std::uint8_t { emergency, freeze };

struct OperatorMark {
  base::WallTime at;   // whole seconds
  std::string author;  // who left it
  std::string note;
  friend bool operator==(const OperatorMark&, const OperatorMark&) = default;
};

base::Result<void> write_mark(const std::string& state_dir, Mark kind, const OperatorMark& mark);
// Nothing when there is none. A mark that cannot be understood still counts: it comes back with its author unknown.
base::Result<std::optional<OperatorMark>> read_mark(const std::string& state_dir, Mark kind);
// False when there was none.
base::Result<bool> clear_mark(const std::string& state_dir, Mark kind);

}  // namespace dots::adapters::store
