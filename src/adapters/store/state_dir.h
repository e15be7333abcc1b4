// The state directory: what is checked before anything is opened in it, and how small files are written durably.
#pragma once

#include <string>

#include "base/result.h"

namespace dots::adapters::store {

// An error names the path, what is wrong and the command that helps.
base::Result<void> check_state_dir(const std::string& state_dir);

// Replaces the file as a whole: after a crash there is the old or the new content, never half of it.
base::Result<void> write_durably(const std::string& state_dir, const std::string& name, const std::string& content);
// False when there was none.
base::Result<bool> remove_durably(const std::string& state_dir, const std::string& name);
// Makes the names in the directory durable.
base::Result<void> sync_directory(const std::string& state_dir);

}  // namespace dots::adapters::store
