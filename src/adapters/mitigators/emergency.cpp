#include "adapters/mitigators/emergency.h"

namespace dots::adapters::mitigators {

base::Result<ports::Mitigator::Listing> list_all(ports::Mitigator& mitigator) {
  if (auto opened = mitigator.open(); !opened) return opened.error();
  return mitigator.list();
}

base::Result<std::vector<model::Rule>> remove_all(ports::Mitigator& mitigator) {
  if (auto opened = mitigator.open(); !opened) return opened.error();
  std::vector<model::Rule> rules;
  // When the table cannot be read it has to go all the more.
  if (const auto listing = mitigator.list(); listing.ok()) {
    for (const auto& installed : listing->rules) rules.push_back(installed.rule);
  } else if (auto reopened = mitigator.open(); !reopened) {
    return reopened.error();
  }
  if (auto cleared = mitigator.clear(); !cleared) return cleared.error();
  return rules;
}

}  // namespace dots::adapters::mitigators
