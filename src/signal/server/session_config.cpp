#include "signal/server/session_config.h"

#include <algorithm>

namespace dots::signal::server {
namespace {

using model::ResponseCode;

// Without an estimate of the round-trip time: one notification for each 3 s (RFC 9132 4.4.2.1).
constexpr base::Duration kSpacing = std::chrono::seconds{3};

ConfigAnswer refused(ResponseCode code, std::string diagnostic) { return {code, nullptr, std::move(diagnostic), {}}; }

std::string sid_text(base::Sid sid) { return "sid=" + std::to_string(sid.value); }

}  // namespace

SessionConfigs::SessionConfigs(std::shared_ptr<const policy::SessionBounds> bounds, const ConfigLimits& limits)
    : bounds_(std::move(bounds)), limits_(limits) {}

void SessionConfigs::on_put(const PutConfig& put, bool armed, base::SteadyTime now, ConfigEffects& out) {
  const auto answer = [&](ConfigAnswer a) {
    out.emplace_back(ConfigReply{put.origin.session, put.origin.exchange, std::move(a), false});
  };
  const auto known = clients_.find(put.origin.client);
  const std::optional<base::Sid> before = known == clients_.end() ? std::nullopt : known->second.sid;
  if (before && put.sid < *before) {
    return answer(refused(ResponseCode::bad_request,
                          sid_text(put.sid) + " is lower than the " + sid_text(*before) + " that is in force"));
  }
  if (auto reason = policy::unacceptable(put.wanted, *bounds_, armed)) {
    return answer(refused(ResponseCode::unprocessable_entity, std::move(*reason)));
  }
  const auto at = client_of(put.origin);
  Client& client = at->second;
  client.sid = put.sid;
  client.given = put.wanted;
  refreshed(client, now);
  answer(with_age({before == put.sid ? ResponseCode::changed : ResponseCode::created, nullptr, "", {}}));
  changed(client, now, out);
  settle(at);
}

void SessionConfigs::on_get(const GetConfig& get, base::SteadyTime now, ConfigEffects& out) {
  const auto at = client_of(get.origin);
  Client& client = at->second;
  const std::pair observation{get.origin.session, get.origin.token};
  if (get.observe) client.observers.erase(observation);
  ConfigReply reply{get.origin.session, get.origin.exchange, {}, false};
  if (get.sid && get.sid != client.sid) {
    reply.answer = refused(ResponseCode::not_found, "there is no session configuration with " + sid_text(*get.sid));
    out.emplace_back(std::move(reply));
    return;
  }
  refreshed(client, now);
  reply.answer = with_age({ResponseCode::content, body_of(client, get.over_tcp), "", {}});
  if (get.observe == 0U && client.observers.size() < limits_.observers_per_client) {
    client.observers[observation] = {get.sid, get.over_tcp, reply.answer.config};
    reply.observe = true;
  }
  out.emplace_back(std::move(reply));
  settle(at);
}

void SessionConfigs::on_delete(const DeleteConfig& del, base::SteadyTime now, ConfigEffects& out) {
  const auto known = clients_.find(del.origin.client);
  const bool matches = !del.sid || (known != clients_.end() && known->second.sid == del.sid);
  if (!matches) {
    out.emplace_back(ConfigReply{
        del.origin.session, del.origin.exchange,
        refused(ResponseCode::not_found, "there is no session configuration with " + sid_text(*del.sid)), false});
    return;
  }
  out.emplace_back(
      ConfigReply{del.origin.session, del.origin.exchange, {ResponseCode::deleted, nullptr, "", {}}, false});
  if (known == clients_.end()) return;
  reset(known->second);
  changed(known->second, now, out);
  settle(known);
}

void SessionConfigs::on_edge(const SessionEdge& edge, base::SteadyTime, ConfigEffects& out) {
  if (edge.kind == SessionEdge::Kind::opened) {
    Client& client = clients_[edge.client];
    apply(client, out);
    client.sessions.insert(edge.session);
    sessions_[edge.session] = edge.client;
    out.emplace_back(ApplyParameters{edge.session, client.applied});
    return;
  }
  if (edge.kind != SessionEdge::Kind::closed) return;
  sessions_.erase(edge.session);
  const auto found = clients_.find(edge.client);
  if (found == clients_.end()) return;
  found->second.sessions.erase(edge.session);
  std::erase_if(found->second.observers, [&](const auto& one) { return one.first.first == edge.session; });
  settle(found);
}

void SessionConfigs::on_cancelled(const ObservationCancelled& cancelled) {
  const auto session = sessions_.find(cancelled.session);
  if (session != sessions_.end()) clients_[session->second].observers.erase({cancelled.session, cancelled.token});
}

void SessionConfigs::on_mitigating(const ClientMitigating& edge, base::SteadyTime now, ConfigEffects& out) {
  const auto at = clients_.try_emplace(edge.client).first;
  Client& client = at->second;
  client.mitigating = edge.mitigating;
  // The client was not allowed to refresh during the attack (RFC 9132 4.5.3): it has time to do it now.
  if (!edge.mitigating && client.lapses_at) {
    client.lapses_at = std::max(*client.lapses_at, now + limits_.refresh_grace);
  }
  apply(client, out);
  settle(at);
}

void SessionConfigs::on_timer(base::SteadyTime now, ConfigEffects& out) {
  while (!deadlines_.empty() && deadlines_.begin()->first <= now) {
    const auto at = clients_.find(deadlines_.begin()->second);
    deadlines_.erase(deadlines_.begin());
    Client& client = at->second;
    client.armed.reset();
    if (client.lapses_at && !client.mitigating && *client.lapses_at <= now) {
      out.emplace_back(ConfigLapsed{at->first, *client.sid});
      reset(client);
      changed(client, now, out);
    }
    if (client.notify_at && *client.notify_at <= now) notify(client, now, out);
    settle(at);
  }
}

std::optional<base::SteadyTime> SessionConfigs::next_deadline() const {
  if (deadlines_.empty()) return std::nullopt;
  return deadlines_.begin()->first;
}

void SessionConfigs::set_bounds(std::shared_ptr<const policy::SessionBounds> bounds, base::SteadyTime now,
                                ConfigEffects& out) {
  if (*bounds == *bounds_) return;
  bounds_ = std::move(bounds);
  for (auto at = clients_.begin(); at != clients_.end();) {
    const auto client = at++;
    changed(client->second, now, out);
    settle(client);
  }
}

SessionParameters SessionConfigs::parameters_of(const Client& client) const {
  SessionParameters parameters;
  parameters.sid = client.sid;
  parameters.sets.mitigating = model::in_force(client.given.mitigating, bounds_->defaults);
  parameters.sets.idle = model::in_force(client.given.idle, bounds_->defaults);
  parameters.mitigating = client.mitigating;
  return parameters;
}

std::shared_ptr<const model::SessionConfig> SessionConfigs::body_of(const Client& client, bool over_tcp) const {
  auto body = std::make_shared<model::SessionConfig>();
  body->sid = client.sid;
  body->current = parameters_of(client).sets;
  body->mitigating_ranges = body->idle_ranges = bounds_->ranges;
  if (over_tcp) {
    for (const model::ParameterFacts& facts : model::parameters()) {
      if (!facts.over_udp_only) continue;
      const auto at = static_cast<std::size_t>(facts.parameter);
      body->current.mitigating.clear(facts.parameter);
      body->current.idle.clear(facts.parameter);
      body->mitigating_ranges[at].reset();
      body->idle_ranges[at].reset();
    }
  }
  return body;
}

void SessionConfigs::refreshed(Client& client, base::SteadyTime now) const {
  client.lapses_at.reset();
  if (!client.sid || bounds_->max_age_s == policy::kForever) return;
  client.lapses_at = now + std::chrono::seconds{bounds_->max_age_s} + limits_.refresh_grace;
}

void SessionConfigs::reset(Client& client) {
  client.sid.reset();
  client.given = {};
  client.lapses_at.reset();
}

void SessionConfigs::changed(Client& client, base::SteadyTime now, ConfigEffects& out) {
  apply(client, out);
  schedule(client, now);
}

void SessionConfigs::apply(Client& client, ConfigEffects& out) {
  SessionParameters wanted = parameters_of(client);
  if (client.applied && *client.applied == wanted) return;
  client.applied = std::make_shared<const SessionParameters>(std::move(wanted));
  for (const base::SessionId session : client.sessions) out.emplace_back(ApplyParameters{session, client.applied});
}

void SessionConfigs::schedule(Client& client, base::SteadyTime now) const {
  if (client.observers.empty() || client.notify_at) return;
  client.notify_at = std::max(now, client.notified_at + kSpacing);
}

void SessionConfigs::notify(Client& client, base::SteadyTime now, ConfigEffects& out) {
  client.notify_at.reset();
  for (auto it = client.observers.begin(); it != client.observers.end();) {
    const auto& [session, token] = it->first;
    Observer& observer = it->second;
    if (observer.sid && observer.sid != client.sid) {
      // RFC 9132 4.5.2: the lower sid is no longer available; an error ends the observation (RFC 7641 4.2).
      out.emplace_back(ConfigNotify{session, token,
                                    refused(ResponseCode::not_found, sid_text(*observer.sid) + " is no longer there")});
      it = client.observers.erase(it);
      client.notified_at = now;
      continue;
    }
    auto body = body_of(client, observer.over_tcp);
    if (!observer.told || *body != *observer.told) {
      observer.told = body;
      out.emplace_back(ConfigNotify{session, token, with_age({ResponseCode::content, std::move(body), "", {}})});
      client.notified_at = now;
    }
    ++it;
  }
}

SessionConfigs::Clients::iterator SessionConfigs::client_of(const Origin& origin) {
  const auto at = clients_.try_emplace(origin.client).first;
  at->second.sessions.insert(origin.session);
  sessions_[origin.session] = origin.client;
  return at;
}

void SessionConfigs::settle(Clients::iterator at) {
  Client& client = at->second;
  std::optional<base::SteadyTime> wanted = client.notify_at;
  if (client.lapses_at && !client.mitigating && (!wanted || *client.lapses_at < *wanted)) wanted = client.lapses_at;
  if (wanted != client.armed) {
    if (client.armed) deadlines_.erase({*client.armed, at->first});
    client.armed = wanted;
    if (wanted) deadlines_.insert({*wanted, at->first});
  }
  if (client.sessions.empty() && !client.sid && !client.mitigating) {
    if (client.armed) deadlines_.erase({*client.armed, at->first});
    clients_.erase(at);
  }
}

ConfigAnswer SessionConfigs::with_age(ConfigAnswer answer) const {
  answer.max_age_s = bounds_->max_age_s;
  return answer;
}

}  // namespace dots::signal::server
