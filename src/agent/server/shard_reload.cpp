// A reload of the configuration in a running shard: only what changed is touched.
#include <algorithm>
#include <utility>

#include "agent/server/shard.h"

namespace dots::agent::server {
namespace {

// What is left of a domain that nobody configures any more: it owns nothing and has no clients.
std::shared_ptr<const policy::DomainRules> nothing_owned(const policy::DomainPolicy& was) {
  policy::DomainPolicy policy;
  policy.id = was.id;
  return std::make_shared<const policy::DomainRules>(std::move(policy));
}

}  // namespace

Shard::Owned Shard::owned_by(std::shared_ptr<const policy::DomainRules> rules) {
  data::Options data_options = settings_.data;
  data_options.cuid_owner = [this, id = rules->policy().id](const base::Cuid& cuid) -> std::optional<base::ClientId> {
    const auto owned = domains_.find(id);
    return owned == domains_.end() ? std::nullopt : owned->second.machine.cuid_owner(cuid);
  };
  const auto data_rules = rules;
  auto aliases = [this, id = rules->policy().id](const base::ClientId& client, const base::Cuid& cuid,
                                                 const std::string& name) -> std::optional<model::Alias> {
    const auto owned = domains_.find(id);
    return owned == domains_.end() ? std::nullopt : owned->second.data.alias(client, cuid, name);
  };
  signal::server::DataChannel data_channel;
  data_channel.cuid_owner = [this, id = rules->policy().id](const base::Cuid& cuid) -> std::optional<base::ClientId> {
    const auto owned = domains_.find(id);
    return owned == domains_.end() ? std::nullopt : owned->second.data.owner_of(cuid);
  };
  data_channel.release = [this, id = rules->policy().id](const base::Cuid& cuid, const std::string& actor,
                                                         base::Now now) -> std::optional<std::string> {
    Owned& owned = domains_.at(id);
    auto done = owned.data.release(cuid, actor, now);
    if (!done) return std::nullopt;
    std::string text = done->events.empty() ? std::string{} : done->events.front().text;
    owned.beside.push_back(std::move(*done));
    return text;
  };
  data_channel.activation = [this, id = rules->policy().id](
                                const base::ClientId& client, const base::Cuid& cuid,
                                const std::string& acl) -> std::optional<model::ActivationType> {
    const auto owned = domains_.find(id);
    return owned == domains_.end() ? std::nullopt : owned->second.data.activation(client, cuid, acl);
  };
  data_channel.activate = [this, id = rules->policy().id](
                              const base::Cuid& cuid, const std::vector<model::AclActivation>& acl_list,
                              const std::string& why,
                              base::Now now) -> std::optional<signal::server::DataChannel::Failure> {
    Owned& owned = domains_.at(id);
    auto done = owned.data.activate(cuid, acl_list, why, now);
    if (!done) return signal::server::DataChannel::Failure{done.error().failed, done.error().reason};
    owned.beside.push_back(std::move(*done));
    return std::nullopt;
  };
  return {
      signal::server::Domain(std::move(rules), planner_, settings_.domain, std::move(aliases), std::move(data_channel)),
      signal::server::SessionConfigs(settings_.bounds, settings_.configs),
      data::Domain(data_rules, std::move(data_options)),
      std::nullopt,
      false,
      {},
      {},
      nullptr,
      false,
      {},
      {},
      {},
      {},
      {}};
}

void Shard::set_planner(std::shared_ptr<const signal::server::Planner> planner, base::Now now,
                        signal::server::Replan which) {
  planner_ = std::move(planner);
  for (auto& [id, owned] : domains_) {
    if (owned.reloading) {
      owned.next_planner = true;
      continue;
    }
    gate_.add(id, owned.machine.set_planner(planner_, now, which));
    arm(id, owned);
  }
}

void Shard::set_domains(const std::vector<std::shared_ptr<const policy::DomainRules>>& domains, base::Now now,
                        ShardOutput& out) {
  const auto replace = [&](const base::DomainId& id, Owned& owned, std::shared_ptr<const policy::DomainRules> rules) {
    if (owned.reloading) {
      owned.next_rules = std::move(rules);
      return;
    }
    if (owned.machine.rules().policy() == rules->policy()) return;
    owned.data.set_rules(rules);
    gate_.add(id, owned.machine.set_rules(std::move(rules), now));
    filters_due_.insert(id);
    arm(id, owned);
  };
  for (auto& [id, owned] : domains_) {
    const auto kept = std::find_if(domains.begin(), domains.end(),
                                   [&id = id](const auto& rules) { return rules->policy().id == id; });
    replace(id, owned, kept == domains.end() ? nothing_owned(owned.machine.rules().policy()) : *kept);
  }
  for (const auto& rules : domains) {
    const base::DomainId& id = rules->policy().id;
    if (owner_of(id, settings_.shards) != settings_.index || owns(id)) continue;
    domains_.emplace(id, owned_by(rules)).first->second.reloading = true;
    out.reload.push_back(id);
    if (back_ends_) local_.push_back({id, *back_ends_});
  }
}

void Shard::set_identities(std::shared_ptr<const policy::Identities> identities, base::Now now, ShardOutput& out) {
  identities_ = std::move(identities);
  std::vector<base::SessionId> ending;
  for (const auto& [id, live] : sessions_) {
    if (identities_->find(table_.identity(id)) != live.session.client()) ending.push_back(id);
  }
  SessionEffects effects;
  for (const base::SessionId id : ending)
    table_.close(id, "the new configuration names another client, or none, by its identity", now, effects);
  absorb(std::move(effects), now, out);
}

void Shard::set_session_bounds(std::shared_ptr<const policy::SessionBounds> bounds, base::Now now, ShardOutput& out) {
  settings_.bounds = bounds;
  for (auto& [id, owned] : domains_) {
    signal::server::ConfigEffects effects;
    owned.configs.set_bounds(bounds, now.steady, effects);
    perform(id, std::move(effects), now, out);
    arm(id, owned);
  }
}

}  // namespace dots::agent::server
