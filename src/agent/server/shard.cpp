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

std::string from_text(const model::Path& path) {
  return model::to_string(path.peer) + (path.transport == model::Transport::tcp ? " over TCP" : "");
}

}  // namespace

std::uint32_t owner_of(const base::DomainId& domain, std::uint32_t shards) {
  std::uint32_t hash = 2166136261U;
  for (char c : domain.value) hash = (hash ^ static_cast<std::uint8_t>(c)) * 16777619U;
  return shards <= 1 ? 0 : hash % shards;
}

Shard::Shard(const ShardSettings& settings, std::shared_ptr<const policy::Identities> identities,
             std::vector<std::shared_ptr<const policy::DomainRules>> domains,
             std::shared_ptr<const signal::server::Planner> planner, std::uint64_t seed)
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
      if (const auto data = owned.data.next_deadline(); data && *data <= now.steady)
        show_later(id, owned, owned.data.tick(now), 0);
      watch_accepts(id, owned, now);
    }
  }
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
    const auto [live, added] =
        sessions_.insert_or_assign(opened.session, Live{std::move(session), opened.path, opened.resumed, std::nullopt});
    if (!recheck_at_) recheck_at_ = now.steady + settings_.recheck_every;
    quota_.opened(opened.session, client);
    if (const auto gone = quota_.too_many(opened.session)) crowded_out.push_back(*gone);
    if (client)
      route_to_domain(opened.session,
                      SessionEdge{SessionEdge::Kind::opened,
                                  opened.session,
                                  client->client,
                                  {},
                                  base::Cuid{model::default_cuid(opened.identity)},
                                  false,
                                  opened.path.peer.ip},
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
      edge.credential_cuid = base::Cuid{model::default_cuid(table_.identity(id))};
    } else if (edge.kind != SessionEdge::Kind::closed) {
      continue;
    }
    out.to_domain[owner_of(message.domain, settings_.shards)].push_back(std::move(message));
  }
}

void Shard::on_undelivered(const ToDomain& message, base::Now now, ShardOutput& out) {
  if (const auto* edge = std::get_if<SessionEdge>(&message.event)) {
    if (untold_edges_.size() >= settings_.sessions.sessions && untold_edges_.count(edge->session) == 0) {
      ++out.counts.reports_dropped;
      return;
    }
    untold_edges_.insert_or_assign(edge->session, message);
    if (!tell_again_at_) tell_again_at_ = now.steady + kTellAgain;
    return;
  }
  refuse_event(message.event, "the server is busy", now, out);
}

void Shard::on_message(const ToSession& message, base::Now now, ShardOutput& out) { to_session(message, now, out); }

void Shard::end_of_round(base::Now now, ShardOutput& out) {
  run_local(now, out);
  update_filters();
  if (std::exchange(clients_changed_, false)) out.clients = clients_;
  if (auto batch = gate_.next_batch()) out.commit = std::move(*batch);
  for (auto& visible : gate_.released()) show(std::move(visible), now, out);
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
                 [&](const ConfigReply& reply) { session.reply(reply, now, output); },
                 [&](const ConfigNotify& notify) { session.notify(notify, now, output); },
                 [&](const ApplyParameters& apply) { session.apply(apply.parameters, now, output); },
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
