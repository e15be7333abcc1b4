#include "mitigation/reconcile_state.h"

#include <algorithm>
#include <tuple>

namespace dots::mitigation {
namespace {

// True when `a` lets less through than `b`: blackhole, drop, lower limit.
bool stricter(const model::Rule& a, const model::Rule& b) {
  const auto rank = [](const model::Rule& rule) {
    switch (rule.action) {
      case model::RuleAction::blackhole:
        return 0;
      case model::RuleAction::drop:
        return 1;
      case model::RuleAction::limit:
        return 2;
    }
    return 3;
  };
  return std::tuple(rank(a), a.rate_limit_bps) < std::tuple(rank(b), b.rate_limit_bps);
}

}  // namespace

void Reconciler::State::wish(const Want& want, base::Now now) {
  const auto found = owners.find(want.owner);
  if (want.rules.empty()) {
    if (found == owners.end()) return;
    Owner gone = std::move(found->second);
    owners.erase(found);
    touched.erase(want.owner);
    for (const auto& [match, baseline] : gone.baselines) {
      entries.at(match).wanters.erase(want.owner);
      settle(match);
    }
    return;
  }
  Owner& owner = owners[want.owner];
  if (found == owners.end()) owner.since = now;
  owner.reason = want.reason;
  owner.until = want.until;
  if (want.asked_at) owner.asked_at = want.asked_at;
  touched.insert(want.owner);

  std::map<RuleMatch, model::Rule> wanted;
  for (const model::Rule& rule : want.rules) {
    const auto [it, fresh] = wanted.emplace(rule.match, rule);
    if (!fresh && stricter(rule, it->second)) it->second = rule;
  }
  std::vector<RuleMatch> surplus;
  for (const auto& [match, baseline] : owner.baselines) {
    if (!wanted.contains(match)) surplus.push_back(match);
  }
  for (const RuleMatch& match : surplus) drop_wish(want.owner, owner, match);
  for (const auto& [match, rule] : wanted) {
    Entry& entry = entries[match];
    entry.wanters[want.owner] = rule;
    owner.baselines.emplace(match, entry.tally.total());
    settle(match);
  }
}

void Reconciler::State::drop_wish(const RuleOwner& id, Owner& owner, const RuleMatch& match) {
  Entry& entry = entries.at(match);
  const model::RuleCounters& baseline = owner.baselines.at(match);
  owner.tally.retire({entry.tally.total().packets - baseline.packets, entry.tally.total().bytes - baseline.bytes});
  owner.baselines.erase(match);
  entry.wanters.erase(id);
  settle(match);
}

void Reconciler::State::has_installed(const RuleMatch& match, const std::optional<model::Rule>& rule,
                                      base::WallTime now) {
  Entry& entry = entries[match];
  if (entry.installed != rule) {
    entry.tally.reinstalled();
    entry.version = version;
    entry.installed_at = rule ? std::optional(now) : std::nullopt;
    entry.not_in_force = rule && confirms ? "not confirmed yet" : "";
  }
  if (entry.installed) --installed;
  if (rule) ++installed;
  entry.installed = rule;
}

void Reconciler::State::failed(const RuleMatch& match, const ports::MitigatorFault& fault, base::SteadyTime retry_at) {
  const auto it = entries.find(match);
  if (it == entries.end() || it->second.settled()) return;
  Entry& entry = it->second;
  unfile(match, entry);
  entry.failure = fault.message.empty() ? "refused by the back end" : fault.message;
  entry.why = fault.reason;
  entry.retry_at = retry_at;
  waiting.emplace(retry_at, match);
  for (const auto& [owner, rule] : entry.wanters) touched.insert(owner);
}

void Reconciler::State::wake(base::SteadyTime now) {
  while (!waiting.empty() && waiting.begin()->first <= now) {
    const RuleMatch match = waiting.begin()->second;
    Entry& entry = entries.at(match);
    unfile(match, entry);
    settle(match);  // the failure text stays until the next try succeeds
  }
}

void Reconciler::State::unfile(const RuleMatch& match, Entry& entry) {
  to_install.erase(match);
  to_remove.erase(match);
  crowded.erase(match);
  if (entry.retry_at) waiting.erase({*entry.retry_at, match});
  entry.retry_at.reset();
}

void Reconciler::State::share_room() {
  if (most == 0) return;
  to_install.merge(crowded);
  crowded.clear();
  std::size_t room = most > installed ? most - installed : 0;
  const auto is_new = [this](const RuleMatch& match) { return !entries.at(match).installed; };
  const auto needed = static_cast<std::size_t>(std::count_if(to_install.begin(), to_install.end(), is_new));
  if (needed <= room) return;
  std::set<RuleMatch> placed;
  for (const RuleMatch& match : std::vector<RuleMatch>(to_install.begin(), to_install.end())) {
    if (!to_install.contains(match) || placed.contains(match) || !is_new(match)) continue;
    std::vector<RuleMatch> together;
    for (const auto& [other, baseline] : owners.at(entries.at(match).wanters.begin()->first).baselines) {
      if (to_install.contains(other) && !placed.contains(other) && is_new(other)) together.push_back(other);
    }
    if (together.size() <= room) {
      room -= together.size();
      placed.insert(together.begin(), together.end());
      continue;
    }
    for (const RuleMatch& other : together) {
      Entry& entry = entries.at(other);
      to_install.erase(other);
      crowded.insert(other);
      if (entry.why == model::RefusalReason::capacity && !entry.failure.empty()) continue;
      entry.failure = "no room: " + std::to_string(most) + " rules are the limit of this back end";
      entry.why = model::RefusalReason::capacity;
      for (const auto& [owner, rule] : entry.wanters) touched.insert(owner);
    }
  }
}

void Reconciler::State::settle(const RuleMatch& match) {
  Entry& entry = entries.at(match);
  std::optional<model::Rule> desired;
  for (const auto& [owner, rule] : entry.wanters) {
    if (!desired || stricter(rule, *desired)) desired = rule;
    touched.insert(owner);
  }
  const bool same_wish = desired == entry.desired;
  entry.desired = desired;
  if (entry.settled()) {
    unfile(match, entry);
    entry.failure.clear();
    if (!entry.desired) entries.erase(match);
    return;
  }
  if (entry.retry_at && same_wish) return;  // it failed and nothing is new about it
  if (!same_wish) entry.failure.clear();
  unfile(match, entry);
  (entry.desired ? to_install : to_remove).insert(match);
}

std::vector<RuleMatch> Reconciler::State::choose(std::size_t limit) const {
  std::set<RuleMatch> chosen;
  for (const RuleMatch& match : to_install) {
    if (chosen.size() >= limit) break;
    if (chosen.contains(match)) continue;
    std::vector<RuleMatch> together;
    const Entry& entry = entries.at(match);
    for (const auto& [other, baseline] : owners.at(entry.wanters.begin()->first).baselines) {
      if (to_install.contains(other) && !chosen.contains(other)) together.push_back(other);
    }
    // A mitigation goes in as a whole; only one that is larger than a batch is cut.
    if (!chosen.empty() && chosen.size() + together.size() > limit) break;
    for (const RuleMatch& other : together) {
      if (chosen.size() < limit) chosen.insert(other);
    }
  }
  std::vector<RuleMatch> matches(chosen.begin(), chosen.end());
  if (chosen.size() == to_install.size() && !keep_unexplained) {
    for (const RuleMatch& match : to_remove) {
      if (matches.size() >= limit) break;
      matches.push_back(match);
    }
  }
  return matches;
}

Reconciler::Difference Reconciler::State::collect(const std::vector<RuleMatch>& matches) const {
  Difference difference;
  for (const RuleMatch& match : matches) {
    const Entry& entry = entries.at(match);
    if (entry.desired) {
      difference.install.push_back(*entry.desired);
    } else {
      difference.remove.push_back(*entry.installed);
    }
  }
  return difference;
}

OwnerReport Reconciler::State::state_of(const RuleOwner& id, const Owner& owner) const {
  OwnerReport report{id, RuleState::installed, {}};
  for (const auto& [match, baseline] : owner.baselines) {
    const Entry& entry = entries.at(match);
    if (entry.settled()) {
      if (!entry.not_in_force.empty() && report.state == RuleState::installed) {
        report.state = RuleState::taken;
        report.reason = entry.not_in_force;
      }
      continue;
    }
    if (!entry.failure.empty()) {
      return {id, RuleState::failed, model::to_string(*entry.desired) + ": " + entry.failure, entry.why};
    }
    report.state = RuleState::pending;
    report.reason.clear();
  }
  return report;
}

void Reconciler::State::count(Owner& owner, base::Now now) const {
  model::RuleCounters sum = owner.tally.retired();
  bool any = false;
  for (const auto& [match, baseline] : owner.baselines) {
    const RuleTally& tally = entries.at(match).tally;
    any = any || tally.known();
    sum.packets += tally.total().packets - baseline.packets;
    sum.bytes += tally.total().bytes - baseline.bytes;
  }
  if (any) owner.tally.counted(sum, now.steady - owner.since.steady);
}

}  // namespace dots::mitigation
