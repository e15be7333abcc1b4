// Which filters of a domain are in force at a moment, in the form that back ends take (RFC 8783 4.1, 7.2).
//
// model/filter_list.h says in which order a back end tries them; first_match() is that order for one packet.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "base/ids.h"
#include "model/filter.h"
#include "model/filter_list.h"
#include "model/filter_match.h"

namespace dots::data {

// A list whose entries are to be enforced now, with whose it is.
struct EffectiveFilter {
  base::ClientId client;
  base::Cuid cuid;
  std::shared_ptr<const model::Filter> filter;
  std::uint32_t place = 0;  // grows along the order of the client's lists, whether they are in force or not
};

// A place for each of these ranks, which grow: strictly growing as well, and the same as long as a rank and those close
// before it are, so that a new list does not move the others.
std::vector<std::uint32_t> places_of(std::span<const std::int64_t> ranks);

// `owned`: the prefixes of the domain. What an entry says of a destination is cut down to what the domain owns; an
// entry of which nothing is left is not in the list. Entries without a destination mean everything owned.
model::FilterList list_of(const base::DomainId& domain, const EffectiveFilter& effective,
                          std::span<const model::Prefix> owned);
// In the order of evaluation, without those of which nothing is left.
std::vector<model::FilterList> lists_of(const base::DomainId& domain, std::span<const EffectiveFilter> filters,
                                        std::span<const model::Prefix> owned);

// The entry that decides about a packet, or that limits it; nothing when none takes it. `lists` stand in order.
struct Decision {
  const model::FilterList* list = nullptr;
  const model::FilterRule* rule = nullptr;
};
std::optional<Decision> first_match(std::span<const model::FilterList> lists, const model::PacketHeader& packet);

// What becomes of a packet that a rule takes: `over` when it is above the rate of the rule.
enum class Fate : std::uint8_t { passes, dropped, goes_on };  // on: to the rules of mitigations
Fate fate_of(const model::FilterRule& rule, bool over);

}  // namespace dots::data
