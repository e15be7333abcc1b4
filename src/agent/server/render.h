// What operators see of a server, as JSON (docs/api.md): pure functions over views.
//
// Attributes of the protocol keep their RFC names; ours end in their unit.
#pragma once

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <string>
#include <vector>

#include "agent/control.h"
#include "agent/server/shard.h"
#include "base/time.h"
#include "mitigation/filters.h"
#include "mitigation/reconcile.h"
#include "policy/safety.h"
#include "ports/store.h"
#include "signal/server/domain.h"

namespace dots::agent::server {

// The rules of one back end with their stories.
struct BackEndView {
  std::string name;
  bool counts = false;
  bool drops_really = true;
  std::string state;  // "ready", or why it is not
  std::vector<mitigation::RuleStory> stories;
  std::vector<mitigation::FilterStory> filters;
  std::vector<ports::BackEndLink> links = {};
};

struct StatusView {
  std::string version;
  std::vector<std::string> listen;
  base::Duration uptime{};
  std::size_t domains = 0;
  std::size_t shards = 0;
  std::uint64_t handshakes_full = 0, handshakes_resumed = 0;  // that came to a session, since the start
  std::vector<SessionView> sessions;
  std::vector<signal::server::MitigationView> mitigations;
  std::vector<BackEndView> back_ends;
  std::vector<std::string> unwell;  // one sentence each
};

boost::json::object render_mitigation(const signal::server::MitigationView& view, base::Now now);
boost::json::object render_list(const std::vector<signal::server::MitigationView>& views, base::Now now);
boost::json::object render_status(const StatusView& status);

// What is blocked, why, since when, until when and by whom. `mid`, `cuid` and `prefix` narrow it; empty ones do not. Of
// a prefix, `about` has everything else that touches it - owners, mitigations - and says clearly when nothing blocks
// it.
struct ExplainQuery {
  std::optional<base::Mid> mid;
  std::string cuid;
  std::optional<model::Prefix> prefix;
};
struct ExplainWorld {
  std::vector<policy::DomainPolicy> domains;
  std::vector<policy::SafeTarget> safe_targets;
};
boost::json::object render_explain(const std::vector<BackEndView>& back_ends,
                                   const std::vector<signal::server::MitigationView>& mitigations,
                                   const ExplainQuery& query, base::Now now, const ExplainWorld& world = {});

}  // namespace dots::agent::server
