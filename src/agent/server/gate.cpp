#include "agent/server/gate.h"

#include <algorithm>
#include <cassert>
#include <iterator>

namespace dots::agent::server {

using signal::server::Persist;

void Gate::add(const base::DomainId& domain, std::vector<signal::server::Effect> effects,
               std::optional<Release> release) {
  if (release) gathered_.releases.push_back(std::move(*release));
  for (auto& effect : effects) {
    if (auto* persist = std::get_if<Persist>(&effect)) {
      gathered_.changes.push_back(std::move(persist->change));
      gathered_.domains.insert(domain);
    }
  }
  for (auto& effect : effects) {
    if (std::holds_alternative<Persist>(effect)) continue;
    std::visit([&](auto& shown) { gathered_.visible.push_back({domain, std::move(shown)}); }, effect);
  }
}

void Gate::add(const base::DomainId& domain, std::vector<ports::Change> changes, DataAnswer answer) {
  if (!changes.empty()) gathered_.domains.insert(domain);
  for (auto& change : changes) gathered_.changes.push_back(std::move(change));
  gathered_.visible.push_back({domain, std::move(answer)});
}

void Gate::add(mitigation::DomainFilters filters) {
  const base::DomainId domain = filters.domain;
  gathered_.visible.push_back({domain, std::move(filters)});
}

std::optional<std::vector<ports::Change>> Gate::next_batch() {
  if (out_) return std::nullopt;
  if (gathered_.changes.empty()) {
    for (auto& visible : gathered_.visible) ready_.push_back(std::move(visible));
    gathered_ = {};
    return std::nullopt;
  }
  std::vector<ports::Change> batch = std::move(gathered_.changes);
  out_is_release_ =
      std::all_of(batch.begin(), batch.end(), [](const ports::Change& change) { return ports::is_release(change); });
  held_ = std::move(gathered_.visible);
  held_domains_ = std::move(gathered_.domains);
  held_releases_ = std::move(gathered_.releases);
  gathered_ = {};
  out_ = true;
  return batch;
}

std::vector<Visible> Gate::released() { return std::exchange(ready_, {}); }

Gate::Settled Gate::settled(bool committed) {
  assert(out_);
  out_ = false;
  Settled result;
  if (committed) {
    for (auto& visible : held_) ready_.push_back(std::move(visible));
  } else {
    result.failed = std::move(held_);
    for (auto& visible : gathered_.visible) result.failed.push_back(std::move(visible));
    result.to_reload = std::move(held_domains_);
    result.to_reload.merge(gathered_.domains);
    // What was held for other domains is lost with the batch: their reload says again what they want.
    for (const auto& visible : result.failed) result.to_reload.insert(visible.domain);
    result.was_release = out_is_release_;
    result.releases = std::move(held_releases_);
    std::move(gathered_.releases.begin(), gathered_.releases.end(), std::back_inserter(result.releases));
    gathered_ = {};
  }
  held_.clear();
  held_releases_.clear();
  held_domains_.clear();
  return result;
}

}  // namespace dots::agent::server
