// Where a server may send its clients, and how far a client follows (RFC 8612 SIG-005: both servers belong to the same
// administrative domain).
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "model/redirect.h"

namespace dots::policy {

// The name is one of the domains or below one. Case and a trailing dot do not matter.
bool is_inside(const std::string& name, const std::vector<std::string>& domains);

struct RedirectRules {
  std::vector<std::string> own_domains;
  bool any_domain = false;  // third parties as well (RFC 8811 section 1.3)
};
base::Result<void> may_redirect_to(const RedirectRules& rules, const model::RedirectedSignal& to);

}  // namespace dots::policy
