// Redirected signaling (RFC 9132 4.6), as far as the requests go: what failed, and what another server takes over.
#include <vector>

#include "signal/client/state.h"

namespace dots::signal::client {

std::optional<base::Mid> Requests::redirected(SendId id, const std::string& why, base::Now now, Effects& out) {
  State& s = *state_;
  const auto it = s.sends.find(id);
  if (it == s.sends.end()) return std::nullopt;
  const State::Pending pending = it->second;
  s.sends.erase(it);
  if (pending.purpose == State::Purpose::del_unknown) {
    withdraw_unknown(pending.mid, now, out);
    return pending.mid;
  }
  Entry* entry = s.find_live(pending.mid);
  if (entry == nullptr) return std::nullopt;
  entry->news_at = now.steady;
  const auto failed = [&](std::optional<SendId>& send, const char* action) {
    send.reset();
    if (action != nullptr) s.audit(*entry, "server", action, "failed", why, now, out);
  };
  switch (pending.purpose) {
    case State::Purpose::put:
      failed(entry->put, entry->record.acknowledged ? "refresh" : "request");
      break;
    case State::Purpose::del:
      failed(entry->del, "withdraw");
      break;
    case State::Purpose::poll:
      failed(entry->poll, nullptr);
      break;
    case State::Purpose::observation:
      failed(entry->observation, nullptr);
      break;
    case State::Purpose::efficacy:
      entry->efficacy_ends.reset();
      failed(entry->efficacy, "efficacy");
      break;
    case State::Purpose::del_unknown:
      break;
  }
  return pending.mid;
}

void Requests::move(const std::string& why, const std::optional<std::set<base::Mid>>& only, base::Now, Effects& out) {
  State& s = *state_;
  std::vector<base::Mid> mids;
  for (const auto& [mid, entry] : s.live) {
    if (!only || only->contains(mid)) mids.push_back(mid);
  }
  for (const base::Mid mid : mids) {
    if (Entry* entry = s.find_live(mid)) s.carry(*entry, why, out);
  }
}

void Requests::State::carry(Entry& entry, const std::string& why, Effects& out) {
  if (entry.filters_failed && entry.phase == Phase::waiting) return;  // its time comes
  cancel_all(entry, out);
  forget_efficacy(entry, out);
  entry.deactivated = false;
  entry.retry_at.reset();
  if (entry.phase == Phase::withdrawing) {
    del(entry, out);
    return;
  }
  // The next server may say other things of it.
  entry.refresh_at.reset();
  entry.poll_at.reset();
  entry.asked_again_at.reset();
  entry.carried = entry.record.acknowledged;
  entry.phase = entry.record.acknowledged ? Phase::active : Phase::requesting;
  entry.reason = why;
  put_when_free(entry, out);
  if (!entry.put) entry.phase = Phase::requesting;
}

void Requests::use_mids_from(std::uint64_t next) {
  if (next > state_->mids.next() && next <= UINT32_MAX)
    state_->mids.skip(base::Mid{static_cast<std::uint32_t>(next - 1)});
}

}  // namespace dots::signal::client
