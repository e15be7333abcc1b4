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
  if (mitigation->volume.measured(*report.counters.bytes_dropped, now.steady)) want(*mitigation, now);
}

}  // namespace dots::signal::server
