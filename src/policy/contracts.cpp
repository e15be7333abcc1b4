// Contracts that requests refer to, and services that they want (docs/extensions.md).
#include <algorithm>

#include "policy/domain_policy.h"

namespace dots::policy {
namespace {

using model::RefusalReason;
using model::ResponseCode;

std::string joined(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}

}  // namespace

const ContractPolicy* DomainRules::contract(const std::optional<std::string>& id) const {
  if (!id) return nullptr;
  const auto found = std::find_if(policy_.contracts.begin(), policy_.contracts.end(),
                                  [&](const ContractPolicy& known) { return known.id == *id; });
  return found == policy_.contracts.end() ? nullptr : &*found;
}

std::vector<std::string> DomainRules::offered(const std::optional<std::string>& contract_id) const {
  const ContractPolicy* agreed = contract(contract_id);
  return agreed != nullptr && !agreed->services.empty() ? agreed->services : policy_.services;
}

std::optional<std::string> DomainRules::service_for(const model::MitigationRequest& request) const {
  const std::vector<std::string> services = offered(request.contract_id);
  const auto& wanted = request.requested_service;
  if (wanted && std::find(services.begin(), services.end(), *wanted) != services.end()) return wanted;
  if (services.empty()) return std::nullopt;
  return services.front();
}

std::uint32_t DomainRules::max_mitigations(const std::optional<std::string>& contract_id) const {
  const ContractPolicy* agreed = contract(contract_id);
  return agreed == nullptr ? 0 : agreed->max_mitigations;
}

Verdict DomainRules::may_use(const model::MitigationRequest& request) const {
  if (request.contract_id && contract(request.contract_id) == nullptr) {
    return Verdict::no(ResponseCode::bad_request, "the contract '" + *request.contract_id + "' is not known",
                       "domain " + policy_.id.value + " has no contract '" + *request.contract_id + "'",
                       "if it is agreed, add it as [[domain.contract]] and reload", RefusalReason::contract);
  }
  if (!request.requested_service) return Verdict::yes();
  const std::vector<std::string> services = offered(request.contract_id);
  if (std::find(services.begin(), services.end(), *request.requested_service) != services.end()) return Verdict::yes();
  const std::string what = "the service '" + *request.requested_service + "' is not offered";
  return Verdict::no(ResponseCode::bad_request,
                     what + (services.empty() ? std::string{} : "; offered are: " + joined(services)),
                     what + (request.contract_id ? " under contract '" + *request.contract_id + "'" : ""),
                     "add it to services of the domain or of the contract, or let the client ask for another",
                     RefusalReason::function);
}

}  // namespace dots::policy
