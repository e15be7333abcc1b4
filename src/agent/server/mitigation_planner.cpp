#include "agent/server/mitigation_planner.h"

#include <algorithm>
#include <utility>

#include "mitigation/plan.h"

namespace dots::agent::server {
namespace {

bool can(const PlannedBackEnd& back_end, const model::Rule& rule) {
  if (!back_end.scoped && rule.action != model::RuleAction::blackhole) return false;
  return back_end.limits || rule.action != model::RuleAction::limit;
}

}  // namespace

signal::server::Plan MitigationPlanner::plan(const signal::server::PlanRequest& request) const {
  std::vector<model::Rule> rules;
  for (const auto& targets : request.targets) {
    std::vector<model::Rule> some = mitigation::plan(targets.scope, targets.expanded, request.rules.policy());
    if (rules.empty()) {
      rules = std::move(some);
    } else {
      rules.insert(rules.end(), std::make_move_iterator(some.begin()), std::make_move_iterator(some.end()));
    }
  }
  if (request.targets.size() > 1) {
    std::sort(rules.begin(), rules.end());
    rules.erase(std::unique(rules.begin(), rules.end()), rules.end());
  }

  signal::server::Plan plan;
  for (const PlannedBackEnd& back_end : back_ends_) {
    signal::server::Plan::Part part{back_end.name, {}};
    std::copy_if(rules.begin(), rules.end(), std::back_inserter(part.rules),
                 [&](const model::Rule& rule) { return can(back_end, rule); });
    if (part.rules.empty()) continue;
    plan.story += (plan.story.empty() ? "on " : ", ") + back_end.name;
    plan.parts.push_back(std::move(part));
  }
  if (plan.parts.empty() && !rules.empty() && !back_ends_.empty()) {
    plan.verdict =
        policy::Verdict::no(model::ResponseCode::service_unavailable, "the server has no means to mitigate this scope",
                            "no back end can do '" + model::to_string(rules.front()) + "'",
                            "let the policy of the domain ask for what the back ends can do");
    plan.verdict.refusal = model::RefusalReason::function;
  }
  return plan;
}

}  // namespace dots::agent::server
