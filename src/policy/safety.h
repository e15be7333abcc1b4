// What no mitigation may touch, and how much of anything there may be (docs/policy.md, section Safety). Pure.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "model/ip.h"
#include "policy/domain_policy.h"

namespace dots::policy {

// Traffic to it is never dropped, limited or blackholed.
struct SafeTarget {
  model::Prefix prefix;
  std::string why;  // "is on the target safe-list"
  friend bool operator==(const SafeTarget&, const SafeTarget&) = default;
};

struct SafetyPolicy {
  std::vector<SafeTarget> targets;
  std::vector<model::Prefix> sources;  // traffic from them passes before all drops, where the back end can
  std::uint32_t pieces = 128;          // that one target may be split into
  // A request with a wider target waits for a second pair of eyes. 0: none does.
  std::uint8_t approval_above_v4 = 0, approval_above_v6 = 0;
  std::uint32_t rules_per_domain = 0;  // over all back ends; 0: no limit
  std::uint32_t rules = 0;             // likewise, of all domains
  friend bool operator==(const SafetyPolicy&, const SafetyPolicy&) = default;
};

struct SafePieces {
  std::vector<model::Prefix> prefixes;  // what may be mitigated
  std::vector<std::string> left_out;    // "203.0.113.5/32 is an address of this server"
};
// `targets` split around what is safe. Refused when nothing of a target is left, or when that takes too many pieces.
base::Result<SafePieces, Verdict> split_around(const std::vector<model::Prefix>& targets,
                                               const std::vector<SafeTarget>& safe, std::size_t most_pieces);

// The first target that is wider than a second pair of eyes must see, and why; empty: none.
std::string approval_wanted(const SafetyPolicy& safety, const std::vector<model::Prefix>& targets);

}  // namespace dots::policy
