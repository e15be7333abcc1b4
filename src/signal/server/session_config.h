// The session configurations of one client domain (RFC 9132 4.5, RFC 9362), pure: events and `now` in, effects out.
//
// A configuration belongs to the client, not to one of its sessions: it holds on every session that the client has or
// opens, until it is deleted, replaced or no longer refreshed. It is kept in memory only (docs/decisions/
// session-configuration.md), so that nothing here waits for the store.
//
// Ownership: one for each domain, beside its mitigation machine, on the domain's owner shard. Threads: none of its own.
// Bounds: one configuration for each configured client; ConfigLimits.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "base/time.h"
#include "model/session_config.h"
#include "policy/session_bounds.h"
#include "signal/server/events.h"

namespace dots::signal::server {

struct ConfigLimits {
  std::size_t observers_per_client = 16;
  // How long after Max-Age a refresh may still come: the span of a confirmable request (RFC 7252 4.8.2).
  base::Duration refresh_grace = std::chrono::seconds{247};
};

// What holds on a session; shared by all sessions of a client.
struct SessionParameters {
  std::optional<base::Sid> sid;  // absent: nothing was negotiated
  model::ParameterSets sets;     // every parameter
  bool mitigating = false;       // which set is in force

  const model::ParameterSet& in_force() const { return mitigating ? sets.mitigating : sets.idle; }
  friend bool operator==(const SessionParameters&, const SessionParameters&) = default;
};

// ---- effects ------------------------------------------------------------------------------------------------------

struct ConfigAnswer {
  model::ResponseCode code = model::ResponseCode::content;
  std::shared_ptr<const model::SessionConfig> config;  // of a 2.05
  std::string diagnostic;
  std::optional<std::uint32_t> max_age_s;
};
struct ConfigReply {
  base::SessionId session;
  base::ExchangeId exchange;
  ConfigAnswer answer;
  bool observe = false;  // the observation is accepted
};
struct ConfigNotify {
  base::SessionId session;
  base::Bytes token;
  ConfigAnswer answer;
};
// Takes effect at once.
struct ApplyParameters {
  base::SessionId session;
  std::shared_ptr<const SessionParameters> parameters;
};
// For the operator: a configuration was not refreshed in time, so that the defaults hold again.
struct ConfigLapsed {
  base::ClientId client;
  base::Sid sid;
};
using ConfigEffect = std::variant<ConfigReply, ConfigNotify, ApplyParameters, ConfigLapsed>;
using ConfigEffects = std::vector<ConfigEffect>;

class SessionConfigs {
 public:
  SessionConfigs(std::shared_ptr<const policy::SessionBounds> bounds, const ConfigLimits& limits);

  // `armed`: Domain::has_armed_requests of the client.
  void on_put(const PutConfig& put, bool armed, base::SteadyTime now, ConfigEffects& out);
  void on_get(const GetConfig& get, base::SteadyTime now, ConfigEffects& out);
  void on_delete(const DeleteConfig& del, base::SteadyTime now, ConfigEffects& out);
  void on_edge(const SessionEdge& edge, base::SteadyTime now, ConfigEffects& out);
  void on_cancelled(const ObservationCancelled& cancelled);
  // The domain says whether mitigations of the client are active: the other set is in force from now on.
  void on_mitigating(const ClientMitigating& edge, base::SteadyTime now, ConfigEffects& out);
  void on_timer(base::SteadyTime now, ConfigEffects& out);
  std::optional<base::SteadyTime> next_deadline() const;

  // The operator has changed what is accepted or the default values. Configurations that are not acceptable any more
  // stay in force until their client refreshes them: it then sees the new ranges.
  void set_bounds(std::shared_ptr<const policy::SessionBounds> bounds, base::SteadyTime now, ConfigEffects& out);

 private:
  struct Observer {
    std::optional<base::Sid> sid;
    bool over_tcp = false;
    std::shared_ptr<const model::SessionConfig> told;
  };
  struct Client {
    std::optional<base::Sid> sid;
    model::ParameterSets given;
    bool mitigating = false;
    std::optional<base::SteadyTime> lapses_at;  // absent: never, or nothing to lapse
    std::set<base::SessionId> sessions;
    std::map<std::pair<base::SessionId, base::Bytes>, Observer> observers;
    base::SteadyTime notified_at{};
    std::optional<base::SteadyTime> notify_at;
    std::shared_ptr<const SessionParameters> applied;
    std::optional<base::SteadyTime> armed;  // its entry in deadlines_
  };
  using Clients = std::map<base::ClientId, Client>;

  SessionParameters parameters_of(const Client& client) const;
  std::shared_ptr<const model::SessionConfig> body_of(const Client& client, bool over_tcp) const;
  void refreshed(Client& client, base::SteadyTime now) const;
  void reset(Client& client);
  // After a change: the sessions take it over, observers are told.
  void changed(Client& client, base::SteadyTime now, ConfigEffects& out);
  void apply(Client& client, ConfigEffects& out);
  void schedule(Client& client, base::SteadyTime now) const;
  void notify(Client& client, base::SteadyTime now, ConfigEffects& out);
  Clients::iterator client_of(const Origin& origin);
  // At the end of every step about a client: its next deadline, or nothing more to remember.
  void settle(Clients::iterator client);
  ConfigAnswer with_age(ConfigAnswer answer) const;

  std::shared_ptr<const policy::SessionBounds> bounds_;
  ConfigLimits limits_;
  Clients clients_;
  std::map<base::SessionId, base::ClientId> sessions_;
  std::set<std::pair<base::SteadyTime, base::ClientId>> deadlines_;
};

}  // namespace dots::signal::server
