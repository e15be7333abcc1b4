// What a new configuration changes against the one that runs: shown to the operator before and after a reload.
#pragma once

#include <string>
#include <vector>

#include "ops/config.h"

namespace dots::ops {

struct ConfigChange {
  std::string key;     // "domain[example-net].prefixes": tables that repeat are known by their name
  std::string before;  // as TOML; empty: was not written
  std::string after;   // as TOML; empty: is not written any more
  bool live = false;   // a running daemon takes it; else it needs a restart
};
// One line for people.
std::string to_string(const ConfigChange& change);

// In the order of the table of keys. Both configurations come from load_config without problems. Defaults that are
// written down, another order of tables and notes are no changes of values but may show; files that keys name are
// compared by what is in them. Keys of secrets are never shown.
std::vector<ConfigChange> config_changes(const Config& before, const Config& after);

}  // namespace dots::ops
