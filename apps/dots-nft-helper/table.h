// SPDX-License-Identifier: GPL-2.0-only
// The one table that this program may touch, and what is in it.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "filter_plan.h"
#include "filter_view.h"
#include "netlink.h"
#include "requests.h"
#include "rules.h"
#include "structure.h"

namespace nfthelper {

struct Counted {
  Rule rule;
  Counters counters;
};
struct CountedFilters {
  FilterMemo memo;
  std::vector<Counters> counters;  // of its entries
};
struct Contents {
  std::vector<Counted> rules;           // those that traffic reaches
  std::vector<CountedFilters> filters;  // those that are whole and that traffic reaches
  std::vector<std::string> foreign;
};

// Each method returns an error text, or an empty one.
class Table {
 public:
  explicit Table(std::string name);

  std::string probe();
  // Builds the table or repairs its frame. Refuses a table of this name that somebody else made.
  std::string open();
  std::string apply(const std::vector<Change>& changes);
  // All changes or none; a packet sees every list as it was, or every list as it is to be.
  std::string filter(const std::vector<FilterChange>& changes);
  std::string exempt(const Exempt& wanted);
  std::string list(Contents& contents);
  std::string remove_foreign(std::vector<std::string>& removed);
  std::string clear();

 private:
  struct Placed {
    Rule rule;
    SetName set;
  };
  using Undo = std::vector<std::pair<Match, std::optional<Placed>>>;

  std::string read(Netlink::Objects& objects, Contents* contents);
  void take_filter_element(const SetName& set, const Element& element);
  std::string change_filters(const NumberedMemos& keep, const std::map<std::uint64_t, ComposedList>& fresh);
  std::string repair_filters();
  void take_element(const SetName& set, const Element& element, bool wired, Contents* contents);
  std::string own(const Netlink::Objects& objects) const;
  Outcome apply_once(const std::vector<Change>& changes);
  std::string place(const Rule& rule, SetName& set) const;
  std::string need(const std::set<SetName>& sets);
  void take_back(const Undo& undo);

  std::string name_;
  Structure structure_;
  Netlink netlink_;
  bool open_ = false;
  // The kernel's state as of the last reading or change.
  std::set<SetName> sets_;
  std::set<SetName> wired_;
  std::map<Match, Placed> rules_;
  std::map<std::pair<SetName, ElementKey>, std::uint64_t> exemptions_;  // packets per second
  std::vector<ElementChange> foreign_elements_;
  FilterElements filter_elements_;
  FilterView filters_;
};

}  // namespace nfthelper
