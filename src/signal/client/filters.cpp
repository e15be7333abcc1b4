// Filters that are switched with a mitigation request, from the client's side (RFC 9133 3.2.1;
// docs/decisions/filter-control.md).
#include <algorithm>

#include "signal/client/scope_check.h"
#include "signal/client/state.h"

namespace dots::signal::client {

using model::ResponseCode;

namespace {

constexpr std::uint32_t kDefaultMaxAge_s = 60;  // CoAP, when the option is absent (RFC 7252 5.10.5)
constexpr std::uint32_t kLongestWait_s = 86400;
constexpr base::Duration kShortestWait = std::chrono::seconds{3};

}  // namespace

std::optional<base::Mid> Requests::State::create(const Wanted& wish, model::Lifetime asked, base::Now now,
                                                 Effects& out) {
  auto mid = mids.take();
  while (mid && live.contains(*mid)) mid = mids.take();
  if (!mid) return std::nullopt;
  Entry& entry = live[*mid];
  entry.record.server = settings.server;
  entry.record.cuid = working_cuid();
  entry.record.mid = *mid;
  entry.record.request.scope = wish.scope;
  entry.record.request.lifetime = asked;
  entry.record.request.trigger_mitigation = wish.trigger_mitigation;
  entry.record.request.acl_list = wish.acl_list;
  entry.record.request.contract_id = wish.contract_id ? wish.contract_id : settings.contract_id;
  entry.record.request.requested_service = wish.requested_service ? wish.requested_service : settings.requested_service;
  extend(entry.record.request);
  entry.record.author = wish.author;
  entry.record.note = wish.note;
  persist(entry, out);
  std::string text = describe(wish.scope);
  if (!wish.acl_list.empty()) text += "; " + describe(wish.acl_list);
  audit(entry, "operator " + wish.author, "request", "requested", text + (wish.note.empty() ? "" : ": " + wish.note),
        now, out);
  out.push_back(Persist{ports::PutCounter{counter_name("next-mid"), mids.next()}});
  put_when_free(entry, out);
  return mid;
}

base::Result<Requests::Accepted> Requests::control_filters(base::Mid mid, std::vector<model::AclActivation> acl_list,
                                                           const std::string& author, const std::string& note,
                                                           base::Now now, Effects& out) {
  State& s = *state_;
  const Entry* entry = s.find_live(mid);
  if (entry == nullptr) return base::Error{"no request with mid " + std::to_string(mid.value)};
  if (acl_list.empty()) return base::Error{"no filter is named"};
  if (const auto reason = invalid_acls(acl_list)) return base::Error{*reason};
  const bool runs = entry->phase == Phase::active && entry->record.acknowledged &&
                    (entry->immediate() || entry->status != model::MitigationStatus::signal_loss) &&
                    entry->status != model::MitigationStatus::withdrawn;
  if (!runs || (!entry->immediate() && !entry->status)) {
    return base::Error{"nothing is mitigated for mid " + std::to_string(mid.value) +
                       " now, and in idle time filters are the business of the data channel"};
  }
  if (s.live.size() >= s.settings.max_requests) {
    return base::Error{"there are " + std::to_string(s.live.size()) + " requests towards " + s.settings.server +
                       " already, the limit"};
  }
  const model::MitigationRequest& request = entry->record.request;
  const Wanted wish{request.scope, request.lifetime,    request.trigger_mitigation, std::move(acl_list), author,
                    note,          request.contract_id, request.requested_service};
  const auto created = s.create(wish, *request.lifetime, now, out);
  if (!created) return base::Error{"no mid is left until the present attack is over"};
  return Accepted{*created, false};
}

Entry* Requests::State::same_scope(const Entry& entry) {
  const model::MitigationScope scope = model::normalised(entry.record.request.scope);
  for (auto& [mid, other] : live) {
    if (&other == &entry || !other.wanted() || other.filters_failed || other.immediate() != entry.immediate()) continue;
    if (model::normalised(other.record.request.scope) == scope) return &other;
  }
  return nullptr;
}

// A server may say in words what should be a body.
bool Requests::State::is_filter_failure(const Entry& entry, const Answer& answer) const {
  if (entry.record.acknowledged || entry.record.request.acl_list.empty()) return false;
  if (answer.code == ResponseCode::bad_request || answer.code == ResponseCode::not_found) return true;
  if (answer.code != ResponseCode::service_unavailable) return false;
  const bool named =
      std::any_of(answer.entries.begin(), answer.entries.end(), [](const auto& one) { return !one.acl_list.empty(); });
  return named || !answer.diagnostic.empty();
}

// The mitigation must not wait for its filters: without one for this scope it is asked for at once. A server that knows
// nothing of filters, or not this one, will not learn it by being asked again.
void Requests::State::on_filter_failure(Entry& entry, const Answer& answer, base::Now now, Effects& out) {
  const model::MitigationRequest request = entry.record.request;
  const Wanted wish{request.scope,       request.lifetime,  request.trigger_mitigation, {},
                    entry.record.author, entry.record.note, request.contract_id,        request.requested_service};
  const std::string reason = explain(answer);
  const bool covered = same_scope(entry) != nullptr;
  tell("CLIENT_FILTERS_REFUSED", entry, describe(request.acl_list) + ": " + reason, out);
  if (answer.code != ResponseCode::service_unavailable) {
    end(entry, Phase::refused, reason, now, out);
  } else {
    const auto time = std::chrono::seconds{std::min(answer.max_age_s.value_or(kDefaultMaxAge_s), kLongestWait_s)};
    entry.filters_failed = true;
    entry.phase = Phase::waiting;
    entry.retry_at = now.steady + std::max<base::Duration>(time, kShortestWait);
    entry.reason = "the filters could not be switched: " + reason;
    audit(entry, "server", "filters", "refused", entry.reason, now, out);
    out.push_back(Progress{entry.record.mid, Progress::Kind::delayed});
  }
  if (!covered) create(wish, *request.lifetime, now, out);
}

void Requests::State::ask_filters_again(Entry& entry, base::Now now, Effects& out) {
  if (same_scope(entry) == nullptr && entry.reason.empty()) {
    // After a restart it may never have been sent.
    entry.filters_failed = false;
    entry.phase = Phase::requesting;
    return put_when_free(entry, out);
  }
  if (same_scope(entry) == nullptr) {
    return end(entry, Phase::ended, "the mitigation that the filters were for is over", now, out);
  }
  const ports::ClientRequestRecord record = entry.record;
  const auto mid =
      create({record.request.scope, record.request.lifetime, record.request.trigger_mitigation, record.request.acl_list,
              record.author, record.note, record.request.contract_id, record.request.requested_service},
             *record.request.lifetime, now, out);
  end(*find_live(record.mid), Phase::ended,
      mid ? "asked for again as mid " + std::to_string(mid->value) : "no mid is left until the present attack is over",
      now, out);
}

void Requests::State::note_switched(Entry& entry, const std::vector<model::AclActivation>& acl_list, Effects& out) {
  if (acl_list.empty()) return;
  entry.switched = acl_list;
  tell("CLIENT_FILTERS_SWITCHED", entry, describe(acl_list), out);
}

}  // namespace dots::signal::client
