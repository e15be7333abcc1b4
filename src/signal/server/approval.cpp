// The word of a person, where a plan needs one (docs/decisions/approval.md).
#include <algorithm>

#include "base/shell_word.h"
#include "base/time_text.h"
#include "signal/server/answers.h"
#include "signal/server/machine.h"

namespace dots::signal::server {

using Approval = ports::Approval;

namespace {

// What an operator types to say yes or no. The cuid is what a client has chosen.
std::string command_text(const ports::MitigationRecord& record) {
  const std::string which = std::to_string(record.mid.value) + " --domain " + base::shell_word(record.domain.value) +
                            " --cuid " + base::shell_word(record.cuid.value);
  return "dotsctl approve " + which + ", or: dotsctl refuse " + which + " --reason TEXT";
}

// None stands for all of them.
template <class Values, class Within>
bool covers(const Values& wide, const Values& narrow, Within within) {
  if (wide.empty()) return true;
  if (narrow.empty()) return false;
  return std::all_of(narrow.begin(), narrow.end(), [&](const auto& one) {
    return std::any_of(wide.begin(), wide.end(), [&](const auto& other) { return within(one, other); });
  });
}

bool covers(const PlanTargets& wide, const model::MitigationScope& scope, const model::Prefix& prefix) {
  return covers(wide.scope.target_protocol, scope.target_protocol, [](auto a, auto b) { return a == b; }) &&
         covers(wide.scope.target_port_range, scope.target_port_range,
                [](const auto& a, const auto& b) { return b.lower <= a.lower && a.upper <= b.upper; }) &&
         std::any_of(wide.expanded.begin(), wide.expanded.end(),
                     [&](const model::Prefix& other) { return other.contains(prefix); });
}

}  // namespace

void Machine::judge_approval(Mitigation& mitigation, Plan& plan, base::Now now) {
  ports::MitigationRecord& record = mitigation.record;
  const bool starts = std::exchange(mitigation.starts, false);
  if (!plan.needs_approval) {
    if (record.approval.state != Approval::State::waiting) return;
    audit(now, "server", "approve", mitigation.key(), "done", "it needs no approval any more");
    settle_approval(mitigation, {});
    return;
  }
  if (record.approval.state != Approval::State::approved && starts) {
    if (record.approval.state == Approval::State::none) record.approval.since = now.wall;
    record.approval.state = Approval::State::waiting;
    record.approval.why = *plan.needs_approval;
    save(mitigation);
    audit(now, "server", "approve", mitigation.key(), "waiting", "it waits for a person: " + record.approval.why);
    note("APPROVAL_WANTED", "domain " + domain().value + ", " + text_of(mitigation) + ": " + record.approval.why +
                                "; " + command_text(record));
  }
  if (!mitigation.awaits_approval()) return;
  std::erase_if(plan.parts, [](const Plan::Part& part) { return !part.asks; });
  plan.actual.clear();
  if (mitigation.approval_timer.is_set() || mitigation.approval_late) return;
  const base::Duration waited = std::max(base::Duration::zero(), now.wall - record.approval.since);
  timers_.set(mitigation.approval_timer, now.steady + std::max(base::Duration::zero(), limits_.approval_late - waited),
              {Alarm::Kind::approval, mitigation.key(), 0, {}});
}

void Machine::stop_approval_clock(Mitigation& mitigation) {
  timers_.cancel(mitigation.approval_timer);
  if (std::exchange(mitigation.approval_late, false)) --approvals_late_;
}

void Machine::settle_approval(Mitigation& mitigation, Approval approval) {
  stop_approval_clock(mitigation);
  mitigation.record.approval = std::move(approval);
  save(mitigation);
}

Approval Machine::inherited_approval(const ports::MitigationRecord& record, const Plan& plan,
                                     const std::vector<const Mitigation*>& replaced) const {
  Approval waited;
  const Mitigation* approved = nullptr;
  std::vector<PlanTargets> covered;
  for (const Mitigation* old : replaced) {
    const Approval& approval = old->record.approval;
    if (approval.state == Approval::State::waiting) {
      if (waited.state == Approval::State::none || approval.since < waited.since) waited = approval;
    }
    // What was agreed to is the scope and how it is carried out.
    if (approval.state != Approval::State::approved || old->plan.policy != plan.policy ||
        old->record.request.contract_id != record.request.contract_id ||
        old->record.request.requested_service != record.request.requested_service) {
      continue;
    }
    approved = old;
    for (PlanTargets& part : targets_of(old->record)) covered.push_back(std::move(part));
  }
  if (approved == nullptr) return waited;
  for (const PlanTargets& part : targets_of(record)) {
    for (const model::Prefix& prefix : part.expanded) {
      const bool known = std::any_of(covered.begin(), covered.end(),
                                     [&](const PlanTargets& wide) { return covers(wide, part.scope, prefix); });
      if (!known) return waited;
    }
  }
  return approved->record.approval;
}

void Machine::on_approval_timer(const Key& key, base::Now now) {
  Mitigation* mitigation = find(key.cuid, key.mid);
  if (mitigation == nullptr) return;
  mitigation->approval_timer = {};
  if (!mitigation->awaits_approval() || mitigation->approval_late) return;
  mitigation->approval_late = true;
  ++approvals_late_;
  const ports::MitigationRecord& record = mitigation->record;
  note("APPROVAL_LATE", "domain " + domain().value + ", " + text_of(*mitigation) + ": for " +
                            base::duration_text(now.wall - record.approval.since) + "; " + command_text(record));
}

Mitigation* Machine::judged(std::uint64_t ticket, const Key& key) {
  Mitigation* mitigation = find(key.cuid, key.mid);
  if (mitigation == nullptr) {
    out_.emplace_back(OperatorAnswer{ticket, false,
                                     "there is no mitigation with cuid=" + key.cuid.value +
                                         " mid=" + std::to_string(key.mid.value) + " in domain " + domain().value});
  }
  return mitigation;
}

void Machine::on_event(const OperatorApprove& approve, base::Now now) {
  Mitigation* mitigation = judged(approve.ticket, {approve.cuid, approve.mid});
  if (mitigation == nullptr) return;
  const Approval& before = mitigation->record.approval;
  if (before.state == Approval::State::approved) {
    out_.emplace_back(OperatorAnswer{approve.ticket, false, "it has been approved already, by " + before.by});
    return;
  }
  // What does not run yet may be approved beforehand: nobody may be there when it starts.
  if (!mitigation->awaits_approval() && mitigation->has_rules()) {
    out_.emplace_back(OperatorAnswer{approve.ticket, false, "it does not wait for approval"});
    return;
  }
  Approval approval = before;
  approval.state = Approval::State::approved;
  if (before.state == Approval::State::none) approval.since = now.wall;
  approval.by = "operator " + approve.author;
  approval.at = now.wall;
  approval.note = approve.note;
  audit(now, approval.by, "approve", mitigation->key(), "accepted",
        approve.note.empty() ? "approved" : "approved: " + approve.note, approve.credential);
  settle_approval(*mitigation, std::move(approval));
  // Those that have told people of it are not all.
  mitigation->rules = RulesReport::State::pending;
  mitigation->rules_reason.clear();
  mitigation->rules_why.reset();
  want(*mitigation, now);
  changed(mitigation->key(), now);
  out_.emplace_back(OperatorAnswer{approve.ticket, true, "approved"});
}

void Machine::on_event(const OperatorRefuse& refuse, base::Now now) {
  const Key key{refuse.cuid, refuse.mid};
  Mitigation* mitigation = judged(refuse.ticket, key);
  if (mitigation == nullptr) return;
  if (!mitigation->awaits_approval()) {
    out_.emplace_back(
        OperatorAnswer{refuse.ticket, false, "it does not wait for approval; dotsctl withdraw ends what runs"});
    return;
  }
  audit(now, "operator " + refuse.author, "refuse", key, "refused",
        refuse.reason.empty() ? "not approved" : "not approved: " + refuse.reason, refuse.credential);
  end(key, model::MitigationStatus::withdrawn, now,
      refuse.reason.empty() ? "an operator has refused it" : "an operator has refused it: " + refuse.reason);
  out_.emplace_back(OperatorAnswer{refuse.ticket, true, "refused"});
}

}  // namespace dots::signal::server
