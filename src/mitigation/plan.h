// Scope and policy -> rules (ARCHITECTURE idea 4), pure.
#pragma once

#include <vector>

#include "model/mitigation.h"
#include "model/rule.h"
#include "policy/domain_policy.h"

namespace dots::mitigation {

// The rules for one mitigation, sorted and without duplicates. `expanded` are the target prefixes, names and URIs
// resolved. A scope with neither protocol nor port follows policy.broad_scope. Ports without a protocol mean every
// protocol that has ports. A URI narrows its own addresses to its protocol and port only when nothing else names them.
std::vector<model::Rule> plan(const model::MitigationScope& scope, const std::vector<model::Prefix>& expanded,
                              const policy::DomainPolicy& policy);

}  // namespace dots::mitigation
