// Which back ends carry a mitigation out, and with which rules (ARCHITECTURE ideas 4 and 6): policy, then safety, then
// capacity (docs/policy.md). Pure.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "agent/server/pools.h"
#include "policy/mitigation_policy.h"
#include "policy/safety.h"
#include "signal/server/planner.h"

namespace dots::agent::server {

struct PlannerSettings {
  std::vector<PlannedBackEnd> back_ends;
  policy::PolicyChain chain;
  policy::SafetyPolicy safety;
};

// Which mitigations other loads give another plan, under these settings. None: the loads are as good as the same.
std::optional<signal::server::Replan> replan(const PlannerSettings& settings, const BackEndLoads& before,
                                             const BackEndLoads& after);

// Without a chain, or under a rule that names no back end: all rules on every back end that can express them; when none
// can, the plan is refused (RefusalReason::function). One that is named and cannot, without anybody in its place, is
// what Plan::not_started tells; the rules after it are not looked at.
// Threads: any; immutable.
class MitigationPlanner final : public signal::server::Planner {
 public:
  explicit MitigationPlanner(std::vector<PlannedBackEnd> back_ends)
      : MitigationPlanner(std::make_shared<const PlannerSettings>(PlannerSettings{std::move(back_ends), {}, {}}), {}) {}
  MitigationPlanner(std::shared_ptr<const PlannerSettings> settings, BackEndLoads loads)
      : settings_(std::move(settings)), loads_(std::move(loads)) {}

  signal::server::Plan plan(const signal::server::PlanRequest& request) const override;
  bool looks_at_volume() const override;

  // The plan with the whole way to it, for people.
  struct Story {
    signal::server::Plan plan;
    std::vector<policy::Consideration> rules;  // of the chain
    std::vector<std::string> safety;           // what was cut out, and what cannot be kept
    std::vector<std::string> back_ends;        // that were looked at
  };
  Story explain(const signal::server::PlanRequest& request) const;

  const PlannerSettings& settings() const { return *settings_; }

 private:
  signal::server::Plan plan(const signal::server::PlanRequest& request, Story* story) const;

  std::shared_ptr<const PlannerSettings> settings_;
  BackEndLoads loads_;
};

}  // namespace dots::agent::server
