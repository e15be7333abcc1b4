#include "policy/redirect_rules.h"

#include <algorithm>

#include "policy/domain_policy.h"

namespace dots::policy {

bool is_inside(const std::string& name, const std::vector<std::string>& domains) {
  const std::string canonical = canonical_name(name);
  return std::any_of(domains.begin(), domains.end(), [&](const std::string& domain) {
    const std::string own = canonical_name(domain);
    return canonical == own || canonical.ends_with("." + own);
  });
}

base::Result<void> may_redirect_to(const RedirectRules& rules, const model::RedirectedSignal& to) {
  const std::string name = canonical_name(to.alt_server);
  if (model::parse_ip_address(name) || !is_domain_name(name)) {
    return base::Error{"'" + to.alt_server + "' is no DNS name of a server"};
  }
  if (to.alt_server_record.size() > model::kMaxAltServerRecords) {
    return base::Error{"more than " + std::to_string(model::kMaxAltServerRecords) + " addresses"};
  }
  if (rules.any_domain || is_inside(name, rules.own_domains)) return {};
  return base::Error{"'" + name + "' is outside our administrative domain"};
}

}  // namespace dots::policy
