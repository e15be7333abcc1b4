#include "ops/facts/health.h"

#include <algorithm>

namespace dots::ops::facts {

const std::vector<HealthFact>& health_conditions() {
  static const std::vector<HealthFact> table = {
#define HEALTH(condition, grade, meaning, next_step) {condition, HealthGrade::grade, meaning, next_step},
#include "ops/facts/health.inc"
#undef HEALTH
  };
  return table;
}

const HealthFact* find_health(std::string_view condition) {
  const auto& table = health_conditions();
  const auto it =
      std::lower_bound(table.begin(), table.end(), condition,
                       [](const HealthFact& fact, std::string_view wanted) { return fact.condition < wanted; });
  return it != table.end() && it->condition == condition ? &*it : nullptr;
}

}  // namespace dots::ops::facts
