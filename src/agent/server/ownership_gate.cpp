#include "agent/server/ownership_gate.h"

namespace dots::agent::server {

std::vector<std::string> withhold_unowned(signal::server::DesiredRules::Want& want, const Owners& owners) {
  std::vector<std::string> withheld;
  const auto owner = owners.find(want.owner.domain);
  for (auto& part : want.parts) {
    std::erase_if(part.rules, [&](const model::Rule& rule) {
      if (owner != owners.end() && owner->second->may_target(rule.match.target).allowed) return false;
      withheld.push_back(model::to_string(rule));
      return true;
    });
  }
  std::erase_if(want.parts, [](const auto& part) { return part.rules.empty(); });
  return withheld;
}

}  // namespace dots::agent::server
