// Prefixes as sets of addresses: without overlap, and with holes cut out. Pure arithmetic.
#pragma once

#include <cstddef>
#include <optional>
#include <vector>

#include "model/ip.h"

namespace dots::policy {

// Masked, sorted, and without prefixes that lie inside another one.
std::vector<model::Prefix> outermost(const std::vector<model::Prefix>& prefixes);

// What of `prefix` lies in none of the holes, as the fewest prefixes, sorted; none when a hole covers it. Nothing when
// more than `most` pieces would be needed.
std::optional<std::vector<model::Prefix>> without(const model::Prefix& prefix, const std::vector<model::Prefix>& holes,
                                                  std::size_t most);

}  // namespace dots::policy
