// Filters as a back end enforces them: ordered lists of entries, each list with a key, replaced as a whole.
//
// Order of evaluation for a packet, after the exemptions of DOTS peers and before the rules of mitigations: the lists
// of the domains that own its destination, in the order of their places; within a list entry by entry. The first entry
// that takes it decides:
//   accept          it passes, whatever a mitigation would do with it (an accept-list wins, RFC 8783 7.2);
//   drop            it is dropped;
//   accept + limit  above the rate it is dropped; below, it goes on to the rules of mitigations.
// What no entry takes goes on to the rules of mitigations.
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <vector>

#include "base/ids.h"
#include "model/filter.h"
#include "model/rule.h"

namespace dots::model {

// Whose list, and which. Lists of two owners are two lists, however much alike they are.
struct FilterListKey {
  base::DomainId domain;
  base::Cuid cuid;
  std::string list;  // acl-name

  friend auto operator<=>(const FilterListKey&, const FilterListKey&) = default;
};

// "filter list 'x' of cuid y of domain z", for people and logs.
std::string to_string(const FilterListKey& key);

struct FilterRule {
  FilterEntry entry;
  // Never empty: the entry's own destination, or everything that the domain owns of the family (of both without one).
  // A packet to anything else is not taken, so that a list never touches another domain's traffic.
  std::vector<Prefix> destinations;

  friend bool operator==(const FilterRule&, const FilterRule&) = default;
};

struct FilterList {
  FilterListKey key;
  // Among the lists of its domain: the lower one is tried first; equal places in the order of the keys.
  std::uint32_t place = 0;
  std::vector<FilterRule> rules;

  friend bool operator==(const FilterList&, const FilterList&) = default;
};

// Names the whole content of a list, its place included; equal digests are taken as equal lists. 32 hex digits, the
// same on every run and release that enforces it alike: a back end keeps it beside the list, so that after a restart
// what is installed can be compared without being read back rule by rule. No cryptographic hash: who builds a collision
// spoils his own list only.
std::string digest_of(const FilterList& list);

// What a back end counted for one entry since the list was installed: packets and layer-3 bytes that the entry decided
// about (for a limit: those it dropped).
struct FilterRuleCounters {
  std::string entry;
  RuleCounters counters;
  friend bool operator==(const FilterRuleCounters&, const FilterRuleCounters&) = default;
};

}  // namespace dots::model
