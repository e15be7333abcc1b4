// What the server answers to PUT and DELETE (RFC 9132 4.4.1.3, 4.4.3, 4.4.4, section 9).
#include <algorithm>
#include <utility>

#include "signal/client/scope_check.h"
#include "signal/client/state.h"

namespace dots::signal::client {

using model::ResponseCode;

namespace {

constexpr std::uint32_t kDefaultMaxAge_s = 60;  // CoAP, when the option is absent (RFC 7252 5.10.5)
constexpr std::uint32_t kLongestWait_s = 86400;
constexpr int kMaxCollisions = 3;
constexpr base::Duration kMinRefreshSpacing = std::chrono::seconds{3};
// What one server accepted and the next refuses: the servers may still be synchronising their state.
constexpr base::Duration kCarriedRetry = std::chrono::seconds{300};
constexpr base::Duration kReordering = std::chrono::seconds{5};    // a datagram may be overtaken for so long
constexpr base::Duration kShortestWait = std::chrono::seconds{3};  // whatever the server says

const model::ConflictInformation* conflict_of(const Answer& answer) {
  for (const model::MitigationEntry& entry : answer.entries) {
    if (entry.conflict) return &*entry.conflict;
  }
  return nullptr;
}

bool deactivates(const model::ConflictInformation& conflict) {
  return conflict.retry_timer_s.has_value() && conflict.status != model::ConflictStatus::active;
}

}  // namespace

base::Duration refresh_after(model::Lifetime granted, std::uint32_t refresh_before_percent) {
  const base::Duration whole = std::chrono::seconds{granted.seconds};
  return std::max<base::Duration>(whole / 100 * (100 - refresh_before_percent), kMinRefreshSpacing);
}

std::string explain(const model::ConflictInformation& conflict) {
  std::string text = "conflict";
  if (conflict.cause) text += " (" + std::string(model::name_of(*conflict.cause)) + ")";
  if (conflict.status) text += ", " + std::string(model::name_of(*conflict.status));
  if (conflict.scope) {
    if (conflict.scope->mid) text += ", with mid " + std::to_string(conflict.scope->mid->value);
    const std::string targets = describe(conflict.scope->targets);
    if (!targets.empty()) text += ", about " + targets;
    for (const std::string& name : conflict.scope->acl_names) text += ", filter '" + name + "'";
  }
  if (conflict.retry_timer_s) text += ", try again in " + std::to_string(*conflict.retry_timer_s) + " s";
  // The names in it are the server's.
  std::replace_if(
      text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }, ' ');
  return text;
}

std::string explain(const Answer& answer) {
  std::string text = model::to_string(answer.code);
  if (!answer.entries.empty() && answer.entries.front().refusal_reason) {
    text += " (" + std::string{model::name_of(*answer.entries.front().refusal_reason)} + ")";
  }
  for (const model::MitigationEntry& entry : answer.entries) {
    if (!entry.acl_list.empty()) text += ": " + describe(entry.acl_list);
  }
  if (const auto* conflict = conflict_of(answer)) text += ": " + explain(*conflict);
  if (!answer.diagnostic.empty()) text += ": " + answer.diagnostic;
  return text;
}

void Requests::on_answer(SendId id, const Answer& answer, base::Now now, Effects& out) {
  State& s = *state_;
  const auto it = s.sends.find(id);
  if (it == s.sends.end()) {
    out.push_back(StopObserving{id});
    return;
  }
  const State::Pending pending = it->second;
  if (pending.purpose != State::Purpose::observation || !model::is_success(answer.code)) s.sends.erase(it);
  Entry* entry = s.find_live(pending.mid);
  if (entry == nullptr) return;
  entry->news_at = now.steady;
  switch (pending.purpose) {
    case State::Purpose::put:
      entry->put.reset();
      s.on_put_answer(*entry, answer, now, out);
      break;
    case State::Purpose::efficacy:
      entry->efficacy.reset();
      entry->efficacy_ends.reset();
      s.on_efficacy_answer(*entry, answer, now, out);
      break;
    case State::Purpose::del:
      entry->del.reset();
      s.on_delete_answer(*entry, answer, now, out);
      break;
    case State::Purpose::poll:
      entry->poll.reset();
      s.on_get_answer(*entry, pending.purpose, answer, now, out);
      break;
    case State::Purpose::observation:
      if (!model::is_success(answer.code)) entry->observation.reset();
      s.on_get_answer(*entry, pending.purpose, answer, now, out);
      break;
    case State::Purpose::del_unknown:
      break;
  }
}

