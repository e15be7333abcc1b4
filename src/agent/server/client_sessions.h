// Which sessions a client of the domain has, and whether mitigations of it run: kept by the domain's owner, so that
// every session of the client hears of it (RFC 8612 SIG-005: a client with a running mitigation is not redirected).
#pragma once

#include <map>
#include <set>
#include <vector>

#include "signal/server/events.h"

namespace dots::agent::server {

// To a session, after it has opened and whenever it changes.
struct ClientBusy {
  base::SessionId session;
  bool mitigating = false;
};

// Bounds: one entry for each configured client, and its live sessions.
class ClientSessions {
 public:
  std::vector<ClientBusy> on_edge(const signal::server::SessionEdge& edge);
  std::vector<ClientBusy> on_mitigating(const signal::server::ClientMitigating& edge);

 private:
  struct Client {
    std::set<base::SessionId> sessions;
    bool mitigating = false;
  };
  std::map<base::ClientId, Client> clients_;
};

}  // namespace dots::agent::server
