// What operators see of the policy, as JSON (docs/api.md): the chain, and what it would do with a request.
#pragma once

#include <boost/json/object.hpp>

#include "agent/server/mitigation_planner.h"
#include "base/ids.h"
#include "base/result.h"
#include "model/mitigation.h"
#include "policy/domain_policy.h"

namespace dots::agent::server {

boost::json::object render_policy(const PlannerSettings& settings);

// A request that nobody has made.
struct WhatIf {
  base::DomainId domain;
  model::MitigationRequest request;
  std::uint64_t volume_bps = 0;  // BITS per second
};
base::Result<WhatIf> parse_what_if(const boost::json::object& arguments);
boost::json::object render_what_if(const WhatIf& asked, const policy::DomainRules& rules,
                                   const MitigationPlanner& planner);

}  // namespace dots::agent::server
