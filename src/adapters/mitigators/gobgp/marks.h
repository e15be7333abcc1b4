// What we write on a route so that it can be read back: large communities under one marker of the operator's choice.
//
// The speaker keeps our routes, we keep nothing: after a restart of either the marks say which routes are ours, what
// they are for, and whether they were made under the present configuration. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "adapters/mitigators/gobgp/route.h"
#include "model/filter_list.h"
#include "model/rule.h"

namespace dots::adapters::mitigators::gobgp {

// The first two numbers of the large communities that are ours.
struct Marker {
  std::uint32_t global = 0, first = 0;
  friend auto operator<=>(const Marker&, const Marker&) = default;
};

struct Marks {
  model::RuleAction action = model::RuleAction::drop;
  std::uint64_t rate_limit_bps = 0;  // bytes/s; exact, where traffic-rate is a float
  std::uint32_t profile = 0;         // 28 bits: of the attributes that the configuration gives
  struct OfList {
    std::uint64_t key = 0;     // 56 bits: of the key of the list
    std::string digest;        // of the list, 32 hex digits
    std::uint32_t routes = 0;  // that the list has in all
    friend bool operator==(const OfList&, const OfList&) = default;
  };
  std::optional<OfList> list;  // it belongs to a list of filters, else it is a rule
  friend bool operator==(const Marks&, const Marks&) = default;
};

std::vector<LargeCommunity> write(const Marker& marker, const Marks& marks);
bool is_marked(const Marker& marker, const std::vector<LargeCommunity>& communities);
// Nothing when what is marked is not what write() makes.
std::optional<Marks> read(const Marker& marker, const std::vector<LargeCommunity>& communities);

std::uint64_t mark_of(const model::FilterListKey& key);  // 56 bits
// The same on every run and release.
std::uint64_t hash64(const std::string& text);

// Rules have one identifier for each marker; a list has one of its own. Never 0, which is everybody else's.
std::uint32_t rule_identifier(const Marker& marker);
std::uint32_t list_identifier(const Marker& marker, std::uint64_t key);

}  // namespace dots::adapters::mitigators::gobgp
