// From the store, under a new policy, and over steps of the wall clock (docs/decisions/lifetimes.md).
#include <algorithm>

#include "signal/server/answers.h"
#include "signal/server/machine.h"

namespace dots::signal::server {
namespace {

using model::MitigationStatus;

constexpr auto kClockStep = std::chrono::seconds{5};
constexpr auto kGrace = std::chrono::minutes{1};        // for what looks expired to a clock that cannot be trusted
constexpr auto kReloadPause = std::chrono::seconds{1};  // deadlines after a failed commit, so that it is not a loop

}  // namespace

std::vector<Effect> Machine::load(const ports::Snapshot& snapshot, base::Now now, bool keep_observers,
                                  const std::set<model::RuleOwner>& unsaid) {
  const bool fresh = !keep_observers;
  clock_offset_ = now.wall.time_since_epoch() - now.steady.time_since_epoch();
  wants_.clear();
  out_.clear();
  touched_.clear();
  turned_.clear();

  // What back ends said is no part of the store, and they do not say it again for rules that stay.
  std::map<Key, Mitigation> before;
  for (auto& [cuid, state] : cuids_) {
    for (auto& [mid, mitigation] : state.mitigations) before.emplace(Key{cuid, mid}, std::move(mitigation));
  }
  std::unordered_map<std::string, Name> names_before = std::exchange(names_, {});
  cuids_.clear();
  ++mitigating_version_;
  immediate_ = {};
  preconfigured_ = {};
  by_number_.clear();
  contending_clients_ = 0;
  kept_out_ = 0;
  approvals_late_ = 0;
  candidates_.clear();
  total_ = 0;
  rules_held_ = 0;
  timers_.clear();
  idle_names_.clear();
  idle_at_ = 0;
  if (fresh) {
    clients_.clear();
    present_ = {};
    holds_.clear();
    hold_of_.clear();
    held_ = 0;
    observers_.clear();
    observer_of_.clear();
    observers_of_.clear();
    sessions_.clear();
    peers_.clear();
    names_before.clear();
    before.clear();
  }
  for (auto& [id, client] : clients_) {
    client.cuids.clear();
    client.active = 0;
    client.contenders = 0;
    client.presence_timer = {};
  }

  adopt_names(snapshot, std::move(names_before));
  for (const ports::CuidRecord& record : snapshot.cuids) {
    if (record.domain != domain()) continue;
    cuids_[record.cuid].record = record;
    clients_[record.client].cuids.insert(record.cuid);
  }
  for (const ports::MitigationRecord& record : snapshot.mitigations) {
    if (record.domain != domain()) continue;
    const auto old = before.find({record.cuid, record.mid});
    adopt(record, snapshot, now, fresh, old == before.end() ? nullptr : &old->second);
  }
  // The store does not know when a name was used last; while it is used its answer is stored anew each hour.
  for (auto& [text, name] : names_) {
    if (name.users.empty()) forget_later(text, name, now.wall - name.record.resolved_at, now);
  }
  for (auto& [key, old] : before) {
    Mitigation* mitigation = find(key.cuid, key.mid);
    if (mitigation == nullptr) {
      // It was never committed: whatever was asked for it is asked back.
      if (old.has_rules()) want_nothing(key);
      continue;
    }
    if (!mitigation->has_rules()) {
      if (old.has_rules()) want_nothing(key);
      if (mitigation->armed() && (old.running() || old.held_back)) start_again(*mitigation, now);
      continue;
    }
    mitigation->attack_stopped = old.attack_stopped && old.running();
    mitigation->challenge = std::move(old.challenge);
    mitigation->acl_names = std::move(old.acl_names);
    mitigation->rules = old.rules;
    mitigation->rules_reason = std::move(old.rules_reason);
    mitigation->audited_failure = std::move(old.audited_failure);
    mitigation->counters = old.counters;
  }
  for (const model::RuleOwner& owner : unsaid) {
    const Mitigation* mitigation = find(owner.cuid, owner.mid);
    if (mitigation == nullptr || !mitigation->has_rules()) want_nothing({owner.cuid, owner.mid});
  }
  for (auto& [number, waiting] : holds_) {
    waiting.timer = {};
    timers_.set(waiting.timer, now.steady + limits_.hold_for_name, {Alarm::Kind::hold, {}, number, {}});
    for (const std::string& name : waiting.waiting) {
      names_[name].record.name = name;
      names_[name].holds.insert(number);
      ask(name, now);
    }
  }
  for (auto& [number, observer] : observers_) {
    observer.timer = {};
    observer.farewells.clear();
    observer.dirty = true;
    schedule(observer, now);
  }
  if (fresh) {
    expect_after_start(now);
  } else {
    for (auto& [id, client] : clients_) {
      const bool undecided = client.presence == Presence::waiting || client.presence == Presence::quiet;
      if (!undecided || !all_silent(client)) continue;
      client.loss_at = std::max<base::SteadyTime>(client.loss_at, now.steady + kReloadPause);
      arm_presence(id, client, now);
    }
  }
  // Said again in any case: what was said last may have been held back with a failed commit.
  for (auto& [id, client] : clients_) {
    client.told_mitigating = client.active == 0;
    touched_.insert(id);
  }
  // Loading changes nothing in the store: a reload after a failed commit must not need one.
  out_.erase(std::remove_if(out_.begin(), out_.end(),
                            [](const Effect& effect) { return std::holds_alternative<Persist>(effect); }),
             out_.end());
  return finish();
}

void Machine::adopt_names(const ports::Snapshot& snapshot, std::unordered_map<std::string, Name> before) {
  names_stored_ = 0;
  for (const ports::NameRecord& record : snapshot.names) {
    const std::string text = policy::canonical_name(record.name);
    if (names_stored_ >= limits_.names_remembered) break;
    if (record.addresses.empty() || !rules_->may_name(text).allowed) continue;
    Name& name = names_[text];
    if (!name.stored) ++names_stored_;
    name.record = record;
    name.record.name = text;
    name.stored = true;
    name.stored_at = record.resolved_at;
    const auto old = before.find(text);
    if (old != before.end() && old->second.record.addresses == record.addresses) {
      name.fresh_until = old->second.fresh_until;
    }
  }
}

void Machine::adopt(const ports::MitigationRecord& record, const ports::Snapshot& snapshot, base::Now now, bool fresh,
                    const Mitigation* before) {
  switch (record.status) {
    case MitigationStatus::terminated:
      return;  // never written by this machine
    default:
      break;
  }
  CuidState& state = cuids_[record.cuid];
  if (state.record.client.value.empty()) {
    state.record = {domain(), record.cuid, record.client, record.accepted_at};
    clients_[record.client].cuids.insert(record.cuid);
  }
  Mitigation mitigation;
  mitigation.record = record;
  if (!mitigation.armed() && !mitigation.terminating() && !mitigation.deactivated()) {
    mitigation.record.status = MitigationStatus::in_progress;
  }
  bool is_over = false;
  if (record.deadline) {
    const base::Duration span = std::max(base::Duration::zero(), record.span);
    base::Duration left = std::clamp(*record.deadline - now.wall, base::Duration::zero(), span);
    if (now.wall < snapshot.last_commit && left == base::Duration::zero())
      left = std::min<base::Duration>(span, kGrace);
    if (!fresh) left = std::max<base::Duration>(left, kReloadPause);
    is_over = left == base::Duration::zero();
    timers_.set(mitigation.timer, now.steady + left, {Alarm::Kind::mitigation, mitigation.key(), 0, {}});
  }
  Mitigation& placed = put_in(std::move(mitigation), now);
  if (before != nullptr && before->has_rules()) {
    // What it holds at the back ends and what is known of its attack: a plan that did not know them could find no room
    // for what is installed.
    placed.held = before->held;
    for (const auto& [back_end, rules] : placed.held) rules_held_ += rules;
    placed.volume = before->volume;
    watch_volume(placed);
    placed.rules_why = before->rules_why;
    placed.without = before->without;
    placed.counters = before->counters;
  }
  // What ended while nobody looked keeps its rules while it would be terminating; else its timer, which fires next,
  // says what is wanted.
  if (!is_over || (placed.running() && period_after_expiry(placed, now) > base::Duration::zero())) want(placed, now);
}

std::vector<Effect> Machine::set_rules(std::shared_ptr<const policy::DomainRules> rules, base::Now now) {
  watch_clocks(now);
  fire_due(now);
  rules_ = std::move(rules);
  std::vector<Key> all;
  for (const auto& [cuid, state] : cuids_) {
    for (const auto& [mid, mitigation] : state.mitigations) all.push_back({cuid, mid});
  }
  for (const Key& key : all) {
    Mitigation& mitigation = *find(key.cuid, key.mid);
    const policy::Verdict verdict = rules_->may_keep(mitigation.targets());
    if (!verdict.allowed) {
      audit(now, "server", "withdraw", key, "done", "the new policy does not allow it: " + verdict.reason);
      end(key, MitigationStatus::withdrawn, now);
      continue;
    }
    re_expand(mitigation, now);
    want(mitigation, now);  // limits and actions may have changed
  }
  reconsider_all();
  reconsider(now);
  for (auto& [number, observer] : observers_) schedule(observer, now);
  return finish();
}

std::vector<Effect> Machine::set_planner(std::shared_ptr<const Planner> planner, Replan which, base::Now now) {
  watch_clocks(now);
  fire_due(now);
  planner_ = std::move(planner);
  const auto concerns = [which](const Mitigation& one) {
    if (which == Replan::all || !one.without.empty()) return true;
    return which == Replan::unmet && shown_status(one) == MitigationStatus::exceeded_capability;
  };
  for (auto& [cuid, state] : cuids_) {
    for (auto& [mid, mitigation] : state.mitigations) {
      if (concerns(mitigation)) want(mitigation, std::nullopt, now, which != Replan::all);
    }
  }
  fire_due(now);
  return finish();
}

// Running deadlines are steady, so that a step of the wall clock neither ends nor prolongs anything. The stored
// deadlines are wall time, and a start after the step would read them by the new clock: they are written again.
void Machine::watch_clocks(base::Now now) {
  const base::Duration offset = now.wall.time_since_epoch() - now.steady.time_since_epoch();
  if (!clock_offset_) clock_offset_ = offset;
  const base::Duration step = offset - *clock_offset_;
  if (step <= kClockStep && step >= -kClockStep) return;
  clock_offset_ = offset;
  std::size_t moved = 0;
  for (auto& [cuid, state] : cuids_) {
    for (auto& [mid, mitigation] : state.mitigations) {
      if (!mitigation.timer.is_set()) continue;
      mitigation.record.deadline = now.wall + (mitigation.timer.at - now.steady);
      save(mitigation);
      want(mitigation, now);
      ++moved;
    }
  }
  if (moved == 0) return;
  ports::AuditRecord record;
  record.at = now.wall;
  record.domain = domain();
  record.actor = "server";
  record.action = "clock";
  record.subject = std::to_string(moved) + " mitigations";
  record.verdict = "done";
  record.text = "the wall clock stepped by " +
                std::to_string(std::chrono::duration_cast<std::chrono::seconds>(step).count()) +
                " s; remaining lifetimes stay, stored deadlines follow the new clock";
  persist(ports::AppendAudit{std::move(record)});
}

}  // namespace dots::signal::server
