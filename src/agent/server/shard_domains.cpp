// The client domains of a shard: steps, commits and what becomes visible, reading back after a refused commit.
#include <algorithm>
#include <utility>

#include "agent/server/shard.h"
#include "base/overload.h"

namespace dots::agent::server {
namespace {

using namespace signal::server;

// Of a request of a client; null for everything else.
const Origin* origin_of(const Event& event) {
  return std::visit(
      [](const auto& e) -> const Origin* {
        if constexpr (requires { e.origin; }) {
          return &e.origin;
        } else {
          return nullptr;
        }
      },
      event);
}

bool is_withdrawal(const Event& event) {
  return std::holds_alternative<DeleteMitigation>(event) || std::holds_alternative<OperatorWithdraw>(event) ||
         std::holds_alternative<OperatorReleaseCuid>(event) || std::holds_alternative<OperatorRefuse>(event);
}

// Between two tries something else may have slipped into the batch: a changed address of a name, a step of the clock.
constexpr int kTriesOfAWithdrawal = 3;

Answer unavailable(const std::string& why, std::uint32_t retry_after_s) {
  Answer answer;
  answer.code = model::ResponseCode::service_unavailable;
  answer.diagnostic = why;
  answer.max_age_s = retry_after_s;
  return answer;
}

}  // namespace

bool is_release(const ToDomain& message) { return is_withdrawal(message.event); }

void Shard::load(const ports::Snapshot& snapshot, base::Now now, ShardOutput& out) {
  for (auto& [id, owned] : domains_) reloaded(id, snapshot, now, out);
  forget_orphans(snapshot, now);
}

// Names that no configured domain may use (any more) have nobody else to forget them.
void Shard::forget_orphans(const ports::Snapshot& snapshot, base::Now now) {
  if (all_rules_.empty()) return;
  std::vector<Effect> effects;
  for (const auto& record : snapshot.names) {
    const std::string name = policy::canonical_name(record.name);
    if (now.wall - record.resolved_at < settings_.domain.names_kept) continue;
    if (std::any_of(all_rules_.begin(), all_rules_.end(), [&](const auto& r) { return r->may_name(name).allowed; })) {
      continue;
    }
    effects.emplace_back(Persist{ports::EraseName{record.name, record.resolved_at}});
  }
  gate_.add({}, std::move(effects));
  all_rules_.clear();
}

void Shard::reloaded(const base::DomainId& domain, const ports::Snapshot& snapshot, base::Now now, ShardOutput&) {
  const auto it = domains_.find(domain);
  if (it == domains_.end()) return;
  const bool keep_observers = it->second.reloading;
  it->second.reloading = false;
  ports::Snapshot own;
  own.last_commit = snapshot.last_commit;
  own.fencing_token = snapshot.fencing_token;
  own.names = snapshot.names;
  for (const auto& record : snapshot.mitigations) {
    if (record.domain == domain) own.mitigations.push_back(record);
  }
  for (const auto& record : snapshot.cuids) {
    if (record.domain == domain) own.cuids.push_back(record);
  }
  load_data(domain, it->second, snapshot, now);
  gate_.add(domain, it->second.machine.load(own, now, keep_observers, std::exchange(it->second.unsaid, {})));
  filters_anew(domain, it->second);
  if (auto rules = std::exchange(it->second.next_rules, nullptr)) {
    it->second.data.set_rules(rules);
    gate_.add(domain, it->second.machine.set_rules(std::move(rules), now));
  }
  if (std::exchange(it->second.next_planner, false)) {
    gate_.add(domain, it->second.machine.set_planner(planner_, now));
  }
  if (losses_held_) gate_.add(domain, it->second.machine.step(SignalGuard{true, {}}, now));
  arm(domain, it->second);
  tally(it->second);
  for (const auto& kept : std::exchange(it->second.deferred, {})) {
    step(domain, it->second, kept.event, now, kept.tries);
  }
}

void Shard::guard(const SignalGuard& guard, base::Now now, ShardOutput& out) {
  losses_held_ = guard.held;
  for (auto& [id, owned] : domains_) {
    if (owned.reloading) {
      defer(owned, guard, now, out);
    } else {
      step(id, owned, guard, now);
    }
  }
}

void Shard::tally(Owned& owned) {
  const ClientCounts counts = owned.machine.clients();
  if (counts == owned.clients) return;
  clients_.known += counts.known - owned.clients.known;
  clients_.quiet += counts.quiet - owned.clients.quiet;
  clients_.approvals_late += counts.approvals_late - owned.clients.approvals_late;
  owned.clients = counts;
  clients_changed_ = true;
}

void Shard::refuse_event(const Event& event, const std::string& why, base::Now now, ShardOutput& out) {
  if (const Origin* origin = origin_of(event)) {
    to_session(Reply{origin->session, origin->exchange, unavailable(why, settings_.retry_after_s), false}, now, out);
  } else if (const auto* withdraw = std::get_if<OperatorWithdraw>(&event)) {
    out.operator_answers.push_back({withdraw->ticket, false, why});
  } else if (const auto* approve = std::get_if<OperatorApprove>(&event)) {
    out.operator_answers.push_back({approve->ticket, false, why});
  } else if (const auto* refuse = std::get_if<OperatorRefuse>(&event)) {
    out.operator_answers.push_back({refuse->ticket, false, why});
  } else if (const auto* release = std::get_if<OperatorReleaseCuid>(&event)) {
    out.operator_answers.push_back({release->ticket, false, why});
  }
}

// Requests are told to come again. Withdrawals are kept, and so is what back ends, names and sessions report: it is
// said only once.
void Shard::defer(Owned& owned, Event event, base::Now now, ShardOutput& out) {
  const bool withdraws = is_withdrawal(event);
  const bool asks = origin_of(event) != nullptr || withdraws || std::holds_alternative<OperatorApprove>(event);
  if ((withdraws || !asks) && owned.deferred.size() < settings_.events_while_reloading) {
    owned.deferred.push_back({{}, std::move(event), 0});
  } else if (asks) {
    refuse_event(event, "the server cannot store requests now", now, out);
  } else {
    ++out.counts.reports_dropped;
  }
}

void Shard::step(const base::DomainId& id, Owned& owned, const Event& event, base::Now now, int tries) {
  std::optional<Release> release;
  if (is_withdrawal(event)) release = Release{id, event, tries};
  gate_.add(id, owned.machine.step(event, now), std::move(release));
  // In the same batch as what the step itself changes.
  for (auto& outcome : std::exchange(owned.beside, {})) show_later(id, owned, std::move(outcome), 0);
  arm(id, owned);
  tally(owned);
}

void Shard::again(std::vector<Release> releases, std::vector<Visible>& failed) {
  std::set<std::pair<base::SessionId, base::ExchangeId>> requests;
  std::set<std::uint64_t> tickets;
  for (auto& release : releases) {
    const auto owned = domains_.find(release.domain);
    if (owned == domains_.end() || release.tries >= kTriesOfAWithdrawal) continue;
    if (owned->second.deferred.size() >= settings_.events_while_reloading) continue;
    if (const Origin* origin = origin_of(release.event)) requests.insert({origin->session, origin->exchange});
    if (const auto* withdraw = std::get_if<OperatorWithdraw>(&release.event)) tickets.insert(withdraw->ticket);
    if (const auto* refused = std::get_if<OperatorRefuse>(&release.event)) tickets.insert(refused->ticket);
    if (const auto* freed = std::get_if<OperatorReleaseCuid>(&release.event)) tickets.insert(freed->ticket);
    ++release.tries;
    owned->second.deferred.push_back(std::move(release));
  }
  std::erase_if(failed, [&](const Visible& visible) {
    const auto* reply = std::get_if<Reply>(&visible.effect);
    const auto* answer = std::get_if<OperatorAnswer>(&visible.effect);
    return (reply != nullptr && requests.count({reply->session, reply->exchange}) > 0) ||
           (answer != nullptr && tickets.count(answer->ticket) > 0);
  });
}

void Shard::run_local(base::Now now, ShardOutput& out) {
  for (auto& message : std::exchange(local_, {})) {
    const auto it = domains_.find(message.domain);
    if (it == domains_.end()) continue;
    if (step_configs(message.domain, it->second, message.event, now, out)) continue;
    if (it->second.reloading) {
      defer(it->second, std::move(message.event), now, out);
      continue;
    }
    if (releases_only_until_ && now.steady < *releases_only_until_ &&
        std::holds_alternative<PutMitigation>(message.event)) {
      refuse_event(message.event, "the server cannot store requests now", now, out);
      continue;
    }
    step(message.domain, it->second, message.event, now);
  }
}

bool Shard::step_configs(const base::DomainId& id, Owned& owned, const Event& event, base::Now now, ShardOutput& out) {
  SessionConfigs& configs = owned.configs;
  ConfigEffects effects;
  bool theirs = true;
  std::visit(base::Overload{
                 [&](const PutConfig& put) {
                   configs.on_put(put, owned.machine.has_armed_requests(put.origin.client), now.steady, effects);
                 },
                 [&](const GetConfig& get) { configs.on_get(get, now.steady, effects); },
                 [&](const DeleteConfig& del) { configs.on_delete(del, now.steady, effects); },
                 [&](const SessionEdge& edge) {
                   configs.on_edge(edge, now.steady, effects);
                   theirs = false;
                 },
                 [&](const ObservationCancelled& cancelled) {
                   configs.on_cancelled(cancelled);
                   theirs = false;
                 },
                 [&](const auto&) { theirs = false; },
             },
             event);
  perform(id, std::move(effects), now, out);
  if (theirs) arm(id, owned);
  return theirs;
}

// Nothing of it depends on a commit (docs/decisions/session-configuration.md): it passes the gate by.
void Shard::perform(const base::DomainId& domain, ConfigEffects effects, base::Now now, ShardOutput& out) {
  for (ConfigEffect& effect : effects) {
    std::visit(
        base::Overload{
            [&](ConfigReply& reply) { to_session(std::move(reply), now, out); },
            [&](ConfigNotify& notify) {
              ++out.counts.notifications;
              to_session(std::move(notify), now, out);
            },
            [&](ApplyParameters& apply) { to_session(std::move(apply), now, out); },
            [&](ConfigLapsed& lapsed) {
              out.lines.push_back({"CONFIG_LAPSED", "client " + lapsed.client.value + " of domain " + domain.value +
                                                        ", sid=" + std::to_string(lapsed.sid.value)});
            },
        },
        effect);
  }
}

void Shard::committed(const ports::CommitResult& result, base::Now now, ShardOutput& out) {
  const bool ok = result.outcome == ports::CommitOutcome::committed;
  Gate::Settled settled = gate_.settled(ok);
  if (!ok) {
    releases_only_until_ = now.steady + std::chrono::seconds{settings_.retry_after_s};
    out.lines.push_back({"STEP_UNDONE", result.reason});
    // In a batch of withdrawals alone there is nothing that could be left out.
    if (!settled.was_release) again(std::move(settled.releases), settled.failed);
    for (auto& visible : settled.failed) show_failed(std::move(visible), now, out);
    for (const auto& domain : settled.to_reload) {
      const auto it = domains_.find(domain);
      if (it == domains_.end()) continue;
      it->second.reloading = true;
      out.reload.push_back(domain);
    }
  }
  for (auto& visible : gate_.released()) show(std::move(visible), now, out);
}

void Shard::show(Visible visible, base::Now now, ShardOutput& out) {
  std::visit(base::Overload{
                 [&](Reply& reply) {
                   if (reply.answer.refusal_reason == model::RefusalReason::rate) ++out.counts.damped;
                   to_session(std::move(reply), now, out);
                 },
                 [&](NoReply& no_reply) { to_session(no_reply, now, out); },
                 [&](Notify& notify) {
                   ++out.counts.notifications;
                   to_session(std::move(notify), now, out);
                 },
                 [&](DesiredRules& rules) { out.wants.push_back(std::move(rules)); },
                 [&](ResolveName& name) { out.resolve.emplace_back(visible.domain, std::move(name.name)); },
                 [&](OperatorAnswer& answer) { out.operator_answers.push_back(std::move(answer)); },
                 [&](ClientMitigating& edge) {
                   const auto domain = domains_.find(visible.domain);
                   if (domain == domains_.end()) return;
                   ConfigEffects effects;
                   domain->second.configs.on_mitigating(edge, now.steady, effects);
                   perform(visible.domain, std::move(effects), now, out);
                   arm(visible.domain, domain->second);
                 },
                 [&](OperatorNote& note) {
                   out.lines.push_back({note.id, std::move(note.details)});
                 },
                 [&](DataAnswer& data) {
                   if (data.ticket != 0) out.data_answers.emplace_back(data.ticket, std::move(data.answer));
                   for (auto& line : data.lines) out.lines.push_back(std::move(line));
                 },
                 [&](mitigation::DomainFilters& filters) { out.filters.push_back(std::move(filters)); },
                 [&](Persist&) {},
             },
             visible.effect);
}

void Shard::show_failed(Visible visible, base::Now now, ShardOutput& out) {
  std::visit(base::Overload{
                 [&](Reply& reply) {
                   reply.answer = unavailable("the server could not store the request: nothing was changed",
                                              settings_.retry_after_s);
                   reply.observe = false;
                   to_session(std::move(reply), now, out);
                 },
                 [&](NoReply& no_reply) { to_session(no_reply, now, out); },
                 [&](ResolveName& name) { out.resolve.emplace_back(visible.domain, std::move(name.name)); },
                 [&](OperatorAnswer& answer) {
                   out.operator_answers.push_back({answer.ticket, false, "the change could not be stored"});
                 },
                 [&](DataAnswer& data) {
                   if (data.ticket != 0) out.data_answers.emplace_back(data.ticket, data::unavailable());
                 },
                 // The reload says again what is wanted, and what is not; observers hear of it then.
                 [&](DesiredRules& rules) {
                   const auto owned = domains_.find(visible.domain);
                   if (owned == domains_.end()) return;
                   for (const auto& want : rules.wants) owned->second.unsaid.insert(want.owner);
                 },
                 [&](auto&) {},
             },
             visible.effect);
}

void Shard::arm(const base::DomainId& id, Owned& owned) {
  // Whatever happened to a domain comes by here.
  if (owned.filters_seen != std::pair(owned.data.filters_version(), owned.machine.mitigating_version())) {
    filters_due_.insert(id);
  }
  // While it is read from the store the machine takes no step, so that its deadline would stay in the past.
  auto wanted = owned.reloading ? std::nullopt : owned.machine.next_deadline();
  if (const auto data = owned.reloading ? std::nullopt : owned.data.next_deadline();
      data && (!wanted || *data < *wanted))
    wanted = data;
  if (const auto accepts = owned.reloading ? std::nullopt : owned.accepts.next_deadline();
      accepts && (!wanted || *accepts < *wanted))
    wanted = accepts;
  if (const auto config = owned.configs.next_deadline(); config && (!wanted || *config < *wanted)) wanted = config;
  if (wanted == owned.armed) return;
  if (owned.armed) domain_deadlines_.erase({*owned.armed, id});
  owned.armed = wanted;
  if (wanted) domain_deadlines_.insert({*wanted, id});
}

std::vector<MitigationView> Shard::mitigations(base::Now now) const {
  std::vector<MitigationView> all;
  for (const auto& [id, owned] : domains_) {
    auto views = owned.machine.view(now);
    std::move(views.begin(), views.end(), std::back_inserter(all));
  }
  return all;
}

}  // namespace dots::agent::server
