// What the back ends say about rules and counters (docs/decisions/status.md).
#include <utility>

#include "signal/server/answers.h"
#include "signal/server/machine.h"

namespace dots::signal::server {

void Machine::on_event(const RulesReport& report, base::Now now) {
  Mitigation* mitigation = find(report.cuid, report.mid);
  if (mitigation == nullptr || !mitigation->has_rules()) return;
  const auto shown = [&] { return std::pair{shown_status(*mitigation), mitigation->trouble()}; };
  const auto before = shown();
  mitigation->rules = report.state;
  mitigation->rules_reason = report.state == RulesReport::State::installed ? std::string{} : report.reason;
  mitigation->rules_why = report.why;
  mitigation->without = report.without;
  if (report.withheld) hold(*mitigation, {});
  if (report.state == RulesReport::State::installed) mitigation->audited_failure.clear();
  if (report.state == RulesReport::State::failed && mitigation->audited_failure != report.reason) {
    mitigation->audited_failure = report.reason;
    audit(now, "server", "install", mitigation->key(), "failed",
          "the back end could not install the rules: " + report.reason + "; it is tried again");
  }
  if (shown() != before) changed(mitigation->key(), now);
}

void Machine::on_event(const BackEndsReport& report, base::Now) {
  if (report.able) {
    unable_.reset();
  } else {
    unable_ = report.reason;
  }
}

void Machine::on_event(const CountersReport& report, base::Now now) {
  // Shown with the next status; a count is no change of status.
  Mitigation* mitigation = find(report.cuid, report.mid);
  if (mitigation == nullptr || !mitigation->has_rules()) return;
  mitigation->counters = report.counters;
  if (!planner_->looks_at_volume() || !report.counters.bytes_dropped) return;
  const bool other = mitigation->volume.measured(*report.counters.bytes_dropped, now.steady);
  watch_volume(*mitigation);
  if (other) want(*mitigation, now);
}

// One timer for each, looked at when it fires: reports come every second.
void Machine::watch_volume(Mitigation& mitigation) {
  const auto at = mitigation.volume.forgotten_at();
  if (at && !mitigation.volume_timer.is_set())
    timers_.set(mitigation.volume_timer, *at, {Alarm::Kind::volume, mitigation.key(), 0, {}});
}

void Machine::on_volume_timer(const Key& key, base::Now now) {
  Mitigation* mitigation = find(key.cuid, key.mid);
  if (mitigation == nullptr) return;
  mitigation->volume_timer = {};
  if (mitigation->volume.forget(now.steady)) return want(*mitigation, now);
  watch_volume(*mitigation);
}

}  // namespace dots::signal::server
