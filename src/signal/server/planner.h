// How an accepted mitigation is to be carried out, and whether it can be: injected into the domain's machine, because
// signal knows neither back ends nor how rules are made (agent/server/mitigation_planner.h is what the server passes).
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "model/mitigation.h"
#include "model/refusal_reason.h"
#include "model/rule.h"
#include "policy/domain_policy.h"

namespace dots::signal::server {

// What a mitigation protects: the request's own targets, or one of its aliases, with all addresses.
struct PlanTargets {
  model::MitigationScope scope;
  std::vector<model::Prefix> expanded;
};

struct PlanRequest {
  const policy::DomainRules& rules;  // of the domain
  base::ClientId client;
  base::Cuid cuid;
  base::Mid mid;
  const model::MitigationRequest& request;
  std::vector<PlanTargets> targets;
  model::DropCounters counters = {};  // what the back ends drop for it now; unknown before it runs
  std::uint64_t volume_bps = 0;       // BITS per second, of the attack, held steady (attack_volume.h); 0: unknown
  std::map<std::string, std::size_t> holds = {};  // its rules that the back ends were asked for, by name
  std::size_t rules_elsewhere = 0;                // of all other mitigations of the domain
  const std::map<model::IpAddress, std::size_t>* signal_path = nullptr;  // where sessions of the domain come from
};

// Which mitigations are planned again under another planner.
enum class Replan : std::uint8_t {
  all,
  unmet,    // there may be room where there was none: what does not fit, or was not started
  crowded,  // there is less room: only what a back end has just turned away
};

// The same request under the same policy and load has the same plan.
struct Plan {
  // Refused: nothing else counts. A mitigation that is there and is refused now wants no rules.
  policy::Verdict verdict;
  struct Part {
    std::string back_end;  // by its name in the configuration
    std::vector<model::Rule> rules;
    bool asks = false;  // it is how a person is asked: wanted before the approval as well
    friend bool operator==(const Part&, const Part&) = default;
  };
  std::vector<Part> parts;                          // each back end once, none without rules
  std::vector<model::Prefix> actual;                // what is mitigated, when that is not the expanded targets
  std::optional<std::string> needs_approval;        // why a person has to say yes before anything is installed
  std::optional<model::RefusalReason> not_started;  // accepted, but not all of it is started; capacity and bandwidth
                                                    // make it attack-exceeded-capability (RFC 9132 status 4)
  std::optional<std::string> service;               // what is done, where it is not the one of the contract
  std::string policy;                               // the rule of the policy that decided; empty: none did
  std::string story;                                // for operators: "policy 'edge': flowspec"
};

// Threads: plan() on the thread of the shard that owns the domain. Pure.
class Planner {
 public:
  virtual ~Planner() = default;
  virtual Plan plan(const PlanRequest& request) const = 0;
  // Is a plan another one when the volume of the attack is?
  virtual bool looks_at_volume() const { return false; }
};

}  // namespace dots::signal::server
