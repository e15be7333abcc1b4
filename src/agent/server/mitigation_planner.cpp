#include "agent/server/mitigation_planner.h"

#include <algorithm>
#include <iterator>

#include "mitigation/plan.h"
#include "policy/prefix_split.h"

namespace dots::agent::server {
namespace {

using model::Prefix;
using model::RefusalReason;
using model::Rule;
using policy::PolicyAction;
using policy::PolicyRule;
using policy::Verdict;
using signal::server::Plan;
using signal::server::PlanRequest;
using signal::server::PlanTargets;

bool can(const PlannedBackEnd& back_end, const Rule& rule) {
  if (!back_end.scoped && rule.action != model::RuleAction::blackhole) return false;
  return back_end.limits || rule.action != model::RuleAction::limit;
}

policy::PolicyRequest asked_of(const PlanRequest& request) {
  policy::PolicyRequest asked;
  const policy::DomainPolicy& domain = request.rules.policy();
  asked.domain = domain.id.value;
  asked.volume_bps = request.volume_bps;
  // What the status will name, also when the request has no wish.
  asked.service = request.rules.service_for(request.request).value_or("");
  asked.contract = request.request.contract_id.value_or(domain.contracts.empty() ? "" : domain.contracts.front().id);
  for (const PlanTargets& targets : request.targets) {
    const model::MitigationScope& scope = targets.scope;
    asked.targets.insert(asked.targets.end(), targets.expanded.begin(), targets.expanded.end());
    asked.parts.push_back({scope.target_protocol, scope.target_port_range});
  }
  return asked;
}

mitigation::Actions actions_of(const PolicyRule& rule, const policy::DomainPolicy& domain) {
  mitigation::Actions actions = mitigation::Actions::of(domain);
  if (rule.action == PolicyAction::drop) {
    actions.broad = policy::BroadScopeAction::blackhole;
    actions.scoped_limit_bps = 0;
  } else if (rule.action == PolicyAction::limit) {
    actions.broad = policy::BroadScopeAction::limit;
    actions.broad_limit_bps = actions.scoped_limit_bps = rule.limit_bytes_per_s;
  }
  return actions;
}

void append(std::vector<Rule>& rules, std::vector<Rule> more) {
  if (rules.empty()) {
    rules = std::move(more);
  } else {
    rules.insert(rules.end(), std::make_move_iterator(more.begin()), std::make_move_iterator(more.end()));
  }
}

// All rules for the targets as they are now.
std::vector<Rule> rules_for(const PolicyRule& rule, const policy::DomainPolicy& domain,
                            const std::vector<PlanTargets>& targets) {
  const mitigation::Actions actions = actions_of(rule, domain);
  std::vector<Rule> rules;
  for (const PlanTargets& one : targets) {
    if (rule.action == PolicyAction::blackhole) {
      for (const Prefix& prefix : policy::outermost(one.expanded))
        rules.push_back({{prefix, {}, {}}, model::RuleAction::blackhole, 0});
    } else {
      append(rules, mitigation::plan(one.scope, one.expanded, actions));
    }
  }
  if (targets.size() > 1) {
    std::sort(rules.begin(), rules.end());
    rules.erase(std::unique(rules.begin(), rules.end()), rules.end());
  }
  return rules;
}

// Where sessions of the domain come from, as far as a back end that lets nothing pass would cut them off.
std::vector<policy::SafeTarget> signal_path(const PlanRequest& request, const std::vector<PlanTargets>& targets) {
  std::vector<policy::SafeTarget> out;
  if (request.signal_path == nullptr) return out;
  for (const auto& path : *request.signal_path) {
    const auto& address = path.first;
    const bool hit = std::any_of(targets.begin(), targets.end(), [&](const PlanTargets& one) {
      return std::any_of(one.expanded.begin(), one.expanded.end(),
                         [&](const Prefix& prefix) { return prefix.contains(address); });
    });
    if (hit) out.push_back({model::host_prefix(address), "is where a DOTS session of the domain comes from"});
  }
  return out;
}

// Splits all targets around what is safe; `left_out` collects what that was.
Verdict split(std::vector<PlanTargets>& targets, const std::vector<policy::SafeTarget>& safe, std::size_t most,
              std::vector<std::string>& left_out) {
  if (safe.empty()) return Verdict::yes();
  for (PlanTargets& one : targets) {
    auto pieces = policy::split_around(one.expanded, safe, most);
    if (!pieces) return pieces.error();
    one.expanded = std::move(pieces->prefixes);
    for (std::string& text : pieces->left_out) left_out.push_back(std::move(text));
  }
  return Verdict::yes();
}

// What the parts mitigate, when that is not what was asked for.
std::vector<Prefix> actual_of(const std::vector<Plan::Part>& parts, const std::vector<Prefix>& asked) {
  std::vector<Prefix> mitigated;
  for (const Plan::Part& part : parts) {
    for (const Rule& rule : part.rules) {
      if (mitigated.empty() || mitigated.back() != rule.match.target) mitigated.push_back(rule.match.target);
    }
  }
  mitigated = policy::outermost(mitigated);
  if (mitigated.empty() || mitigated == policy::outermost(asked)) return {};
  return mitigated;
}

std::uint64_t rules_of(const BackEndLoads& loads, const std::map<std::string, std::size_t>& holds) {
  std::uint64_t all = 0;
  for (const auto& [name, load] : loads) {
    const auto held = holds.find(name);
    all += load.rules - std::min<std::uint64_t>(load.rules, held == holds.end() ? 0 : held->second);
  }
  return all;
}

bool asks_people(const std::vector<PlannedBackEnd>& back_ends, const std::string& name) {
  return std::any_of(back_ends.begin(), back_ends.end(),
                     [&](const PlannedBackEnd& one) { return one.asks && one.name == name; });
}

void add(std::string& text, const std::string& more) { text += (text.empty() ? "" : "; ") + more; }

}  // namespace

std::optional<signal::server::Replan> replan(const PlannerSettings& settings, const BackEndLoads& before,
                                             const BackEndLoads& after) {
  using signal::server::Replan;
  const bool rules_of_all = settings.safety.rules > 0 || settings.safety.rules_per_domain > 0;
  const auto of = [](const BackEndLoads& loads, const std::string& name) {
    const auto found = loads.find(name);
    return found == loads.end() ? BackEndLoad{} : found->second;
  };
  std::optional<Replan> out;
  const auto differs = [&](bool less) { out = less || out == Replan::unmet ? Replan::unmet : Replan::crowded; };
  for (const PlannedBackEnd& one : settings.back_ends) {
    const BackEndLoad was = of(before, one.name), is = of(after, one.name);
    if ((rules_of_all || one.max_rules > 0) && was.rules != is.rules) differs(is.rules < was.rules);
    // Traffic is never the same: hundredths of the limit count.
    const std::uint64_t step = one.max_bits_per_s / 100 + 1;
    if (one.max_bits_per_s > 0 && was.bits_per_s / step != is.bits_per_s / step)
      differs(is.bits_per_s < was.bits_per_s);
    if (was.down != is.down) differs(true);
  }
  return out;
}

Plan MitigationPlanner::plan(const PlanRequest& request) const { return plan(request, nullptr); }

MitigationPlanner::Story MitigationPlanner::explain(const PlanRequest& request) const {
  Story story;
  story.plan = plan(request, &story);
  return story;
}

bool MitigationPlanner::looks_at_volume() const {
  const auto& chain = settings_->chain;
  const auto& back_ends = settings_->back_ends;
  return std::any_of(chain.begin(), chain.end(),
                     [](const PolicyRule& rule) { return rule.volume_from_bps > 0 || rule.volume_below_bps > 0; }) ||
         std::any_of(back_ends.begin(), back_ends.end(),
                     [](const PlannedBackEnd& one) { return one.max_bits_per_s > 0; });
}

Plan MitigationPlanner::plan(const PlanRequest& request, Story* story) const {
  Plan plan;
  const policy::DomainPolicy& domain = request.rules.policy();
  const policy::PolicyRequest asked = asked_of(request);
  plan.verdict = request.rules.may_use(request.request);
  if (!plan.verdict.allowed) return plan;

  const PolicyRule& rule = policy::decide(settings_->chain, asked);
  if (story != nullptr) story->rules = policy::considerations(settings_->chain, asked);
  const bool by_default = &rule == &policy::default_rule();
  if (!by_default) plan.story = "policy '" + rule.name + "'";
  plan.policy = rule.name;
  if (rule.action == PolicyAction::refuse) {
    plan.verdict = Verdict::no(model::ResponseCode::forbidden, rule.reason, plan.story + " refuses it: " + rule.reason,
                               "dotsctl what-if shows the way to this", RefusalReason::policy);
    return plan;
  }
  if (rule.action == PolicyAction::observe) {
    add(plan.story, "nothing is started" + (rule.reason.empty() ? std::string{} : ": " + rule.reason));
    plan.not_started = RefusalReason::policy;
    return plan;
  }

  std::vector<PlanTargets> targets = request.targets;
  if (rule.widen.any()) {
    for (PlanTargets& one : targets) one.expanded = policy::widened(rule.widen, one.expanded, domain);
  }
  std::vector<Prefix> wide;
  for (const PlanTargets& one : targets) wide.insert(wide.end(), one.expanded.begin(), one.expanded.end());
  if (std::string why = policy::approval_wanted(settings_->safety, wide); !why.empty()) plan.needs_approval = why;
  if (rule.approval) plan.needs_approval = plan.story + " wants an operator's approval";

  std::vector<std::string> left_out;
  plan.verdict = split(targets, settings_->safety.targets, settings_->safety.pieces, left_out);
  if (!plan.verdict.allowed) return plan;
  const std::vector<Rule> rules = rules_for(rule, domain, targets);
  if (rules.empty() || settings_->back_ends.empty()) return plan;

  Demand demand;
  demand.bits_per_s = request.volume_bps;
  demand.holds = request.holds;
  demand.rules = [&](const PlannedBackEnd& back_end) -> base::Result<std::vector<Rule>> {
    std::vector<Rule> mine = rules;
    if (!back_end.exempts) {
      if (const auto path = signal_path(request, targets); !path.empty()) {
        std::vector<PlanTargets> around = targets;
        const Verdict verdict = split(around, path, settings_->safety.pieces, left_out);
        if (!verdict.allowed) return base::Error{verdict.reason};
        mine = rules_for(rule, domain, around);
      }
    }
    // Every back end does what it can; one that is named does all of it, or somebody else does.
    if (rule.use.empty()) std::erase_if(mine, [&](const Rule& one) { return !can(back_end, one); });
    return mine;
  };
  Assignment assignment = assign(rule, settings_->back_ends, loads_, demand);
  std::size_t needed = 0;
  for (auto& part : assignment.parts) {
    const bool asks = asks_people(settings_->back_ends, part.back_end);
    if (asks && !plan.needs_approval) plan.needs_approval = "'" + part.back_end + "' asks a person";
    if (!asks) needed += part.rules.size();
    plan.parts.push_back({part.back_end, std::move(part.rules), asks});
  }
  const policy::SafetyPolicy& safety = settings_->safety;
  std::size_t held = 0;
  for (const auto& [name, count] : request.holds) held += count;
  const auto too_many = [&](const std::string& what, std::uint64_t others, std::uint32_t most) {
    // What runs goes on, also under a limit that has become smaller.
    if (most == 0 || needed <= held || others + needed <= most) return;
    std::erase_if(plan.parts, [](const Plan::Part& part) { return !part.asks; });
    assignment.unmet = RefusalReason::capacity;
    assignment.notes.push_back("no room: " + std::to_string(others) + " of " + std::to_string(most) + " rules " + what +
                               " are used, and this needs " + std::to_string(needed));
  };
  if (!settings_->safety.sources.empty()) {
    for (const PlannedBackEnd& one : settings_->back_ends) {
      const bool used = std::any_of(plan.parts.begin(), plan.parts.end(),
                                    [&](const Plan::Part& part) { return part.back_end == one.name; });
      if (used && !one.filters) assignment.notes.push_back("'" + one.name + "' cannot let safe sources pass");
    }
  }
  too_many("of the domain", request.rules_elsewhere, safety.rules_per_domain);
  too_many("of all domains", rules_of(loads_, request.holds), safety.rules);

  for (const std::string& note : assignment.notes) add(plan.story, note);
  for (const std::string& text : left_out) add(plan.story, "left out: " + text);
  if (story != nullptr) {
    story->safety = left_out;
    story->back_ends = assignment.notes;
  }
  // Without names every back end does what it can; one that is named and cannot is missed.
  if (assignment.unmet && (!rule.use.empty() || model::exceeds_capability(*assignment.unmet)))
    plan.not_started = assignment.unmet;
  if (plan.parts.empty() && !plan.not_started) {
    plan.verdict =
        Verdict::no(model::ResponseCode::service_unavailable, "the server has no means to mitigate this scope",
                    "no back end can do it: " + plan.story,
                    "let the policy ask for what the back ends can do; see dotsctl what-if", RefusalReason::function);
    return plan;
  }
  plan.actual = actual_of(plan.parts, asked.targets);
  // Those who can be asked are, also where the policy does not name them.
  const bool asked_already =
      std::any_of(plan.parts.begin(), plan.parts.end(), [](const Plan::Part& part) { return part.asks; });
  if (plan.needs_approval && !asked_already) {
    for (const PlannedBackEnd& one : settings_->back_ends) {
      if (one.asks) plan.parts.push_back({one.name, rules, true});
    }
  }
  return plan;
}

}  // namespace dots::agent::server
