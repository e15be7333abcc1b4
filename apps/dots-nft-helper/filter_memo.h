// SPDX-License-Identifier: GPL-2.0-only
// What the table remembers of a list besides its rules: whose it is, its digest, what its entries are called. It stands
// in the comments of a chain that no packet passes, so that it comes and goes with the list in one transaction.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "filters.h"

namespace nfthelper {

struct FilterMemo {
  struct Entry {
    std::string name;
    FilterAction action = FilterAction::drop;
    std::size_t rules = 0;  // in the chain of the list, with the comment "e<index>"
    std::size_t later = 0;  // in its chain for later fragments, with the same comment
    friend bool operator==(const Entry&, const Entry&) = default;
  };
  FilterKey key;
  std::uint32_t place = 0;
  std::string digest;
  bool gated = false;         // some entries leave the test of the destination to who jumps here
  bool later = false;         // it has a chain for later fragments
  std::vector<Prefix> whole;  // the destinations of all entries, maximal
  std::vector<Entry> entries;
  friend bool operator==(const FilterMemo&, const FilterMemo&) = default;
};

// Comments: short texts of letters, digits and a few signs that need no quoting inside a comment.
std::vector<std::string> to_comments(const FilterMemo& memo);
// Nothing when they are not exactly what to_comments() gave.
std::optional<FilterMemo> from_comments(const std::vector<std::string>& comments);

}  // namespace nfthelper
