// Starts the programs that this room talks to. Internal to this room.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "base/result.h"

namespace dots::adapters::mitigators {

struct SpawnOrder {
  static constexpr int kInherited = -1;
  static constexpr int kNothing = -2;  // /dev/null

  std::vector<std::string> words;        // the first is the path of the program
  std::vector<std::string> environment;  // "NAME=value"; nothing of ours is passed on
  std::vector<int> descriptors;          // what it finds at 0, 1, 2, ...: one of ours, or what is said above; no others
};

// In a process group of its own, so that a Ctrl-C at the terminal does not take it away before the rules are, with all
// signals as they are by default.
base::Result<pid_t> spawn(const SpawnOrder& order);

}  // namespace dots::adapters::mitigators