void Requests::State::on_put_answer(Entry& entry, const Answer& answer, base::Now now, Effects& out) {
  if (model::is_success(answer.code)) {
    on_put_accepted(entry, answer, now, out);
    return;
  }
  note_refusal_reason(entry, answer);
  if (is_filter_failure(entry, answer) && !entry.carried) return on_filter_failure(entry, answer, now, out);
  const auto* conflict = conflict_of(answer);
  if (answer.code == ResponseCode::service_unavailable) {
    // RFC 9132 4.4.3: not before Max-Age is over.
    wait(entry, std::chrono::seconds{std::min(answer.max_age_s.value_or(kDefaultMaxAge_s), kLongestWait_s)},
         explain(answer), now, out);
  } else if (answer.code == ResponseCode::internal_server_error) {
    wait(entry, settings.retry, explain(answer), now, out);
  } else if (answer.code == ResponseCode::conflict && conflict != nullptr &&
             conflict->cause == model::ConflictCause::cuid_collision) {
    on_collision(entry, answer, now, out);
  } else if (answer.code == ResponseCode::conflict && conflict != nullptr && conflict->retry_timer_s) {
    note_conflict(entry, *conflict, out);
    wait_out(entry, *conflict, explain(answer), now, out);
  } else if (entry.carried) {
    wait(entry, kCarriedRetry, "refused by the server that took over: " + explain(answer), now, out);
  } else {
    on_put_refused(entry, answer, now, out);
  }
}

// It is a refresh as well (RFC 9132 4.4.3); one that is refused leaves what was granted alone.
void Requests::State::on_efficacy_answer(Entry& entry, const Answer& answer, base::Now now, Effects& out) {
  if (model::is_success(answer.code)) {
    entry.told = entry.telling;
    return on_put_accepted(entry, answer, now, out);
  }
  if (answer.code == ResponseCode::service_unavailable && entry.phase == Phase::active) {
    const std::uint32_t max_age_s = std::min(answer.max_age_s.value_or(kDefaultMaxAge_s), kLongestWait_s);
    entry.efficacy_after = now.steady + std::chrono::seconds{max_age_s};
  }
  audit(entry, "server", "efficacy", "refused", explain(answer), now, out);
}

void Requests::State::on_put_accepted(Entry& entry, const Answer& answer, base::Now now, Effects& out) {
  const bool first = !entry.record.acknowledged;
  model::Lifetime granted = *entry.record.request.lifetime;
  std::optional<model::ConflictInformation> conflict;
  for (const model::MitigationEntry& told : answer.entries) {
    if (told.mid && *told.mid != entry.record.mid) continue;
    if (told.lifetime) granted = *told.lifetime;
    if (told.status) entry.status = told.status;
    conflict = told.conflict;
  }
  if (!granted.indefinite()) granted.seconds = std::clamp<std::int64_t>(granted.seconds, 1, UINT32_MAX);

  collisions = 0;
  entry.carried = false;
  entry.phase = Phase::active;
  entry.deactivated = false;
  entry.reason.clear();
  entry.refusal_reason.reset();
  entry.accepted_at = now.steady;
  entry.retry_at.reset();
  entry.refresh_at.reset();
  entry.expires.reset();
  entry.record.acknowledged = true;
  entry.record.granted = granted;
  entry.record.granted_at = now.wall;
  if (!granted.indefinite()) {
    entry.expires = now.steady + std::chrono::seconds{granted.seconds};
    entry.refresh_at = now.steady + refresh_after(granted, settings.refresh_before_percent);
  }
  // The answer says nothing of the status: refreshes that come often must not put off the question for it.
  if (!entry.poll_at) entry.poll_at = now.steady + settings.poll;
  persist(entry, out);
  const std::string text = granted.indefinite() ? "without end" : "for " + std::to_string(granted.seconds) + " s";
  audit(entry, "server", first ? "request" : "refresh", "accepted", text, now, out);
  if (first) tell("CLIENT_REQUEST_ACCEPTED", entry, text, out);
  note_conflict(entry, conflict, out);

  // The server deletes lower mids that overlap (RFC 9132 4.4.1.3): do not refresh them into a 4.09.
  const base::Mid mid = entry.record.mid;
  std::vector<base::Mid> replaced;
  for (const auto& [other_mid, other] : live) {
    if (other_mid < mid && other.wanted() && !other.filters_failed && other.immediate() == entry.immediate() &&
        other.record.cuid == entry.record.cuid &&
        share_a_target(other.record.request.scope, entry.record.request.scope)) {
      replaced.push_back(other_mid);
    }
  }
  // Created: the server did not know the request, so what is observed there has ended, and its last word was lost.
  if (!entry.observation || answer.code == ResponseCode::created) get(entry, true, out);
  if (conflict && deactivates(*conflict)) {
    wait_out(entry, *conflict, explain(*conflict), now, out);
  } else {
    out.push_back(Progress{mid, Progress::Kind::accepted});
  }
  for (const base::Mid other : replaced) {
    end(*find_live(other), Phase::ended, "replaced by mid " + std::to_string(mid.value), now, out);
  }
}

