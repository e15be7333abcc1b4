#include "signal/client/requests.h"

#include <algorithm>

#include "model/attributes.h"
#include "model/text.h"
#include "signal/client/scope_check.h"
#include "signal/client/state.h"

namespace dots::signal::client {

std::string_view name_of(Phase phase) {
  switch (phase) {
    case Phase::requesting:
      return "requesting";
    case Phase::active:
      return "active";
    case Phase::waiting:
      return "waiting";
    case Phase::withdrawing:
      return "withdrawing";
    case Phase::refused:
      return "refused";
    case Phase::ended:
      return "ended";
  }
  return "unknown";
}

Requests::Requests(Settings settings, std::uint64_t seed) : state_(std::make_unique<State>()) {
  settings.refresh_before_percent = std::clamp<std::uint32_t>(settings.refresh_before_percent, 1, 99);
  state_->desired_cuid = settings.cuid;
  state_->settings = std::move(settings);
  state_->random = seed;
}
Requests::~Requests() = default;
Requests::Requests(Requests&&) noexcept = default;
Requests& Requests::operator=(Requests&&) noexcept = default;

// A cuid stays as long as something is active under it (RFC 9132 4.4.1.1), whatever the configuration says meanwhile.
const base::Cuid& Requests::State::working_cuid() const {
  for (const auto& [mid, entry] : live) {
    if (entry.record.acknowledged) return entry.record.cuid;
  }
  return desired_cuid;
}

std::string Requests::State::counter_name(const char* what) const { return "client/" + settings.server + "/" + what; }

Entry* Requests::State::find_live(base::Mid mid) {
  const auto it = live.find(mid);
  return it == live.end() ? nullptr : &it->second;
}

bool Requests::State::idle() const {
  return std::none_of(live.begin(), live.end(), [](const auto& item) { return item.second.immediate(); });
}

// Its audit line went with the commit: the operator asks again.
void Requests::State::forget_efficacy(Entry& entry, Effects& out) {
  cancel(entry.efficacy, out);
  entry.efficacy_ends.reset();
}

void Requests::load(const ports::Snapshot& snapshot, base::Now now, Effects& out) {
  State& s = *state_;
  std::map<base::Mid, const ports::ClientRequestRecord*> stored;
  for (const auto& record : snapshot.client_requests) {
    if (record.server == s.settings.server) stored[record.mid] = &record;
  }
  const auto counter = [&](const std::string& name) -> std::optional<std::uint64_t> {
    const auto it = snapshot.counters.find(name);
    if (it == snapshot.counters.end()) return std::nullopt;
    return it->second;
  };
  if (const auto seed = counter(s.counter_name("cuid-seed/") + s.settings.cuid.value)) {
    s.desired_cuid = random_cuid(*seed);
  }
  if (!s.loaded) {
    if (const auto next = counter(s.counter_name("next-mid"))) s.mids = MidSequence(*next);
    // A counter never lags behind its records unless they are older than the last rollover.
    for (const auto& [mid, record] : stored) {
      if (record->request.trigger_mitigation && mid.value < kMidRollover) s.mids.skip(mid);
    }
  }

  // What we have in memory: wishes that were not stored are forgotten, the rest is told again.
  for (auto it = s.live.begin(); it != s.live.end();) {
    Entry& entry = it->second;
    const auto found = stored.find(it->first);
    if (found == stored.end()) {
      s.cancel_all(entry, out);
      it = s.live.erase(it);
      continue;
    }
    const ports::ClientRequestRecord& record = *found->second;
    stored.erase(found);
    ++it;
    if (entry.record.withdrawing && !record.withdrawing) {
      s.cancel_all(entry, out);
      entry.record.withdrawing = false;
      entry.phase = entry.record.acknowledged ? Phase::active : Phase::requesting;
      entry.retry_at.reset();
      s.put_when_free(entry, out);
    } else {
      const model::Lifetime lifetime = record.request.lifetime.value_or(model::Lifetime{});
      entry.record.request.lifetime = lifetime;
      if (!(entry.record == record)) s.persist(entry, out);
      s.forget_efficacy(entry, out);
      // What was held back with the refused commit was never sent.
      if (entry.put) out.push_back(SendPut{*entry.put, entry.record.cuid, entry.record.mid, entry.record.request});
      if (entry.del) out.push_back(SendDelete{*entry.del, entry.record.cuid, entry.record.mid});
      if (entry.poll) {
        out.push_back(SendGet{*entry.poll, entry.record.cuid, entry.record.mid, false, !entry.no_filter});
      }
      if (entry.observation) {
        out.push_back(SendGet{*entry.observation, entry.record.cuid, entry.record.mid, true, !entry.no_filter});
      }
    }
  }

  for (const auto& [mid, record] : stored) {
    const auto known = std::find_if(s.ended.begin(), s.ended.end(),
                                    [mid = mid](const Entry& entry) { return entry.record.mid == mid; });
    if (s.loaded && known != s.ended.end()) {
      out.push_back(Persist{ports::EraseClientRequest{s.settings.server, mid}});
      continue;
    }
    Entry& entry = s.live[mid];
    entry.record = *record;
    if (!entry.record.request.lifetime) {
      entry.record.request.lifetime = model::Lifetime{std::int64_t{s.settings.default_lifetime_s}};
    }
    s.extend(entry.record.request);
    entry.news_at.reset();
    if (record->acknowledged && record->granted && !record->granted->indefinite() && record->granted_at) {
      const base::Duration granted = std::chrono::seconds{record->granted->seconds};
      const base::Duration age = std::clamp(now.wall - *record->granted_at, base::Duration::zero(), granted);
      entry.expires = now.steady + (granted - age);
      // What is being withdrawn must not be asked for again.
      if (!record->withdrawing) {
        entry.refresh_at =
            std::max(now.steady, now.steady - age + refresh_after(*record->granted, s.settings.refresh_before_percent));
      }
    }
    entry.phase = record->withdrawing ? Phase::withdrawing : record->acknowledged ? Phase::active : Phase::requesting;
  }
  for (const auto& [mid, record] : stored) {
    Entry* entry = s.find_live(mid);
    if (entry == nullptr) continue;
    if (entry->phase == Phase::withdrawing) {
      s.del(*entry, out);
    } else if (entry->phase == Phase::requesting) {
      if (entry->record.request.acl_list.empty()) {
        s.put_when_free(*entry, out);
      } else {
        // A newer request may stand in its place already.
        entry->phase = Phase::waiting;
        entry->filters_failed = true;
        entry->retry_at = now.steady;
      }
    } else {
      s.get(*entry, true, out);  // the server may have lost it, or ended it, while we were away
    }
  }
  s.loaded = true;
  // What is past its refresh time goes out with this step.
  on_timer(now, out);
}

base::Result<Requests::Accepted> Requests::mitigate(const Wanted& wanted, base::Now now, Effects& out) {
  State& s = *state_;
  if (const auto reason = invalid_scope(wanted.scope, s.settings.max_targets_per_request)) return base::Error{*reason};
  const model::Lifetime lifetime =
      wanted.lifetime.value_or(model::Lifetime{std::int64_t{s.settings.default_lifetime_s}});
  if (!lifetime.indefinite() && (lifetime.seconds <= 0 || lifetime.seconds > std::int64_t{UINT32_MAX})) {
    return base::Error{"lifetime " + std::to_string(lifetime.seconds) +
                       " is neither -1 (indefinite) nor 1..4294967295 seconds"};
  }

  if (const auto reason = invalid_acls(wanted.acl_list)) return base::Error{*reason};
  if (!wanted.acl_list.empty() && !wanted.trigger_mitigation) {
    return base::Error{"a request that waits for the loss of the signal switches no filters"};
  }

  if (!s.settings.extensions && (wanted.contract_id || wanted.requested_service)) {
    return base::Error{"a contract or service needs our extensions, which are off towards " + s.settings.server};
  }
  std::optional<std::string> contract, service;
  if (s.settings.extensions) {
    contract = wanted.contract_id ? wanted.contract_id : s.settings.contract_id;
    service = wanted.requested_service ? wanted.requested_service : s.settings.requested_service;
  }
  for (const auto& [what, name] : {std::pair{"contract", &contract}, std::pair{"service", &service}}) {
    if (*name && ((*name)->empty() || (*name)->size() > model::kMaxExtensionName || !model::is_plain_text(**name))) {
      return base::Error{std::string{"the name of the "} + what + " must be 1 to " +
                         std::to_string(model::kMaxExtensionName) + " bytes of plain text"};
    }
  }

  const model::MitigationScope scope = model::normalised(wanted.scope);
  for (auto& [mid, entry] : s.live) {
    if (!entry.wanted() || entry.immediate() != wanted.trigger_mitigation) continue;
    if (entry.filters_failed || !wanted.acl_list.empty()) continue;  // to switch filters takes a new mid
    if (model::normalised(entry.record.request.scope) != scope) continue;
    if (entry.record.request.contract_id != contract || entry.record.request.requested_service != service) continue;
    const base::Mid known = mid;
    if (entry.record.request.lifetime != lifetime) {
      entry.record.request.lifetime = lifetime;
      s.persist(entry, out);
      s.audit(entry, "operator " + wanted.author, "refresh", "requested", "with another lifetime", now, out);
      if (entry.phase != Phase::waiting) s.put_when_free(entry, out);
    }
    return Accepted{known, true};
  }

  if (s.live.size() >= s.settings.max_requests) {
    return base::Error{"there are " + std::to_string(s.live.size()) + " requests towards " + s.settings.server +
                       " already, the limit"};
  }
  std::vector<Wanted> recreated;
  if (s.mids.wants_rollover() && s.idle()) {
    s.mids.roll_over();
    out.push_back(OperatorMessage{"CLIENT_MID_ROLLOVER", "mids towards " + s.settings.server + " start again at 0"});
    for (auto& [mid, entry] : s.live) {
      if (!entry.wanted()) continue;
      const auto& record = entry.record;
      recreated.push_back({record.request.scope,
                           record.request.lifetime,
                           false,
                           {},
                           record.author,
                           record.note,
                           record.request.contract_id,
                           record.request.requested_service});
      s.begin_withdrawal(entry, "client", "mids start again at 0", now, out);
    }
  }
  const auto mid = s.create(wanted, lifetime, now, out);
  if (!mid) return base::Error{"no mid is left until the present attack is over"};
  for (const Wanted& wish : recreated) s.create(wish, *wish.lifetime, now, out);
  return Accepted{*mid, false};
}

base::Result<void> Requests::withdraw(base::Mid mid, const std::string& author, const std::string& note, base::Now now,
                                      Effects& out) {
  State& s = *state_;
  Entry* entry = s.find_live(mid);
  if (entry == nullptr) return base::Error{"no request with mid " + std::to_string(mid.value)};
  if (entry->phase == Phase::withdrawing) return {};
  s.begin_withdrawal(*entry, "operator " + author, note, now, out);
  return {};
}

base::Result<void> Requests::refresh(base::Mid mid, const std::string& author, base::Now now, Effects& out) {
  State& s = *state_;
  Entry* entry = s.find_live(mid);
  if (entry == nullptr) return base::Error{"no request with mid " + std::to_string(mid.value)};
  if (entry->phase == Phase::withdrawing) return base::Error{"this request is being withdrawn"};
  if (entry->phase == Phase::waiting) return base::Error{"the server asked to wait: " + entry->reason};
  s.audit(*entry, "operator " + author, "refresh", "requested", "", now, out);
  if (!entry->put) s.put_when_free(*entry, out);
  return {};
}

base::Result<void> Requests::efficacy(base::Mid mid, model::AttackStatus status, const std::string& author,
                                      base::Now now, Effects& out) {
  State& s = *state_;
  Entry* entry = s.find_live(mid);
  if (entry == nullptr) return base::Error{"no request with mid " + std::to_string(mid.value)};
  const bool mitigated =
      entry->status != model::MitigationStatus::signal_loss && entry->status != model::MitigationStatus::withdrawn;
  if (entry->phase != Phase::active || !mitigated) {
    return base::Error{"nothing is mitigated for mid " + std::to_string(mid.value) + " now"};
  }
  if (entry->efficacy_after && *entry->efficacy_after > now.steady) {
    return base::Error{"the server asked to wait for " +
                       std::to_string(base::whole_seconds(*entry->efficacy_after - now.steady) + 1) + " s more"};
  }
  s.cancel(entry->efficacy, out);
  entry->telling = status;
  entry->efficacy = SendId{++s.last_send};
  entry->efficacy_ends = now.steady + s.settings.efficacy_patience;
  s.sends[*entry->efficacy] = {mid, State::Purpose::efficacy};
  s.audit(*entry, "operator " + author, "efficacy", "requested", std::string(model::name_of(status)), now, out);
  model::MitigationRequest request = entry->record.request;
  request.attack_status = status;
  request.acl_list.clear();  // RFC 9133 3.2.1
  out.push_back(SendPut{*entry->efficacy, entry->record.cuid, mid, std::move(request)});
  return {};
}

void Requests::withdraw_unknown(base::Mid mid, base::Now, Effects& out) {
  State& s = *state_;
  const SendId id{++s.last_send};
  s.sends[id] = {mid, State::Purpose::del_unknown};
  out.push_back(SendDelete{id, s.working_cuid(), mid});
}

bool Requests::mitigating() const {
  return std::any_of(state_->live.begin(), state_->live.end(),
                     [](const auto& item) { return item.second.wanted() && item.second.immediate(); });
}

bool Requests::engaged() const {
  return mitigating() || std::any_of(state_->live.begin(), state_->live.end(), [](const auto& item) {
           return item.second.phase == Phase::withdrawing && item.second.immediate();
         });
}

bool Requests::active() const {
  return std::any_of(state_->live.begin(), state_->live.end(), [](const auto& item) {
    const Entry& entry = item.second;
    if (!entry.record.granted) return false;
    // A preconfigured request is active while the server says anything but that it waits for the loss of the signal.
    return entry.immediate() || (entry.status && *entry.status != model::MitigationStatus::signal_loss);
  });
}

bool Requests::urgent() const {
  return std::any_of(state_->live.begin(), state_->live.end(),
                     [](const auto& item) { return item.second.put || item.second.del; });
}

const base::Cuid& Requests::cuid() const { return state_->working_cuid(); }

std::uint64_t Requests::next_mid() const { return state_->mids.next(); }

static RequestView view_of(const Entry& entry, base::Now now) {
  RequestView view;
  view.record = entry.record;
  view.phase = entry.phase;
  view.refreshing = entry.phase == Phase::active && entry.put.has_value();
  view.status = entry.status;
  if (entry.expires) view.remaining = std::max(base::Duration::zero(), *entry.expires - now.steady);
  view.mitigation_start_s = entry.mitigation_start_s;
  view.conflict = entry.conflict;
  view.attack_status = entry.told;
  view.counters = entry.counters;
  view.switched = entry.switched;
  if (entry.news_at) view.news_age = now.steady - *entry.news_at;
  if (entry.retry_at) view.retry_in = std::max(base::Duration::zero(), *entry.retry_at - now.steady);
  view.reason = entry.reason;
  view.refusal_reason = entry.refusal_reason;
  view.failure = entry.failure;
  view.offered_service = entry.offered_service;
  view.service_used = entry.service_used;
  view.actual_prefix = entry.actual_prefix;
  return view;
}

std::vector<RequestView> Requests::view(base::Now now) const {
  std::vector<RequestView> views;
  for (const auto& [mid, entry] : state_->live) views.push_back(view_of(entry, now));
  for (auto it = state_->ended.rbegin(); it != state_->ended.rend(); ++it) views.push_back(view_of(*it, now));
  return views;
}

std::optional<RequestView> Requests::find(base::Mid mid, base::Now now) const {
  if (const Entry* entry = state_->find_live(mid)) return view_of(*entry, now);
  for (auto it = state_->ended.rbegin(); it != state_->ended.rend(); ++it) {
    if (it->record.mid == mid) return view_of(*it, now);
  }
  return std::nullopt;
}

}  // namespace dots::signal::client
