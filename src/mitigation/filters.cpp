#include "mitigation/filters.h"

#include <algorithm>
#include <array>
#include <deque>
#include <map>
#include <set>
#include <string_view>
#include <tuple>
#include <utility>

#include "mitigation/tally.h"

namespace dots::mitigation {
namespace {

using Key = model::FilterListKey;
using Order = std::pair<std::uint64_t, Key>;  // the number of the wish goes first

struct EntryTally {
  RuleTally tally;
  model::RuleCounters told;
  bool ever_told = false;
};

constexpr int kMostDoublings = 6;

struct Entry {
  std::shared_ptr<const model::FilterList> desired;
  std::string digest;                    // of what is desired
  std::optional<std::string> installed;  // digest; meaningful while the back end is known
  std::uint64_t order = 0;
  std::string reason;
  base::WallTime since{};
  std::string failure;  // set: the last try failed
  int refusals = 0;     // in a row
  std::optional<base::SteadyTime> retry_at;
  std::optional<base::WallTime> installed_at;
  std::string not_in_force;   // what is missing, by the word of a back end that confirms
  std::uint64_t version = 0;  // of the reconciler when it was installed
  std::map<std::string, EntryTally> tallies;
  std::set<std::string> passing;  // entries of `desired` that let through all that they count
  bool fresh = false;             // something was counted that was not told
  std::optional<std::pair<RuleState, std::string>> reported;

  bool settled() const { return desired ? installed == digest : !installed; }
  std::size_t size() const { return desired ? desired->rules.size() : 1; }
};

}  // namespace

struct FilterReconciler::State {
  std::map<Key, Entry> entries;
  std::array<std::set<Order>, 2> due;                  // by Phase: not settled, and not waiting
  std::array<std::deque<std::vector<Key>>, 2> split;   // parts of failed batches, tried before anything else
  std::set<std::pair<base::SteadyTime, Key>> waiting;  // failed
  std::set<Key> touched;
  model::RuleCounters dropped;
  std::uint64_t wishes = 0;
  std::uint64_t version = 0;
  std::size_t installed = 0;
  bool known = false;
  bool confirms = false;
  bool keep_unexplained = false;
  struct Out {
    Phase phase = Phase::install;
    std::vector<std::pair<Key, std::string>> lists;  // with the digest
    std::uint64_t version = 0;
  };
  std::optional<Out> out;

  static std::size_t index(Phase phase) { return static_cast<std::size_t>(phase); }

  void wish(const FilterWant& want, base::WallTime now) {
    const auto known_entry = entries.find(want.key);
    if (known_entry == entries.end() && !want.list) return;
    Entry& entry = entries[want.key];
    std::string digest = want.list ? model::digest_of(*want.list) : std::string{};
    entry.reason = want.reason;
    if (want.list && !entry.desired) entry.since = now;
    const bool same = digest == entry.digest;
    entry.desired = want.list;
    if (same && known_entry != entries.end()) return;
    unfile(want.key, entry);
    entry.order = ++wishes;
    entry.digest = std::move(digest);
    entry.failure.clear();
    entry.refusals = 0;
    std::set<std::string_view> names;
    entry.passing.clear();
    if (want.list) {
      for (const model::FilterRule& rule : want.list->rules) {
        names.insert(rule.entry.name);
        const bool limits = rule.entry.rate_limit_hundredths.has_value();
        if (rule.entry.forwarding == model::Forwarding::accept && !limits) entry.passing.insert(rule.entry.name);
      }
    }
    std::erase_if(entry.tallies, [&](const auto& one) { return !names.contains(one.first); });
    settle(want.key);
  }

  void has_installed(const Key& key, std::optional<std::string> digest, base::WallTime now) {
    Entry& entry = entries[key];
    if (entry.installed != digest) {
      for (auto& [name, one] : entry.tallies) one.tally.reinstalled();
      entry.version = version;
      entry.installed_at = digest ? std::optional(now) : std::nullopt;
      entry.not_in_force = digest && confirms ? "not confirmed yet" : "";
    }
    if (entry.installed) --installed;
    if (digest) ++installed;
    entry.installed = std::move(digest);
  }

  void unfile(const Key& key, Entry& entry) {
    for (auto& phase : due) phase.erase({entry.order, key});
    if (entry.retry_at) waiting.erase({*entry.retry_at, key});
    entry.retry_at.reset();
  }

  // Files what is to be done for a list; erases one that nobody needs.
  void settle(const Key& key) {
    Entry& entry = entries.at(key);
    touched.insert(key);
    if (entry.retry_at && !entry.settled()) return;  // it failed and nothing is new about it
    unfile(key, entry);
    if (!entry.settled()) {
      due[index(entry.desired ? Phase::install : Phase::remove)].insert({entry.order, key});
      return;
    }
    entry.failure.clear();
    entry.refusals = 0;
    if (!entry.desired) entries.erase(key);
  }

