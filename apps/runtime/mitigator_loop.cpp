// The worker's rounds: take what is wanted, see that the back end is there, send exemptions, then changes, then read.
#include <algorithm>
#include <chrono>
#include <utility>

#include "apps/runtime/mitigator_state.h"

namespace dots::runtime {

using mitigation::OwnerReport;
using mitigation::RuleState;

base::Now runner_now() {
  return {base::SteadyTime{std::chrono::steady_clock::now().time_since_epoch()},
          base::WallTime{std::chrono::system_clock::now().time_since_epoch()}};
}

void MitigatorRunner::State::run() {
  for (;;) {
    const bool more = round();
    std::unique_lock lock(mutex);
    if (stopping) break;
    if (more || has_input()) continue;
    const auto until = std::chrono::steady_clock::time_point{
        std::chrono::duration_cast<std::chrono::steady_clock::duration>(next_time(runner_now()).time_since_epoch())};
    wake.wait_until(lock, until, [this] { return stopping || has_input(); });
  }
  finish();
}

bool MitigatorRunner::State::has_input() const {
  return !wants.empty() || !new_filters.empty() || new_exemptions || reading || held != was_held ||
         frozen != was_frozen;
}

base::SteadyTime MitigatorRunner::State::next_time(base::Now now) const {
  base::SteadyTime next = now.steady + std::chrono::minutes{1};
  if (held) return next;
  if (!available) return std::min(next, open_at);
  if (reads_here()) next = std::min(next, read_at);
  if (now.steady < grace_until) next = std::min(next, grace_until);
  for (const auto& deadline : {reconciler.next_deadline(), filters.next_deadline()}) {
    if (deadline) next = std::min(next, *deadline);
  }
  return next;
}

bool MitigatorRunner::State::round() {
  const base::Now now = runner_now();
  take_inputs(now);
  bool more = std::exchange(again, false);
  if (!was_held && (available || now.steady >= open_at)) {
    if ((available || open(now)) && (!exemptions_due || send_exemptions(now))) more = step() || more;
  }
  report();
  std::optional<Reading> seen;
  {
    const std::lock_guard lock(mutex);
    seen = std::move(reading);
    reading.reset();
  }
  if (seen && available && !was_held) take_reading(std::move(*seen), runner_now());
  if (reads_here() && available && !was_held && now.steady >= read_at) read_here(now);
  return more || again;
}

void MitigatorRunner::State::take_inputs(base::Now now) {
  const std::lock_guard lock(mutex);
  std::vector<mitigation::Reconciler::Want> batch;
  for (auto& [owner, want] : wants) {
    if (want.rules.empty()) {
      failed.erase(owner);
      counted.erase(owner);
    }
    batch.push_back(std::move(want));
  }
  wants.clear();
  reconciler.want(batch, now);
  for (const auto& owner : std::exchange(replaced, {})) reconciler.report_again(owner);
  reconciler.wake(now);
  for (const auto& of_domain : std::exchange(new_filters, {})) filters.want(of_domain, now);
  filters.wake(now);
  if (now.steady >= grace_until) {
    reconciler.keep_unexplained(false);
    filters.keep_unexplained(false);
  }
  if (new_exemptions) {
    exemptions = std::move(*new_exemptions);
    new_exemptions.reset();
    exemptions_due = true;
  }
  if (was_held && !held) {
    // Whatever happened meanwhile: look anew.
    reconciler.forget_installed();
    filters.forget_installed();
    available = false;
    open_at = now.steady;
  }
  if (!was_held && held) {
    reconciler.forget_installed();
    filters.forget_installed();
    available = false;
    why_not = "held";
  }
  if (was_held != held || was_frozen != frozen) {
    reconciler.report_all();
    filters.report_all();
  }
  was_held = held;
  was_frozen = frozen;
  took_inputs.notify_all();
}

bool MitigatorRunner::State::open(base::Now now) {
  if (const auto opened = mitigator->open(); !opened) return down(opened.error().message, now), false;
  learn_abilities();
  // Exemptions first: no drop without them.
  if (!send_exemptions(now) || !learn(now)) return false;
  {
    const std::lock_guard lock(mutex);
    available = true;
    reconciler.report_all();
    filters.report_all();
  }
  back_off = options.back_off;
  read_at = now.steady;
  if (told_unavailable) sink.message("MITIGATOR_RECOVERED", options.name);
  if (told_unavailable) sink.health("MITIGATOR_DOWN", options.name, false, "");
  told_unavailable = false;
  if (told_unable.exchange(false) && callbacks.able) callbacks.able(true, "");
  return true;
}

// A program or a service says what it can do when it is there.
void MitigatorRunner::State::learn_abilities() {
  ports::MitigatorAbilities now = mitigator->abilities();
  bool other_means = false;
  {
    const std::lock_guard lock(mutex);
    other_means = now.scoped != abilities.scoped || now.limits != abilities.limits ||
                  now.exempts != abilities.exempts || now.drops_really != abilities.drops_really;
    if (now.confirms != abilities.confirms) {
      reconciler.expect_confirmation(now.confirms);
      filters.expect_confirmation(now.confirms);
    }
    abilities = std::move(now);
  }
  if (other_means && callbacks.means) callbacks.means();
}

bool MitigatorRunner::State::learn(base::Now now) {
  const auto listing = mitigator->list();
  if (!listing) return down(listing.error().message, now), false;
  std::vector<model::Rule> rules;
  for (const auto& one : listing->rules) rules.push_back(one.rule);
  {
    const std::lock_guard lock(mutex);
    reconciler.learned(rules, now);
    if (abilities.confirms) reconciler.confirmed(listing->rules, reconciler.version());
    links = listing->links;
    version = reconciler.version();
    if (abilities.filters) filters.learned(listing->filters, now);
    if (abilities.confirms) filters.confirmed(listing->filters, filters.version());
    filters_version = filters.version();
  }
  tell_links();
  remove_foreign(listing->foreign);
  return true;
}

void MitigatorRunner::State::remove_foreign(const std::vector<std::string>& seen) {
  if (seen.empty() || was_frozen) return;
  const auto removed = mitigator->remove_foreign();
  ++changes;
  if (!removed) {
    sink.message("FOREIGN_RULE_STAYS", options.name + ": " + removed.error().message);
    return;
  }
  for (const std::string& text : *removed) sink.message("FOREIGN_RULE_REMOVED", options.name + ": " + text);
}

bool MitigatorRunner::State::send_exemptions(base::Now now) {
  if (const auto sent = mitigator->exempt(exemptions); !sent) {
    return down("the exemption of DOTS peers: " + sent.error().message, now), false;
  }
  exemptions_due = false;
  ++changes;
  return true;
}

// One batch of each kind, so that nobody's lists hold up somebody's rules for long. A list goes when no rule is left to
// be changed, so that what it accepts is not dropped between the two.
bool MitigatorRunner::State::step() {
  if (was_frozen) return false;
  using Phase = mitigation::FilterReconciler::Phase;
  // A back end that has just died over a change gets what stops attacks first.
  const bool rules_first = strikes > 0;
  bool more = rules_first ? step_rules() : step_filters(Phase::install);
  if (available) more = (rules_first ? step_filters(Phase::install) : step_rules()) || more;
  bool rules_due = false;
  {
    const std::lock_guard lock(mutex);
    rules_due = reconciler.due();
  }
  if (available && !rules_due) more = step_filters(Phase::remove) || more;
  return more && available;
}

bool MitigatorRunner::State::step_filters(mitigation::FilterReconciler::Phase phase) {
  if (!abilities.filters) return false;
  mitigation::FilterReconciler::Difference batch;
  {
    const std::lock_guard lock(mutex);
    batch = filters.next(phase, options.filter_batch);
  }
  if (batch.empty()) return false;
  const auto applied = mitigator->apply_filters(batch.changes);
  ++changes;
  const base::Now after = runner_now();
  const auto settled = [&](bool ok) {
    const std::lock_guard lock(mutex);
    filters.applied(batch.version, ok, ok ? std::string{} : applied.error().message, after, options.retry_after);
    filters_version = filters.version();
  };
  // Lists are long: one that a back end dies of is not tried twice in a row.
  if (!applied)
    return refused(
        applied.error().message, after, [&] { settled(false); }, 1);
  strikes = 0;
  if (abilities.confirms) read_at = std::max(after.steady, read_not_before);
  sink.count("dots_mitigator_filter_changes_total", options.name, batch.changes.size());
  settled(true);
  return true;
}

bool MitigatorRunner::State::refused(const std::string& reason, base::Now now, const std::function<void()>& blame,
                                     int deaths) {
  sink.count("dots_mitigator_failures_total", options.name, 1);
  // Was it the content, or is the back end gone? Who can still list has refused. A back end that goes twice in a row
  // during a change may well go because of it.
  const bool alive = mitigator->list().ok();
  if (alive || ++strikes >= deaths) blame();
  if (!alive) down(reason, now);
  if (alive) strikes = 0;
  return alive;
}

bool MitigatorRunner::State::step_rules() {
  mitigation::Reconciler::Difference batch;
  std::vector<ports::RuleChange> list;
  {
    const std::lock_guard lock(mutex);
    batch = reconciler.next(options.batch);
    for (const auto& rule : batch.install) list.push_back({ports::RuleChange::Kind::install, rule, {}});
    for (const auto& rule : batch.remove) list.push_back({ports::RuleChange::Kind::remove, rule, {}});
    if (abilities.explains) {
      for (auto& change : list) change.owners = reconciler.notes(change.rule.match);
    }
  }
  if (batch.empty()) return false;
  const auto applied = mitigator->apply(list);
  ++changes;
  const base::Now after = runner_now();
  if (applied) {
    strikes = 0;
    sink.count("dots_mitigator_changes_total", options.name, list.size());
    const std::lock_guard lock(mutex);
    reconciler.applied(batch.version, std::nullopt, after, options.retry_after);
    // What was taken is asked for when nothing else is left to be done: a list has every rule, a batch has few.
    if (abilities.confirms && !reconciler.due()) read_at = std::max(after.steady, read_not_before);
    version = reconciler.version();
    return true;
  }
  return refused(applied.error().message, after, [&] {
    const std::lock_guard lock(mutex);
    reconciler.applied(batch.version, applied.error(), after, options.retry_after);
  });
}

void MitigatorRunner::State::down(const std::string& reason, base::Now now) {
  {
    const std::lock_guard lock(mutex);
    why_not = "unavailable: " + reason;
    reconciler.forget_installed();
    filters.forget_installed();
    if (available || !told_unavailable) {
      reconciler.report_all();
      filters.report_all();
    }
    available = false;
  }
  exemptions_due = true;
  open_at = now.steady + back_off;
  back_off = std::min(back_off * 2, options.back_off_most);
  if (!told_unavailable) down_since = now.steady;
  if (!told_unable && now.steady - down_since >= options.patience) {
    told_unable = true;
    if (callbacks.able) callbacks.able(false, options.name + " is unavailable: " + reason);
  }
  if (!told_unavailable) sink.message("MITIGATOR_UNAVAILABLE", options.name + ": " + reason);
  sink.health("MITIGATOR_DOWN", options.name, true, reason);
  told_unavailable = true;
}

void MitigatorRunner::State::finish() {
  const base::Now now = runner_now();
  take_inputs(now);
  if (was_held) return;
  if (was_frozen) {
    sink.message("RULES_FROZEN", options.name);
    return;
  }
  if (!options.remove_on_stop) {
    // What was withdrawn or asked for at the last moment still counts.
    bool more = true;
    while (more && available && runner_now().steady - now.steady < options.finish) more = step();
    report();
    if (more && available) sink.message("RULES_UNFINISHED", options.name);
    return;
  }
  if (!available) {
    if (const auto opened = mitigator->open(); !opened) {
      sink.message("RULES_LEFT", options.name + ": " + opened.error().message);
      return;
    }
  }
  if (const auto cleared = mitigator->clear(); !cleared) {
    sink.message("RULES_LEFT", options.name + ": " + cleared.error().message);
  }
}

}  // namespace dots::runtime
