// Rules in few words, for tests.
#pragma once

#include <cstdint>
#include <optional>

#include "model/rule.h"

namespace dots::tests {

inline model::Rule rule_of(const char* target, std::optional<std::uint8_t> protocol = {},
                           std::optional<model::PortRange> ports = {},
                           model::RuleAction action = model::RuleAction::drop, std::uint64_t limit_bps = 0) {
  return {{model::parse_prefix(target).value(), protocol, ports}, action, limit_bps};
}

}  // namespace dots::tests