void Requests::State::on_put_refused(Entry& entry, const Answer& answer, base::Now now, Effects& out) {
  std::string reason = explain(answer);
  const auto* conflict = conflict_of(answer);
  if (conflict != nullptr && conflict->scope && conflict->scope->mid) {
    const base::Mid other = *conflict->scope->mid;
    if (find_live(other) != nullptr) {
      reason += " (our newer request " + std::to_string(other.value) + " has replaced it)";
    } else if (other >= entry.record.mid && conflict->cause == model::ConflictCause::overlapping_targets) {
      // A request of ours that we know nothing of: our state was lost. The next mid must be higher to replace it.
      mids.skip(other);
      out.push_back(Persist{ports::PutCounter{counter_name("next-mid"), mids.next()}});
      reason += " (from a state of ours that was lost: asking again replaces it)";
    }
  }
  if (!entry.record.acknowledged) {
    end(entry, Phase::refused, reason, now, out);
    return;
  }
  // A refused refresh: what was granted goes on until it ends.
  entry.phase = Phase::active;
  entry.reason = "refresh refused: " + reason;
  entry.refresh_at.reset();
  if (!entry.poll_at) entry.poll_at = now.steady + settings.poll;
  audit(entry, "server", "refresh", "refused", reason, now, out);
  tell("CLIENT_REQUEST_REFUSED", entry, entry.reason, out);
  out.push_back(Progress{entry.record.mid, Progress::Kind::refused});
}

void Requests::State::on_collision(Entry& entry, const Answer& answer, base::Now now, Effects& out) {
  const base::Cuid taken = entry.record.cuid;
  const bool active = std::any_of(live.begin(), live.end(), [&](const auto& item) {
    return item.second.record.acknowledged && item.second.record.cuid == taken;
  });
  if (active) {
    // RFC 9132 4.4.1.1: not changed while mitigations are active under it.
    wait(entry, settings.retry, explain(answer) + "; the cuid stays while other requests are active under it", now,
         out);
    return;
  }
  if (++collisions > kMaxCollisions) {
    collisions = 0;
    end(entry, Phase::refused, explain(answer) + ", also with new cuids", now, out);
    return;
  }
  take_new_cuid(taken, out);
  for (auto& [mid, other] : live) {
    if (other.record.cuid != taken || !other.wanted()) continue;
    other.record.cuid = desired_cuid;
    persist(other, out);
    audit(other, "client", "request", "requested", "cuid " + taken.value + " belongs to another client", now, out);
    if (other.phase != Phase::waiting) put_when_free(other, out);
  }
}

void Requests::on_cuid_taken(const base::Cuid& taken, Effects& out) {
  State& s = *state_;
  // A request that waits under it meets the same verdict by itself.
  if (!s.live.empty() || taken != s.desired_cuid || s.taken_on_data >= kMaxCollisions) return;
  ++s.taken_on_data;  // a data channel that refuses all takes no try from this channel
  s.take_new_cuid(taken, out);
}

void Requests::State::take_new_cuid(const base::Cuid& taken, Effects& out) {
  const std::uint64_t seed = next_random(random) >> 1;  // fits a signed counter of a store
  desired_cuid = random_cuid(seed);
  out.push_back(Persist{ports::PutCounter{counter_name("cuid-seed/") + settings.cuid.value, seed}});
  out.push_back(OperatorMessage{"CLIENT_CUID_CHANGED", "server " + settings.server + ": cuid " + taken.value +
                                                           " belongs to another client; ours is now " +
                                                           desired_cuid.value});
}

void Requests::State::on_delete_answer(Entry& entry, const Answer& answer, base::Now now, Effects& out) {
  if (model::is_success(answer.code) || answer.code == ResponseCode::not_found) {
    if (std::exchange(entry.overtaken, false)) {
      // A PUT that the network brings late makes the request anew, or active again before it was terminated.
      entry.retry_at = now.steady + kReordering;
      return;
    }
    const std::string reason = entry.reason.empty() ? "withdrawn" : "withdrawn: " + entry.reason;
    end(entry, Phase::ended, reason, now, out);
    resume_blocked(out);
    return;
  }
  const bool patience = answer.code == ResponseCode::service_unavailable;
  const base::Duration time =
      patience ? std::chrono::seconds{std::min(answer.max_age_s.value_or(kDefaultMaxAge_s), kLongestWait_s)}
               : settings.retry;
  entry.retry_at = now.steady + std::max(time, kShortestWait);
  tell("CLIENT_WITHDRAW_REFUSED", entry, explain(answer), out);
  out.push_back(Progress{entry.record.mid, Progress::Kind::delayed});
}

// The server may keep the request, and start it as soon as the conflict is over (RFC 9132 4.4.1.3).
void Requests::State::wait_out(Entry& entry, const model::ConflictInformation& conflict, const std::string& reason,
                               base::Now now, Effects& out) {
  wait(entry, std::chrono::seconds{*conflict.retry_timer_s}, reason, now, out);
  entry.deactivated = true;
}

void Requests::State::wait(Entry& entry, base::Duration time, const std::string& reason, base::Now now, Effects& out) {
  cancel(entry.put, out);
  time = std::max(time, kShortestWait);
  entry.phase = Phase::waiting;
  entry.refresh_at.reset();
  entry.retry_at = now.steady + time;
  entry.reason = reason;
  tell("CLIENT_REQUEST_DELAYED", entry, "again in " + std::to_string(base::whole_seconds(time)) + " s: " + reason, out);
  out.push_back(Progress{entry.record.mid, Progress::Kind::delayed});
}

}  // namespace dots::signal::client
