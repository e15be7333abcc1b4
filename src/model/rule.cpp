#include "model/rule.h"

namespace dots::model {
namespace {

std::string name_of_protocol(std::uint8_t protocol) {
  switch (protocol) {
    case 1:
      return "icmp";
    case 6:
      return "tcp";
    case 17:
      return "udp";
    case 33:
      return "dccp";
    case 47:
      return "gre";
    case 50:
      return "esp";
    case 58:
      return "icmpv6";
    case 132:
      return "sctp";
    case 136:
      return "udplite";
    default:
      return "protocol " + std::to_string(protocol);
  }
}

}  // namespace

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
  out += rule.match.protocol ? name_of_protocol(*rule.match.protocol) : "all";
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
