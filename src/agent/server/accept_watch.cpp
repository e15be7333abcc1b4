#include "agent/server/accept_watch.h"

#include <algorithm>

namespace dots::agent::server {
namespace {

const model::FilterRule* accepting(const FiltersInForce& filters, const base::Cuid& cuid, const std::string& list,
                                   const std::string& entry) {
  const model::FilterRule* rule = filters.find(cuid, list, entry);
  if (rule == nullptr) return nullptr;
  // With a rate limit the entry lets nothing past a mitigation.
  const bool accepts = rule->entry.forwarding == model::Forwarding::accept && !rule->entry.rate_limit_hundredths;
  return accepts ? rule : nullptr;
}

// What was counted within a span, against `per_s`; 0 judges nothing.
bool reaches(std::uint64_t counted, std::uint64_t per_s, double seconds, double share) {
  return per_s > 0 && static_cast<double>(counted) >= static_cast<double>(per_s) * seconds * share;
}

bool protects(const ports::MitigationRecord& mitigation, const model::FilterRule& rule) {
  return std::any_of(mitigation.expanded.begin(), mitigation.expanded.end(), [&](const model::Prefix& target) {
    return std::any_of(rule.destinations.begin(), rule.destinations.end(),
                       [&](const model::Prefix& prefix) { return prefix.overlaps(target.masked()); });
  });
}

}  // namespace

void AcceptWatch::counted(const mitigation::FilterCounts& counts, const FiltersInForce& filters, base::SteadyTime now) {
  for (const auto& one : counts.counters) {
    if (one.counters.packets == 0) continue;
    if (accepting(filters, counts.key.cuid, counts.key.list, one.entry) == nullptr) continue;
    model::RuleCounters& sum = entries_[{counts.key.cuid, counts.key.list, one.entry}].in_window;
    sum.packets += one.counters.packets;
    sum.bytes += one.counters.bytes;
  }
  if (!entries_.empty() && !window_) window_ = now;
}

std::optional<base::SteadyTime> AcceptWatch::next_deadline() const {
  if (!window_) return std::nullopt;
  return *window_ + kWindow;
}

std::vector<signal::server::AcceptListReport> AcceptWatch::on_timer(const policy::DomainPolicy& policy,
                                                                    const FiltersInForce& filters,
                                                                    const Running& running, base::SteadyTime now) {
  std::vector<signal::server::AcceptListReport> reports;
  if (!window_ || now < *window_ + kWindow) return reports;
  const double seconds = std::chrono::duration<double>(now - *window_).count();
  const auto at_least = [&](const model::RuleCounters& sum, double share) {
    return reaches(sum.packets, policy.accept_list_alarm_pps, seconds, share) ||
           reaches(sum.bytes, policy.accept_list_alarm_bps, seconds, share);
  };
  std::map<std::pair<base::Cuid, base::Mid>, std::set<std::string>> conflicts;
  for (auto at = entries_.begin(); at != entries_.end();) {
    const auto& [cuid, list, name] = at->first;
    Entry& entry = at->second;
    const model::FilterRule* rule = accepting(filters, cuid, list, name);
    entry.above = at_least(entry.in_window, 1) ? entry.above + 1 : 0;
    entry.below = at_least(entry.in_window, 0.5) ? 0 : entry.below + 1;
    entry.in_window = {};
    if (entry.above >= kRaiseAfter) entry.alarmed = true;
    if (entry.below >= kClearAfter) entry.alarmed = false;
    // One that is not in force any more lets nothing through.
    if (rule == nullptr || (!entry.alarmed && entry.below > 0)) {
      at = entries_.erase(at);
      continue;
    }
    if (entry.alarmed) {
      for (const ports::MitigationRecord* mitigation : running(cuid)) {
        if (protects(*mitigation, *rule)) conflicts[{cuid, mitigation->mid}].insert(list);
      }
    }
    ++at;
  }
  for (const auto& [key, names] : conflicts) {
    reports.push_back({key.first, key.second, {names.begin(), names.end()}});
  }
  for (const auto& [key, names] : told_) {
    if (!conflicts.contains(key)) reports.push_back({key.first, key.second, {}});
  }
  told_.clear();
  for (const auto& report : reports) {
    if (!report.acl_names.empty()) told_[{report.cuid, report.mid}] = report.acl_names;
  }
  window_ = entries_.empty() && told_.empty() ? std::nullopt : std::optional(now);
  return reports;
}

}  // namespace dots::agent::server
