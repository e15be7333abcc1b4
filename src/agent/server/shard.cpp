#include "agent/server/shard.h"

#include <algorithm>
#include <utility>

#include "base/overload.h"

namespace dots::agent::server {
namespace {

using namespace signal::server;

// Timers that are so late mean that the process did not run.
constexpr auto kStall = std::chrono::seconds{10};
// For a queue that was full to empty.
constexpr auto kTellAgain = std::chrono::milliseconds{500};

const Origin* origin_of(const Event& event) {
  if (const auto* put = std::get_if<PutMitigation>(&event)) return &put->origin;
  if (const auto* get = std::get_if<GetMitigation>(&event)) return &get->origin;
  if (const auto* del = std::get_if<DeleteMitigation>(&event)) return &del->origin;
  if (const auto* put_config = std::get_if<PutConfig>(&event)) return &put_config->origin;
  if (const auto* get_config = std::get_if<GetConfig>(&event)) return &get_config->origin;
  if (const auto* delete_config = std::get_if<DeleteConfig>(&event)) return &delete_config->origin;
  return nullptr;
}

std::string from_text(const model::Path& path) {
  return model::to_string(path.peer) + (path.transport == model::Transport::tcp ? " over TCP" : "");
}

bool is_withdrawal(const Event& event) {
  return std::holds_alternative<DeleteMitigation>(event) || std::holds_alternative<OperatorWithdraw>(event) ||
         std::holds_alternative<OperatorReleaseCuid>(event);
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

std::uint32_t owner_of(const base::DomainId& domain, std::uint32_t shards) {
  std::uint32_t hash = 2166136261U;
  for (char c : domain.value) hash = (hash ^ static_cast<std::uint8_t>(c)) * 16777619U;
  return shards <= 1 ? 0 : hash % shards;
}

bool is_release(const ToDomain& message) { return is_withdrawal(message.event); }

Shard::Shard(const ShardSettings& settings, std::shared_ptr<const policy::Identities> identities,
             std::vector<std::shared_ptr<const policy::DomainRules>> domains, Planner planner, std::uint64_t seed)
    : settings_(settings),
      identities_(std::move(identities)),
      planner_(std::move(planner)),
      seed_(seed),
      table_(static_cast<std::uint16_t>(settings.index), settings.sessions),
      quota_(settings.sessions_per_domain) {
  if (settings_.index == 0) all_rules_ = domains;
  for (auto& rules : domains) {
    const base::DomainId id = rules->policy().id;
    if (owner_of(id, settings_.shards) != settings_.index) continue;
    domains_.emplace(id, owned_by(std::move(rules)));
  }
}

Shard::~Shard() = default;

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
  gate_.add(domain, it->second.machine.load(own, now, keep_observers, std::exchange(it->second.unsaid, {})));
  if (auto rules = std::exchange(it->second.next_rules, nullptr))
    gate_.add(domain, it->second.machine.set_rules(std::move(rules), now));
  if (losses_held_) gate_.add(domain, it->second.machine.step(SignalGuard{true, {}}, now));
  arm(domain, it->second);
  tally(it->second);
  for (const auto& kept : std::exchange(it->second.deferred, {})) {
    step(domain, it->second, kept.event, now, kept.tries);
  }
}

void Shard::on_admitted(Admitted admitted, base::Now now, ShardOutput& out) {
  SessionEffects effects;
  table_.adopt(std::move(admitted), now, effects);
  absorb(std::move(effects), now, out);
}

void Shard::on_datagram(const model::Datagram& datagram, base::Now now, ShardOutput& out) {
  ++out.counts.datagrams;
  SessionEffects effects;
  table_.on_datagram(datagram, now, effects);
  absorb(std::move(effects), now, out);
}

void Shard::on_disconnected(const model::Path& path, const std::string& reason, base::Now now, ShardOutput& out) {
  SessionEffects effects;
  table_.on_disconnected(path, reason, effects);
  absorb(std::move(effects), now, out);
}

void Shard::recheck_credentials(base::Now now) {
  table_.begin_recheck(now);
  recheck_at_ = now.steady + settings_.recheck_every;
}

void Shard::on_timer(base::Now now, ShardOutput& out) {
  if (const auto due = next_deadline(); due && now.steady - *due > kStall) {
    // Before anybody is judged by the silence of this time.
    guard({losses_held_, 2 * settings_.domain.loss_threshold}, now, out);
    out.stalled = true;
  }
  if (recheck_at_ && *recheck_at_ <= now.steady) recheck_credentials(now);
  if (tell_again_at_ && *tell_again_at_ <= now.steady) tell_edges_again(out);
  SessionEffects effects;
  table_.on_timer(now, effects);
  absorb(std::move(effects), now, out);
  while (!session_deadlines_.empty() && session_deadlines_.begin()->first <= now.steady) {
    const base::SessionId id = session_deadlines_.begin()->second;
    session_deadlines_.erase(session_deadlines_.begin());
    const auto live = sessions_.find(id);
    if (live == sessions_.end()) continue;
    live->second.armed.reset();
    SessionOutput output;
    live->second.session.on_timer(now, output);
    absorb(live, std::move(output), now, out);
  }
  while (!domain_deadlines_.empty() && domain_deadlines_.begin()->first <= now.steady) {
    const base::DomainId id = domain_deadlines_.begin()->second;
    domain_deadlines_.erase(domain_deadlines_.begin());
    Owned& owned = domains_.at(id);
    owned.armed.reset();
    ConfigEffects due;
    owned.configs.on_timer(now.steady, due);
    perform(id, std::move(due), now, out);
    if (owned.reloading) {
      arm(id, owned);
    } else {
      step(id, owned, TimerFired{}, now);
    }
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
  owned.clients = counts;
  clients_changed_ = true;
}

void Shard::on_clock_step(base::Now now, ShardOutput&) {
  for (auto& [id, owned] : domains_) {
    if (!owned.reloading) step(id, owned, TimerFired{}, now);
  }
}

void Shard::close_all(const std::string& reason, base::Now now, ShardOutput& out) {
  SessionEffects effects;
  for (auto& [id, live] : sessions_) {
    SessionOutput output;
    live.session.release(reason, output);
    for (const auto& bytes : output.send) table_.send(id, bytes, now, effects);
  }
  table_.close_all(reason, now, effects);
  absorb(std::move(effects), now, out);
}

void Shard::absorb(SessionEffects effects, base::Now now, ShardOutput& out) {
  out.counts.unknown_peer += effects.unknown_peer;
  for (auto& datagram : effects.send) out.send.push_back(std::move(datagram));
  for (const auto& path : effects.turned_away) {
    if (path.transport == model::Transport::tcp) out.close.push_back(path);
  }
  out.counts.sessions_refused += effects.refusals.size();
  for (auto& refusal : effects.refusals) out.lines.push_back({"SESSION_REFUSED", std::move(refusal)});
  std::vector<base::SessionId> crowded_out;
  for (auto& opened : effects.opened) {
    auto client = identities_->find(opened.identity);
    if (client) {
      out.lines.push_back({"SESSION_OPENED", "client " + client->client.value + " of domain " + client->domain.value +
                                                 " from " + from_text(opened.path) +
                                                 (opened.resumed ? ", resumed" : "")});
    } else {
      const std::string name = opened.identity.names.empty() ? "(no name)" : opened.identity.names.front();
      out.lines.push_back({"SESSION_STRANGER", "'" + name + "' from " + from_text(opened.path) +
                                                   " has a valid credential but is no configured client"});
    }
    out.peers_opened.push_back(opened.path);
    seed_ = seed_ * 6364136223846793005ULL + 1442695040888963407ULL;
    Session session(opened.session, client, table_.max_plaintext(opened.session), settings_.session, seed_, now,
                    opened.path.transport);
    const auto [live, added] = sessions_.insert_or_assign(
        opened.session, Live{std::move(session), opened.path, opened.identity, opened.resumed, std::nullopt});
    if (!recheck_at_) recheck_at_ = now.steady + settings_.recheck_every;
    quota_.opened(opened.session, client);
    if (const auto gone = quota_.too_many(opened.session)) crowded_out.push_back(*gone);
    if (client)
      route_to_domain(opened.session,
                      SessionEdge{SessionEdge::Kind::opened,
                                  opened.session,
                                  client->client,
                                  {},
                                  base::Cuid{model::default_cuid(opened.identity)}},
                      out);
    SessionOutput output;
    live->second.session.start(now, output);
    live->second.crowded = client && redirects_->when_crowded &&
                           table_.size() * 100 >= settings_.sessions.sessions * redirects_->crowded_percent;
    absorb(live, std::move(output), now, out);
    if (const auto there = sessions_.find(opened.session); there != sessions_.end()) redirect(there, now, out);
  }
  for (const auto& plaintext : effects.plaintexts) {
    const auto live = sessions_.find(plaintext.session);
    if (live == sessions_.end()) continue;
    quota_.spoke(plaintext.session);
    SessionOutput output;
    live->second.session.on_plaintext(plaintext.bytes, now, output);
    absorb(live, std::move(output), now, out);
  }
  for (const auto& closed : effects.closed) {
    const auto live = sessions_.find(closed.session);
    if (live == sessions_.end()) continue;
    const auto& client = live->second.session.client();
    if (closed.credential) ++out.counts.credentials_ended;
    if (client) {
      out.lines.push_back({closed.credential ? "SESSION_CREDENTIAL_ENDED" : "SESSION_CLOSED",
                           "client " + client->client.value + " of domain " + client->domain.value + " from " +
                               from_text(live->second.path) + ": " + closed.reason});
      route_to_domain(closed.session,
                      SessionEdge{SessionEdge::Kind::closed,
                                  closed.session,
                                  client->client,
                                  live->second.session.loss_after(),
                                  {},
                                  live->second.session.redirection().leaving()},
                      out);
      remember_departure(live->second, now);
    }
    out.peers_closed.push_back(live->second.path);
    if (live->second.path.transport == model::Transport::tcp) out.close.push_back(live->second.path);
    if (live->second.armed) session_deadlines_.erase({*live->second.armed, closed.session});
    quota_.closed(closed.session);
    sessions_.erase(live);
  }
  for (const base::SessionId id : crowded_out) crowd_out(id, now, out);
}

void Shard::crowd_out(base::SessionId id, base::Now now, ShardOutput& out) {
  const auto live = sessions_.find(id);
  if (live == sessions_.end()) return;
  ++out.counts.sessions_crowded_out;
  const auto& client = live->second.session.client();
  out.lines.push_back(
      {"SESSIONS_OVER_LIMIT",
       (client ? "client " + client->client.value + " of domain " + client->domain.value : "strangers") +
           ": more than " + std::to_string(quota_.per_domain()) + " sessions; that from " +
           from_text(live->second.path) + " is closed"});
  SessionEffects effects;
  table_.close(id, "the domain has too many sessions, and its client the most of them", now, effects);
  absorb(std::move(effects), now, out);
}

void Shard::absorb(SessionMap::iterator live, SessionOutput output, base::Now now, ShardOutput& out) {
  const base::SessionId id = live->first;
  out.counts.requests += output.requests;
  out.counts.heartbeats += output.heartbeats;
  out.counts.refused += output.refusals.size();
  out.counts.coap += output.counters;
  for (auto& refusal : output.refusals) {
    out.lines.push_back({"REQUEST_REFUSED", model::to_string(live->second.path.peer) + ": " + refusal});
  }
  out.counts.throttled += output.throttled;
  if (output.throttling_began) {
    const auto& client = live->second.session.client();
    out.lines.push_back(
        {"REQUESTS_THROTTLED",
         (client ? "client " + client->client.value + " of domain " + client->domain.value : "a stranger") + " from " +
             from_text(live->second.path) + ": more than " + std::to_string(settings_.session->rate.per_s) +
             " requests a second"});
  }
  out.counts.answers_cut += output.cut.size();
  for (auto& cut : output.cut) out.lines.push_back({"ANSWER_CUT", std::move(cut)});
  for (auto& event : output.to_domain) route_to_domain(id, std::move(event), out);
  if (output.redirected) count_redirect(live->second, out);
  SessionEffects effects;
  for (const auto& bytes : output.send) table_.send(id, bytes, now, effects);
  if (!output.close_reason.empty()) {
    table_.close(id, output.close_reason, now, effects);
  } else {
    arm(live);
  }
  // `live` may be gone after this.
  absorb(std::move(effects), now, out);
}

void Shard::route_to_domain(base::SessionId session, Event event, ShardOutput& out) {
  const auto live = sessions_.find(session);
  if (live == sessions_.end() || !live->second.session.client()) return;
  const base::DomainId& domain = live->second.session.client()->domain;
  const std::uint32_t owner = owner_of(domain, settings_.shards);
  if (owner == settings_.index) {
    local_.push_back({domain, std::move(event)});
  } else if (const auto waiting = untold_edges_.find(session);
             waiting != untold_edges_.end() && std::holds_alternative<SessionEdge>(event)) {
    waiting->second.event = std::move(event);
  } else {
    out.to_domain[owner].push_back({domain, std::move(event)});
  }
}

void Shard::on_message(ToDomain message, base::Now, ShardOutput&) { local_.push_back(std::move(message)); }

void Shard::on_back_ends(const BackEndsReport& report) {
  back_ends_ = report;
  for (const auto& [id, owned] : domains_) local_.push_back({id, report});
}

// As things stand now: an edge that came through meanwhile is not undone by an older one.
void Shard::tell_edges_again(ShardOutput& out) {
  tell_again_at_.reset();
  for (auto& [id, message] : std::exchange(untold_edges_, {})) {
    auto& edge = std::get<SessionEdge>(message.event);
    const auto live = sessions_.find(id);
    if (live != sessions_.end()) {
      const Session& session = live->second.session;
      edge.kind = session.lost()    ? SessionEdge::Kind::silent
                  : session.quiet() ? SessionEdge::Kind::quiet
                                    : SessionEdge::Kind::opened;
      edge.credential_cuid = base::Cuid{model::default_cuid(live->second.identity)};
    } else if (edge.kind != SessionEdge::Kind::closed) {
      continue;
    }
    out.to_domain[owner_of(message.domain, settings_.shards)].push_back(std::move(message));
  }
}

void Shard::on_undelivered(const ToDomain& message, base::Now now, ShardOutput& out) {
  if (const auto* edge = std::get_if<SessionEdge>(&message.event)) {
    untold_edges_.insert_or_assign(edge->session, message);
    if (!tell_again_at_) tell_again_at_ = now.steady + kTellAgain;
    return;
  }
  refuse_event(message.event, "the server is busy", now, out);
}

void Shard::on_message(const ToSession& message, base::Now now, ShardOutput& out) { to_session(message, now, out); }

void Shard::refuse_event(const Event& event, const std::string& why, base::Now now, ShardOutput& out) {
  if (const Origin* origin = origin_of(event)) {
    to_session(Reply{origin->session, origin->exchange, unavailable(why, settings_.retry_after_s), false}, now, out);
  } else if (const auto* withdraw = std::get_if<OperatorWithdraw>(&event)) {
    out.operator_answers.push_back({withdraw->ticket, false, why});
  } else if (const auto* release = std::get_if<OperatorReleaseCuid>(&event)) {
    out.operator_answers.push_back({release->ticket, false, why});
  }
}

// Requests are told to come again. Withdrawals are kept, and so is what back ends, names and sessions report: it is
// said only once.
void Shard::defer(Owned& owned, Event event, base::Now now, ShardOutput& out) {
  const bool withdraws = is_withdrawal(event);
  const bool asks = origin_of(event) != nullptr || withdraws;
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
    if (const auto* edge = std::get_if<SessionEdge>(&message.event))
      tell_busy(it->second.client_sessions.on_edge(*edge), now, out);
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

void Shard::end_of_round(base::Now now, ShardOutput& out) {
  run_local(now, out);
  if (std::exchange(clients_changed_, false)) out.clients = clients_;
  if (auto batch = gate_.next_batch()) out.commit = std::move(*batch);
  for (auto& visible : gate_.released()) show(std::move(visible), now, out);
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
                 [&](Reply& reply) { to_session(std::move(reply), now, out); },
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
                   tell_busy(domain->second.client_sessions.on_mitigating(edge), now, out);
                   ConfigEffects effects;
                   domain->second.configs.on_mitigating(edge, now.steady, effects);
                   perform(visible.domain, std::move(effects), now, out);
                   arm(visible.domain, domain->second);
                 },
                 [&](OperatorNote& note) {
                   out.lines.push_back({note.id, std::move(note.details)});
                 },
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

void Shard::to_session(ToSession message, base::Now now, ShardOutput& out) {
  const base::SessionId id = std::visit([](const auto& m) { return m.session; }, message);
  if (shard_of(id) != settings_.index) {
    out.to_session[shard_of(id)].push_back(std::move(message));
    return;
  }
  const auto live = sessions_.find(id);
  if (live == sessions_.end()) return;
  SessionOutput output;
  Session& session = live->second.session;
  std::visit(base::Overload{
                 [&](const Reply& reply) { session.reply(reply, now, output); },
                 [&](const NoReply& no_reply) { session.no_reply(no_reply, now, output); },
                 [&](const Notify& notify) { session.notify(notify, now, output); },
                 [&](const ClientBusy& busy) { session.on_mitigating(busy.mitigating, now, output); },
                 [&](const ConfigReply& reply) { session.reply(reply, now, output); },
                 [&](const ConfigNotify& notify) { session.notify(notify, now, output); },
                 [&](const ApplyParameters& apply) { session.apply(apply.parameters, now); },
             },
             message);
  absorb(live, std::move(output), now, out);
}

void Shard::arm(SessionMap::iterator live) {
  const auto wanted = live->second.session.next_deadline();
  if (wanted == live->second.armed) return;
  if (live->second.armed) session_deadlines_.erase({*live->second.armed, live->first});
  live->second.armed = wanted;
  if (wanted) session_deadlines_.insert({*wanted, live->first});
}

void Shard::arm(const base::DomainId& id, Owned& owned) {
  // While it is read from the store the machine takes no step, so that its deadline would stay in the past.
  auto wanted = owned.reloading ? std::nullopt : owned.machine.next_deadline();
  if (const auto config = owned.configs.next_deadline(); config && (!wanted || *config < *wanted)) wanted = config;
  if (wanted == owned.armed) return;
  if (owned.armed) domain_deadlines_.erase({*owned.armed, id});
  owned.armed = wanted;
  if (wanted) domain_deadlines_.insert({*wanted, id});
}

std::optional<base::SteadyTime> Shard::next_deadline() const {
  std::optional<base::SteadyTime> next = table_.next_deadline();
  if (recheck_at_ && !sessions_.empty() && (!next || *recheck_at_ < *next)) next = recheck_at_;
  if (tell_again_at_ && (!next || *tell_again_at_ < *next)) next = tell_again_at_;
  if (!session_deadlines_.empty() && (!next || session_deadlines_.begin()->first < *next)) {
    next = session_deadlines_.begin()->first;
  }
  if (!domain_deadlines_.empty() && (!next || domain_deadlines_.begin()->first < *next)) {
    next = domain_deadlines_.begin()->first;
  }
  return next;
}

std::vector<MitigationView> Shard::mitigations(base::Now now) const {
  std::vector<MitigationView> all;
  for (const auto& [id, owned] : domains_) {
    auto views = owned.machine.view(now);
    std::move(views.begin(), views.end(), std::back_inserter(all));
  }
  return all;
}

std::vector<SessionView> Shard::sessions(base::Now now) const {
  std::vector<SessionView> all;
  all.reserve(sessions_.size());
  for (const auto& [id, live] : sessions_) {
    all.push_back({id, live.session.client(), live.path, now.steady - live.session.opened(), live.session.lost(),
                   live.resumed, live.session.parameters()});
  }
  return all;
}

}  // namespace dots::agent::server
