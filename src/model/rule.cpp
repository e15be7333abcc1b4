#include "model/rule.h"

#include "model/protocol.h"

namespace dots::model {
std::string to_string(const Rule& rule) {
  std::string out;
  switch (rule.action) {
    case RuleAction::drop:
      out = "drop ";
      break;
    case RuleAction::limit:
      out = "limit ";
      break;
    case RuleAction::blackhole:
      out = "blackhole ";
      break;
  }
  if (!rule.match.protocol) {
    out += "all";
  } else {
    const std::string name = protocol_name(*rule.match.protocol);
    out += name == std::to_string(*rule.match.protocol) ? "protocol " + name : name;
  }
  out += " to " + to_string(rule.match.target);
  if (const auto& ports = rule.match.ports) {
    out += ports->lower == ports->upper ? " port " : " ports ";
    out += std::to_string(ports->lower);
    if (ports->lower != ports->upper) out += "-" + std::to_string(ports->upper);
  }
  if (rule.action == RuleAction::limit) out += " at " + std::to_string(rule.rate_limit_bps) + " bytes/s";
  return out;
}

}  // namespace dots::model
