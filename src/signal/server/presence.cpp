// Is the signal of a client there? The verdict over all its sessions (RFC 9132 4.7; docs/decisions/armed-requests.md).
#include <algorithm>

#include "signal/server/machine.h"

namespace dots::signal::server {

void Machine::on_event(const SessionEdge& edge, base::Now now) {
  using Kind = SessionEdge::Kind;
  if (edge.kind == Kind::closed) {
    const auto found = sessions_.find(edge.session);
    if (found == sessions_.end()) return;
    const std::set<std::uint64_t> observers = found->second.observers;
    for (const std::uint64_t number : observers) unobserve(number);
    const base::ClientId client = found->second.client;
    if (const auto peer = found->second.peer; peer && --peers_.at(*peer) == 0) peers_.erase(*peer);
    sessions_.erase(found);
    clients_[client].sessions.erase(edge.session);
    if (edge.redirected) return went_elsewhere(client);
    return judge(client, edge.loss_after > base::Duration::zero() ? edge.loss_after : limits_.loss_threshold, now);
  }
  SessionState& session = sessions_[edge.session];
  session.client = edge.client;
  if (edge.peer && !session.peer) {
    session.peer = edge.peer;
    ++peers_[*edge.peer];
  }
  session.silent = edge.kind == Kind::silent;
  session.quiet = session.silent || edge.kind == Kind::quiet;
  clients_[edge.client].sessions.insert(edge.session);
  if (!edge.credential_cuid.value.empty()) remember_credential(edge.credential_cuid, edge.client);
  if (session.quiet) return judge(edge.client, std::nullopt, now);
  came_back(edge.client, now);
}

void Machine::set_presence(ClientState& client, Presence presence) {
  if (client.presence != Presence::unseen) --present_[static_cast<std::size_t>(client.presence)];
  client.presence = presence;
  ++present_[static_cast<std::size_t>(presence)];
}

ClientCounts Machine::clients() const {
  const auto number = [&](Presence presence) { return present_[static_cast<std::size_t>(presence)]; };
  return {number(Presence::here) + number(Presence::waiting) + number(Presence::quiet), number(Presence::quiet),
          approvals_late_};
}

bool Machine::all_silent(const ClientState& client) const {
  return std::all_of(client.sessions.begin(), client.sessions.end(),
                     [&](base::SessionId id) { return sessions_.at(id).silent; });
}

// The other server hears its signal now: nothing here starts for want of it.
void Machine::went_elsewhere(const base::ClientId& id) {
  ClientState& client = clients_[id];
  if (!client.sessions.empty() || client.presence == Presence::lost) return;
  timers_.cancel(client.presence_timer);
  client.loss_at = {};
  set_presence(client, Presence::unseen);
}

// What was started stays: the return of the signal is no reason to stop a mitigation (RFC 9132 4.4.4).
void Machine::came_back(const base::ClientId& id, base::Now now) {
  ClientState& client = clients_[id];
  timers_.cancel(client.presence_timer);
  client.loss_at = {};
  if (client.presence == Presence::here) return;
  set_presence(client, Presence::here);
  if (kept_out_ == 0) return;
  for (const base::Cuid& cuid : client.cuids) {
    for (auto& [mid, mitigation] : cuids_.at(cuid).mitigations) {
      if (!mitigation.held_back) continue;
      freed(mitigation, now);
      count(mitigation, false);
      mitigation.held_back = false;
      count(mitigation, true);
      changed(mitigation.key(), now);
    }
  }
}

// A session went quiet or silent, or was closed (then with the time that makes its end a loss: an orderly close alone
// is none, the client may come back).
void Machine::judge(const base::ClientId& id, std::optional<base::Duration> closed_for_loss, base::Now now) {
  ClientState& client = clients_[id];
  if (client.presence == Presence::lost) return;
  const bool one_alive = std::any_of(client.sessions.begin(), client.sessions.end(),
                                     [&](base::SessionId s) { return !sessions_.at(s).quiet; });
  if (one_alive) return;
  if (!client.sessions.empty()) set_presence(client, Presence::quiet);
  if (!all_silent(client)) return timers_.cancel(client.presence_timer);  // the session's own verdict comes
  const base::SteadyTime at = now.steady + closed_for_loss.value_or(base::Duration::zero());
  client.loss_at = std::max({client.loss_at, at, no_loss_before_});
  if (client.sessions.empty() && client.presence != Presence::quiet) {
    set_presence(client, Presence::waiting);
    client.quiet_at = client.loss_at - *closed_for_loss / 2;
  }
  arm_presence(id, client, now);
}

void Machine::arm_presence(const base::ClientId& id, ClientState& client, base::Now now) {
  const base::SteadyTime at =
      client.presence == Presence::waiting ? std::min(client.quiet_at, client.loss_at) : client.loss_at;
  if (at <= now.steady) return on_presence_timer(id, now);
  timers_.set(client.presence_timer, at, {Alarm::Kind::presence, {}, 0, id.value});
}

void Machine::on_presence_timer(const base::ClientId& id, base::Now now) {
  ClientState& client = clients_[id];
  timers_.cancel(client.presence_timer);
  if (client.presence == Presence::lost) return;  // the step itself tries again what was not committed
  if (client.presence == Presence::waiting) set_presence(client, Presence::quiet);
  if (client.loss_at > now.steady) return arm_presence(id, client, now);
  if (signal_held_) return;  // looked at again when the process lets go
  set_presence(client, Presence::lost);
  start_armed(id, now);
}

void Machine::on_event(const SignalGuard& guard, base::Now now) {
  signal_held_ = guard.held;
  no_loss_before_ = std::max(no_loss_before_, now.steady + guard.grace);
  std::vector<base::ClientId> pending;
  for (const auto& [id, client] : clients_) {
    const bool undecided = client.presence == Presence::waiting || client.presence == Presence::quiet;
    if (undecided && all_silent(client)) pending.push_back(id);
  }
  for (const base::ClientId& id : pending) {
    ClientState& client = clients_[id];
    client.loss_at = std::max(client.loss_at, no_loss_before_);
    arm_presence(id, client, now);
  }
}

// After a start nobody has a session yet. Clients that left a preconfigured request behind have twice the threshold to
// come back: the outage was ours.
void Machine::expect_after_start(base::Now now) {
  no_loss_before_ = now.steady + 2 * limits_.loss_threshold;
  for (auto& [id, client] : clients_) {
    const bool left_some = std::any_of(client.cuids.begin(), client.cuids.end(), [&](const base::Cuid& cuid) {
      const auto& all = cuids_.at(cuid).mitigations;
      return std::any_of(all.begin(), all.end(), [](const auto& item) { return item.second.preconfigured(); });
    });
    if (!left_some) continue;
    set_presence(client, Presence::waiting);
    client.loss_at = no_loss_before_;
    client.quiet_at = now.steady + limits_.loss_threshold;
    arm_presence(id, client, now);
  }
}

}  // namespace dots::signal::server
