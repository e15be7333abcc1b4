// What happens in one simulation, as text: who is there, what operators want, which faults come when. A seed makes one;
// a failing one is printed, and the program runs it again from a file.
//
//   seed 42
//   set heartbeat_s 15
//   at 12.500 mitigate acme.1 192.0.2.1/32 300
//   at 30.000 loss acme.1 0.7 0.5
//
// Times are seconds since the start. The seed also decides what is left to chance: which datagram is lost, how long a
// commit takes.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/result.h"

namespace dots::sim {

struct Action {
  double at_s = 0;
  std::vector<std::string> words;  // verb and its arguments
};

struct Scenario {
  std::uint64_t seed = 1;
  std::map<std::string, std::int64_t> settings;
  std::vector<Action> actions;  // in order of time

  std::int64_t setting(const std::string& name) const { return settings.at(name); }
  std::size_t fault_kinds() const;
};

Scenario generate(std::uint64_t seed);
std::string to_text(const Scenario& scenario);
base::Result<Scenario> parse_scenario(const std::string& text);

// "acme.1", ...
std::vector<std::string> client_names(const Scenario& scenario);

}  // namespace dots::sim
