#include "agent/server/safe_sources.h"

#include <algorithm>
#include <iterator>

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

}  // namespace dots::agent::server
