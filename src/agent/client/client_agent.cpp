#include "agent/client/client_agent.h"

#include <algorithm>

#include "agent/client/client_state.h"
#include "agent/client/errands.h"
#include "base/overload.h"
#include "signal/client/identifiers.h"

namespace dots::agent::client {

namespace {
constexpr base::Duration kLongestReloadPause = std::chrono::seconds{30};
}  // namespace

ClientAgent::ClientAgent(ClientSettings settings, const Connectors& connectors, std::uint64_t seed)
    : state_(std::make_unique<State>()) {
  State& s = *state_;
  s.settings = std::move(settings);
  s.connectors = connectors;
  s.servers.reserve(s.settings.servers.size());
  for (const ServerSettings& server : s.settings.servers) {
    const std::uint64_t link_seed = signal::client::next_random(seed);
    const std::uint64_t requests_seed = signal::client::next_random(seed);
    s.servers.push_back({Upstream(server.upstream, connectors, s.session_ids, link_seed),
                         signal::client::Requests(server.requests, requests_seed),
                         signal::client::SessionConfig(server.config),
                         Redirection(server.upstream.host, server.redirects)});
  }
  s.seed = signal::client::next_random(seed);
}
ClientAgent::~ClientAgent() = default;

void ClientAgent::start(const ports::Snapshot& snapshot, base::Now now, ClientEffects& out) {
  State& s = *state_;
  s.started_at = now.steady;
  for (std::size_t i = 0; i < s.servers.size(); ++i) {
    signal::client::Effects effects;
    s.servers[i].requests.load(snapshot, now, effects);
    s.take(i, std::move(effects));
    UpstreamOutput output;
    s.servers[i].upstream.start(now.steady, output);
    s.absorb(i, State::Link::provisioned, std::move(output), now, out);
  }
  s.settle(now, out);
}

void ClientAgent::stop(base::Now now, ClientEffects& out) {
  State& s = *state_;
  while (!s.waits.empty()) s.finish_wait(0, now, out);
  for (std::size_t i = 0; i < s.servers.size(); ++i) {
    s.each_link(i, now, out, [](Upstream& link, UpstreamOutput& output) { link.close_all(output); });
  }
}

void ClientAgent::on_datagram(base::SessionId session, base::ByteView datagram, base::Now now, ClientEffects& out) {
  State& s = *state_;
  for (std::size_t i = 0; i < s.servers.size(); ++i) {
    s.each_link(i, now, out, [&](Upstream& link, UpstreamOutput& output) {
      if (link.owns(session)) link.on_datagram(session, datagram, now.steady, output);
    });
  }
  s.settle(now, out);
}

void ClientAgent::on_unreachable(base::SessionId session, const std::string& reason, base::Now now,
                                 ClientEffects& out) {
  State& s = *state_;
  for (std::size_t i = 0; i < s.servers.size(); ++i) {
    s.each_link(i, now, out, [&](Upstream& link, UpstreamOutput& output) {
      if (link.owns(session)) link.on_unreachable(session, reason, now.steady, output);
    });
  }
  s.settle(now, out);
}

void ClientAgent::on_resolved(const ports::Resolution& resolution, base::Now now, ClientEffects& out) {
  State& s = *state_;
  for (std::size_t i = 0; i < s.servers.size(); ++i) {
    s.each_link(i, now, out,
                [&](Upstream& link, UpstreamOutput& output) { link.on_resolved(resolution, now.steady, output); });
  }
  s.settle(now, out);
}

void ClientAgent::on_cuid_taken(const std::string& server, const base::Cuid& cuid, base::Now now, ClientEffects& out) {
  State& s = *state_;
  for (std::size_t i = 0; i < s.servers.size(); ++i) {
    if (s.servers[i].upstream.settings().name != server) continue;
    signal::client::Effects effects;
    s.servers[i].requests.on_cuid_taken(cuid, effects);
    s.take(i, std::move(effects));
  }
  s.settle(now, out);
}

std::map<std::string, base::Cuid> ClientAgent::cuids() const {
  std::map<std::string, base::Cuid> all;
  for (const State::Server& server : state_->servers) {
    all.emplace(server.upstream.settings().name, server.requests.cuid());
  }
  return all;
}

const base::Cuid& ClientAgent::cuid_of(const std::string& server) const {
  const auto& all = state_->servers;
  return std::find_if(all.begin(), all.end(),
                      [&](const State::Server& one) { return one.upstream.settings().name == server; })
      ->requests.cuid();
}

void ClientAgent::on_timer(base::Now now, ClientEffects& out) {
  State& s = *state_;
  for (std::size_t i = 0; i < s.servers.size(); ++i) {
    signal::client::Effects effects;
    s.servers[i].requests.on_timer(now, effects);
    s.take(i, std::move(effects));
    signal::client::ConfigEffects config;
    s.servers[i].config.on_timer(now.steady, config);
    s.perform(i, std::move(config), now, out);
    s.each_link(i, now, out, [&](Upstream& link, UpstreamOutput& output) { link.on_timer(now.steady, output); });
  }
  for (std::size_t i = 0; i < s.waits.size();) {
    if (s.waits[i].deadline <= now.steady) {
      s.finish_wait(i, now, out);
    } else {
      ++i;
    }
  }
  if (s.reload_at && *s.reload_at <= now.steady) {
    s.reload_at.reset();
    out.reload = true;
  }
  s.settle(now, out);
}

std::optional<base::SteadyTime> ClientAgent::next_deadline(base::Now now) const {
  const State& s = *state_;
  std::optional<base::SteadyTime> earliest = s.reload_at;
  const auto consider = [&](const std::optional<base::SteadyTime>& at) {
    if (at && (!earliest || *at < *earliest)) earliest = at;
  };
  for (const State::Server& server : s.servers) {
    consider(server.upstream.next_deadline(now.steady));
    if (server.alternate) consider(server.alternate->next_deadline(now.steady));
    consider(server.redirection.next_deadline(server.requests.engaged()));
    consider(server.loop_until);
    consider(server.requests.next_deadline());
    consider(server.config.next_deadline());
  }
  for (const State::Wait& wait : s.waits) consider(wait.deadline);
  return earliest;
}

void ClientAgent::on_committed(const ports::CommitResult& result, base::Now now, ClientEffects& out) {
  State& s = *state_;
  if (result.outcome == ports::CommitOutcome::committed) {
    s.reload_pause = base::Duration::zero();
    for (State::Visible& visible : s.gate.committed()) s.perform(std::move(visible), now, out);
    s.settle(now, out);
    return;
  }
  s.store_refused = true;
  s.store_reason = result.reason;
  out.messages.push_back({"CLIENT_STORE_REFUSED", result.reason});
  s.fail(s.gate.refused(), out);
  s.reload_at = now.steady + s.reload_pause;
  s.reload_pause = std::clamp<base::Duration>(2 * s.reload_pause, std::chrono::seconds{1}, kLongestReloadPause);
  s.settle(now, out);
}

void ClientAgent::on_reloaded(const base::Result<ports::Snapshot>& snapshot, base::Now now, ClientEffects& out) {
  State& s = *state_;
  if (!snapshot) {
    s.store_reason = snapshot.error().message;
    s.reload_at = now.steady + std::max<base::Duration>(s.reload_pause, std::chrono::seconds{1});
    return;
  }
  s.fail(s.gate.reopen(), out);
  s.store_refused = false;
  for (std::size_t i = 0; i < s.servers.size(); ++i) {
    signal::client::Effects effects;
    s.servers[i].requests.load(*snapshot, now, effects);
    s.take(i, std::move(effects));
  }
  s.settle(now, out);
}

void ClientAgent::State::absorb(std::size_t server, Link from, UpstreamOutput&& output, base::Now now,
                                ClientEffects& out) {
  std::move(output.open.begin(), output.open.end(), std::back_inserter(out.open));
  std::move(output.send.begin(), output.send.end(), std::back_inserter(out.send));
  std::move(output.close.begin(), output.close.end(), std::back_inserter(out.close));
  std::move(output.messages.begin(), output.messages.end(), std::back_inserter(out.messages));
  out.counters += output.counters;
  if (output.resolve) out.resolve.push_back(std::move(*output.resolve));
  if (output.opened && from == servers[server].config_link) {
    signal::client::ConfigEffects config;
    servers[server].config.on_connected(now.steady, config);
    perform(server, std::move(config), now, out);
  }
  for (const ErrandAnswer& answer : output.answers) {
    if (answer.answer.redirect) {
      on_redirect(server, from, answer, now, out);
      if (!signal::client::is_config(answer.id)) continue;
    }
    if (signal::client::is_config(answer.id)) {
      signal::client::ConfigEffects config;
      servers[server].config.on_answer(answer.id, answer.answer, now.steady, config);
      perform(server, std::move(config), now, out);
      continue;
    }
    signal::client::Effects effects;
    servers[server].requests.on_answer(answer.id, answer.answer, now, effects);
    take(server, std::move(effects));
  }
}

void ClientAgent::State::take(std::size_t server, signal::client::Effects&& effects) {
  for (signal::client::Effect& effect : effects) {
    if (auto* persist = std::get_if<signal::client::Persist>(&effect)) {
      if (auto* line = std::get_if<ports::AppendAudit>(&persist->change)) line->record.credential = asking;
      gate.add(std::move(persist->change));
    } else {
      gate.add(Visible{FromRequests{server, std::move(effect)}});
    }
  }
}

void ClientAgent::State::perform(std::size_t server, signal::client::ConfigEffects&& effects, base::Now now,
                                 ClientEffects& out) {
  using namespace signal::client;
  Upstream* link = servers[server].link(servers[server].config_link);
  if (link == nullptr || effects.empty()) return;
  Upstream& upstream = *link;
  UpstreamOutput output;
  for (ConfigEffect& effect : effects) {
    std::visit(
        base::Overload{
            [&](const SendConfigGet& send) { upstream.add(errand_of(send), now.steady, output); },
            [&](const SendConfigPut& send) { upstream.add(errand_of(send), now.steady, output); },
            [&](const SendConfigDelete& send) { upstream.add(errand_of(send), now.steady, output); },
            [&](const CancelSend& cancel) { upstream.remove(cancel.id, now.steady, output); },
            [&](OperatorMessage& message) {
              out.messages.push_back({message.id, "server " + upstream.settings().name + ": " + message.details});
            }},
        effect);
  }
  absorb(server, servers[server].config_link, std::move(output), now, out);
}

void ClientAgent::State::review_config(std::size_t index, base::Now now, ClientEffects& out) {
  Server& server = servers[index];
  signal::client::ConfigEffects config;
  if (server.active_link() != server.config_link) {
    server.config.on_server_changed(config);
    perform(index, std::exchange(config, {}), now, out);
    server.config_link = server.active_link();
    if (server.active().connected()) server.config.on_connected(now.steady, config);
  }
  server.config.set_state(server.requests.mitigating(), server.requests.active(), now.steady, config);
  perform(index, std::move(config), now, out);
  for (const Link which : {Link::provisioned, Link::alternate}) {
    if (Upstream* link = server.link(which)) link->set_parameters(server.config.in_force(), now.steady);
  }
}

void ClientAgent::State::settle(base::Now now, ClientEffects& out) {
  for (bool again = true; again;) {
    again = false;
    for (Visible& visible : gate.released()) {
      perform(std::move(visible), now, out);
      again = true;
    }
    again = review_redirections(now, out) || again;
    for (std::size_t i = 0; i < servers.size(); ++i) {
      each_link(i, now, out, [&](Upstream& link, UpstreamOutput& output) {
        link.set_need(servers[i].requests.mitigating(), servers[i].requests.urgent(), now.steady, output);
        again = again || !output.answers.empty();
      });
      review_config(i, now, out);
    }
    if (store_refused) continue;
    if (auto batch = gate.next_batch()) out.commit = std::move(batch);
  }
  tell_health(out);
}

void ClientAgent::State::tell_health(ClientEffects& out) {
  for (Server& server : servers) {
    // While the alternate is not there yet, the server that redirected still counts.
    const bool connected = server.upstream.connected() || server.active().connected();
    const std::string& failure = server.active().last_failure();
    server.ever_connected = server.ever_connected || connected;
    // The first attempt after a start is no failure yet.
    const bool unwell = !connected && (server.ever_connected || !failure.empty());
    if (unwell == server.unwell) continue;
    server.unwell = unwell;
    out.health.push_back({"UPSTREAM_LOST", server.upstream.settings().name, unwell, failure});
  }
}

void ClientAgent::State::perform(Visible&& visible, base::Now now, ClientEffects& out) {
  std::visit(base::Overload{[&](const FromRequests& from) { perform(from.server, from.effect, now, out); },
                            [&](ClientEffects::Done& done) { out.done.push_back(std::move(done)); },
                            [&](const Wait& wait) { waits.push_back(wait); }},
             visible);
}

void ClientAgent::State::perform(std::size_t server, const signal::client::Effect& effect, base::Now now,
                                 ClientEffects& out) {
  using namespace signal::client;
  const auto send = [&](base::Mid mid, const Errand& errand) {
    const Upstream* to = &servers[server].link_of(mid);
    each_link(server, now, out, [&](Upstream& link, UpstreamOutput& output) {
      if (&link == to) link.add(errand, now.steady, output);
    });
  };
  const auto remove = [&](SendId id) {
    each_link(server, now, out, [&](Upstream& link, UpstreamOutput& output) { link.remove(id, now.steady, output); });
  };
  std::visit(base::Overload{[&](const SendPut& put) { send(put.mid, errand_of(put)); },
                            [&](const SendGet& get) { send(get.mid, errand_of(get)); },
                            [&](const SendDelete& del) { send(del.mid, errand_of(del)); },
                            [&](const CancelSend& cancel) { remove(cancel.id); },
                            [&](const StopObserving& stop) { remove(stop.id); },
                            [&](const Persist&) {},  // went into the gate as a change
                            [&](const OperatorMessage& message) { out.messages.push_back(message); },
                            [&](const Progress& progress) {
                              for (std::size_t i = 0; i < waits.size();) {
                                if (waits[i].server == server && waits[i].mid == progress.mid) {
                                  finish_wait(i, now, out);
                                } else {
                                  ++i;
                                }
                              }
                            }},
             effect);
}

void ClientAgent::State::fail(std::vector<Visible>&& visible, ClientEffects& out) {
  const auto refuse = [&](CallTicket ticket) {
    out.done.push_back({ticket, call_failed(CallAnswer::Outcome::unavailable,
                                            "the change could not be stored, so nothing was sent: " + store_reason,
                                            "make room in the state directory, then ask again")});
  };
  for (const Visible& one : visible) {
    if (const auto* done = std::get_if<ClientEffects::Done>(&one)) refuse(done->ticket);
    if (const auto* wait = std::get_if<Wait>(&one)) refuse(wait->ticket);
  }
}

void ClientAgent::State::finish_wait(std::size_t index, base::Now now, ClientEffects& out) {
  const Wait wait = waits[index];
  waits.erase(waits.begin() + static_cast<std::ptrdiff_t>(index));
  out.done.push_back({wait.ticket, request_answer(wait.server, wait.mid, now)});
}

}  // namespace dots::agent::client
