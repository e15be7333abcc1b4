// PUT mitigate: new requests, refreshes, efficacy updates (RFC 9132 4.4.1, 4.4.3). The order of the checks is that of
// docs/decisions/requests.md.
#include <algorithm>

#include "signal/server/answers.h"
#include "signal/server/machine.h"

namespace dots::signal::server {
namespace {

using model::MitigationStatus;
using model::RefusalReason;
using model::ResponseCode;

constexpr std::uint32_t kQuotaRetryS = 60;    // a quota frees when something ends
constexpr std::uint32_t kFailureRetryS = 30;  // the back end is tried again meanwhile
constexpr std::uint32_t kUnableRetryS = 10;   // as often as a back end that is down is tried at least

bool same_parameters(const model::MitigationRequest& a, const model::MitigationRequest& b) {
  return a.trigger_mitigation == b.trigger_mitigation && model::normalised(a.scope) == model::normalised(b.scope);
}

// A repetition may leave it out.
bool differs(const std::optional<std::string>& known, const std::optional<std::string>& now) {
  return now && now != known;
}

std::string lifetime_text(model::Lifetime lifetime) {
  return lifetime.indefinite() ? "without end" : "for " + std::to_string(lifetime.seconds) + " s";
}

std::string targets_text(const model::MitigationScope& scope) {
  const std::size_t targets =
      scope.target_prefix.size() + scope.target_fqdn.size() + scope.target_uri.size() + scope.alias_name.size();
  std::string text;
  if (!scope.target_prefix.empty()) {
    text = model::to_string(scope.target_prefix.front());
  } else if (!scope.target_fqdn.empty()) {
    text = scope.target_fqdn.front();
  } else if (!scope.target_uri.empty()) {
    text = scope.target_uri.front();
  }
  return targets > 1 ? text + " and " + std::to_string(targets - 1) + " more" : text;
}

}  // namespace

void Machine::on_event(const PutMitigation& put, base::Now now) { decide(put, {put.origin}, Stage::first, now); }

void Machine::decide(const PutMitigation& put, const Origins& origins, Stage stage, base::Now now) {
  const base::ClientId& client = put.origin.client;
  if (const auto owner = taken_by_other(put.cuid, client)) {
    return refuse(put, origins, cuid_collision(), "the cuid belongs to " + client_text(*owner) + " of this domain",
                  "give each client its own cuid; when its owner needs it no more: dotsctl cuid release", now);
  }
  Mitigation* known = find(put.cuid, put.mid);

  if (put.if_match != PutMitigation::IfMatch::absent) {
    // No match, no answer: a late update must not bring back what a DELETE withdrew (RFC 9132 4.4.3).
    if (known == nullptr || known->terminating()) {
      for (const Origin& origin : origins) out_.emplace_back(NoReply{origin.session, origin.exchange});
      return;
    }
    if (put.if_match == PutMitigation::IfMatch::other) {
      return refuse(put, origins,
                    refused(ResponseCode::precondition_failed, "If-Match is only used with an empty value"),
                    "an If-Match option with a value", {}, now);
    }
  } else if (put.request.attack_status && known == nullptr) {
    return refuse(put, origins, refused(ResponseCode::bad_request, "attack-status, but this mid is not known"),
                  "an efficacy update for an unknown mid", {}, now);
  }

  const bool efficacy = put.request.attack_status && put.if_match == PutMitigation::IfMatch::empty;
  const auto& lifetime = put.request.lifetime;
  if (!lifetime && !efficacy) {
    return refuse(put, origins, refused(ResponseCode::bad_request, "lifetime is missing"), "no lifetime", {}, now);
  }
  if (lifetime && !lifetime->indefinite() && (lifetime->seconds < 1 || lifetime->seconds > INT64_C(0xffffffff))) {
    return refuse(put, origins,
                  refused(ResponseCode::bad_request, "lifetime " + std::to_string(lifetime->seconds) + " is invalid"),
                  "an invalid lifetime", {}, now);
  }
  // A request that is known keeps what its aliases stood for; a changed alias counts for new requests.
  std::vector<model::Alias> aliases;
  if (known != nullptr) {
    aliases = known->record.aliases;
  } else if (!put.request.scope.alias_name.empty()) {
    auto resolved = resolve_aliases(put);
    if (!resolved) {
      const std::string& alias = resolved.error().message;
      return refuse(put, origins,
                    refused(ResponseCode::bad_request, "alias-name '" + alias + "' is not known for this client",
                            RefusalReason::scope),
                    "the client has created no alias '" + alias + "'",
                    "create it on the data channel, or name the targets themselves", now);
    }
    aliases = std::move(*resolved);
  }
  if (const policy::Verdict verdict = may_request(put, aliases); !verdict.allowed) {
    return refuse(put, origins, verdict, now);
  }
  if (const policy::Verdict verdict = rules_->may_use(put.request); !verdict.allowed) {
    return refuse(put, origins, verdict, now);
  }
  if (known != nullptr) return refresh(*known, put, origins, now);
  create(put, std::move(aliases), origins, stage, now);
}

void Machine::refresh(Mitigation& known, const PutMitigation& put, const Origins& origins, base::Now now) {
  ports::MitigationRecord& record = known.record;
  if (!same_parameters(record.request, put.request)) {
    return refuse(put, origins,
                  refused(ResponseCode::bad_request,
                          "parameters other than lifetime differ from the request with this mid; use a higher mid",
                          RefusalReason::scope),
                  "a refresh with other parameters", "the client must use a new mid to change its scope", now);
  }
  if (differs(record.request.contract_id, put.request.contract_id) ||
      differs(record.request.requested_service, put.request.requested_service)) {
    return refuse(put, origins,
                  refused(ResponseCode::bad_request,
                          "contract or service differs from the request with this mid; use a higher mid",
                          RefusalReason::contract),
                  "another contract or service for a known mid", "the client must use a new mid to change them", now);
  }
  // A repetition may leave them out, and an efficacy update has none (RFC 9133 3.2.1).
  if (!put.request.acl_list.empty() && !model::same_acls(record.request.acl_list, put.request.acl_list)) {
    return refuse(
        put, origins,
        refused(ResponseCode::bad_request, "acl-list differs from the request with this mid; use a higher mid"),
        "another acl-list for a known mid", "the client must use a new mid to switch filters", now);
  }
  if (put.request.attack_status && known.rules == RulesReport::State::failed) {
    return refuse(put, origins,
                  unavailable("the mitigation could not be installed yet", kFailureRetryS,
                              known.trouble().value_or(RefusalReason::hardware)),
                  "an efficacy update, but the rules could not be installed: " + known.rules_reason,
                  "see the back end's message", now);
  }
  if (known.deactivated()) {
    if (blocked(known)) return refuse_deactivated(known, put, origins, now);
    activate(known, now);
  }
  const bool revived = known.terminating();
  Contest contest;
  if (revived) {
    contest = this->contest(record.client, known.targets(), record.expanded);
    contest.winners.insert(contest.winners.end(), contest.tied.begin(), contest.tied.end());
    if (contest.is_lost()) {
      return refuse_conflict(put, origins, known.targets(), record.expanded, contest.winners, now);
    }
    if (damped(put, origins, now)) return;
    set_status(known, MitigationStatus::in_progress, now);
    known.starts = true;
    ++record.terminating_cycles;
  }
  grant(known, put.request.lifetime ? rules_->grant(*put.request.lifetime, record.request.contract_id) : record.granted,
        now);
  const bool news = revived || record.request.attack_status != put.request.attack_status;
  if (put.request.lifetime) record.request.lifetime = put.request.lifetime;
  if (put.request.attack_status) record.request.attack_status = put.request.attack_status;
  save(known);
  want(known, now);
  if (!put.request.attack_status || news) {
    std::string text = "goes on " + lifetime_text(record.granted);
    if (put.request.attack_status) {
      text += "; the client says " + std::string{model::name_of(*put.request.attack_status)};
    }
    audit(now, put.origin, put.request.attack_status ? "efficacy" : "refresh", known.key(), "accepted",
          revived ? "active again before it was terminated; " + text : text);
  }
  for (Mitigation* loser : contest.beaten) give_way(*loser, known, left(known, now), now);
  if (revived && !known.preconfigured()) stand_down_for(known, now);
  Answer answer = accepted(ResponseCode::changed, put.mid, record.granted);
  answer.entries.front().conflict = conflict_of(known, now);
  for (const Origin& origin : origins) reply(origin, answer);
  if (revived) changed(known.key(), now);
}

void Machine::create(const PutMitigation& put, std::vector<model::Alias> aliases, const Origins& origins, Stage stage,
                     base::Now now) {
  const model::MitigationRequest& request = put.request;
  const model::MitigationScope targets = whole_scope(put.cuid, request.scope, aliases);
  if (stage == Stage::first && join_held(put, now)) return;

  std::set<std::string> missing;
  const std::vector<std::string> names = names_of(targets);
  for (const std::string& name : names) {
    if (!usable(name, now)) missing.insert(name);
  }
  if (!missing.empty()) {
    if (stage == Stage::first) return hold(put, missing, now);
    return refuse(put, origins,
                  unavailable("the name " + *missing.begin() + " cannot be looked up now", kFailureRetryS,
                              RefusalReason::hardware),
                  *missing.begin() + " has no answer", {}, now);
  }
  for (const std::string& name : names) {
    const policy::Verdict verdict = rules_->may_resolve_to(name, names_.at(name).record.addresses);
    if (!verdict.allowed) return refuse(put, origins, verdict, now);
  }

  // Overlap with own requests of the same trigger type. What is terminating gives way to every mid.
  const std::vector<model::Prefix> expanded = expand(targets);
  std::set<base::Mid> replaced;
  std::optional<base::Mid> higher;
  const auto state = cuids_.find(put.cuid);
  if (state != cuids_.end()) {
    const ScopeIndex& index = request.trigger_mitigation ? immediate_ : preconfigured_;
    index.visit(targets, expanded, [&](ScopeIndex::Number number) {
      const Mitigation& other = *by_number_.at(number);
      if (other.record.cuid != put.cuid) return true;
      if (other.record.mid > put.mid && !other.terminating()) {
        higher = other.record.mid;
        return false;
      }
      replaced.insert(other.record.mid);
      return true;
    });
  }
  if (higher) {
    return refuse(put, origins, overlapping(*higher),
                  "it overlaps mid=" + std::to_string(higher->value) + " of the same client, which is newer", {}, now);
  }

  // What waits for a loss is in nobody's way until then.
  Contest contest;
  if (request.trigger_mitigation) contest = this->contest(put.origin.client, targets, expanded);
  if (contest.is_lost()) return refuse_conflict(put, origins, targets, expanded, contest.winners, now);
  const bool tied = !contest.tied.empty();
  // An armed request wants no rules yet.
  if (unable_ && request.trigger_mitigation) {
    return refuse(
        put, origins,
        unavailable("the server cannot mitigate at present: try again", kUnableRetryS, RefusalReason::hardware),
        "no back end can install rules: " + *unable_, "see the back end's message", now);
  }

  ports::MitigationRecord record;
  record.domain = domain();
  record.cuid = put.cuid;
  record.mid = put.mid;
  record.client = put.origin.client;
  record.request = request;
  record.aliases = std::move(aliases);
  record.expanded = expanded;
  record.author = client_text(put.origin.client);
  std::vector<const Mitigation*> holders;
  for (const base::Mid mid : replaced) holders.push_back(find(put.cuid, mid));
  for (const Mitigation* loser : contest.beaten) holders.push_back(loser);
  Plan plan = this->plan(record, holders);
  if (!plan.verdict.allowed) return refuse(put, origins, plan.verdict, now);

  if (!may_switch(put, origins, now)) return;

  const policy::DomainPolicy& policy = rules_->policy();
  if (total_ + 1 > policy.max_mitigations + replaced.size()) {
    return refuse(
        put, origins,
        unavailable("no more mitigations are taken now: the quota is used up", kQuotaRetryS, RefusalReason::capacity),
        "the domain has " + std::to_string(total_) + " mitigations, its max_mitigations is " +
            std::to_string(policy.max_mitigations),
        "raise max_mitigations of the domain, or withdraw mitigations", now);
  }
  if (const std::uint32_t most = rules_->max_mitigations(request.contract_id); request.contract_id && most > 0) {
    const auto used = by_contract_.find(*request.contract_id);
    std::size_t others = used == by_contract_.end() ? 0 : used->second;
    for (const base::Mid mid : replaced) {
      if (find(put.cuid, mid)->record.request.contract_id == request.contract_id) --others;
    }
    if (others >= most) {
      return refuse(
          put, origins,
          unavailable("no more mitigations are taken now under this contract", kQuotaRetryS, RefusalReason::contract),
          "contract '" + *request.contract_id + "' has " + std::to_string(others) +
              " mitigations, its max_mitigations is " + std::to_string(most),
          "raise max_mitigations of the contract, or withdraw mitigations", now);
    }
  }
  if (state == cuids_.end() && !make_room_for_cuid(put.origin.client)) {
    return refuse(put, origins,
                  unavailable("no more cuids are taken from this client now: the quota is used up", kQuotaRetryS,
                              RefusalReason::capacity),
                  "the client has mitigations under " + std::to_string(policy.max_cuids_per_client) + " other cuids",
                  "raise max_cuids_per_client of the domain, or let the client keep its cuid", now);
  }
  // What is refused for something else begins nothing, and must not use up the activations of others.
  if (request.trigger_mitigation && damped(put, origins, now)) return;
  if (!switch_filters(put, origins, now)) return;
  if (state == cuids_.end()) claim_cuid(put.cuid, put.origin.client, now);
  if (auto& news = cuids_.at(put.cuid).filter_news; !news.empty() && !mitigating(put.cuid)) news.clear();

  Mitigation mitigation;
  record.status = !request.trigger_mitigation ? MitigationStatus::signal_loss
                  : tied                      ? MitigationStatus::withdrawn
                                              : MitigationStatus::in_progress;
  record.accepted_at = now.wall;
  const bool runs = record.status == MitigationStatus::in_progress;
  if (runs) record.started_at = now.wall;
  std::string takes_over;
  std::vector<const Mitigation*> olds;
  for (const base::Mid mid : replaced) olds.push_back(find(put.cuid, mid));
  if (plan.needs_approval) record.approval = inherited_approval(record, plan, olds);
  for (const base::Mid mid : replaced) {
    const Mitigation& old = *find(put.cuid, mid);
    if (old.volume.held_bps() > mitigation.volume.held_bps()) mitigation.volume = old.volume.carried_over(now.steady);
    if (old.terminating() && runs) {
      // A new request inside the period prolongs the mitigation that still runs (RFC 8612 SIG-006).
      record.started_at = std::min(*record.started_at, old.record.started_at.value_or(*record.started_at));
      record.terminating_cycles = std::max(record.terminating_cycles, old.record.terminating_cycles + 1);
    }
    takes_over += (takes_over.empty() ? "; in place of mid=" : ", ") + std::to_string(mid.value);
    audit(now, put.origin, "replace", {put.cuid, mid}, "done", "overlapped by mid=" + std::to_string(put.mid.value));
    end({put.cuid, mid}, std::nullopt, now);
  }
  mitigation.record = std::move(record);
  if (put.origin.received_at != base::SteadyTime{}) mitigation.asked_at = put.origin.received_at;
  grant(mitigation, rules_->grant(*request.lifetime, request.contract_id), now);
  const base::Duration asked_for = left(mitigation, now);
  if (tied) keep_deactivated(mitigation, retry_after(contest.tied, now), now);
  mitigation.starts = runs;
  Mitigation& placed = put_in(std::move(mitigation), now);
  watch_volume(placed);
  save(placed);
  want(placed, std::move(plan), now);
  audit(now, put.origin, "request", placed.key(), "accepted",
        (placed.armed() ? "armed "
         : tied         ? "kept without effect, because of a conflict, "
                        : "granted ") +
            lifetime_text(placed.record.granted) + ": " + targets_text(request.scope) + takes_over);
  for (Mitigation* loser : contest.beaten) give_way(*loser, placed, asked_for, now);
  for (Mitigation* rival : contest.tied) {
    if (rival->running()) give_way(*rival, placed, asked_for, now);
  }
  if (placed.running()) stand_down_for(placed, now);
  tell_rivals(placed, now);
  Answer answer = accepted(ResponseCode::created, put.mid, tied ? remaining(placed, now) : placed.record.granted);
  answer.entries.front().conflict = conflict_of(placed, now);
  for (const Origin& origin : origins) reply(origin, answer);
  changed(placed.key(), now);
}

bool Machine::damped(const PutMitigation& put, const Origins& origins, base::Now now) {
  const std::uint32_t most = rules_->policy().activations_per_minute;
  Activations& activations = clients_[put.origin.client].activations;
  const auto wait = activations.take(most, now.steady);
  if (!wait) return false;
  const auto retry_s = static_cast<std::uint32_t>(base::whole_seconds(*wait)) + 1;
  if (activations.news(now.steady))
    note("REQUESTS_DAMPED", "domain " + domain().value + ", " + client_text(put.origin.client) + ": more than " +
                                std::to_string(most) + " in a minute");
  refuse(put, origins,
         unavailable("too many requests begin to be mitigated: try again later", retry_s, RefusalReason::rate),
         "more than " + std::to_string(most) + " requests of this client in a minute began to be mitigated",
         "look at what the client does, or raise activations_per_minute of the domain", now);
  return true;
}

void Machine::refuse(const PutMitigation& put, const Origins& origins, const policy::Verdict& verdict, base::Now now) {
  Answer answer = refused(verdict.code, verdict.diagnostic, verdict.refusal);
  if (verdict.refusal == RefusalReason::function) answer.offered_service = rules_->offered(put.request.contract_id);
  refuse(put, origins, std::move(answer), verdict.reason, verdict.next_step, now);
}

void Machine::refuse(const PutMitigation& put, const Origins& origins, Answer answer, const std::string& reason,
                     const std::string& next_step, base::Now now) {
  if (put.request.takes_extensions()) tell_reason(answer);
  for (const Origin& origin : origins) reply(origin, answer);
  ClientState& client = clients_[put.origin.client];
  if (now.steady - client.refusals_since >= std::chrono::minutes{1}) {
    client.refusals_since = now.steady;
    client.refusals = 0;
  }
  if (client.refusals >= limits_.refusals_audited_per_minute) {
    ++client.refusals_left_out;
    return;
  }
  ++client.refusals;
  std::string text = model::to_string(answer.code);
  if (answer.refusal_reason) text += " (" + std::string{model::name_of(*answer.refusal_reason)} + ")";
  text += ": " + reason;
  if (!next_step.empty()) text += "; " + next_step;
  if (client.refusals_left_out > 0) {
    text += " (" + std::to_string(client.refusals_left_out) + " refusals before it are not listed)";
    client.refusals_left_out = 0;
  }
  audit(now, put.origin, "refuse", {put.cuid, put.mid}, "refused", std::move(text));
}

}  // namespace dots::signal::server
