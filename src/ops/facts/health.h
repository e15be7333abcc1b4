// The ways of being unwell as facts. A part raises and ends them through Sink::health; `dotsctl status` shows them.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace dots::ops::facts {

enum class HealthGrade : std::uint8_t {
  degraded,  // works, with less than it should
  failed,    // something that it is there for does not work
};

struct HealthFact {
  std::string_view condition;  // "STORE_STALLED"
  HealthGrade grade;
  std::string_view meaning;
  std::string_view next_step;
};

// All conditions, sorted by name.
const std::vector<HealthFact>& health_conditions();
const HealthFact* find_health(std::string_view condition);

}  // namespace dots::ops::facts
