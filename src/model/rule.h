// What to block, before it is known how: rules are values with a key, an action, and owners that can explain them.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "model/ip.h"
#include "model/mitigation.h"

namespace dots::model {

// Traffic that a rule takes: to a target prefix, optionally of one protocol, optionally to a destination port range
// (ports only with TCP 6, UDP 17, SCTP 132, DCCP 33, UDP-Lite 136).
struct RuleMatch {
  Prefix target;  // masked
  std::optional<std::uint8_t> protocol;
  std::optional<PortRange> ports;

  friend auto operator<=>(const RuleMatch&, const RuleMatch&) = default;
};

enum class RuleAction : std::uint8_t {
  drop,       // matching traffic is dropped
  limit,      // matching traffic above rate_limit_bps is dropped
  blackhole,  // everything to the target is dropped; only when the operator's policy asked for it
};

// Who wants a rule: one mitigation of one client. Rules that two mitigations share have two owners.
struct RuleOwner {
  base::DomainId domain;
  base::Cuid cuid;
  base::Mid mid;

  friend auto operator<=>(const RuleOwner&, const RuleOwner&) = default;
};

struct Rule {
  RuleMatch match;
  RuleAction action = RuleAction::drop;
  std::uint64_t rate_limit_bps = 0;  // BYTES per second; only with RuleAction::limit

  friend auto operator<=>(const Rule&, const Rule&) = default;
};

// What a back end counted for one rule since it was installed. Layer-3 bytes.
struct RuleCounters {
  std::uint64_t packets = 0;
  std::uint64_t bytes = 0;
  friend bool operator==(const RuleCounters&, const RuleCounters&) = default;
};

// "drop udp to 192.0.2.1/32 port 53", for people and logs.
std::string to_string(const Rule& rule);

}  // namespace dots::model
