// Deadlines, the active-but-terminating period and the end (RFC 9132 4.4.1.1, 4.4.4; docs/decisions/lifetimes.md).
#include <algorithm>

#include "signal/server/answers.h"
#include "signal/server/machine.h"

namespace dots::signal::server {

using model::MitigationStatus;

void Machine::run_for(Mitigation& mitigation, std::optional<base::Duration> span, base::Now now) {
  ports::MitigationRecord& record = mitigation.record;
  if (!span) {
    record.deadline.reset();
    record.span = {};
    timers_.cancel(mitigation.timer);
    return;
  }
  record.deadline = now.wall + *span;
  record.span = *span;
  timers_.set(mitigation.timer, now.steady + *span, {Alarm::Kind::mitigation, mitigation.key(), 0, {}});
}

void Machine::grant(Mitigation& mitigation, model::Lifetime granted, base::Now now) {
  mitigation.record.granted = granted;
  if (granted.indefinite()) return run_for(mitigation, std::nullopt, now);
  run_for(mitigation, std::chrono::seconds{granted.seconds}, now);
}

base::Duration Machine::terminating_period(const Mitigation& mitigation) const {
  if (!mitigation.has_rules() || mitigation.awaits_approval())
    return base::Duration::zero();  // nothing runs that would have to end slowly
  const policy::DomainPolicy& policy = rules_->policy();
  base::Duration period = policy.terminating_period;
  for (std::uint32_t i = 0; i < mitigation.record.terminating_cycles && period < policy.terminating_period_max; ++i) {
    period *= 2;
  }
  return std::max(base::Duration::zero(), std::min(period, policy.terminating_period_max));
}

void Machine::terminate(Mitigation& mitigation, base::Duration period, base::Now now) {
  if (period <= base::Duration::zero()) {
    return end(mitigation.key(), MitigationStatus::terminated, now);
  }
  set_status(mitigation, MitigationStatus::client_withdrawn, now);
  run_for(mitigation, period, now);
  save(mitigation);
  want(mitigation, now);
  changed(mitigation.key(), now);
}

void Machine::end(const Key& key, std::optional<MitigationStatus> last, base::Now now, const std::string& refusal) {
  Mitigation& mitigation = *find(key.cuid, key.mid);
  std::optional<model::MitigationEntry> farewell;
  if (last) {
    farewell = entry_of(mitigation, GetMitigation::Filter::all, now);
    farewell->status = *last;
    farewell->lifetime = model::Lifetime{0};
    farewell->counters = {};
    if (!refusal.empty() && mitigation.record.request.takes_extensions()) {
      farewell->refusal_reason = model::RefusalReason::policy;
      farewell->diagnostic = refusal;
    }
  }
  if (mitigation.contends()) freed(mitigation, now);
  if (mitigation.has_rules()) want_nothing(key);
  take_out(key, now);
  persist(ports::EraseMitigation{{domain(), key.cuid, key.mid}});
  changed(key, now, farewell ? &*farewell : nullptr);
}

// The period began when the lifetime ended, which may be a while ago: the server was down, or its timers were late.
base::Duration Machine::period_after_expiry(const Mitigation& mitigation, base::Now now) const {
  if (!rules_->policy().terminate_after_expiry) return base::Duration::zero();
  const base::Duration period = terminating_period(mitigation);
  if (!mitigation.record.deadline) return period;
  return std::clamp(*mitigation.record.deadline + period - now.wall, base::Duration::zero(), period);
}

void Machine::on_mitigation_timer(const Key& key, base::Now now) {
  Mitigation* mitigation = find(key.cuid, key.mid);
  if (mitigation == nullptr) return;
  mitigation->timer = {};
  const ports::MitigationRecord& record = mitigation->record;
  if (mitigation->terminating()) {
    audit(now, "server", "terminate", key, "done", "the active-but-terminating period is over");
    return end(key, MitigationStatus::terminated, now);
  }
  const base::Duration period = period_after_expiry(*mitigation, now);
  audit(now, "server", "expire", key, "done",
        "the lifetime of " + std::to_string(record.granted.seconds) + " s is over without a refresh" +
            (period > base::Duration::zero()
                 ? "; active but terminating for " + std::to_string(base::whole_seconds(period)) + " s"
                 : ""));
  terminate(*mitigation, period, now);
}

}  // namespace dots::signal::server
