// Redirected signaling at the client (RFC 9132 4.6, RFC 8811 3.2.2): follow, carry over, return, and avoid loops.
#include <algorithm>

#include "agent/client/client_state.h"
#include "policy/domain_policy.h"
#include "signal/client/identifiers.h"

namespace dots::agent::client {

using signal::client::Phase;

namespace {

// An ignored redirection is a refusal for now: its Max-Age tells how long the alternate may be used, not when to ask
// again.
constexpr std::uint32_t kAskAgain_s = 60;
// RFC 7252 5.10.5, when the option is absent.
constexpr std::uint32_t kDefaultMaxAge_s = 60;

std::set<base::Mid> living_mids(const signal::client::Requests& requests, base::Now now) {
  std::set<base::Mid> mids;
  for (const auto& view : requests.view(now)) {
    if (view.phase != Phase::refused && view.phase != Phase::ended) mids.insert(view.record.mid);
  }
  return mids;
}

}  // namespace

void ClientAgent::State::on_redirect(std::size_t index, Link from, const ErrandAnswer& answer, base::Now now,
                                     ClientEffects& out) {
  using Kind = Redirection::Verdict::Kind;
  Server& server = servers[index];
  const model::RedirectedSignal& signal = *answer.answer.redirect;
  const std::uint32_t ttl_s = answer.answer.max_age_s.value_or(kDefaultMaxAge_s);
  const std::string host = policy::canonical_name(signal.alt_server);
  const auto lately = [&](const std::string& name) {
    const auto it = heard_at.find(name);
    return it != heard_at.end() && now.steady - it->second < kLoopWindow;
  };
  const auto verdict = server.redirection.judge(signal, ttl_s, from == Link::alternate, lately, now.steady);
  if (verdict.kind == Kind::repeated) return;  // its requests are on their way to the alternate

  const std::string name = server.upstream.settings().name;
  const Upstream* teller = server.link(from);
  const std::string teller_host = teller == nullptr ? name : teller->settings().host;
  if (verdict.kind == Kind::ignore) {
    const std::string text = "server " + name + ", " + teller_host + " redirects to '" + host + "': " + verdict.reason;
    out.messages.push_back({"CLIENT_REDIRECT_IGNORED", text});
    if (verdict.loop) {
      if (!server.loop_until) out.health.push_back({"REDIRECT_LOOP", name, true, verdict.reason});
      server.loop_until = now.steady + kLoopWindow;
      if (try_another(index, host, now, out)) return;
    }
    signal::client::Answer refusal = answer.answer;
    refusal.redirect.reset();
    refusal.max_age_s = kAskAgain_s;
    refusal.diagnostic = "redirected to '" + host + "', which was not followed: " + verdict.reason;
    signal::client::Effects effects;
    server.requests.on_answer(answer.id, refusal, now, effects);
    take(index, std::move(effects));
    return;
  }

  signal::client::Effects effects;
  const std::string why = teller_host + " has redirected it to " + host;
  const auto mid = server.requests.redirected(answer.id, why, now, effects);
  take(index, std::move(effects));
  if (verdict.kind == Kind::only_this && !mid) return;
  const std::string what =
      verdict.kind == Kind::follow ? "all requests go" : "mid " + std::to_string(mid->value) + " goes";
  out.messages.push_back({"CLIENT_REDIRECTED", "server " + name + ", " + teller_host + ": " + what + " to " + host});

  if (from == Link::alternate && host == policy::canonical_name(server.upstream.settings().host)) {
    go_back(index, teller_host + " has sent us back", now, out);
    return;
  }
  const bool keeps = server.alternate && server.redirection.place() && server.redirection.place()->host == host;
  if (verdict.kind == Kind::follow) {
    server.redirection.follow(host, teller_host, ttl_s, now.steady);
  } else {
    server.redirection.follow_only(host, teller_host, *mid, now.steady);
  }
  if (!keeps) {
    UpstreamSettings target = server.upstream.settings();
    if (!target.addresses.empty()) target.port = target.addresses.front().port;
    target.host = host;
    target.addresses.clear();
    for (const model::IpAddress& address : signal.alt_server_record) target.addresses.push_back({address, target.port});
    open_alternate(index, std::move(target), now, out);
  }
  std::optional<std::set<base::Mid>> only;
  if (verdict.kind == Kind::only_this) only = std::set<base::Mid>{*mid};
  move_requests(index, why, only, now);
}

void ClientAgent::State::open_alternate(std::size_t index, UpstreamSettings target, base::Now now, ClientEffects& out) {
  Server& server = servers[index];
  if (server.alternate) {
    UpstreamOutput closing;
    server.alternate->close_all(closing);
    absorb(index, Link::alternate, std::move(closing), now, out);
  }
  server.alternate =
      std::make_unique<Upstream>(std::move(target), *connectors, session_ids, signal::client::next_random(seed));
  UpstreamOutput output;
  server.alternate->start(now.steady, output);
  absorb(index, Link::alternate, std::move(output), now, out);
}

void ClientAgent::State::move_requests(std::size_t index, const std::string& why,
                                       const std::optional<std::set<base::Mid>>& only, base::Now now) {
  signal::client::Effects effects;
  servers[index].requests.move(why, only, now, effects);
  take(index, std::move(effects));
}

// RFC 9132 4.6: after a loop the other servers of the configuration are tried.
bool ClientAgent::State::try_another(std::size_t index, const std::string& not_this, base::Now now,
                                     ClientEffects& out) {
  Server& server = servers[index];
  const std::string present = policy::canonical_name(server.active().settings().host);
  const auto mine = living_mids(server.requests, now);
  for (std::size_t i = 0; i < servers.size(); ++i) {
    const UpstreamSettings& target = servers[i].upstream.settings();
    const std::string host = policy::canonical_name(target.host);
    if (i == index || host == not_this || host == present || servers[i].parked) continue;
    if (host == policy::canonical_name(server.upstream.settings().host)) continue;
    const auto theirs = living_mids(servers[i].requests, now);
    const bool clash = servers[i].requests.cuid() == server.requests.cuid() &&
                       std::any_of(mine.begin(), mine.end(), [&](base::Mid mid) { return theirs.contains(mid); });
    if (clash) continue;
    UpstreamSettings there = target;
    there.name = server.upstream.settings().name;
    out.messages.push_back(
        {"CLIENT_REDIRECTED", "server " + there.name + ": all requests go to " + host +
                                  ", another server of the configuration, after a redirection loop"});
    const auto ttl_s = static_cast<std::uint32_t>(base::whole_seconds(kLoopWindow));
    server.redirection.follow(host, "this client", ttl_s, now.steady);
    open_alternate(index, std::move(there), now, out);
    move_requests(index, "sent to " + host + " after a redirection loop", std::nullopt, now);
    return true;
  }
  return false;
}

void ClientAgent::State::go_back(std::size_t index, const std::string& why, base::Now now, ClientEffects& out) {
  Server& server = servers[index];
  const auto place = server.redirection.place();
  server.redirection.end();
  if (server.alternate) {
    UpstreamOutput closing;
    server.alternate->close_all(closing);
    absorb(index, Link::alternate, std::move(closing), now, out);
    server.alternate.reset();
  }
  if (!place) return;
  const UpstreamSettings& home = server.upstream.settings();
  out.messages.push_back({"CLIENT_REDIRECT_OVER", "server " + home.name + ": requests go to " + home.host +
                                                      " again and no longer to " + place->host + ": " + why});
  server.parked = false;
  UpstreamOutput output;
  server.upstream.start(now.steady, output);
  absorb(index, Link::provisioned, std::move(output), now, out);
  move_requests(index, "sent to " + home.host + " again: " + why, place->only, now);
}

bool ClientAgent::State::review_redirections(base::Now now, ClientEffects& out) {
  bool moved = false;
  for (std::size_t i = 0; i < servers.size(); ++i) {
    Server& server = servers[i];
    for (const Link which : {Link::provisioned, Link::alternate}) {
      const Upstream* link = server.link(which);
      if (link != nullptr && link->connected()) heard_at[policy::canonical_name(link->settings().host)] = now.steady;
    }
    if (server.loop_until && *server.loop_until <= now.steady) {
      server.loop_until.reset();
      out.health.push_back({"REDIRECT_LOOP", server.upstream.settings().name, false, {}});
    }
    if (!server.alternate) continue;
    server.redirection.on_connected(server.alternate->connected(), now.steady);
    if (!server.redirection.all()) server.redirection.keep_only(living_mids(server.requests, now));
    if (const auto why = server.redirection.ending(server.requests.engaged(), now.steady)) {
      if (!server.alternate->connected()) server.redirection.on_failure(server.alternate->settings().host, now.steady);
      go_back(i, *why, now, out);
      moved = true;
      continue;
    }
    // RFC 8811 3.2.2: the client stops signaling to the old server and closes that session.
    if (server.redirection.all() && server.alternate->connected() && !server.parked) {
      server.parked = true;
      UpstreamOutput closing;
      server.upstream.close_all(closing);
      absorb(i, Link::provisioned, std::move(closing), now, out);
    }
  }
  std::erase_if(heard_at, [&](const auto& heard) { return now.steady - heard.second >= kLoopWindow; });
  return moved;
}

void ClientAgent::State::keep_mids_apart(std::size_t index) {
  const Server& server = servers[index];
  for (const Server& other : servers) {
    const bool same_server = policy::canonical_name(other.active().settings().host) ==
                             policy::canonical_name(server.active().settings().host);
    if (&other == &server || !same_server || other.requests.cuid() != server.requests.cuid()) continue;
    servers[index].requests.use_mids_from(other.requests.next_mid());
  }
}

std::optional<RedirectView> ClientAgent::State::redirect_view(const Server& server, base::Now now) const {
  const auto& place = server.redirection.place();
  if (!place) return std::nullopt;
  RedirectView view;
  view.host = place->host;
  view.from = place->from;
  view.age = now.steady - place->since;
  if (place->until) view.left = std::max(base::Duration::zero(), *place->until - now.steady);
  if (place->only) view.mids.assign(place->only->begin(), place->only->end());
  view.connected = server.alternate && server.alternate->connected();
  return view;
}

}  // namespace dots::agent::client
