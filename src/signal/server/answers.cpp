#include "signal/server/answers.h"

#include "model/attributes.h"
#include "model/text.h"

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

Answer refused(ResponseCode code, std::string diagnostic, std::optional<model::RefusalReason> reason) {
  Answer answer;
  answer.code = code;
  answer.diagnostic = std::move(diagnostic);
  answer.refusal_reason = reason;
  return answer;
}

Answer unavailable(std::string diagnostic, std::uint32_t retry_after_s, std::optional<model::RefusalReason> reason) {
  Answer answer = refused(ResponseCode::service_unavailable, std::move(diagnostic), reason);
  answer.max_age_s = retry_after_s;
  return answer;
}

void tell_reason(Answer& answer) {
  if (!answer.refusal_reason) return;
  if (answer.entries.empty()) answer.entries.emplace_back();
  model::MitigationEntry& entry = answer.entries.front();
  entry.refusal_reason = answer.refusal_reason;
  entry.diagnostic = std::string{model::clip(answer.diagnostic, model::kMaxDiagnostic)};
  entry.offered_service = answer.offered_service;
}

namespace {

Answer conflict(model::ConflictInformation information, model::RefusalReason reason) {
  Answer answer;
  answer.code = ResponseCode::conflict;
  answer.refusal_reason = reason;
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
  return conflict(std::move(information), model::RefusalReason::scope);
}

Answer conflicting(model::ConflictInformation information) {
  return conflict(std::move(information), model::RefusalReason::policy);
}

Answer cuid_collision() {
  model::ConflictInformation information;
  information.cause = model::ConflictCause::cuid_collision;
  return conflict(std::move(information), model::RefusalReason::policy);
}

namespace {

// It does not fit what the back ends have room for.
bool exceeds(const Mitigation& mitigation) {
  if (mitigation.plan.not_started) return model::exceeds_capability(*mitigation.plan.not_started);
  return mitigation.rules == RulesReport::State::failed && mitigation.rules_why &&
         model::exceeds_capability(*mitigation.rules_why);
}

// For the client: what the back ends say names machines that are none of its business.
std::string words_of(model::RefusalReason trouble) {
  switch (trouble) {
    case model::RefusalReason::capacity:
      return "there is no room for its rules";
    case model::RefusalReason::bandwidth:
      return "there is more traffic than can be taken";
    case model::RefusalReason::function:
      return "nothing here can do what it needs";
    case model::RefusalReason::hardware:
      return "what does the work fails; it is tried again";
    case model::RefusalReason::rate:
      return "it changes too often";
    case model::RefusalReason::policy:
      return "the policy of the server does not start it";
    case model::RefusalReason::scope:
    case model::RefusalReason::contract:
      break;
  }
  return {};
}

}  // namespace

MitigationStatus shown_status(const Mitigation& mitigation) {
  if (mitigation.fade.status) return *mitigation.fade.status;
  if (!mitigation.running()) return mitigation.record.status;
  if (mitigation.attack_stopped) return MitigationStatus::attack_stopped;
  if (mitigation.awaits_approval()) return MitigationStatus::in_progress;
  if (exceeds(mitigation)) return MitigationStatus::exceeded_capability;
  // What an accept-list lets through is not mitigated (RFC 9133 4.1).
  const bool mitigated =
      mitigation.rules == RulesReport::State::installed && mitigation.acl_names.empty() && !mitigation.plan.not_started;
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
  if (filter != GetMitigation::Filter::config && record.request.takes_extensions() && mitigation.has_rules()) {
    entry.service_used = mitigation.service_used();
    entry.actual_prefix = mitigation.plan.actual;
    if (mitigation.awaits_approval()) {
      entry.refusal_reason = model::RefusalReason::policy;
      entry.diagnostic = "it waits for the approval of an operator";
    } else if (const auto trouble = mitigation.trouble()) {
      entry.refusal_reason = trouble;
      entry.diagnostic = words_of(*trouble);
    }
  }
  return entry;
}

}  // namespace dots::signal::server
