// The names of actions in the protocols of back ends. Private to src/adapters/mitigators.
#pragma once

#include <optional>
#include <string_view>

#include "model/rule.h"

namespace dots::adapters::mitigators {

constexpr const char* name_of(model::RuleAction action) {
  switch (action) {
    case model::RuleAction::drop:
      return "drop";
    case model::RuleAction::limit:
      return "limit";
    case model::RuleAction::blackhole:
      return "blackhole";
  }
  return "";
}

constexpr std::optional<model::RuleAction> action_of(std::string_view name) {
  for (const auto action : {model::RuleAction::drop, model::RuleAction::limit, model::RuleAction::blackhole}) {
    if (name == name_of(action)) return action;
  }
  return std::nullopt;
}

}  // namespace dots::adapters::mitigators
