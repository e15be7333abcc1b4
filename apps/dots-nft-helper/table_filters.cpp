// SPDX-License-Identifier: GPL-2.0-only
// Lists of filters in the table.
#include <algorithm>

#include "filter_plan.h"
#include "table.h"

namespace nfthelper {
namespace {

std::set<SetName> maps_of(const FilterDispatch& dispatch) {
  std::set<SetName> out;
  for (const auto& [prefix, group] : dispatch.elements) out.insert(filter_map(prefix));
  return out;
}

}  // namespace

void Table::take_filter_element(const SetName& set, const Element& element) {
  Prefix prefix;
  prefix.address.family = set.family;
  prefix.length = set.length;
  if (element.key.first.size() != bytes_of(set.family)) return;
  std::copy(element.key.first.begin(), element.key.first.end(), prefix.address.bytes.begin());
  filter_elements_[prefix] = element.chain;
}

std::string Table::change_filters(const NumberedMemos& keep, const std::map<std::uint64_t, ComposedList>& fresh) {
  NumberedMemos all = keep;
  for (const auto& [number, list] : fresh) all.emplace(number, list.memo);
  const FilterDispatch dispatch = dispatch_of(all);
  if (const auto number = over_gated(dispatch)) {
    return to_string(all.at(*number).key) + ": more than " + std::to_string(kMaxFilterGates) +
           " destinations beside other lists of its domain";
  }
  const std::string commands = plan(name_, filters_, keep, fresh);
  if (commands.empty()) return {};
  if (std::string error = need(maps_of(dispatch)); !error.empty()) return error;
  return run_nft(commands);
}

std::string Table::filter(const std::vector<FilterChange>& changes) {
  if (!open_) return "the table is not open";
  Netlink::Objects objects;
  if (std::string error = read(objects, nullptr); !error.empty()) return error;
  if (!objects.table || !structure_.intact(objects, sets_)) {
    if (std::string error = open(); !error.empty()) return error;
    if (std::string error = read(objects, nullptr); !error.empty()) return error;
  }
  std::map<FilterKey, const FilterChange*> last;
  for (const FilterChange& change : changes) last[change.key] = &change;
  NumberedMemos keep;
  for (const auto& [number, memo] : filters_.lists) {
    const auto change = last.find(memo.key);
    if (change == last.end()) {
      keep.emplace(number, memo);
    } else if (change->second->list && change->second->list->digest == memo.digest) {
      keep.emplace(number, memo);  // the same list: its counters go on
      last.erase(change);
    }
  }
  std::uint64_t number = 0;
  for (const auto& [chain, comments] : filters_.chains) number = std::max(number, parse_filter_chain(chain)->number);
  std::map<std::uint64_t, ComposedList> fresh;
  std::size_t lists = keep.size(), entries = 0;
  for (const auto& [kept, memo] : keep) entries += memo.entries.size();
  for (const auto& [key, change] : last) {
    if (!change->list) continue;
    ++lists;
    entries += change->list->entries.size();
    if (lists > kMaxFilterLists || entries > kMaxFilterEntries) return to_string(key) + ": the table is full";
    std::string error;
    ++number;
    fresh.emplace(number, compose(name_, number, *change->list, error));
    if (!error.empty()) return error;
  }
  return change_filters(keep, fresh);
}

std::string Table::repair_filters() {
  Netlink::Objects objects;
  if (std::string error = read(objects, nullptr); !error.empty()) return error;
  return change_filters(filters_.lists, {});
}

}  // namespace nfthelper
