#include "mitigation/reconcile.h"

#include <algorithm>

#include "mitigation/reconcile_state.h"

namespace dots::mitigation {

Reconciler::Reconciler() : state_(std::make_unique<State>()) {}
Reconciler::~Reconciler() = default;
Reconciler::Reconciler(Reconciler&&) noexcept = default;
Reconciler& Reconciler::operator=(Reconciler&&) noexcept = default;

void Reconciler::want(const std::vector<Want>& wants, base::Now now) {
  state_->wake(now.steady);
  for (const Want& want : wants) state_->wish(want, now);
}

void Reconciler::learned(const std::vector<model::Rule>& installed, base::Now now) {
  State& s = *state_;
  s.wake(now.steady);
  s.known = true;
  ++s.version;
  s.out.reset();
  std::map<RuleMatch, model::Rule> there;
  for (const model::Rule& rule : installed) there.emplace(rule.match, rule);
  std::vector<RuleMatch> matches;
  for (const auto& [match, entry] : s.entries) matches.push_back(match);
  for (const RuleMatch& match : matches) {
    const auto it = there.find(match);
    s.has_installed(match, it == there.end() ? std::nullopt : std::optional(it->second), now.wall);
    if (it != there.end()) there.erase(it);
    s.settle(match);
  }
  for (const auto& [match, rule] : there) {
    s.has_installed(match, rule, now.wall);
    s.settle(match);
  }
}

void Reconciler::forget_installed() {
  state_->known = false;
  state_->out.reset();
}

Reconciler::Difference Reconciler::next(std::size_t limit) {
  State& s = *state_;
  if (!s.known || s.out) return {};
  s.share_room();
  Difference difference;
  while (difference.empty() && !s.split.empty()) {
    std::vector<RuleMatch> part = std::move(s.split.front());
    s.split.pop_front();
    std::erase_if(
        part, [&](const RuleMatch& match) { return !s.to_install.contains(match) && !s.to_remove.contains(match); });
    if (part.size() > limit) {
      s.split.emplace_front(part.begin() + static_cast<std::ptrdiff_t>(limit), part.end());
      part.resize(limit);
    }
    difference = s.collect(part);
  }
  if (difference.empty()) difference = s.collect(s.choose(limit));
  if (difference.empty()) return {};
  difference.version = ++s.version;
  s.out = difference;
  return difference;
}

void Reconciler::limit_rules(std::size_t most) { state_->most = most; }

bool Reconciler::due() const {
  const State& s = *state_;
  return s.known && (!s.to_install.empty() || (!s.keep_unexplained && !s.to_remove.empty()));
}

void Reconciler::applied(std::uint64_t version, const std::optional<ports::MitigatorFault>& fault, base::Now now,
                         base::Duration retry_after) {
  State& s = *state_;
  if (!s.out || s.out->version != version) return;
  const Difference batch = std::move(*s.out);
  s.out.reset();
  std::vector<RuleMatch> matches;
  for (const auto& rule : batch.install) matches.push_back(rule.match);
  for (const auto& rule : batch.remove) matches.push_back(rule.match);

  if (!fault) {
    for (const auto& rule : batch.install) s.has_installed(rule.match, rule, now.wall);
    for (const auto& rule : batch.remove) s.has_installed(rule.match, std::nullopt, now.wall);
    for (const RuleMatch& match : matches) s.settle(match);
  } else if (matches.size() == 1) {
    s.failed(matches.front(), *fault, now.steady + retry_after);
  } else {
    const auto middle = matches.begin() + static_cast<std::ptrdiff_t>(matches.size() / 2);
    s.split.emplace_front(middle, matches.end());
    s.split.emplace_front(matches.begin(), middle);
  }
  s.wake(now.steady);
}

std::optional<base::SteadyTime> Reconciler::next_deadline() const {
  if (state_->waiting.empty()) return std::nullopt;
  return state_->waiting.begin()->first;
}

void Reconciler::wake(base::Now now) { state_->wake(now.steady); }

void Reconciler::expect_confirmation(bool on) { state_->confirms = on; }

void Reconciler::confirmed(const std::vector<ports::InstalledRule>& seen, std::uint64_t as_of) {
  State& s = *state_;
  for (const auto& one : seen) {
    const auto it = s.entries.find(one.rule.match);
    if (it == s.entries.end()) continue;
    Entry& entry = it->second;
    if (entry.installed != one.rule || entry.version > as_of || entry.not_in_force == one.not_in_force) continue;
    entry.not_in_force = one.not_in_force;
    for (const auto& [owner, rule] : entry.wanters) s.touched.insert(owner);
  }
}

std::vector<ports::RuleNote> Reconciler::notes(const model::RuleMatch& match) const {
  std::vector<ports::RuleNote> out;
  const auto it = state_->entries.find(match);
  if (it == state_->entries.end()) return out;
  for (const auto& [id, rule] : it->second.wanters) {
    const Owner& owner = state_->owners.at(id);
    out.push_back({id, owner.reason, owner.until});
  }
  return out;
}

std::vector<OwnerReport> Reconciler::reports() {
  State& s = *state_;
  std::vector<OwnerReport> out;
  for (const RuleOwner& id : s.touched) {
    const auto it = s.owners.find(id);
    if (it == s.owners.end()) continue;
    OwnerReport report = s.state_of(id, it->second);
    auto& last = it->second.reported;
    if (last && last->state == report.state && last->reason == report.reason && last->why == report.why) continue;
    last = report;
    if (report.state == RuleState::installed) report.asked_at = std::exchange(it->second.asked_at, std::nullopt);
    out.push_back(std::move(report));
  }
  s.touched.clear();
  return out;
}

std::uint64_t Reconciler::version() const { return state_->version; }

void Reconciler::counted(const std::vector<std::pair<model::Rule, model::RuleCounters>>& counters, std::uint64_t as_of,
                         base::Now now) {
  State& s = *state_;
  for (const auto& [rule, seen] : counters) {
    const auto it = s.entries.find(rule.match);
    if (it == s.entries.end() || it->second.installed != rule || it->second.version > as_of) continue;
    RuleTally& tally = it->second.tally;
    const model::RuleCounters before = tally.total();
    tally.counted(seen);
    s.dropped.packets += tally.total().packets - before.packets;
    s.dropped.bytes += tally.total().bytes - before.bytes;
  }
  for (auto& [id, owner] : s.owners) s.count(owner, now);
}

std::vector<OwnerCounters> Reconciler::owner_counters(base::Now now) const {
  std::vector<OwnerCounters> out;
  out.reserve(state_->owners.size());
  for (const auto& [id, owner] : state_->owners) {
    out.push_back({id, owner.tally.report(now.steady - owner.since.steady)});
  }
  return out;
}

std::vector<RuleStory> Reconciler::stories() const {
  std::vector<RuleStory> out;
  for (const auto& [match, entry] : state_->entries) {
    RuleStory story;
    story.rule = entry.desired ? *entry.desired : *entry.installed;
    story.state = !entry.failure.empty()        ? RuleState::failed
                  : !entry.settled()            ? RuleState::pending
                  : !entry.not_in_force.empty() ? RuleState::taken
                                                : RuleState::installed;
    story.failure = story.state == RuleState::taken ? entry.not_in_force : entry.failure;
    story.installed_at = entry.installed_at;
    story.in_back_end = entry.installed.has_value();
    story.counters = entry.tally.total();
    for (const auto& [id, rule] : entry.wanters) {
      const Owner& owner = state_->owners.at(id);
      story.owners.push_back({id, owner.reason, owner.until, owner.since.wall});
    }
    out.push_back(std::move(story));
  }
  return out;
}

model::RuleCounters Reconciler::dropped() const { return state_->dropped; }

void Reconciler::report_again(const model::RuleOwner& owner) {
  const auto found = state_->owners.find(owner);
  if (found == state_->owners.end()) return;
  found->second.reported.reset();
  state_->touched.insert(owner);
}

void Reconciler::report_all() {
  for (auto& [id, owner] : state_->owners) {
    owner.reported.reset();
    state_->touched.insert(id);
  }
}

void Reconciler::keep_unexplained(bool on) { state_->keep_unexplained = on; }

bool Reconciler::agrees_with(const std::vector<model::Rule>& installed) const {
  if (installed.size() != state_->installed) return false;
  return std::all_of(installed.begin(), installed.end(), [&](const model::Rule& rule) {
    const auto it = state_->entries.find(rule.match);
    return it != state_->entries.end() && it->second.installed == rule;
  });
}

bool Reconciler::quiescent() const {
  const State& s = *state_;
  return s.known && !s.out && s.to_install.empty() && (s.keep_unexplained || s.to_remove.empty()) &&
         s.waiting.empty() && s.crowded.empty();
}

std::size_t Reconciler::rules() const { return state_->entries.size(); }
std::size_t Reconciler::owners() const { return state_->owners.size(); }

}  // namespace dots::mitigation
