// What the worker tells: states of owners, counters, and that somebody else was at the back end.
#include <chrono>

#include "adapters/net/event_loop.h"
#include "apps/runtime/mitigator_state.h"

namespace dots::runtime {

using mitigation::OwnerReport;
using mitigation::RuleState;

namespace {
// Averages fall while nothing is dropped; nobody needs that every second.
constexpr base::Duration kAllCountersEvery = std::chrono::seconds{10};
}  // namespace

void MitigatorRunner::State::report() {
  report_filters();
  std::vector<OwnerReport> reports;
  std::size_t rules = 0;
  {
    const std::lock_guard lock(mutex);
    reports = reconciler.reports();
    rules = reconciler.rules();
    for (OwnerReport& one : reports) {
      // Installed rules stay in force while their back end cannot be reached; others are not there, and that is known.
      if (was_held)
        one = {one.owner, RuleState::failed, "held: the emergency marker is set, so nothing is installed", {}};
      if (!was_held && !available && one.state == RuleState::pending) {
        one = {one.owner, RuleState::failed, options.name + " is " + why_not, model::RefusalReason::hardware};
        one.away = true;
      }
      // One that has to confirm cannot while it is away: routes go with the daemon that announced them.
      if (!was_held && !available && abilities.confirms && one.state == RuleState::installed) {
        one = {one.owner, RuleState::taken, options.name + " is " + why_not, {}};
      }
    }
  }
  if (reports.empty()) return;
  sink.gauge("dots_mitigator_rules", options.name, static_cast<double>(rules));
  tell(std::move(reports));
}

void MitigatorRunner::State::tell(std::vector<OwnerReport> reports) {
  const bool unwell = !failed.empty() || !failed_filters.empty();
  for (const OwnerReport& one : reports) {
    if (one.state != RuleState::failed) {
      failed.erase(one.owner);
    } else if (available) {
      failed.insert(one.owner);
      sink.message("RULE_REFUSED", options.name + ": mitigation " + std::to_string(one.owner.mid.value) +
                                       " of client " + one.owner.cuid.value + ", domain " + one.owner.domain.value +
                                       ": " + one.reason);
    }
  }
  const base::SteadyTime now = adapters::net::clock_now().steady;
  for (const OwnerReport& one : reports) {
    if (!one.asked_at) continue;
    sink.observe("dots_time_to_mitigate_seconds", options.name,
                 std::chrono::duration<double>(now - *one.asked_at).count());
  }
  tell_health(unwell, reports.front().reason);
  if (callbacks.reported) callbacks.reported(reports);
}

void MitigatorRunner::State::tell_health(bool was_unwell, const std::string& reason) {
  const bool unwell = !failed.empty() || !failed_filters.empty();
  if (unwell != was_unwell) sink.health("MITIGATOR_REFUSES", options.name, unwell, reason);
}

void MitigatorRunner::State::report_filters() {
  std::vector<mitigation::FilterReport> reports;
  std::size_t lists = 0;
  const bool unwell = !failed.empty() || !failed_filters.empty();
  {
    const std::lock_guard lock(mutex);
    reports = filters.reports();
    lists = filters.lists();
    std::erase_if(failed_filters, [this](const auto& key) { return !filters.wants(key); });
  }
  if (lists > 0 && !abilities.filters && !std::exchange(told_no_filters, true)) {
    sink.message("FILTERS_UNSUPPORTED", options.name);
  }
  std::string reason;
  for (const auto& one : reports) {
    if (one.state != RuleState::failed) {
      failed_filters.erase(one.key);
    } else if (available) {
      failed_filters.insert(one.key);
      reason = one.reason;
      sink.message("FILTER_REFUSED", options.name + ": " + model::to_string(one.key) + ": " + one.reason);
    }
  }
  if (!reports.empty()) sink.gauge("dots_mitigator_filters", options.name, static_cast<double>(lists));
  tell_health(unwell, reason);
}

void MitigatorRunner::State::read_here(base::Now now) {
  const base::SteadyTime began = runner_now().steady;
  auto listing = mitigator->list();
  const base::SteadyTime ended = runner_now().steady;
  // At most a fifth of the time goes into reading, however long the list is.
  read_not_before = ended + (ended - began) * 4;
  read_at = std::max<base::SteadyTime>(ended + options.counters_every, read_not_before);
  if (!listing) return down(listing.error().message, now);
  take_reading({std::move(*listing), changes, version, filters_version}, runner_now());
}

void MitigatorRunner::State::take_reading(Reading seen, base::Now now) {
  {
    const std::lock_guard lock(mutex);
    if (abilities.confirms) {
      reconciler.confirmed(seen.listing.rules, seen.version);
      filters.confirmed(seen.listing.filters, seen.filters_version);
    }
    links = seen.listing.links;
  }
  tell_links();
  // Counters of rules whose owners are still to come would be lost to them.
  if (now.steady < grace_until) return report();
  bool agrees = true;
  {
    const std::lock_guard lock(mutex);
    if (seen.changes == changes && seen.listing.foreign.empty()) {
      std::vector<model::Rule> rules;
      for (const auto& one : seen.listing.rules) rules.push_back(one.rule);
      agrees = reconciler.agrees_with(rules) && (!abilities.filters || filters.agrees_with(seen.listing.filters));
    }
    filters.counted(seen.listing.filters, seen.filters_version);
    std::vector<std::pair<model::Rule, model::RuleCounters>> counters;
    counters.reserve(seen.listing.rules.size());
    for (auto& one : seen.listing.rules) counters.emplace_back(std::move(one.rule), one.counters);
    reconciler.counted(counters, seen.version, now);
  }
  remove_foreign(seen.listing.foreign);
  if (!agrees) {
    sink.message("RULES_CHANGED_OUTSIDE", options.name);
    if (const auto opened = mitigator->open(); !opened) return down(opened.error().message, now);
    if (!send_exemptions(now) || !learn(now)) return;
    again = true;
  }
  report();  // of confirmations
  if (abilities.counts) report_counters(now);
}

// Only this thread writes them.
void MitigatorRunner::State::tell_links() {
  std::set<std::string> down;
  std::string reason;
  for (const auto& link : links) {
    if (link.up) {
      if (told_links.contains(link.name)) sink.message("MITIGATOR_LINK_UP", options.name + ": " + link.name);
      continue;
    }
    const std::string what = link.name + " (" + link.state + ")";
    if (!told_links.contains(link.name)) sink.message("MITIGATOR_LINK_DOWN", options.name + ": " + what);
    down.insert(link.name);
    reason += (reason.empty() ? "" : ", ") + what;
  }
  if (down != told_links) sink.health("MITIGATOR_LINK_DOWN", options.name, !down.empty(), reason);
  told_links = std::move(down);
}

void MitigatorRunner::State::report_counters(base::Now now) {
  const bool all = now.steady >= counted_all_at;
  if (all) counted_all_at = now.steady + kAllCountersEvery;
  std::vector<mitigation::OwnerCounters> fresh;
  model::RuleCounters total;
  std::vector<mitigation::FilterCounts> filter_counts;
  {
    const std::lock_guard lock(mutex);
    for (auto& one : reconciler.owner_counters(now)) {
      auto& last = counted[one.owner];
      const bool more =
          one.counters.pkts_dropped != last.pkts_dropped || one.counters.bytes_dropped != last.bytes_dropped;
      if (more || (all && one.counters != last)) {
        last = one.counters;
        fresh.push_back(std::move(one));
      }
    }
    total = reconciler.dropped();
    total.packets += filters.dropped().packets;
    total.bytes += filters.dropped().bytes;
    const auto span_ms = std::chrono::duration_cast<std::chrono::milliseconds>(now.steady - dropped_at).count();
    if (span_ms > 0) dropped_bits_per_s = (total.bytes - dropped.bytes) * 8000 / static_cast<std::uint64_t>(span_ms);
    dropped_at = now.steady;
    filter_counts = filters.fresh_counts();
  }
  if (!filter_counts.empty() && callbacks.filters_counted) callbacks.filters_counted(std::move(filter_counts));
  if (total.packets > dropped.packets) {
    sink.count("dots_dropped_packets_total", options.name, total.packets - dropped.packets);
    sink.count("dots_dropped_bytes_total", options.name, total.bytes - dropped.bytes);
  }
  dropped = total;
  if (!fresh.empty() && callbacks.counted) callbacks.counted(fresh);
}

void MitigatorRunner::State::read_beside() {
  bool open = false;
  bool told = false;
  const auto every = std::chrono::duration_cast<std::chrono::steady_clock::duration>(options.counters_every);
  for (;;) {
    const auto began = std::chrono::steady_clock::now();
    Reading seen;
    seen.changes = changes;
    seen.version = version;
    seen.filters_version = filters_version;
    open = open || reader->open().ok();
    auto listing = open ? reader->list() : base::Result<ports::Mitigator::Listing>(base::Error{"not open"});
    if (listing) {
      told = false;
      seen.listing = std::move(*listing);
    } else {
      open = false;
    }
    std::unique_lock lock(mutex);
    if (listing) {
      reading = std::move(seen);
      wake.notify_all();
    } else if (available && !held && !told) {
      // When the back end is down as a whole, that has been said.
      told = true;
      sink.message("COUNTERS_UNAVAILABLE", options.name + ": " + listing.error().message);
    }
    // Reading takes at most a fifth of this thread's time, however long the list is.
    const auto took = std::chrono::steady_clock::now() - began;
    reader_wake.wait_until(lock, std::max(began + every, began + took * 5), [this] { return stopping; });
    if (stopping) return;
  }
}

}  // namespace dots::runtime
