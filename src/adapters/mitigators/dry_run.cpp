#include "adapters/mitigators/dry_run.h"

#include "adapters/mitigators/filter_protocol.h"
#include "adapters/mitigators/rule_json.h"

namespace dots::adapters::mitigators {

ports::MitigatorAbilities DryRunMitigator::abilities() const {
  if (as_) {
    ports::MitigatorAbilities out = *as_;
    out.counts = out.drops_really = out.confirms = out.explains = false;
    return out;
  }
  return {.name = "dry-run", .counts = false, .limits = true, .drops_really = false, .filters = true};
}

base::Result<void> DryRunMitigator::open() {
  open_ = true;
  return {};
}

ports::Applied DryRunMitigator::apply(const std::vector<ports::RuleChange>& changes) {
  if (!open_) return ports::MitigatorFault{"the table is not open"};
  if (auto checked = check_rules(changes); !checked) return checked;
  for (const auto& change : changes) {
    if (change.kind == ports::RuleChange::Kind::install) {
      rules_[change.rule.match] = change.rule;
    } else {
      rules_.erase(change.rule.match);
    }
  }
  return {};
}

ports::Applied DryRunMitigator::apply_filters(const std::vector<ports::FilterChange>& changes) {
  if (!open_) return ports::MitigatorFault{"the table is not open"};
  if (auto rows = rows_of(changes); !rows)
    return ports::MitigatorFault{rows.error().message, model::RefusalReason::function};
  for (const auto& change : changes) {
    if (change.list) {
      filters_[change.key] = model::digest_of(*change.list);
    } else {
      filters_.erase(change.key);
    }
  }
  return {};
}

base::Result<void> DryRunMitigator::exempt(const std::vector<ports::SignalExemption>&) {
  return open_ ? base::Result<void>{} : base::Error{"the table is not open"};
}

base::Result<ports::Mitigator::Listing> DryRunMitigator::list() {
  Listing listing;
  for (const auto& [match, rule] : rules_) listing.rules.push_back({rule, {}});
  for (const auto& [key, digest] : filters_) listing.filters.push_back({key, digest, {}});
  return listing;
}

base::Result<void> DryRunMitigator::clear() {
  open_ = false;
  rules_.clear();
  filters_.clear();
  return {};
}

}  // namespace dots::adapters::mitigators
