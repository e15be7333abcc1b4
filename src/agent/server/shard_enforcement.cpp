// The filters in force of a shard's domains: told to the back ends after the commit, counted back, watched.
#include <utility>

#include "agent/server/shard.h"

namespace dots::agent::server {

void Shard::filters_anew(const base::DomainId& id, Owned& owned) {
  owned.filters.forget_told();
  filters_due_.insert(id);
}

void Shard::update_filters() {
  for (const base::DomainId& id : std::exchange(filters_due_, {})) {
    const auto it = domains_.find(id);
    // What is read from the store says everything again.
    if (it == domains_.end() || it->second.reloading) continue;
    Owned& owned = it->second;
    owned.filters_seen = {owned.data.filters_version(), owned.machine.mitigating_version()};
    const auto effective = owned.data.effective([&](const base::Cuid& cuid) { return owned.machine.mitigating(cuid); });
    FiltersInForce::News news = owned.filters.update(owned.machine.rules().policy(), effective);
    if (news.wants) gate_.add(std::move(*news.wants));
    if (!news.lines.empty()) gate_.add(id, {}, DataAnswer{0, {}, std::move(news.lines)});
  }
}

void Shard::on_filter_counts(const std::vector<mitigation::FilterCounts>& counts, base::Now now) {
  for (const auto& one : counts) {
    const auto it = domains_.find(one.key.domain);
    if (it == domains_.end()) continue;
    Owned& owned = it->second;
    for (const auto& [entry, counters] : one.counters) {
      owned.data.count(one.key.cuid, one.key.list, entry, counters.packets, counters.bytes);
    }
    owned.accepts.counted(one, owned.filters, now.steady);
    arm(one.key.domain, owned);
  }
}

void Shard::watch_accepts(const base::DomainId& id, Owned& owned, base::Now now) {
  const auto reports = owned.accepts.on_timer(
      owned.machine.rules().policy(), owned.filters,
      [&](const base::Cuid& cuid) { return owned.machine.running(cuid); }, now.steady);
  for (const auto& report : reports) step(id, owned, report, now);
  arm(id, owned);
}

std::vector<FilterListView> Shard::filters(base::Now now) const {
  std::vector<FilterListView> views;
  for (const auto& [id, owned] : domains_) {
    for (const data::FilterView& one : owned.data.filters()) {
      FilterListView view;
      view.key = {id, one.cuid, one.filter->name};
      view.client = one.client;
      view.activation = one.filter->activation;
      view.entries = one.filter->entries;
      view.remaining = std::max(base::Duration::zero(), one.expires - now.steady);
      view.mitigating = owned.machine.mitigating(one.cuid);
      view.in_force = owned.filters.find(one.cuid, one.filter->name) != nullptr;
      view.left_out = owned.filters.left_out(one.cuid, one.filter->name);
      views.push_back(std::move(view));
    }
  }
  return views;
}

}  // namespace dots::agent::server