  // Each refusal in a row doubles the pause: a list that the back end cannot take must not keep it busy.
  void failed(const Key& key, const std::string& failure, base::SteadyTime now, base::Duration retry_after) {
    const auto at = entries.find(key);
    if (at == entries.end() || at->second.settled()) return;
    Entry& entry = at->second;
    unfile(key, entry);
    entry.failure = failure.empty() ? "refused by the back end" : failure;
    const base::SteadyTime retry_at = now + retry_after * (1 << std::min(entry.refusals, kMostDoublings));
    ++entry.refusals;
    entry.retry_at = retry_at;
    waiting.emplace(retry_at, key);
    touched.insert(key);
  }

  void wake(base::SteadyTime now) {
    while (!waiting.empty() && waiting.begin()->first <= now) {
      const Key key = waiting.begin()->second;
      unfile(key, entries.at(key));
      settle(key);  // the failure text stays until the next try succeeds
    }
  }

  std::vector<Key> choose(Phase phase, std::size_t limit) {
    const auto& wanted = due[index(phase)];
    auto& parts = split[index(phase)];
    while (!parts.empty()) {
      std::vector<Key> part = std::move(parts.front());
      parts.pop_front();
      std::erase_if(part, [&](const Key& key) {
        const auto at = entries.find(key);
        return at == entries.end() || !wanted.contains({at->second.order, key});
      });
      if (!part.empty()) return part;
    }
    std::vector<Key> chosen;
    std::size_t size = 0;
    for (const auto& [order, key] : wanted) {
      const std::size_t more = entries.at(key).size();
      if (!chosen.empty() && size + more > limit) break;
      chosen.push_back(key);
      size += more;
    }
    return chosen;
  }

