#include "agent/server/session_quota.h"

namespace dots::agent::server {

void SessionQuota::opened(base::SessionId session, const std::optional<policy::KnownClient>& who) {
  const policy::KnownClient owner = who.value_or(policy::KnownClient{});
  const auto domain = domains_.try_emplace(owner.domain).first;
  const auto client = domain->second.clients.try_emplace(owner.client).first;
  Order& mute = client->second.mute;
  entries_.insert_or_assign(session, Entry{domain, client, mute.insert(mute.end(), session), true});
  ++domain->second.sessions;
}

void SessionQuota::spoke(base::SessionId session) {
  const auto found = entries_.find(session);
  if (found == entries_.end()) return;
  Entry& entry = found->second;
  Client& client = entry.client->second;
  client.heard.splice(client.heard.end(), entry.mute ? client.mute : client.heard, entry.place);
  entry.mute = false;
}

void SessionQuota::closed(base::SessionId session) {
  const auto found = entries_.find(session);
  if (found == entries_.end()) return;
  const Entry entry = found->second;
  entries_.erase(found);
  Client& client = entry.client->second;
  (entry.mute ? client.mute : client.heard).erase(entry.place);
  if (client.size() == 0) entry.domain->second.clients.erase(entry.client);
  if (--entry.domain->second.sessions == 0) domains_.erase(entry.domain);
}

std::optional<base::SessionId> SessionQuota::too_many(base::SessionId newcomer) const {
  const auto found = entries_.find(newcomer);
  if (found == entries_.end() || found->second.domain->second.sessions <= per_domain_) return std::nullopt;
  // Among equals the newcomer's client loses.
  const Client* largest = &found->second.client->second;
  for (const auto& [id, client] : found->second.domain->second.clients) {
    if (client.size() > largest->size()) largest = &client;
  }
  if (!largest->mute.empty() && largest->mute.front() != newcomer) return largest->mute.front();
  return largest->heard.empty() ? newcomer : largest->heard.front();
}

}  // namespace dots::agent::server
