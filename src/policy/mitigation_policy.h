// Which back ends mitigate a request, and how: an ordered chain of rules of which the first that matches decides
// (docs/policy.md). It can print itself, and say of every rule why it does or does not match.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "model/ip.h"
#include "model/mitigation.h"
#include "policy/domain_policy.h"

namespace dots::policy {

enum class PolicyAction : std::uint8_t {
  as_asked,   // as the domain's broad_scope and scoped_limit say
  drop,       // dropped, with the protocols and ports of the request
  limit,      // limited, likewise
  blackhole,  // everything to the targets is dropped, whatever protocols and ports were named
  observe,    // accepted, and nothing is started
  refuse,
};

// Does the request name protocols or ports?
enum class ScopeKind : std::uint8_t { any, broad, narrow };

struct LengthRange {
  std::uint8_t least = 0, most = 128;
  friend bool operator==(const LengthRange&, const LengthRange&) = default;
};

// To more than was asked for, but never to what the domain does not own. Length 0: as asked.
struct Widening {
  bool domain = false;  // all prefixes of the domain
  std::uint8_t v4_length = 0, v6_length = 0;
  bool any() const { return domain || v4_length != 0 || v6_length != 0; }
  friend bool operator==(const Widening&, const Widening&) = default;
};

struct PolicyRule {
  std::string name;

  // All of these must hold; an empty one always does.
  std::vector<std::string> domains;
  std::optional<LengthRange> v4_lengths, v6_lengths;  // of the widest target; with one of them a family without is out
  std::vector<std::uint8_t> protocols;                // each part of the request names some, all of them among these
  std::vector<model::PortRange> ports;                // likewise
  ScopeKind scope = ScopeKind::any;                   // broad: a part of the request is; narrow: all of them are
  std::uint64_t volume_from_bps = 0;                  // BITS per second
  std::uint64_t volume_below_bps = 0;
  std::vector<std::string> services;
  std::vector<std::string> contracts;

  PolicyAction action = PolicyAction::as_asked;
  std::vector<std::string> use;         // back ends, all of them together; none: every one
  std::vector<std::string> overflow;    // one after the other, in place of one of `use` that has no room
  std::uint64_t limit_bytes_per_s = 0;  // of PolicyAction::limit
  std::string reason;                   // for the peer: of observe and refuse
  bool approval = false;                // an operator approves first
  Widening widen;

  friend bool operator==(const PolicyRule&, const PolicyRule&) = default;
};
using PolicyChain = std::vector<PolicyRule>;

// What the selectors look at.
struct PolicyRequest {
  std::string domain;
  std::vector<model::Prefix> targets;
  // Of the request's own targets and of each of its aliases: what one of them names does not narrow the others.
  struct Part {
    std::vector<std::uint8_t> protocols;
    std::vector<model::PortRange> ports;
    bool broad() const { return protocols.empty() && ports.empty(); }
  };
  std::vector<Part> parts;
  std::uint64_t volume_bps = 0;  // BITS per second, measured; 0: unknown
  std::string service, contract;
};

// Why the rule does not match, for people; empty: it does.
std::string mismatch(const PolicyRule& rule, const PolicyRequest& request);
// What stands after all rules: everything to every back end.
const PolicyRule& default_rule();
// Of the first rule that matches, or the default.
const PolicyRule& decide(const PolicyChain& chain, const PolicyRequest& request);

// What was considered on the way to a decision.
struct Consideration {
  std::string rule;
  bool matches = false;
  std::string text;  // why not, or what it does
};
std::vector<Consideration> considerations(const PolicyChain& chain, const PolicyRequest& request);

// "domain is 'a' or 'b', IPv4 targets of /32": for people.
std::string selector_text(const PolicyRule& rule);
std::string action_text(const PolicyRule& rule);

// The prefixes that a widening makes of `targets`, outermost ones only. REQUIRES: the domain owns the targets.
std::vector<model::Prefix> widened(const Widening& widening, const std::vector<model::Prefix>& targets,
                                   const DomainPolicy& domain);

}  // namespace dots::policy