  std::pair<RuleState, std::string> state_of(const Entry& entry) const {
    if (!entry.failure.empty()) return {RuleState::failed, entry.failure};
    if (!entry.settled()) return {RuleState::pending, {}};
    if (entry.desired && !entry.not_in_force.empty()) return {RuleState::taken, entry.not_in_force};
    return {RuleState::installed, {}};
  }
};

FilterReconciler::FilterReconciler() : state_(std::make_unique<State>()) {}
FilterReconciler::~FilterReconciler() = default;
FilterReconciler::FilterReconciler(FilterReconciler&&) noexcept = default;
FilterReconciler& FilterReconciler::operator=(FilterReconciler&&) noexcept = default;

void FilterReconciler::want(const DomainFilters& wants, base::Now now) {
  State& s = *state_;
  if (wants.whole) {
    std::set<Key> named;
    for (const FilterWant& want : wants.lists) named.insert(want.key);
    std::vector<FilterWant> gone;
    for (auto at = s.entries.lower_bound(Key{wants.domain, {}, {}});
         at != s.entries.end() && at->first.domain == wants.domain; ++at) {
      if (at->second.desired && !named.contains(at->first)) gone.push_back({at->first, nullptr, {}});
    }
    for (const FilterWant& want : gone) s.wish(want, now.wall);
  }
  for (const FilterWant& want : wants.lists) s.wish(want, now.wall);
}

void FilterReconciler::learned(const std::vector<ports::InstalledFilterList>& installed, base::Now now) {
  State& s = *state_;
  s.known = true;
  ++s.version;
  s.out.reset();
  std::map<Key, std::optional<std::string>> there;
  for (const auto& [key, entry] : s.entries) there[key] = std::nullopt;
  for (const auto& list : installed) there[list.key] = list.digest;
  for (auto& [key, digest] : there) {
    s.has_installed(key, std::move(digest), now.wall);
    s.settle(key);
  }
}

void FilterReconciler::forget_installed() {
  state_->known = false;
  state_->out.reset();
}

FilterReconciler::Difference FilterReconciler::next(Phase phase, std::size_t entries) {
  State& s = *state_;
  Difference difference;
  if (!s.known || s.out || (phase == Phase::remove && s.keep_unexplained)) return difference;
  const std::vector<Key> chosen = s.choose(phase, entries);
  if (chosen.empty()) return difference;
  difference.version = ++s.version;
  s.out = State::Out{phase, {}, s.version};
  for (const Key& key : chosen) {
    const Entry& entry = s.entries.at(key);
    s.out->lists.emplace_back(key, entry.digest);
    difference.changes.push_back({key, entry.desired ? std::optional(*entry.desired) : std::nullopt});
  }
  return difference;
}

void FilterReconciler::applied(std::uint64_t version, bool ok, const std::string& failure, base::Now now,
                               base::Duration retry_after) {
  State& s = *state_;
  if (!s.out || s.out->version != version) return;
  const State::Out batch = std::move(*s.out);
  s.out.reset();
  if (ok) {
    for (const auto& [key, digest] : batch.lists) {
      s.has_installed(key, batch.phase == Phase::install ? std::optional(digest) : std::nullopt, now.wall);
      s.settle(key);
    }
  } else if (batch.lists.size() == 1) {
    s.failed(batch.lists.front().first, failure, now.steady, retry_after);
  } else {
    std::vector<Key> keys;
    for (const auto& [key, digest] : batch.lists) keys.push_back(key);
    const auto middle = keys.begin() + static_cast<std::ptrdiff_t>(keys.size() / 2);
    auto& parts = s.split[State::index(batch.phase)];
    parts.emplace_front(middle, keys.end());
    parts.emplace_front(keys.begin(), middle);
  }
}

std::optional<base::SteadyTime> FilterReconciler::next_deadline() const {
  if (state_->waiting.empty()) return std::nullopt;
  return state_->waiting.begin()->first;
}

void FilterReconciler::wake(base::Now now) { state_->wake(now.steady); }

void FilterReconciler::keep_unexplained(bool on) { state_->keep_unexplained = on; }

std::uint64_t FilterReconciler::version() const { return state_->version; }

void FilterReconciler::expect_confirmation(bool on) { state_->confirms = on; }

void FilterReconciler::confirmed(const std::vector<ports::InstalledFilterList>& seen, std::uint64_t as_of) {
  for (const auto& list : seen) {
    const auto at = state_->entries.find(list.key);
    if (at == state_->entries.end()) continue;
    Entry& entry = at->second;
    if (entry.installed != list.digest || entry.version > as_of || entry.not_in_force == list.not_in_force) continue;
    entry.not_in_force = list.not_in_force;
    state_->touched.insert(list.key);
  }
}

void FilterReconciler::counted(const std::vector<ports::InstalledFilterList>& seen, std::uint64_t as_of) {
  for (const auto& list : seen) {
    const auto at = state_->entries.find(list.key);
    if (at == state_->entries.end() || at->second.installed != list.digest || at->second.version > as_of) continue;
    Entry& entry = at->second;
    if (!entry.desired) continue;
    for (const auto& one : list.counters) {
      EntryTally& tally = entry.tallies[one.entry];
      const model::RuleCounters before = tally.tally.total();
      tally.tally.counted(one.counters);
      if (!entry.passing.contains(one.entry)) {
        state_->dropped.packets += tally.tally.total().packets - before.packets;
        state_->dropped.bytes += tally.tally.total().bytes - before.bytes;
      }
      entry.fresh = entry.fresh || !tally.ever_told || tally.tally.total() != before;
    }
  }
}

model::RuleCounters FilterReconciler::dropped() const { return state_->dropped; }

std::vector<FilterCounts> FilterReconciler::fresh_counts() {
  std::vector<FilterCounts> out;
  for (auto& [key, entry] : state_->entries) {
    if (!std::exchange(entry.fresh, false)) continue;
    FilterCounts counts{key, {}};
    for (auto& [name, one] : entry.tallies) {
      const model::RuleCounters& total = one.tally.total();
      if (one.ever_told && total == one.told) continue;
      counts.counters.push_back({name, {total.packets - one.told.packets, total.bytes - one.told.bytes}});
      one.told = total;
      one.ever_told = true;
    }
    out.push_back(std::move(counts));
  }
  return out;
}

std::vector<FilterReport> FilterReconciler::reports() {
  std::vector<FilterReport> out;
  for (const Key& key : std::exchange(state_->touched, {})) {
    const auto at = state_->entries.find(key);
    if (at == state_->entries.end()) continue;
    auto state = state_->state_of(at->second);
    if (at->second.reported == state) continue;
    at->second.reported = state;
    out.push_back({key, state.first, std::move(state.second)});
  }
  return out;
}

void FilterReconciler::report_all() {
  for (auto& [key, entry] : state_->entries) {
    entry.reported.reset();
    state_->touched.insert(key);
  }
}

std::vector<FilterStory> FilterReconciler::stories() const {
  std::vector<FilterStory> out;
  out.reserve(state_->entries.size());
  for (const auto& [key, entry] : state_->entries) {
    FilterStory story{key, entry.desired, {}, {}, entry.reason, entry.since, entry.installed_at, {}};
    std::tie(story.state, story.failure) = state_->state_of(entry);
    for (const auto& [name, one] : entry.tallies) story.counters.push_back({name, one.tally.total()});
    out.push_back(std::move(story));
  }
  return out;
}

bool FilterReconciler::agrees_with(const std::vector<ports::InstalledFilterList>& installed) const {
  if (installed.size() != state_->installed) return false;
  return std::all_of(installed.begin(), installed.end(), [&](const ports::InstalledFilterList& list) {
    const auto at = state_->entries.find(list.key);
    return at != state_->entries.end() && at->second.installed == list.digest;
  });
}

bool FilterReconciler::wants(const model::FilterListKey& key) const {
  const auto at = state_->entries.find(key);
  return at != state_->entries.end() && at->second.desired;
}

bool FilterReconciler::quiescent() const {
  const State& s = *state_;
  return s.known && !s.out && s.due[0].empty() && (s.keep_unexplained || s.due[1].empty()) && s.waiting.empty();
}

std::size_t FilterReconciler::lists() const { return state_->entries.size(); }

}  // namespace dots::mitigation
