// What passes before all drops, the drop-lists of clients included, as lists of filters of each domain: traffic from
// safe sources, and traffic to safe targets (docs/policy.md, Safety). Pure.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "mitigation/filters.h"
#include "policy/domain_policy.h"
#include "policy/safety.h"

namespace dots::agent::server {

// The lists of a domain, as far as they have entries; without any a want says that it is to go. Their keys are none
// that a client can have (a '/' in a path ends a cuid), and they are the first that are tried.
mitigation::FilterWant safe_sources(const policy::DomainPolicy& domain, const std::vector<model::Prefix>& sources);
mitigation::FilterWant safe_targets(const policy::DomainPolicy& domain, const std::vector<policy::SafeTarget>& targets);
std::vector<mitigation::FilterWant> safe_lists(const policy::DomainPolicy& domain, const policy::SafetyPolicy& safety);

}  // namespace dots::agent::server
