// Do sources on accept-lists take part in an attack (RFC 9132 4.4.1.3, conflict-cause 2; RFC 9133 4.1)? Pure.
//
// A back end counts what each entry of a list lets through. An entry that accepts lets an attack through when it lets
// through more than the operator's threshold, for some time, while a mitigation of the same client runs towards the
// same addresses. docs/decisions/conflicts.md tells why it is judged so.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "agent/server/filters_in_force.h"
#include "base/time.h"
#include "mitigation/filters.h"
#include "policy/domain_policy.h"
#include "ports/store.h"
#include "signal/server/events.h"

namespace dots::agent::server {

class AcceptWatch {
 public:
  static constexpr base::Duration kWindow = std::chrono::seconds{5};
  static constexpr int kRaiseAfter = 2;  // windows in a row above the threshold
  static constexpr int kClearAfter = 6;  // windows in a row below half of it

  // Of a cuid: its mitigations that run.
  using Running = std::function<std::vector<const ports::MitigationRecord*>(const base::Cuid&)>;

  void counted(const mitigation::FilterCounts& counts, const FiltersInForce& filters, base::SteadyTime now);
  // Ends the window that is due, and says for each mitigation which accept-lists it is in conflict with.
  std::vector<signal::server::AcceptListReport> on_timer(const policy::DomainPolicy& policy,
                                                         const FiltersInForce& filters, const Running& running,
                                                         base::SteadyTime now);
  std::optional<base::SteadyTime> next_deadline() const;

 private:
  struct Entry {
    model::RuleCounters in_window;
    int above = 0;
    int below = 0;
    bool alarmed = false;
  };
  using Name = std::tuple<base::Cuid, std::string, std::string>;  // cuid, list, entry
  std::map<Name, Entry> entries_;
  std::optional<base::SteadyTime> window_;                                     // its beginning
  std::map<std::pair<base::Cuid, base::Mid>, std::vector<std::string>> told_;  // conflicts that stand
};

}  // namespace dots::agent::server
