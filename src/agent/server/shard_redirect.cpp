// Redirected signaling in a shard (RFC 9132 4.6, RFC 8811 3.2.2).
#include <algorithm>
#include <utility>

#include "agent/server/shard.h"

namespace dots::agent::server {

namespace {
constexpr std::size_t kMostDepartures = 10000;
}  // namespace

void Shard::set_redirects(std::shared_ptr<const Redirects> redirects, base::Now now, ShardOutput& out) {
  redirects_ = std::move(redirects);
  std::erase_if(departed_, [&](const auto& item) { return !redirects_->has(item.second.order); });
  std::vector<base::SessionId> ids;
  for (const auto& [id, live] : sessions_) ids.push_back(id);
  for (const base::SessionId id : ids) {
    const auto live = sessions_.find(id);
    if (live != sessions_.end()) redirect(live, now, out);
  }
}

void Shard::redirect(SessionMap::iterator live, base::Now now, ShardOutput& out) {
  Session& session = live->second.session;
  if (!session.client()) return;
  std::shared_ptr<const RedirectOrder> order = redirects_->find(*session.client());
  if (!order && live->second.crowded) order = redirects_->when_crowded;
  if (order == session.redirection().order()) return;
  SessionOutput output;
  session.redirect(std::move(order), redirects_->grace, now, output);
  absorb(live, std::move(output), now, out);
}

void Shard::count_redirect(const Live& live, ShardOutput& out) const {
  const RedirectOrder& order = *live.session.redirection().order();
  ++out.counts.redirected[static_cast<std::size_t>(order.reason)];
  const policy::KnownClient& client = *live.session.client();
  out.lines.push_back({"CLIENT_SENT_AWAY", "client " + client.client.value + " of domain " + client.domain.value +
                                               " to " + order.to.alt_server + " (" +
                                               std::string(name_of(order.reason)) + ")"});
}

void Shard::remember_departure(const Live& live, base::Now now) {
  const SessionRedirect& redirection = live.session.redirection();
  if (!redirection.leaving() || departed_.size() >= kMostDepartures) return;
  const policy::KnownClient& client = *live.session.client();
  departed_[{client.domain, client.client}] = {redirection.order()->id, now.steady};
}

std::vector<RedirectedClient> Shard::redirected(base::Now now) const {
  using State = RedirectedClient::State;
  std::vector<RedirectedClient> all;
  for (const auto& [id, live] : sessions_) {
    const SessionRedirect& redirection = live.session.redirection();
    if (!redirection.order()) continue;
    const auto told = redirection.told_at();
    const State state = told ? State::told : redirection.active() ? State::untold : State::mitigating;
    const base::SteadyTime since = told.value_or(live.session.opened());
    all.push_back({state, *live.session.client(), redirection.order()->id, now.steady - since});
  }
  for (const auto& [client, departure] : departed_) {
    all.push_back({State::left, {client.first, client.second}, departure.order, now.steady - departure.at});
  }
  return all;
}

}  // namespace dots::agent::server
