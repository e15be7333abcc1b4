#include "agent/server/safe_sources.h"

#include <algorithm>
#include <iterator>
#include <set>

namespace dots::agent::server {

mitigation::FilterWant safe_sources(const policy::DomainPolicy& domain, const std::vector<model::Prefix>& sources) {
  model::FilterList list;
  list.key = {domain.id, base::Cuid{"/server"}, "safe-sources"};
  for (const model::Prefix& source : sources) {
    model::FilterRule rule;
    rule.entry.name = model::to_string(source);
    rule.entry.forwarding = model::Forwarding::accept;
    rule.entry.match.ip.emplace();
    rule.entry.match.ip->family = source.address.family;
    rule.entry.match.ip->source = source;
    std::copy_if(domain.prefixes.begin(), domain.prefixes.end(), std::back_inserter(rule.destinations),
                 [&](const model::Prefix& one) { return one.address.family == source.address.family; });
    if (!rule.destinations.empty()) list.rules.push_back(std::move(rule));
  }
  mitigation::FilterWant want{list.key, nullptr, "on the source safe-list of the server"};
  if (!list.rules.empty()) want.list = std::make_shared<const model::FilterList>(std::move(list));
  return want;
}

mitigation::FilterWant safe_targets(const policy::DomainPolicy& domain,
                                    const std::vector<policy::SafeTarget>& targets) {
  model::FilterList list;
  list.key = {domain.id, base::Cuid{"/server"}, "safe-targets"};
  std::set<model::Prefix> seen;
  for (const policy::SafeTarget& target : targets) {
    const model::Prefix safe = target.prefix.masked();
    if (!seen.insert(safe).second) continue;
    model::FilterRule rule;
    rule.entry.name = model::to_string(safe);
    rule.entry.forwarding = model::Forwarding::accept;
    for (const model::Prefix& owned : domain.prefixes) {
      if (owned.contains(safe)) rule.destinations = {safe};
      if (!owned.contains(safe) && safe.contains(owned)) rule.destinations.push_back(owned);
    }
    if (!rule.destinations.empty()) list.rules.push_back(std::move(rule));
  }
  mitigation::FilterWant want{list.key, nullptr, "on the target safe-list of the server"};
  if (!list.rules.empty()) want.list = std::make_shared<const model::FilterList>(std::move(list));
  return want;
}

std::vector<mitigation::FilterWant> safe_lists(const policy::DomainPolicy& domain, const policy::SafetyPolicy& safety) {
  return {safe_targets(domain, safety.targets), safe_sources(domain, safety.sources)};
}

}  // namespace dots::agent::server
