#include "policy/domain_policy.h"

#include <algorithm>
#include <utility>

namespace dots::policy {
namespace {

using model::ResponseCode;

constexpr std::size_t kMostNarrowings = 64;            // port ranges, and protocols, of one request
constexpr std::int64_t kLongestLifetime = UINT32_MAX;  // lifetime is a uint32 on the wire (RFC 9132 5.3)

// RFC 9132 leaves the code of a scope outside of the domain open; an invalid parameter is 4.00 (docs/decisions).
Verdict refuse(std::string diagnostic, std::string reason, std::string next_step = {},
               model::RefusalReason refusal = model::RefusalReason::scope) {
  return Verdict::no(ResponseCode::bad_request, std::move(diagnostic), std::move(reason), std::move(next_step),
                     refusal);
}

}  // namespace

std::string canonical_name(const std::string& fqdn) {
  std::string name = fqdn;
  if (!name.empty() && name.back() == '.') name.pop_back();
  std::transform(name.begin(), name.end(), name.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  return name;
}

bool is_domain_name(const std::string& fqdn) {
  const std::string name = canonical_name(fqdn);
  if (name.empty() || name.size() > 253) return false;
  std::size_t label = 0;
  char previous = '.';
  for (const char c : name) {
    if (c == '.') {
      if (label == 0 || previous == '-') return false;
      label = 0;
    } else {
      const bool letter_or_digit = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
      if (!letter_or_digit && (c != '-' || label == 0)) return false;
      if (++label > 63) return false;
    }
    previous = c;
  }
  return label > 0 && previous != '-';
}

DomainRules::DomainRules(DomainPolicy policy) : policy_(std::move(policy)) {
  for (std::size_t i = 0; i < policy_.prefixes.size(); ++i) {
    owned_prefixes_.insert(policy_.prefixes[i], static_cast<std::uint32_t>(i));
  }
  for (const std::string& name : policy_.names) owned_names_.insert(canonical_name(name));
}

Verdict DomainRules::may_target(const model::Prefix& prefix) const {
  const std::string text = model::to_string(prefix);
  if (prefix.length > prefix.address.width()) {
    return refuse("target-prefix " + text + ": the length is too large", "malformed prefix " + text);
  }
  if (const auto why = model::forbidden_target(prefix)) {
    return refuse("target-prefix " + text + " cannot be mitigated: " + *why, text + " can never be a target: " + *why);
  }
  if (!owned_prefixes_.covers(prefix)) {
    return refuse("target-prefix " + text + " is not within your domain",
                  text + " is in none of the prefixes of domain " + policy_.id.value,
                  "if the domain owns it, add it to the prefixes of the domain and reload");
  }
  return Verdict::yes();
}

Verdict DomainRules::may_name(const std::string& fqdn) const {
  if (!is_domain_name(fqdn)) return refuse("'" + fqdn + "' is not a domain name", "'" + fqdn + "' is no domain name");
  const std::string name = canonical_name(fqdn);
  for (std::size_t at = 0; at != std::string::npos;) {
    if (owned_names_.count(name.substr(at)) > 0) return Verdict::yes();
    const std::size_t dot = name.find('.', at);
    at = dot == std::string::npos ? dot : dot + 1;
  }
  return refuse("the name " + name + " is not within your domain",
                name + " is not below any name of domain " + policy_.id.value,
                "if the domain owns it, add it to the names of the domain and reload");
}

Verdict DomainRules::may_request_uri(const std::string& uri) const {
  const auto target = parse_target_uri(uri);
  if (!target) return refuse("target-uri: " + target.error().message, "target-uri: " + target.error().message);
  return target->address ? may_target(model::host_prefix(*target->address)) : may_name(target->host);
}

Verdict DomainRules::may_keep(const model::MitigationScope& scope) const {
  for (const model::Prefix& prefix : scope.target_prefix) {
    if (Verdict verdict = may_target(prefix); !verdict.allowed) return verdict;
  }
  for (const std::string& name : scope.target_fqdn) {
    if (Verdict verdict = may_name(name); !verdict.allowed) return verdict;
  }
  for (const std::string& uri : scope.target_uri) {
    if (Verdict verdict = may_request_uri(uri); !verdict.allowed) return verdict;
  }
  return Verdict::yes();
}

Verdict DomainRules::may_request(const model::MitigationScope& scope) const {
  if (!scope.names_a_target()) {
    return refuse("target-prefix, target-fqdn, target-uri or alias-name is required", "the scope names no target");
  }
  const std::size_t targets =
      scope.target_prefix.size() + scope.target_fqdn.size() + scope.target_uri.size() + scope.alias_name.size();
  if (targets > policy_.max_targets_per_request) {
    const std::string limit = std::to_string(policy_.max_targets_per_request);
    return refuse(std::to_string(targets) + " targets in one request; at most " + limit + " are taken",
                  std::to_string(targets) + " targets, over the limit of " + limit,
                  "raise max_targets_per_request of the domain, or split the request over several mids",
                  model::RefusalReason::policy);
  }
  // Rules are made for every target with every range and protocol.
  for (const auto& [what, number] : {std::pair{"port ranges", scope.target_port_range.size()},
                                     std::pair{"protocols", scope.target_protocol.size()}}) {
    if (number <= kMostNarrowings) continue;
    const std::string text = std::to_string(number) + " " + what + " in one request; at most " +
                             std::to_string(kMostNarrowings) + " are taken";
    return refuse(text, text, "name a wider range, or split the request over several mids",
                  model::RefusalReason::policy);
  }
  if (Verdict verdict = may_keep(scope); !verdict.allowed) return verdict;
  const bool narrowed = !scope.target_port_range.empty() || !scope.target_protocol.empty();
  if (!narrowed && policy_.broad_scope == BroadScopeAction::refuse) {
    // A URI of a known scheme brings its own protocol and port.
    const bool by_uris = scope.target_prefix.empty() && scope.target_fqdn.empty() && scope.alias_name.empty() &&
                         std::all_of(scope.target_uri.begin(), scope.target_uri.end(), [](const std::string& uri) {
                           const auto target = parse_target_uri(uri);
                           return target && (target->protocol || target->port);
                         });
    if (!by_uris) {
      return refuse("target-protocol or target-port-range is required by the policy of this server",
                    "the scope has neither protocol nor port, and broad_scope is 'refuse'",
                    "set broad_scope of the domain to 'limit' to accept such requests", model::RefusalReason::policy);
    }
  }
  return Verdict::yes();
}

Verdict DomainRules::may_resolve_to(const std::string& name, const std::vector<model::IpAddress>& addresses) const {
  if (addresses.empty()) return refuse("the name " + name + " has no address", name + " has no address");
  for (const model::IpAddress& address : addresses) {
    if (const Verdict verdict = may_target(model::host_prefix(address)); !verdict.allowed) {
      return refuse(
          "the name " + name + " resolves to " + model::to_string(address) + ", which you may not ask mitigation for",
          name + ": " + verdict.reason, verdict.next_step);
    }
  }
  return Verdict::yes();
}

std::uint32_t DomainRules::priority_of(const base::ClientId& client) const {
  const auto found = std::find_if(policy_.clients.begin(), policy_.clients.end(),
                                  [&](const ClientPolicy& known) { return known.id == client; });
  return found == policy_.clients.end() ? ClientPolicy{}.priority : found->priority;
}

ConflictOutcome DomainRules::arbitrate(const base::ClientId& newcomer, const base::ClientId& holder) const {
  if (policy_.conflict_winner == ConflictWinner::everybody) return ConflictOutcome::both;
  const std::uint32_t new_priority = priority_of(newcomer);
  const std::uint32_t old_priority = priority_of(holder);
  if (new_priority != old_priority) {
    return new_priority > old_priority ? ConflictOutcome::newcomer : ConflictOutcome::holder;
  }
  switch (policy_.conflict_winner) {
    case ConflictWinner::last:
      return ConflictOutcome::newcomer;
    case ConflictWinner::nobody:
      return ConflictOutcome::neither;
    case ConflictWinner::first:
    case ConflictWinner::everybody:
      break;
  }
  return ConflictOutcome::holder;
}

model::Lifetime DomainRules::grant(model::Lifetime requested, const std::optional<std::string>& contract_id) const {
  const auto bounded = [](std::uint64_t seconds) {
    return static_cast<std::int64_t>(std::clamp<std::uint64_t>(seconds, 1, kLongestLifetime));
  };
  const ContractPolicy* agreed = contract(contract_id);
  const std::int64_t longest =
      bounded(agreed != nullptr && agreed->max_lifetime_s > 0 ? agreed->max_lifetime_s : policy_.max_lifetime_s);
  if (requested.indefinite()) {
    if (policy_.allow_indefinite) return requested;
    return {std::min(longest, bounded(policy_.default_lifetime_s))};
  }
  return {std::clamp<std::int64_t>(requested.seconds, 1, longest)};
}

}  // namespace dots::policy
