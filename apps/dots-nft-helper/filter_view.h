// SPDX-License-Identifier: GPL-2.0-only
// The lists of filters in the table. Every list has a chain of its own with one rule or more for each entry:
//
//   tw_filter4_24   verdict map: a prefix of some domain -> the chain of the domains that have lists for it
//   tw_d<hash>      jumps to the lists of these domains, in their order
//   tw_f<n>         a list
//   tw_f<n>_e<i>    the limit of its entry i; below the rate it leads to the rules of mitigations
//   tw_f<n>_l       its entries for later fragments, if it has entries that such must not see
//   tw_f<n>_m       what is remembered of it (filter_memo.h); no packet comes here
//
// Rules carry comments that say what they are, and a rule cannot be changed, only replaced: chains whose comments are
// right are right.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "filter_memo.h"
#include "netlink.h"

namespace nfthelper {

struct FilterChainName {
  enum class Kind : std::uint8_t { list, later, entry, memo, group } kind = Kind::list;
  std::uint64_t number = 0;
  std::size_t index = 0;
};
std::optional<FilterChainName> parse_filter_chain(const std::string& name);
std::string list_chain(std::uint64_t number);
std::string entry_chain(std::uint64_t number, std::size_t index);
std::string later_chain(std::uint64_t number);
std::string memo_chain(std::uint64_t number);

// How packets find the lists: what should be there.
struct FilterDispatch {
  struct Jump {
    std::string comment;
    std::string text;
    std::uint64_t number = 0;
  };
  std::map<std::string, std::vector<Jump>> groups;
  std::map<Prefix, std::string> elements;  // prefix -> group
};
using NumberedMemos = std::map<std::uint64_t, FilterMemo>;
FilterDispatch dispatch_of(const NumberedMemos& lists);
// A list that needs more tests of the destination than there may be.
std::optional<std::uint64_t> over_gated(const FilterDispatch& dispatch);

using FilterElements = std::map<Prefix, std::string>;  // prefix -> chain of the verdict, "" for any other

struct FilterView {
  FilterView() = default;
  FilterView(const Netlink::Objects& objects, const FilterElements& found, const std::set<SetName>& wired);

  NumberedMemos lists;                                      // those that are whole
  std::map<std::uint64_t, std::vector<Counters>> counters;  // of their entries
  std::set<std::uint64_t> reached;                          // whole, and packets come there as they should
  std::map<std::string, std::vector<std::string>> chains;   // of our names, with the comments of their rules
  FilterElements elements;
  std::vector<std::string> foreign;
  std::vector<std::string> removals;  // "<chain> handle <n>" of rules that are not ours
  std::vector<Prefix> astray;         // elements that lead elsewhere than they should

 private:
  void read_list(std::uint64_t number, const std::map<std::string, std::vector<const Netlink::RuleText*>>& rows);
  void read_dispatch(const std::set<SetName>& wired);
};

}  // namespace nfthelper
