// Which back ends take a mitigation: those that the policy names, and others in place of those that cannot. What runs
// at one of them stays; else those that are up come before those that are down. Pure.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "model/refusal_reason.h"
#include "model/rule.h"
#include "policy/mitigation_policy.h"

namespace dots::agent::server {

// A back end as plans see it: what it can express (ports::MitigatorAbilities), and what is configured of it.
struct PlannedBackEnd {
  std::string name;
  bool scoped = true;   // protocols and ports; false: nothing but RuleAction::blackhole
  bool limits = true;   // can limit a rate
  bool exempts = true;  // lets DOTS peers pass before all drops
  bool filters = true;  // takes lists of filters, and so lets safe sources pass
  bool dry_run = false;
  bool asks = false;            // a person, who has to say yes before anything is installed
  std::uint32_t max_rules = 0;  // 0: no limit
  std::uint64_t max_bits_per_s = 0;
  std::uint8_t min_prefix_length_v4 = 0, min_prefix_length_v6 = 0;
  friend bool operator==(const PlannedBackEnd&, const PlannedBackEnd&) = default;
};

// What a back end has to do at present, as it said last.
struct BackEndLoad {
  std::uint64_t rules = 0;
  std::uint64_t bits_per_s = 0;  // that it drops
  bool down = false;             // it has been away for longer than a moment
  friend bool operator==(const BackEndLoad&, const BackEndLoad&) = default;
};
using BackEndLoads = std::map<std::string, BackEndLoad>;

// What a mitigation needs of a back end.
struct Demand {
  // The rules for this one, or why it cannot have them.
  std::function<base::Result<std::vector<model::Rule>>(const PlannedBackEnd&)> rules;
  std::uint64_t bits_per_s = 0;              // measured; 0: unknown
  std::map<std::string, std::size_t> holds;  // its rules that count in the loads already
};

struct Assignment {
  struct Part {
    std::string back_end;
    std::vector<model::Rule> rules;
  };
  std::vector<Part> parts;
  // Why one of the back ends of the policy has neither its part nor somebody in its place: capacity and bandwidth come
  // before function.
  std::optional<model::RefusalReason> unmet;
  std::vector<std::string> notes;  // every back end that was looked at, for people
};
Assignment assign(const policy::PolicyRule& rule, const std::vector<PlannedBackEnd>& back_ends,
                  const BackEndLoads& loads, const Demand& demand);

}  // namespace dots::agent::server
