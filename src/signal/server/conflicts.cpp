// Conflicts between requests of different clients of the domain (RFC 9132 4.4.1.3, 4.4.2.1;
// docs/decisions/conflicts.md).
#include <algorithm>

#include "signal/server/answers.h"
#include "signal/server/machine.h"

namespace dots::signal::server {
namespace {

using model::ConflictCause;
using model::ConflictInformation;
using model::ConflictStatus;
using model::MitigationStatus;
using policy::ConflictOutcome;

// A deactivated request lives that much longer than its retry-timer, so that it can test the conflict (4.4.1.3).
constexpr auto kRetryRoom = std::chrono::seconds{45};
constexpr std::size_t kTargetsShown = 16;
constexpr std::size_t kFiltersShown = 16;

std::uint32_t timer_s(base::Duration span) {
  const std::uint64_t seconds = base::whole_seconds(span + std::chrono::seconds{1} - base::Duration{1});
  return static_cast<std::uint32_t>(std::min<std::uint64_t>(seconds, UINT32_MAX));
}

void append(std::vector<std::string>& to, const std::vector<std::string>& from) {
  for (const std::string& text : from) {
    if (to.size() >= kTargetsShown) return;
    if (std::find(to.begin(), to.end(), text) == to.end()) to.push_back(text);
  }
}

void append(model::MitigationScope& to, const model::MitigationScope& from) {
  for (const model::Prefix& prefix : from.target_prefix) {
    if (to.target_prefix.size() >= kTargetsShown) break;
    if (std::find(to.target_prefix.begin(), to.target_prefix.end(), prefix) == to.target_prefix.end()) {
      to.target_prefix.push_back(prefix);
    }
  }
  append(to.target_fqdn, from.target_fqdn);
  append(to.target_uri, from.target_uri);
  append(to.alias_name, from.alias_name);
}

}  // namespace

std::vector<Mitigation*> Machine::rivals(const base::ClientId& client, const model::MitigationScope& scope,
                                         const std::vector<model::Prefix>& expanded) const {
  std::vector<Mitigation*> found;
  const auto own = clients_.find(client);
  const bool alone = contending_clients_ == (own != clients_.end() && own->second.contenders > 0 ? 1U : 0U);
  if (alone) return found;
  std::set<ScopeIndex::Number> seen;
  for (const ScopeIndex* index : {&immediate_, &preconfigured_}) {
    index->visit(scope, expanded, [&](ScopeIndex::Number number) {
      Mitigation* other = by_number_.at(number);
      if (other->record.client != client && other->contends() && seen.insert(number).second) found.push_back(other);
      return true;
    });
  }
  return found;
}

std::vector<Mitigation*> Machine::rivals(const Mitigation& mitigation) const {
  const ports::MitigationRecord& record = mitigation.record;
  return rivals(record.client, mitigation.targets(), record.expanded);
}

Contest Machine::contest(const base::ClientId& client, const model::MitigationScope& scope,
                         const std::vector<model::Prefix>& expanded) const {
  Contest contest;
  for (Mitigation* rival : rivals(client, scope, expanded)) {
    const ConflictOutcome outcome = rules_->arbitrate(client, rival->record.client);
    // What is kept out already stands in the way only where neither may run.
    if (outcome == ConflictOutcome::neither) {
      contest.tied.push_back(rival);
    } else if (rival->running() && outcome == ConflictOutcome::holder) {
      contest.winners.push_back(rival);
    } else if (rival->running() && outcome == ConflictOutcome::newcomer) {
      contest.beaten.push_back(rival);
    }
  }
  return contest;
}

bool Machine::blocked(const Mitigation& mitigation) const {
  const std::vector<Mitigation*> all = rivals(mitigation);
  return std::any_of(all.begin(), all.end(), [&](const Mitigation* rival) {
    const ConflictOutcome outcome = rules_->arbitrate(mitigation.record.client, rival->record.client);
    if (outcome == ConflictOutcome::neither) return true;
    // What runs is not pushed aside by what has been waiting: only a new request does that.
    return rival->running() && outcome != ConflictOutcome::both;
  });
}

base::Duration Machine::left(const Mitigation& mitigation, base::Now now) const {
  // retry-timer cannot say "without end".
  if (!mitigation.timer.is_set()) return std::chrono::seconds{rules_->policy().default_lifetime_s};
  return std::max(base::Duration::zero(), mitigation.timer.at - now.steady);
}

base::Duration Machine::retry_after(const std::vector<Mitigation*>& of, base::Now now) const {
  base::Duration longest{};
  for (const Mitigation* one : of) longest = std::max(longest, left(*one, now));
  return longest;
}

void Machine::refuse_conflict(const PutMitigation& put, const Origins& origins, const model::MitigationScope& targets,
                              const std::vector<model::Prefix>& expanded, const std::vector<Mitigation*>& in_the_way,
                              base::Now now) {
  const base::Duration retry = retry_after(in_the_way, now);
  ConflictInformation told;
  const bool any_runs =
      std::any_of(in_the_way.begin(), in_the_way.end(), [](const Mitigation* rival) { return rival->running(); });
  told.status = any_runs ? ConflictStatus::inactive_other_active : ConflictStatus::all_inactive;
  told.cause = ConflictCause::overlapping_targets;
  told.retry_timer_s = timer_s(retry);
  told.scope.emplace();
  bool is_news = false;
  for (Mitigation* rival : in_the_way) {
    const ports::MitigationRecord& record = rival->record;
    const model::MitigationScope common =
        common_targets(targets, expanded, rival->targets(), record.expanded, kTargetsShown);
    append(told.scope->targets, common);
    const bool again = rival->challenge && rival->challenge->client == put.origin.client &&
                       rival->challenge->mid == put.mid && rival->challenge->until > now.steady;
    rival->challenge = Challenge{put.origin.client, put.mid, common, now.steady + retry};
    if (again) continue;
    is_news = true;
    changed(rival->key(), now);
  }
  const std::string with = text_of(*in_the_way.front());
  if (is_news) {
    note("CONFLICT", "domain " + domain().value + ": " + client_text(put.origin.client) +
                         ", mid=" + std::to_string(put.mid.value) + " is refused: it overlaps " + with);
  }
  refuse(put, origins, conflicting(std::move(told)), "it overlaps a request of another client: " + with,
         "conflict_winner and the priorities of the clients decide; the client may ask again in " +
             std::to_string(timer_s(retry)) + " s",
         now);
}

// The client asks before, or after, its retry-timer is over, and the conflict goes on.
void Machine::refuse_deactivated(Mitigation& known, const PutMitigation& put, const Origins& origins, base::Now now) {
  if (left(known, now) <= kRetryRoom) {
    base::Duration retry{};
    for (const Mitigation* rival : rivals(known)) retry = std::max(retry, left(*rival, now));
    keep_deactivated(known, retry, now);
    save(known);
    changed(known.key(), now);
  }
  refuse(put, origins, conflicting(conflict_of(known, now).value_or(ConflictInformation{})),
         "deactivated by a conflict with another client, which goes on",
         "withdraw one of the two requests, or change the priorities of the clients", now);
}

void Machine::keep_deactivated(Mitigation& mitigation, base::Duration retry, base::Now now) {
  run_for(mitigation, retry + kRetryRoom, now);
}

void Machine::give_way(Mitigation& loser, const Mitigation& to, base::Duration for_so_long, base::Now now) {
  const std::string why = "it overlaps a request that goes before: " + text_of(to);
  note("CONFLICT", "domain " + domain().value + ": " + text_of(loser) + " is deactivated: it overlaps " + text_of(to));
  if (loser.preconfigured()) return stand_down(loser, MitigationStatus::withdrawn, why, now);
  set_status(loser, MitigationStatus::withdrawn, now);
  loser.record.started_at.reset();
  loser.rules = RulesReport::State::pending;
  loser.rules_reason.clear();
  loser.counters = {};
  keep_deactivated(loser, for_so_long, now);
  save(loser);
  want_nothing(loser.key());
  audit(now, "server", "deactivate", loser.key(), "done", why);
  changed(loser.key(), now);
}

void Machine::activate(Mitigation& mitigation, base::Now now) {
  set_status(mitigation, MitigationStatus::in_progress, now);
  mitigation.record.started_at = now.wall;
  mitigation.starts = true;
  save(mitigation);
  want(mitigation, now);
  audit(now, "server", "activate", mitigation.key(), "done", "nothing stands in its way any more");
  note("CONFLICT_OVER", "domain " + domain().value + ": " + text_of(mitigation));
  changed(mitigation.key(), now);
  tell_rivals(mitigation, now);
}

void Machine::tell_rivals(const Mitigation& mitigation, base::Now now) {
  for (const Mitigation* rival : rivals(mitigation)) changed(rival->key(), now);
}

void Machine::freed(const Mitigation& mitigation, base::Now now) {
  for (const Mitigation* rival : rivals(mitigation)) {
    if (rival->kept_out()) candidates_.insert(rival->number);
    changed(rival->key(), now);
  }
}

void Machine::reconsider_all() {
  if (kept_out_ == 0) return;
  for (const auto& [number, mitigation] : by_number_) {
    if (mitigation->kept_out()) candidates_.insert(number);
  }
}

void Machine::reconsider(base::Now now) {
  if (candidates_.empty()) return;
  std::vector<Mitigation*> waiting;
  for (const ScopeIndex::Number number : candidates_) waiting.push_back(by_number_.at(number));
  candidates_.clear();
  const bool newest_first = rules_->policy().conflict_winner == policy::ConflictWinner::last;
  std::sort(waiting.begin(), waiting.end(), [&](const Mitigation* a, const Mitigation* b) {
    const std::uint32_t pa = rules_->priority_of(a->record.client);
    const std::uint32_t pb = rules_->priority_of(b->record.client);
    if (pa != pb) return pa > pb;
    if (a->record.accepted_at != b->record.accepted_at) {
      return (a->record.accepted_at < b->record.accepted_at) != newest_first;
    }
    return a->key() < b->key();
  });
  for (Mitigation* one : waiting) {
    if (!one->kept_out() || blocked(*one)) continue;
    if (one->preconfigured()) {
      start(*one, now);
    } else {
      activate(*one, now);
    }
  }
}

std::optional<ConflictInformation> Machine::conflict_of(const Mitigation& mitigation, base::Now now) const {
  if (!mitigation.contends() && !mitigation.fade.status) return std::nullopt;
  ConflictInformation told;
  model::MitigationScope targets;
  bool any_runs = false;
  bool found = false;
  for (const Mitigation* rival : rivals(mitigation)) {
    found = true;
    any_runs = any_runs || rival->running();
    append(targets, common_targets(mitigation.targets(), mitigation.record.expanded, rival->targets(),
                                   rival->record.expanded, kTargetsShown));
  }
  const std::optional<Challenge>& challenge = mitigation.challenge;
  if (challenge && challenge->until > now.steady && mitigation.contends()) {
    found = true;
    append(targets, challenge->common);
  }
  if (found) {
    told.cause = ConflictCause::overlapping_targets;
    told.status = mitigation.running() ? ConflictStatus::active
                  : any_runs           ? ConflictStatus::inactive_other_active
                                       : ConflictStatus::all_inactive;
    told.scope.emplace();
    told.scope->targets = std::move(targets);
    if (mitigation.deactivated()) told.retry_timer_s = timer_s(left(mitigation, now) - kRetryRoom);
    return told;
  }
  if (!mitigation.running() || mitigation.acl_names.empty()) return std::nullopt;
  told.cause = ConflictCause::conflict_with_acceptlist;
  told.status = ConflictStatus::active;
  told.scope.emplace();
  told.scope->acl_names = mitigation.acl_names;
  return told;
}

model::MitigationEntry Machine::entry_for(const Mitigation& mitigation, GetMitigation::Filter filter,
                                          base::Now now) const {
  model::MitigationEntry entry = entry_of(mitigation, filter, now);
  if (filter != GetMitigation::Filter::config) entry.conflict = conflict_of(mitigation, now);
  return entry;
}

void Machine::on_event(const AcceptListReport& report, base::Now now) {
  Mitigation* mitigation = find(report.cuid, report.mid);
  if (mitigation == nullptr || !mitigation->running()) return;
  std::vector<std::string> names = report.acl_names;
  if (names.size() > kFiltersShown) names.resize(kFiltersShown);
  if (names == mitigation->acl_names) return;
  mitigation->acl_names = std::move(names);
  std::string text = "sources on accept-lists do not take part in the attack any more";
  if (!mitigation->acl_names.empty()) {
    text = "sources on accept-list '" + mitigation->acl_names.front() + "' take part in the attack";
    note("CONFLICT", "domain " + domain().value + ": " + text_of(*mitigation) + ": " + text);
  }
  audit(now, "server", "conflict", mitigation->key(), "done", text);
  changed(mitigation->key(), now);
}

}  // namespace dots::signal::server
