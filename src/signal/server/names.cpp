// Names: look-ups, last-known-good answers, and the requests that wait for them (RFC 9132 4.4.1.1;
// docs/decisions/names-in-requests.md).
#include <algorithm>

#include "signal/server/answers.h"
#include "signal/server/machine.h"

namespace dots::signal::server {
namespace {

using model::ResponseCode;

constexpr std::size_t kAddressesPerName = 64;
constexpr std::size_t kIdleNames = 1024;                // answers kept in memory that nothing uses
constexpr auto kShortestTtl = std::chrono::seconds{5};  // the resolver has its own, longer bound
constexpr auto kRetryAfter = std::chrono::seconds{30};  // a failed look-up for a running mitigation
constexpr auto kLostAfter = std::chrono::seconds{30};   // a look-up without any outcome is made again
constexpr auto kStoreEvery = std::chrono::hours{1};     // an unchanged answer is stored again after
constexpr std::uint32_t kHeldRetryS = 5;                // the answer may come in a moment
constexpr std::uint32_t kFailedRetryS = 30;

}  // namespace

std::vector<std::string> names_of(const model::MitigationScope& scope) {
  std::vector<std::string> names;
  for (const std::string& name : scope.target_fqdn) names.push_back(policy::canonical_name(name));
  for (const std::string& uri : scope.target_uri) {
    const auto target = policy::parse_target_uri(uri);
    if (target && !target->address) names.push_back(target->host);
  }
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return names;
}

std::vector<model::Prefix> Machine::expand(const model::MitigationScope& scope) const {
  std::vector<model::Prefix> expanded;
  for (const model::Prefix& prefix : scope.target_prefix) expanded.push_back(prefix.masked());
  for (const std::string& uri : scope.target_uri) {
    const auto target = policy::parse_target_uri(uri);
    if (target && target->address) expanded.push_back(model::host_prefix(*target->address));
  }
  for (const std::string& name : names_of(scope)) {
    const auto known = names_.find(name);
    if (known == names_.end()) continue;
    for (const model::IpAddress& address : known->second.record.addresses) {
      const model::Prefix host = model::host_prefix(address);
      // Checked again with every answer: what is not the domain's own is not mitigated.
      if (rules_->may_target(host).allowed) expanded.push_back(host);
    }
  }
  std::sort(expanded.begin(), expanded.end());
  expanded.erase(std::unique(expanded.begin(), expanded.end()), expanded.end());
  return expanded;
}

void Machine::re_expand(Mitigation& mitigation, base::Now now) {
  ports::MitigationRecord& record = mitigation.record;
  std::vector<model::Prefix> expanded = expand(mitigation.targets());
  if (expanded == record.expanded) return;
  if (mitigation.contends()) freed(mitigation, now);
  ScopeIndex& index = index_of(mitigation);
  index.remove(mitigation.number, mitigation.targets(), record.expanded);
  record.expanded = std::move(expanded);
  index.add(mitigation.number, mitigation.targets(), record.expanded);
  save(mitigation);
  want(mitigation, now);
}

// An answer that is still fresh is used as it is. An old one is better than none, because the victim's name servers are
// often dead in its attack; but an old one that is not the domain's own (any more) is asked for again.
bool Machine::usable(const std::string& name, base::Now now) const {
  const auto found = names_.find(name);
  if (found == names_.end() || found->second.record.addresses.empty()) return false;
  if (found->second.fresh_until && *found->second.fresh_until > now.steady) return true;
  return rules_->may_resolve_to(name, found->second.record.addresses).allowed;
}

void Machine::ask(const std::string& text, base::Now now) {
  Name& name = names_[text];
  if (name.asked_at && now.steady - *name.asked_at < kLostAfter) return;
  name.asked_at = now.steady;
  out_.emplace_back(ResolveName{text});
}

void Machine::use_names(const Mitigation& mitigation, base::Now now) {
  for (const std::string& text : names_of(mitigation.targets())) {
    Name& name = names_[text];
    name.record.name = text;
    name.users.insert(mitigation.key());
    remember(name);
    if (name.users.size() > 1) continue;  // the look-ups are under way
    const bool fresh = name.fresh_until && *name.fresh_until > now.steady;
    timers_.set(name.timer, fresh ? *name.fresh_until : now.steady + kRetryAfter, {Alarm::Kind::name, {}, 0, text});
    if (!fresh) ask(text, now);
  }
}

void Machine::unuse_names(const Mitigation& mitigation, base::Now now) {
  for (const std::string& text : names_of(mitigation.targets())) {
    const auto found = names_.find(text);
    if (found == names_.end()) continue;
    found->second.users.erase(mitigation.key());
    if (found->second.users.empty()) forget_later(text, found->second, base::Duration::zero(), now);
    maybe_forget(text);
  }
}

void Machine::forget_later(const std::string& text, Name& name, base::Duration idle, base::Now now) {
  if (!name.stored) return timers_.cancel(name.timer);
  const base::Duration left = limits_.names_kept - std::clamp<base::Duration>(idle, {}, limits_.names_kept);
  timers_.set(name.timer, now.steady + left, {Alarm::Kind::name, {}, 0, text});
}

// Names that the store has are remembered for the next attack; others only while they are used, and a little longer.
void Machine::maybe_forget(const std::string& text) {
  const auto idle = [&](const std::string& candidate) {
    const auto found = names_.find(candidate);
    return found != names_.end() && !found->second.stored && found->second.users.empty() && found->second.holds.empty();
  };
  if (!idle(text)) return;
  if (names_.at(text).record.addresses.empty()) {
    names_.erase(text);
    return;
  }
  if (idle_names_.size() < kIdleNames) {
    idle_names_.push_back(text);
    return;
  }
  std::string& oldest = idle_names_[idle_at_++ % kIdleNames];
  if (oldest != text && idle(oldest)) names_.erase(oldest);
  oldest = text;
}

void Machine::remember(Name& name) {
  if (name.record.addresses.empty()) return;
  if (!name.stored) {
    if (names_stored_ >= limits_.names_remembered) return;
    ++names_stored_;
    name.stored = true;
  } else if (name.stored_at == name.record.resolved_at) {
    return;
  }
  name.stored_at = name.record.resolved_at;
  persist(ports::PutName{name.record});
}

void Machine::hold(const PutMitigation& put, const std::set<std::string>& missing, base::Now now) {
  if (held_ >= limits_.held_requests) {
    return refuse(put, {put.origin},
                  unavailable("too many requests wait for names", kHeldRetryS, model::RefusalReason::rate),
                  std::to_string(held_) + " requests wait for names already", "see whether the resolver answers", now);
  }
  Hold waiting;
  waiting.number = next_number_++;
  waiting.put = put;
  waiting.origins = {put.origin};
  waiting.waiting = missing;
  timers_.set(waiting.timer, now.steady + limits_.hold_for_name, {Alarm::Kind::hold, {}, waiting.number, {}});
  hold_of_[{put.cuid, put.mid, put.origin.client}] = waiting.number;
  for (const std::string& name : missing) {
    names_[name].record.name = name;
    names_[name].holds.insert(waiting.number);
    ask(name, now);
  }
  ++held_;
  holds_.emplace(waiting.number, std::move(waiting));
}

bool Machine::join_held(const PutMitigation& put, base::Now now) {
  const auto found = hold_of_.find({put.cuid, put.mid, put.origin.client});
  if (found == hold_of_.end()) return false;
  Hold& waiting = holds_.at(found->second);
  const model::MitigationRequest& first = waiting.put.request;
  if (first.trigger_mitigation != put.request.trigger_mitigation ||
      model::normalised(first.scope) != model::normalised(put.request.scope)) {
    refuse(put, {put.origin},
           refused(ResponseCode::bad_request, "parameters differ from the request with this mid; use a higher mid"),
           "another request with this mid waits for its names", {}, now);
    return true;
  }
  if (!put.request.acl_list.empty() && !model::same_acls(first.acl_list, put.request.acl_list)) {
    refuse(put, {put.origin},
           refused(ResponseCode::bad_request, "acl-list differs from the request with this mid; use a higher mid"),
           "another acl-list for a mid that waits for its names", "the client must use a new mid to switch filters",
           now);
    return true;
  }
  if (held_ >= limits_.held_requests) {
    refuse(put, {put.origin}, unavailable("too many requests wait for names", kHeldRetryS, model::RefusalReason::rate),
           std::to_string(held_) + " requests wait for names already", {}, now);
    return true;
  }
  waiting.put.request.lifetime = put.request.lifetime;
  waiting.origins.push_back(put.origin);
  ++held_;
  return true;
}

Hold Machine::take_hold(std::uint64_t number) {
  const auto found = holds_.find(number);
  Hold taken = std::move(found->second);
  holds_.erase(found);
  timers_.cancel(taken.timer);
  held_ -= taken.origins.size();
  hold_of_.erase({taken.put.cuid, taken.put.mid, taken.put.origin.client});
  for (const std::string& name : taken.waiting) {
    const auto known = names_.find(name);
    if (known == names_.end()) continue;
    known->second.holds.erase(number);
    // A look-up that is still under way is wanted: its answer serves the repeat of this request.
    if (!known->second.asked_at) maybe_forget(name);
  }
  return taken;
}

void Machine::drop_held(const HoldKey& key, const Answer& answer) {
  const auto found = hold_of_.find(key);
  if (found == hold_of_.end()) return;
  const Hold dropped = take_hold(found->second);
  for (const Origin& origin : dropped.origins) reply(origin, answer);
}

void Machine::on_hold_timer(std::uint64_t number, base::Now now) {
  if (holds_.count(number) == 0) return;
  holds_.at(number).timer = {};
  const Hold late = take_hold(number);
  const std::string& name = *late.waiting.begin();
  refuse(
      late.put, late.origins,
      unavailable("the name " + name + " could not be looked up in time", kHeldRetryS, model::RefusalReason::hardware),
      name + " had no answer in time", "see whether the resolver answers", now);
}

void Machine::on_name_timer(const std::string& text, base::Now now) {
  const auto found = names_.find(text);
  if (found == names_.end()) return;
  found->second.timer = {};
  if (found->second.users.empty()) {
    Name& idle = found->second;
    if (!idle.stored) return;
    idle.stored = false;
    --names_stored_;
    persist(ports::EraseName{text, idle.stored_at});
    if (idle.holds.empty()) names_.erase(found);  // else a request waits for it
    return;
  }
  timers_.set(found->second.timer, now.steady + kRetryAfter, {Alarm::Kind::name, {}, 0, text});
  ask(text, now);
}

void Machine::took_answer(const std::string& text, std::vector<model::IpAddress> addresses, base::Duration ttl,
                          base::Now now) {
  Name& name = names_.at(text);
  if (addresses.size() > kAddressesPerName) addresses.resize(kAddressesPerName);
  const bool is_news = addresses != name.record.addresses;
  if (is_news || now.wall < name.record.resolved_at || now.wall - name.record.resolved_at >= kStoreEvery) {
    name.record = {text, std::move(addresses), now.wall};
  }
  name.fresh_until = now.steady + std::max<base::Duration>(ttl, kShortestTtl);
  if (name.users.empty()) return;
  remember(name);
  timers_.set(name.timer, *name.fresh_until, {Alarm::Kind::name, {}, 0, text});
  if (!is_news) return;
  for (const model::IpAddress& address : name.record.addresses) {
    const policy::Verdict verdict = rules_->may_target(model::host_prefix(address));
    if (verdict.allowed) continue;
    audit(now, "server", "resolve", *name.users.begin(), "refused",
          "the name " + text + " now has the address " + model::to_string(address) +
              ", which is not mitigated: " + verdict.reason);
    break;  // one line for one answer
  }
  const std::set<Key> users = name.users;
  for (const Key& key : users) re_expand(*find(key.cuid, key.mid), now);
}

void Machine::on_event(const NameResolved& event, base::Now now) {
  const std::string text = policy::canonical_name(event.resolution.name);
  const auto found = names_.find(text);
  if (found == names_.end()) return;
  Name& name = found->second;
  name.asked_at.reset();
  const std::set<std::uint64_t> holds = name.holds;

  using Outcome = ports::Resolution::Outcome;
  const bool good = event.resolution.outcome == Outcome::answered && !event.resolution.addresses.empty();
  if (good) {
    took_answer(text, event.resolution.addresses, event.resolution.ttl, now);
    for (const std::uint64_t number : holds) {
      Hold& waiting = holds_.at(number);
      waiting.waiting.erase(text);
      name.holds.erase(number);
      if (!waiting.waiting.empty()) continue;
      const Hold ready = take_hold(number);
      decide(ready.put, ready.origins, Stage::names_known, now);
    }
  } else {
    for (const std::uint64_t number : holds) {
      const Hold failed = take_hold(number);
      if (event.resolution.outcome == Outcome::failed) {
        refuse(
            failed.put, failed.origins,
            unavailable("the name " + text + " cannot be looked up now", kFailedRetryS, model::RefusalReason::hardware),
            text + " could not be looked up: " + event.resolution.reason, "see whether the resolver answers", now);
      } else {
        const std::string what = event.resolution.outcome == Outcome::answered ? " has no address" : " does not exist";
        refuse(failed.put, failed.origins,
               refused(ResponseCode::bad_request, "the name " + text + what, model::RefusalReason::scope), text + what,
               {}, now);
      }
    }
    // For what runs already the last good answer stays; the timer of the name asks again.
  }
  maybe_forget(text);
}

}  // namespace dots::signal::server
