// SPDX-License-Identifier: GPL-2.0-only
// From the lists that stand in the table to those that should: one transaction of nft commands.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "filter_view.h"

namespace nfthelper {

// A list that is not in the table yet, as commands.
struct ComposedList {
  FilterMemo memo;
  std::string commands;
};
// `error` says what cannot be; commands that add the chains of list `number` and their rules otherwise.
ComposedList compose(const std::string& table, std::uint64_t number, const FilterList& list, std::string& error);

// `keep`: lists of the view that stay; everything else of our names goes. Empty when nothing is to be done.
std::string plan(const std::string& table, const FilterView& view, const NumberedMemos& keep,
                 const std::map<std::uint64_t, ComposedList>& fresh);

}  // namespace nfthelper
