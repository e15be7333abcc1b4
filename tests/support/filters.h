// Lists of filters for tests.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "model/filter_list.h"
#include "ports/mitigator.h"

namespace dots::tests {

inline model::FilterListKey list_key(std::string domain, std::string cuid, std::string name) {
  return {base::DomainId(std::move(domain)), base::Cuid(std::move(cuid)), std::move(name)};
}

// An entry about everything to these destinations.
inline model::FilterRule filter_rule(std::string name, const std::vector<std::string>& destinations,
                                     model::Forwarding forwarding = model::Forwarding::drop) {
  model::FilterRule rule;
  rule.entry.name = std::move(name);
  rule.entry.forwarding = forwarding;
  for (const std::string& text : destinations) rule.destinations.push_back(model::parse_prefix(text).value());
  return rule;
}

inline model::FilterList list_of(model::FilterListKey key, std::uint32_t place, std::vector<model::FilterRule> rules) {
  return {std::move(key), place, std::move(rules)};
}
inline ports::FilterChange put_list(model::FilterList list) { return {list.key, std::move(list)}; }
inline ports::FilterChange remove_list(model::FilterListKey key) { return {std::move(key), std::nullopt}; }

}  // namespace dots::tests
