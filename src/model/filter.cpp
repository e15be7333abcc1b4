#include "model/filter.h"

namespace dots::model {

bool PortMatch::matches(std::uint16_t value) const {
  switch (op) {
    case Operator::range:
      return port <= value && value <= upper;
    case Operator::lte:
      return value <= port;
    case Operator::gte:
      return value >= port;
    case Operator::eq:
      return value == port;
    case Operator::neq:
      return value != port;
  }
  return false;
}

std::string_view name_of(ActivationType type) {
  switch (type) {
    case ActivationType::activate_when_mitigating:
      return "activate-when-mitigating";
    case ActivationType::immediate:
      return "immediate";
    case ActivationType::deactivate:
      return "deactivate";
  }
  return "unknown";
}

std::optional<ActivationType> activation_type_named(std::string_view name) {
  for (const auto type :
       {ActivationType::activate_when_mitigating, ActivationType::immediate, ActivationType::deactivate}) {
    if (name_of(type) == name) return type;
  }
  return std::nullopt;
}

}  // namespace dots::model
