// How mitigations are planned: the policy of the configuration, what back ends have to do, and the last gate before
// rules leave for them (docs/policy.md).
#include <algorithm>
#include <utility>

#include "adapters/net/event_loop.h"
#include "adapters/net/machine_addresses.h"
#include "agent/operators/answers.h"
#include "agent/server/ownership_gate.h"
#include "agent/server/render_policy.h"
#include "agent/server/safe_sources.h"
#include "apps/runtime/server_state.h"

namespace dots::runtime {

using adapters::net::Priority;
using agent::call_failed;
using agent::call_ok;
using agent::CallAnswer;
using agent::server::BackEndLoads;
using agent::server::MitigationPlanner;
using agent::server::PlannerSettings;
using agent::server::Shard;
using agent::server::ShardOutput;

namespace {

bool unspecified(const model::IpAddress& address) { return address == model::IpAddress{address.family, {}}; }

}  // namespace

// REQUIRES: the runners are there and the sockets bound.
std::shared_ptr<const PlannerSettings> ServerRuntime::State::planner_settings(const ops::Config& from) const {
  auto settings = std::make_shared<PlannerSettings>();
  settings->chain = from.policy;
  settings->safety = from.safety;
  const auto protect = [&](const model::IpAddress& address, const std::string& why = "is an address of this server") {
    const policy::SafeTarget own{model::host_prefix(address), why};
    auto& targets = settings->safety.targets;
    if (std::find(targets.begin(), targets.end(), own) == targets.end()) targets.push_back(own);
  };
  // A blackhole for a peer or a next hop would take all routes with it.
  for (const auto& mitigator : from.mitigators) {
    if (!mitigator.kind.starts_with("gobgp-")) continue;
    for (const auto& peer : mitigator.bgp.peers) protect(peer, "is a BGP peer of '" + mitigator.name + "'");
    for (const auto& hop : {mitigator.bgp.next_hop_v4, mitigator.bgp.next_hop_v6})
      protect(hop, "is a next hop of '" + mitigator.name + "'");
    for (const auto& hop : mitigator.bgp.redirect_ip) protect(hop, "is a next hop of '" + mitigator.name + "'");
  }
  std::vector<model::SocketAddress> listening_on = bound;
  listening_on.insert(listening_on.end(), from.data_channel.listen.begin(), from.data_channel.listen.end());
  for (const auto& address : listening_on) {
    if (!unspecified(address.ip)) {
      protect(address.ip);
      continue;
    }
    for (const auto& one : adapters::net::machine_addresses()) {
      if (one.family == address.ip.family) protect(one);
    }
  }
  for (std::size_t i = 0; i < runners.size(); ++i) settings->back_ends.push_back(runners[i]->planned());
  return settings;
}

std::shared_ptr<const MitigationPlanner> ServerRuntime::State::make_planner(
    std::shared_ptr<const PlannerSettings> settings) {
  {
    const std::lock_guard lock(back_ends_mutex);
    back_ends.limit_rules(settings->safety.rules);
  }
  auto next = std::make_shared<const MitigationPlanner>(std::move(settings), loads_told);
  const std::lock_guard lock(running_mutex);
  planner = next;
  return next;
}

// The housekeeper's thread.
void ServerRuntime::State::watch_load() {
  std::shared_ptr<const MitigationPlanner> now;
  {
    const std::lock_guard lock(running_mutex);
    now = planner;
  }
  const PlannerSettings& settings = now->settings();
  BackEndLoads loads;
  for (const auto& runner : runners) loads[runner->planned().name] = runner->load();
  const auto concerned = agent::server::replan(settings, loads_told, loads);
  if (!concerned) return;
  loads_told = std::move(loads);
  const auto next = make_planner(std::make_shared<const PlannerSettings>(settings));
  on_all_shards(
      [next, which = *concerned](Shard& shard, base::Now at, ShardOutput&) { shard.set_planner(next, at, which); });
}

// The housekeeper's thread.
void ServerRuntime::State::watch_means() {
  if (!other_means.exchange(false)) return;
  const auto next = make_planner(planner_settings(*running()));
  on_all_shards([next](Shard& shard, base::Now at, ShardOutput&) { shard.set_planner(next, at); });
}

void ServerRuntime::State::set_owners(const std::vector<std::shared_ptr<const policy::DomainRules>>& domains) {
  auto next = std::make_shared<agent::server::Owners>();
  for (const auto& rules : domains) next->emplace(rules->policy().id, rules);
  const std::lock_guard lock(running_mutex);
  owners = std::move(next);
}

// Those of all domains are wanted anew with the lists that their clients have made, and when the configuration changes.
void ServerRuntime::State::add_safe_lists(std::vector<mitigation::DomainFilters>& filters) const {
  std::shared_ptr<const MitigationPlanner> plans;
  std::shared_ptr<const agent::server::Owners> domains;
  {
    const std::lock_guard lock(running_mutex);
    plans = planner;
    domains = owners;
  }
  if (!plans) return;
  for (auto& one : filters) {
    const auto domain = domains->find(one.domain);
    if (!one.whole || domain == domains->end()) continue;
    for (auto& want : agent::server::safe_lists(domain->second->policy(), plans->settings().safety)) {
      if (want.list) one.lists.push_back(std::move(want));
    }
  }
}

// After a reload; `before`: the domains that there were.
void ServerRuntime::State::tell_safe_lists(const agent::server::Owners& before) {
  std::shared_ptr<const MitigationPlanner> plans;
  std::shared_ptr<const agent::server::Owners> domains;
  {
    const std::lock_guard lock(running_mutex);
    plans = planner;
    domains = owners;
  }
  std::vector<mitigation::DomainFilters> filters;
  for (const auto& [id, rules] : *domains)
    filters.push_back({id, false, agent::server::safe_lists(rules->policy(), plans->settings().safety)});
  for (const auto& [id, rules] : before) {
    if (!domains->contains(id)) filters.push_back({id, false, agent::server::safe_lists(rules->policy(), {})});
  }
  for (auto& runner : runners) runner->want({}, filters);
}

// Whatever planned it: what the domain does not own now goes to no back end.
void ServerRuntime::State::withhold_unowned(signal::server::DesiredRules::Want& want) {
  std::shared_ptr<const agent::server::Owners> now;
  {
    const std::lock_guard lock(running_mutex);
    now = owners;
  }
  const auto withheld = agent::server::withhold_unowned(want, *now);
  if (withheld.empty()) return;
  const std::string text = "domain " + want.owner.domain.value + ", cuid=" + want.owner.cuid.value +
                           " mid=" + std::to_string(want.owner.mid.value) + ": " + withheld.front() +
                           (withheld.size() > 1 ? " and " + std::to_string(withheld.size() - 1) + " more" : "");
  sink.message("RULE_WITHHELD", text);
  ports::Batch batch;
  batch.at = adapters::net::clock_now().wall;
  ports::AuditRecord record;
  record.at = batch.at;
  record.domain = want.owner.domain;
  record.actor = "server";
  record.action = "install";
  record.subject = "cuid=" + want.owner.cuid.value + " mid=" + std::to_string(want.owner.mid.value);
  record.verdict = "withheld";
  record.text = "not owned by the domain: " + withheld.front();
  batch.changes.push_back(ports::AppendAudit{std::move(record)});
  // The message above says it in any case.
  if (!committer->submit(std::move(batch), [](const ports::CommitResult&) {}))
    sink.count("dots_hand_over_refused_total", "audit", 1);
}

void ServerRuntime::State::show_policy(const Done& done) const {
  std::shared_ptr<const MitigationPlanner> now;
  {
    const std::lock_guard lock(running_mutex);
    now = planner;
  }
  done(call_ok(agent::server::render_policy(now->settings())));
}

void ServerRuntime::State::what_if(const boost::json::object& arguments, const Done& done) const {
  const auto asked = agent::server::parse_what_if(arguments);
  if (!asked) return done(call_failed(CallAnswer::Outcome::bad_request, asked.error().message));
  std::shared_ptr<const MitigationPlanner> now;
  std::shared_ptr<const agent::server::Owners> domains;
  {
    const std::lock_guard lock(running_mutex);
    now = planner;
    domains = owners;
  }
  const auto domain = domains->find(asked->domain);
  if (domain == domains->end()) {
    return done(call_failed(CallAnswer::Outcome::not_found, "there is no domain '" + asked->domain.value + "'",
                            "name one of the [[domain]] tables"));
  }
  done(call_ok(agent::server::render_what_if(*asked, *domain->second, *now)));
}

}  // namespace dots::runtime
