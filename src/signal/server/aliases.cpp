// Alias-names in requests (RFC 9132 4.4.1.1, 4.4.1.3): resolved once, when a request is accepted.
#include <iterator>

#include "signal/server/machine.h"

namespace dots::signal::server {
namespace {

void append(std::vector<std::string>& to, const std::vector<std::string>& from) {
  to.insert(to.end(), from.begin(), from.end());
}

}  // namespace

model::MitigationScope whole_scope(const base::Cuid& cuid, const model::MitigationScope& scope,
                                   const std::vector<model::Alias>& aliases) {
  model::MitigationScope whole = scope;
  whole.alias_name.clear();
  for (const model::Alias& alias : aliases) {
    const model::MitigationScope& targets = alias.targets;
    whole.target_prefix.insert(whole.target_prefix.end(), targets.target_prefix.begin(), targets.target_prefix.end());
    append(whole.target_fqdn, targets.target_fqdn);
    append(whole.target_uri, targets.target_uri);
    // The same name of two clients is not the same alias.
    whole.alias_name.push_back(cuid.value + " " + alias.name);
  }
  return whole;
}

std::vector<model::MitigationScope> parts_of(const model::MitigationScope& scope,
                                             const std::vector<model::Alias>& aliases) {
  std::vector<model::MitigationScope> parts;
  model::MitigationScope own = scope;
  own.alias_name.clear();
  if (own.names_a_target()) parts.push_back(std::move(own));
  for (const model::Alias& alias : aliases) {
    model::MitigationScope part = alias.targets;
    if (part.target_protocol.empty() && part.target_port_range.empty()) {
      part.target_protocol = scope.target_protocol;
      part.target_port_range = scope.target_port_range;
    }
    parts.push_back(std::move(part));
  }
  return parts;
}

base::Result<std::vector<model::Alias>> Machine::resolve_aliases(const PutMitigation& put) const {
  std::vector<model::Alias> found;
  for (const std::string& name : put.request.scope.alias_name) {
    const bool room = found.size() < rules_->policy().max_targets_per_request;
    auto alias = aliases_ && room ? aliases_(put.origin.client, put.cuid, name) : std::nullopt;
    if (!alias) return base::Error{name};
    found.push_back(std::move(*alias));
  }
  return found;
}

policy::Verdict Machine::may_request(const PutMitigation& put, const std::vector<model::Alias>& aliases) const {
  if (aliases.empty()) return rules_->may_request(put.request.scope);
  for (const model::MitigationScope& part : parts_of(put.request.scope, aliases)) {
    if (policy::Verdict verdict = rules_->may_request(part); !verdict.allowed) return verdict;
  }
  // All of them together are bounded like the targets of any request.
  model::MitigationScope whole = whole_scope(put.cuid, put.request.scope, aliases);
  whole.alias_name.clear();
  whole.target_protocol = {0};  // each part was checked for being narrow enough
  return rules_->may_request(whole);
}

}  // namespace dots::signal::server
