// Which back ends carry a mitigation out, and with which rules (ARCHITECTURE ideas 4 and 6). Pure.
#pragma once

#include <string>
#include <vector>

#include "signal/server/planner.h"

namespace dots::agent::server {

// A back end as plans see it: what it can express (ports::MitigatorAbilities).
struct PlannedBackEnd {
  std::string name;
  bool scoped = true;  // protocols and ports; false: nothing but RuleAction::blackhole
  bool limits = true;
  friend bool operator==(const PlannedBackEnd&, const PlannedBackEnd&) = default;
};

// All rules on every back end that can express them. A back end that can express none of them has no part; when that is
// so for all, the plan is refused (RefusalReason::function).
// Threads: any; immutable.
class MitigationPlanner final : public signal::server::Planner {
 public:
  explicit MitigationPlanner(std::vector<PlannedBackEnd> back_ends) : back_ends_(std::move(back_ends)) {}

  signal::server::Plan plan(const signal::server::PlanRequest& request) const override;

 private:
  std::vector<PlannedBackEnd> back_ends_;
};

}  // namespace dots::agent::server
