// The client role as one pure machine: all servers it signals to, what operators ask, and what may be shown when.
//
// Events and `now` in, ClientEffects out. Nothing that depends on a change leaves before the change is committed: the
// shell commits ClientEffects::commit and tells the outcome with on_committed. Heartbeats depend on nothing and pass.
//
// Ownership: by the shell (apps/runtime/client_runtime.h). Threads: one at a time.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/client/redirection.h"
#include "agent/client/upstream.h"
#include "agent/control.h"
#include "base/result.h"
#include "base/time.h"
#include "ports/resolver.h"
#include "ports/secure_channel.h"
#include "ports/store.h"
#include "signal/client/requests.h"
#include "signal/client/session_config.h"

namespace dots::agent::client {

// Names one call of an operator until its answer.
using CallTicket = base::StrongId<struct CallTicketTag, std::uint64_t>;

struct ServerSettings {
  UpstreamSettings upstream;
  signal::client::Settings requests;
  RedirectPolicy redirects;
  signal::client::ConfigSettings config;
};

struct ClientSettings {
  std::string version;
  std::vector<ServerSettings> servers;  // the first one is meant when a call names none
  std::size_t waiting_calls = 256;      // calls that wait for the word of a server; further ones are answered at once
};

struct ClientEffects {
  std::vector<UpstreamOutput::Open> open;  // sockets; before `send`
  std::vector<UpstreamOutput::Send> send;
  std::vector<base::SessionId> close;  // after `send`
  std::vector<std::string> resolve;
  std::optional<std::vector<ports::Change>> commit;  // one batch; at most one is out at a time
  bool reload = false;                               // read the client's records, then on_reloaded
  struct AuditQuery {
    CallTicket ticket;
    ports::AuditQuery wanted;
  };
  std::vector<AuditQuery> audit;
  struct Done {
    CallTicket ticket;
    CallAnswer answer;
  };
  std::vector<Done> done;
  std::vector<signal::client::OperatorMessage> messages;
  struct Health {  // a row of ops/facts/health.inc begins or ends
    std::string condition;
    std::string subject;
    bool unwell = false;
    std::string details;
  };
  std::vector<Health> health;
  coap::Counters counters;
};

class ClientAgent {
 public:
  // REQUIRES: connectors outlive the agent.
  ClientAgent(ClientSettings settings, const Connectors& connectors, std::uint64_t seed);
  ~ClientAgent();

  void start(const ports::Snapshot& snapshot, base::Now now, ClientEffects& out);
  void stop(base::Now now, ClientEffects& out);

  void on_datagram(base::SessionId session, base::ByteView datagram, base::Now now, ClientEffects& out);
  void on_unreachable(base::SessionId session, const std::string& reason, base::Now now, ClientEffects& out);
  void on_resolved(const ports::Resolution& resolution, base::Now now, ClientEffects& out);
  void on_timer(base::Now now, ClientEffects& out);
  std::optional<base::SteadyTime> next_deadline(base::Now now) const;

  void on_committed(const ports::CommitResult& result, base::Now now, ClientEffects& out);
  void on_reloaded(const base::Result<ports::Snapshot>& snapshot, base::Now now, ClientEffects& out);

  // Another channel has learnt that this cuid belongs to another client at the server.
  void on_cuid_taken(const std::string& server, const base::Cuid& cuid, base::Now now, ClientEffects& out);
  // In use towards each server, by name.
  std::map<std::string, base::Cuid> cuids() const;
  const base::Cuid& cuid_of(const std::string& server) const;  // REQUIRES: a configured server

  // The operations of docs/api.md. Answered by ClientEffects::done, exactly once for each ticket.
  void handle(CallTicket ticket, const Call& call, base::Now now, ClientEffects& out);
  void on_audit(CallTicket ticket, const base::Result<std::vector<ports::AuditRecord>>& records, ClientEffects& out);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace dots::agent::client
