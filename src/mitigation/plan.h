// Scope and policy -> rules (ARCHITECTURE idea 4), pure.
#pragma once

#include <vector>

#include "model/mitigation.h"
#include "model/rule.h"
#include "policy/domain_policy.h"

namespace dots::mitigation {

// What becomes of the traffic of a scope. Limits are BYTES per second.
struct Actions {
  policy::BroadScopeAction broad = policy::BroadScopeAction::limit;  // of one without protocol and port
  std::uint64_t broad_limit_bps = 125000;
  std::uint64_t scoped_limit_bps = 0;  // of the others; 0: dropped
  static Actions of(const policy::DomainPolicy& policy) {
    return {policy.broad_scope, policy.broad_scope_limit_bps, policy.scoped_limit_bps};
  }
};

// The rules for one mitigation, sorted and without duplicates. `expanded` are the target prefixes, names and URIs
// resolved. A scope with neither protocol nor port follows actions.broad. Ports without a protocol mean every
// protocol that has ports. A URI narrows its own addresses to its protocol and port only when nothing else names them.
std::vector<model::Rule> plan(const model::MitigationScope& scope, const std::vector<model::Prefix>& expanded,
                              const Actions& actions);
inline std::vector<model::Rule> plan(const model::MitigationScope& scope, const std::vector<model::Prefix>& expanded,
                                     const policy::DomainPolicy& policy) {
  return plan(scope, expanded, Actions::of(policy));
}

}  // namespace dots::mitigation
