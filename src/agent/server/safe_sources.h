// Sources whose traffic passes before all drops (safety.sources), as a list of filters of each domain. Pure.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "mitigation/filters.h"
#include "policy/domain_policy.h"

namespace dots::agent::server {

// The list of a domain; its key is none that a client can have (a '/' in a path ends a cuid), and it is the first that
// is tried.
mitigation::FilterWant safe_sources(const policy::DomainPolicy& domain, const std::vector<model::Prefix>& sources);

}  // namespace dots::agent::server
