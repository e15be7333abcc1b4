// The last look at rules before they leave for the back ends: their targets must be the domain's own, now. Pure.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/ids.h"
#include "policy/domain_policy.h"
#include "signal/server/events.h"

namespace dots::agent::server {

using Owners = std::map<base::DomainId, std::shared_ptr<const policy::DomainRules>>;

// Takes the rules out of `want` that the domain may not ask for, and says which.
std::vector<std::string> withhold_unowned(signal::server::DesiredRules::Want& want, const Owners& owners);

}  // namespace dots::agent::server
