// Which filters of a domain are in force at a moment, and in which order (RFC 8783 4.1, 7.2).
//
// A back end tries these entries before the rules of mitigations: what an entry accepts goes through whatever a
// mitigation would do with it, and what no entry matches is left to them. So an accept-list wins over mitigation rules.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/ids.h"
#include "model/filter.h"
#include "model/filter_match.h"

namespace dots::data {

// A list whose entries are to be enforced now, with whose it is.
struct EffectiveFilter {
  base::Cuid cuid;
  std::shared_ptr<const model::Filter> filter;
};

// One entry of one list, in the order of evaluation: the first that matches decides.
struct EffectiveEntry {
  base::Cuid cuid;
  std::string list;
  model::FilterEntry entry;
  // Never empty: the entry's own destination, or everything that the domain owns of the family (of both without one).
  std::vector<model::Prefix> destinations;
};

// `owned`: the prefixes of the domain. An entry that could match none of them is left out.
std::vector<EffectiveEntry> effective_entries(std::span<const EffectiveFilter> filters,
                                              std::span<const model::Prefix> owned);

// The entry that decides about a packet; null when none does.
const EffectiveEntry* first_match(std::span<const EffectiveEntry> entries, const model::PacketHeader& packet);

}  // namespace dots::data
