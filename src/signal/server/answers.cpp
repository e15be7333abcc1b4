#include "signal/server/answers.h"

namespace dots::signal::server {

using model::MitigationStatus;
using model::ResponseCode;

Answer accepted(ResponseCode code, base::Mid mid, model::Lifetime granted) {
  Answer answer;
  answer.code = code;
  model::MitigationEntry entry;
  entry.mid = mid;
  entry.lifetime = granted;
  answer.entries.push_back(std::move(entry));
  return answer;
}

Answer refused(ResponseCode code, std::string diagnostic) {
  Answer answer;
  answer.code = code;
  answer.diagnostic = std::move(diagnostic);
  return answer;
}

Answer unavailable(std::string diagnostic, std::uint32_t retry_after_s) {
  Answer answer = refused(ResponseCode::service_unavailable, std::move(diagnostic));
  answer.max_age_s = retry_after_s;
  return answer;
}

namespace {

Answer conflict(model::ConflictInformation information) {
  Answer answer;
  answer.code = ResponseCode::conflict;
  model::MitigationEntry entry;
  entry.conflict = std::move(information);
  answer.entries.push_back(std::move(entry));
  return answer;
}

}  // namespace

Answer overlapping(base::Mid higher) {
  model::ConflictInformation information;
  information.cause = model::ConflictCause::overlapping_targets;
  information.scope.emplace();
  information.scope->mid = higher;
  return conflict(std::move(information));
}

Answer conflicting(model::ConflictInformation information) { return conflict(std::move(information)); }

Answer cuid_collision() {
  model::ConflictInformation information;
  information.cause = model::ConflictCause::cuid_collision;
  return conflict(std::move(information));
}

namespace {

// It does not fit what the back ends have room for.
bool exceeds(const Mitigation& mitigation) {
  if (mitigation.plan.not_started) return model::exceeds_capability(*mitigation.plan.not_started);
  return mitigation.rules == RulesReport::State::failed && mitigation.rules_why &&
         model::exceeds_capability(*mitigation.rules_why);
}

}  // namespace

MitigationStatus shown_status(const Mitigation& mitigation) {
  if (mitigation.fade.status) return *mitigation.fade.status;
  if (!mitigation.running()) return mitigation.record.status;
  if (mitigation.attack_stopped) return MitigationStatus::attack_stopped;
  if (exceeds(mitigation)) return MitigationStatus::exceeded_capability;
  // What an accept-list lets through is not mitigated (RFC 9133 4.1).
  const bool mitigated = mitigation.rules == RulesReport::State::installed && mitigation.acl_names.empty();
  return mitigated ? MitigationStatus::successfully_mitigated : MitigationStatus::in_progress;
}

model::Lifetime remaining(const Mitigation& mitigation, base::Now now) {
  if (mitigation.record.status == MitigationStatus::client_withdrawn) return {0};
  if (!mitigation.timer.is_set()) return {model::Lifetime::kIndefinite};
  const base::Duration left = mitigation.timer.at - now.steady;
  return {static_cast<std::int64_t>(base::whole_seconds(left + std::chrono::seconds{1} - base::Duration{1}))};
}

model::MitigationEntry entry_of(const Mitigation& mitigation, GetMitigation::Filter filter, base::Now now) {
  const ports::MitigationRecord& record = mitigation.record;
  model::MitigationEntry entry;
  entry.mid = record.mid;
  entry.lifetime = remaining(mitigation, now);
  entry.status = shown_status(mitigation);
  if (filter != GetMitigation::Filter::non_config) {
    entry.scope = record.request.scope;
    // true is the default and says nothing (RFC 9132 4.4.1.1).
    if (!record.request.trigger_mitigation) entry.trigger_mitigation = false;
  }
  if (filter != GetMitigation::Filter::config && (mitigation.has_rules() || mitigation.fade.started_at)) {
    const auto& started_at = mitigation.has_rules() ? record.started_at : mitigation.fade.started_at;
    if (started_at) entry.mitigation_start_s = base::unix_seconds(*started_at);
    entry.counters = mitigation.has_rules() ? mitigation.counters : mitigation.fade.counters;
  }
  return entry;
}

}  // namespace dots::signal::server
