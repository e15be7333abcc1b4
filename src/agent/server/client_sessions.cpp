#include "agent/server/client_sessions.h"

namespace dots::agent::server {

using signal::server::SessionEdge;

std::vector<ClientBusy> ClientSessions::on_edge(const SessionEdge& edge) {
  if (edge.kind == SessionEdge::Kind::opened) {
    Client& client = clients_[edge.client];
    client.sessions.insert(edge.session);
    return {{edge.session, client.mitigating}};
  }
  if (edge.kind != SessionEdge::Kind::closed) return {};
  const auto it = clients_.find(edge.client);
  if (it == clients_.end()) return {};
  it->second.sessions.erase(edge.session);
  if (it->second.sessions.empty() && !it->second.mitigating) clients_.erase(it);
  return {};
}

std::vector<ClientBusy> ClientSessions::on_mitigating(const signal::server::ClientMitigating& edge) {
  Client& client = clients_[edge.client];
  client.mitigating = edge.mitigating;
  std::vector<ClientBusy> all;
  for (const base::SessionId session : client.sessions) all.push_back({session, edge.mitigating});
  if (client.sessions.empty() && !edge.mitigating) clients_.erase(edge.client);
  return all;
}

}  // namespace dots::agent::server
