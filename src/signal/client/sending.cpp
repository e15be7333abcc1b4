// What leaves the machine: sends, records, the audit trail and words to the operator.
#include <algorithm>

#include "base/overload.h"
#include "signal/client/scope_check.h"
#include "signal/client/state.h"

namespace dots::signal::client {

void Requests::State::put(Entry& entry, Effects& out) {
  cancel(entry.put, out);
  entry.put = SendId{++last_send};
  sends[*entry.put] = {entry.record.mid, Purpose::put};
  out.push_back(SendPut{*entry.put, entry.record.cuid, entry.record.mid, entry.record.request});
}

void Requests::State::get(Entry& entry, bool observe, Effects& out) {
  std::optional<SendId>& send = observe ? entry.observation : entry.poll;
  cancel(send, out);
  send = SendId{++last_send};
  sends[*send] = {entry.record.mid, observe ? Purpose::observation : Purpose::poll};
  out.push_back(SendGet{*send, entry.record.cuid, entry.record.mid, observe, !entry.no_filter});
}

void Requests::State::del(Entry& entry, Effects& out) {
  cancel(entry.del, out);
  entry.del = SendId{++last_send};
  sends[*entry.del] = {entry.record.mid, Purpose::del};
  out.push_back(SendDelete{*entry.del, entry.record.cuid, entry.record.mid});
}

void Requests::State::put_when_free(Entry& entry, Effects& out) {
  for (const auto& [mid, other] : live) {
    if (other.phase == Phase::withdrawing && mid > entry.record.mid && other.immediate() == entry.immediate() &&
        share_a_target(other.record.request.scope, entry.record.request.scope)) {
      entry.reason = "waits for the withdrawal of mid " + std::to_string(mid.value);
      return;
    }
  }
  put(entry, out);
}

void Requests::State::resume_blocked(Effects& out) {
  for (auto& [mid, entry] : live) {
    if (entry.phase == Phase::requesting && !entry.put) {
      entry.reason.clear();
      put_when_free(entry, out);
    }
  }
}

void Requests::State::cancel(std::optional<SendId>& send, Effects& out) {
  if (!send) return;
  const auto it = sends.find(*send);
  const bool observing = it != sends.end() && it->second.purpose == Purpose::observation;
  if (observing) {
    out.push_back(StopObserving{*send});
  } else {
    out.push_back(CancelSend{*send});
  }
  if (it != sends.end()) sends.erase(it);
  send.reset();
}

void Requests::State::cancel_all(Entry& entry, Effects& out) {
  cancel(entry.put, out);
  cancel(entry.poll, out);
  cancel(entry.observation, out);
  cancel(entry.del, out);
  forget_efficacy(entry, out);
}

void Requests::State::begin_withdrawal(Entry& entry, const std::string& actor, const std::string& text, base::Now now,
                                       Effects& out) {
  entry.overtaken = entry.put || entry.efficacy;
  cancel(entry.put, out);
  cancel(entry.poll, out);
  forget_efficacy(entry, out);
  entry.phase = Phase::withdrawing;
  entry.refresh_at.reset();
  entry.retry_at.reset();
  entry.poll_at.reset();
  entry.reason = text;
  entry.record.withdrawing = true;
  persist(entry, out);
  audit(entry, actor, "withdraw", "requested", text, now, out);
  del(entry, out);
  // Filters that wait for their time were for this mitigation.
  std::vector<base::Mid> over;
  for (const auto& [mid, other] : live) {
    if (other.filters_failed && same_scope(other) == nullptr) over.push_back(mid);
  }
  for (const base::Mid mid : over) end(*find_live(mid), Phase::ended, "the mitigation was withdrawn", now, out);
}

void Requests::State::end(Entry& entry, Phase how, const std::string& reason, base::Now now, Effects& out) {
  cancel_all(entry, out);
  const base::Mid mid = entry.record.mid;
  entry.phase = how;
  entry.reason = reason;
  entry.expires.reset();
  entry.refresh_at.reset();
  entry.retry_at.reset();
  entry.poll_at.reset();
  out.push_back(Persist{ports::EraseClientRequest{settings.server, mid}});
  audit(entry, "server", how == Phase::refused ? "refuse" : "end", how == Phase::refused ? "refused" : "ended", reason,
        now, out);
  tell(how == Phase::refused ? "CLIENT_REQUEST_REFUSED" : "CLIENT_REQUEST_ENDED", entry, reason, out);
  out.push_back(Progress{mid, how == Phase::refused ? Progress::Kind::refused : Progress::Kind::ended});
  ended.push_back(std::move(entry));
  if (ended.size() > settings.max_ended) ended.pop_front();
  live.erase(mid);
}

void Requests::State::persist(const Entry& entry, Effects& out) const {
  out.push_back(Persist{ports::PutClientRequest{entry.record}});
}

void Requests::State::audit(const Entry& entry, const std::string& actor, const char* action, const char* verdict,
                            const std::string& text, base::Now now, Effects& out) const {
  ports::AuditRecord record;
  record.at = now.wall;
  record.domain = base::DomainId{settings.server};
  record.actor = actor;
  record.action = action;
  record.subject = "cuid=" + entry.record.cuid.value + " mid=" + std::to_string(entry.record.mid.value);
  record.verdict = verdict;
  record.text = text;
  out.push_back(Persist{ports::AppendAudit{std::move(record)}});
}

void Requests::State::tell(const char* id, const Entry& entry, const std::string& text, Effects& out) const {
  std::string details = "server " + settings.server + ", mid " + std::to_string(entry.record.mid.value) + " (" +
                        describe(entry.record.request.scope) + ")";
  if (!text.empty()) details += ": " + text;
  out.push_back(OperatorMessage{id, std::move(details)});
}

void Requests::on_timer(base::Now now, Effects& out) {
  State& s = *state_;
  const auto due = [&](const std::optional<base::SteadyTime>& at) { return at && *at <= now.steady; };
  std::vector<base::Mid> mids;
  for (const auto& [mid, entry] : s.live) mids.push_back(mid);
  for (const base::Mid mid : mids) {
    Entry& entry = *s.find_live(mid);
    if (due(entry.retry_at)) {
      entry.retry_at.reset();
      if (entry.phase == Phase::withdrawing) {
        s.del(entry, out);
      } else if (entry.filters_failed) {
        s.ask_filters_again(entry, now, out);
        continue;
      } else {
        entry.phase = entry.record.acknowledged ? Phase::active : Phase::requesting;
        s.put_when_free(entry, out);
      }
    }
    if (due(entry.refresh_at)) {
      entry.refresh_at.reset();
      if (!entry.put) s.put_when_free(entry, out);
    }
    if (due(entry.poll_at)) {
      entry.poll_at.reset();
      // A poll that is still on its way is being repeated by the agent.
      if (entry.phase == Phase::active && !entry.poll) s.get(entry, !entry.observation, out);
    }
    if (due(entry.efficacy_ends)) {
      entry.efficacy_ends.reset();
      s.cancel(entry.efficacy, out);
      s.audit(entry, "server", "efficacy", "unanswered", "the server gave no answer", now, out);
    }
    if (due(entry.expires) && !entry.refresh_at && !entry.put && entry.phase == Phase::active) {
      s.end(entry, Phase::ended, entry.reason.empty() ? "the lifetime is over" : entry.reason, now, out);
    } else if (due(entry.expires) && entry.phase == Phase::withdrawing && !entry.del) {
      s.end(entry, Phase::ended, "the lifetime is over", now, out);
    }
  }
}

std::optional<base::SteadyTime> Requests::next_deadline() const {
  std::optional<base::SteadyTime> earliest;
  const auto consider = [&](const std::optional<base::SteadyTime>& at) {
    if (at && (!earliest || *at < *earliest)) earliest = at;
  };
  for (const auto& [mid, entry] : state_->live) {
    consider(entry.retry_at);
    consider(entry.refresh_at);
    consider(entry.poll_at);
    consider(entry.efficacy_ends);
    const bool may_end = entry.phase == Phase::withdrawing
                             ? !entry.del
                             : entry.phase == Phase::active && !entry.put && !entry.refresh_at;
    if (may_end) consider(entry.expires);
  }
  return earliest;
}

}  // namespace dots::signal::client
