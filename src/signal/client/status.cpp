// What GET and notifications tell about a request (RFC 9132 4.4.2, 4.4.2.1, 4.4.2.2).
#include <algorithm>

#include "signal/client/state.h"

namespace dots::signal::client {

using model::MitigationStatus;
using model::ResponseCode;

namespace {
// The server's word on the remaining lifetime may ask for a refresh, but not right after one.
constexpr base::Duration kQuietAfterAcceptance = std::chrono::seconds{15};
// How long a request that the server keeps losing is not sent again.
constexpr base::Duration kAskAgainSpacing = std::chrono::seconds{300};
}  // namespace

void Requests::State::on_get_answer(Entry& entry, Purpose purpose, const Answer& answer, base::Now now, Effects& out) {
  entry.poll_at = now.steady + settings.poll;
  if (entry.phase != Phase::active && entry.phase != Phase::waiting && entry.phase != Phase::withdrawing) return;
  if (model::is_success(answer.code)) {
    for (const model::MitigationEntry& told : answer.entries) {
      const bool ours = told.mid ? *told.mid == entry.record.mid : answer.entries.size() == 1;
      if (!ours) continue;
      on_status(entry, told, now, out);
      return;
    }
    return;
  }
  if (answer.code == ResponseCode::not_found) {
    on_unknown_at_server(entry, now, out);
    return;
  }
  if (answer.code == ResponseCode::service_unavailable && answer.max_age_s) {
    entry.poll_at = now.steady + std::max<base::Duration>(settings.poll, std::chrono::seconds{*answer.max_age_s});
    return;
  }
  if (!entry.no_filter && model::code_class(answer.code) == 4) {
    entry.no_filter = true;  // c=n is optional for servers (RFC 9132 4.4.2)
    if (entry.phase == Phase::active) get(entry, purpose == Purpose::observation, out);
  }
}

void Requests::State::on_status(Entry& entry, const model::MitigationEntry& told, base::Now now, Effects& out) {
  if (told.status) entry.status = told.status;
  if (told.mitigation_start_s) entry.mitigation_start_s = told.mitigation_start_s;
  if (told.counters.bytes_dropped) entry.counters.bytes_dropped = told.counters.bytes_dropped;
  if (told.counters.bps_dropped) entry.counters.bps_dropped = told.counters.bps_dropped;
  if (told.counters.pkts_dropped) entry.counters.pkts_dropped = told.counters.pkts_dropped;
  if (told.counters.pps_dropped) entry.counters.pps_dropped = told.counters.pps_dropped;
  note_extensions(entry, told, out);
  note_conflict(entry, told.conflict, out);
  note_switched(entry, told.acl_list, out);
  if (entry.phase == Phase::withdrawing || !told.status) return;

  switch (*told.status) {
    case MitigationStatus::attack_stopped:
      // A preconfigured request goes back to waiting for the next loss by itself (RFC 9132 Table 3).
      if (!entry.immediate()) return;
      tell("CLIENT_ATTACK_STOPPED", entry, "withdrawing", out);
      begin_withdrawal(entry, "policy", "the server reports that the attack has stopped", now, out);
      return;
    case MitigationStatus::client_withdrawn:
      // Not withdrawn by us: it ran out while we could not refresh it, and can still be revived.
      if (entry.phase == Phase::active && !entry.put) {
        const base::SteadyTime at = entry.accepted_at.value_or(now.steady) + kQuietAfterAcceptance;
        if (entry.accepted_at && at > now.steady) {
          entry.refresh_at = at;
        } else {
          put_when_free(entry, out);
        }
      }
      return;
    case MitigationStatus::terminated:
      // A refresh that is on its way creates it anew.
      if (!entry.put && entry.phase == Phase::active) end(entry, Phase::ended, "terminated by the server", now, out);
      return;
    case MitigationStatus::withdrawn:
      if (told.conflict && told.conflict->retry_timer_s) {
        if (entry.phase != Phase::waiting) wait_out(entry, *told.conflict, explain(*told.conflict), now, out);
      } else if (entry.immediate() && !entry.put) {
        // As above: a refresh that is on its way creates it anew, and its answer decides.
        end(entry, Phase::ended,
            "withdrawn by the server" + (told.conflict ? ": " + explain(*told.conflict) : std::string()), now, out);
      }
      return;
    case MitigationStatus::in_progress:
    case MitigationStatus::successfully_mitigated:
      // A conflict that had deactivated it is over before its retry-timer (RFC 9132 4.4.1.3): it runs again, on what is
      // left of its lifetime.
      if (entry.phase == Phase::waiting && entry.deactivated) resume(entry, now, out);
      [[fallthrough]];
    case MitigationStatus::exceeded_capability:
    case MitigationStatus::signal_loss:
      if (told.lifetime && entry.phase == Phase::active) follow_lifetime(entry, *told.lifetime, now);
      return;
  }
}

void Requests::State::resume(Entry& entry, base::Now now, Effects& out) {
  entry.deactivated = false;
  entry.phase = Phase::active;
  entry.reason.clear();
  entry.retry_at.reset();
  // What is left may be little; but no server makes us hurry.
  entry.refresh_at = std::max(now.steady + std::chrono::seconds{3},
                              entry.accepted_at.value_or(base::SteadyTime{}) + kQuietAfterAcceptance);
  entry.poll_at = now.steady + settings.poll;
  audit(entry, "server", "activate", "done", "the conflict is over", now, out);
  out.push_back(Progress{entry.record.mid, Progress::Kind::accepted});
}

void Requests::State::follow_lifetime(Entry& entry, model::Lifetime remaining, base::Now now) {
  if (remaining.indefinite()) {
    entry.expires.reset();
    entry.refresh_at.reset();
    return;
  }
  if (remaining.seconds < 0) return;
  const base::Duration left = std::chrono::seconds{std::min<std::int64_t>(remaining.seconds, UINT32_MAX)};
  entry.expires = now.steady + left;
  if (entry.put || !entry.record.granted || entry.record.granted->indefinite()) return;
  const base::Duration whole = std::chrono::seconds{entry.record.granted->seconds};
  const base::Duration early = whole - refresh_after(*entry.record.granted, settings.refresh_before_percent);
  base::SteadyTime at = now.steady + std::max(base::Duration::zero(), left - early);
  if (entry.accepted_at) at = std::max(at, *entry.accepted_at + kQuietAfterAcceptance);
  if (entry.refresh_at) entry.refresh_at = std::min(*entry.refresh_at, at);
}

void Requests::State::on_unknown_at_server(Entry& entry, base::Now now, Effects& out) {
  if (entry.phase != Phase::active || entry.put) return;
  if (entry.status == MitigationStatus::terminated || entry.status == MitigationStatus::withdrawn) {
    end(entry, Phase::ended, std::string(model::name_of(*entry.status)) + ", told by the server", now, out);
    return;
  }
  entry.record.acknowledged = false;
  persist(entry, out);
  if (entry.asked_again_at && now.steady - *entry.asked_again_at < kAskAgainSpacing) {
    wait(entry, kAskAgainSpacing, "the server lost this request twice", now, out);
    return;
  }
  entry.asked_again_at = now.steady;
  entry.phase = Phase::requesting;
  entry.reason = "the server did not know it any more; asked again";
  audit(entry, "client", "request", "requested", entry.reason, now, out);
  tell("CLIENT_REQUEST_LOST", entry, entry.reason, out);
  put_when_free(entry, out);
}

void Requests::State::note_conflict(Entry& entry, const std::optional<model::ConflictInformation>& conflict,
                                    Effects& out) {
  // That less of the retry-timer is left is no news.
  const auto but_for_the_time = [](model::ConflictInformation of) {
    of.retry_timer_s.reset();
    return explain(of);
  };
  const bool news = conflict && (!entry.conflict || but_for_the_time(*conflict) != but_for_the_time(*entry.conflict));
  entry.conflict = conflict;
  if (news) tell("CLIENT_CONFLICT", entry, explain(*conflict), out);
}

}  // namespace dots::signal::client
