// SPDX-License-Identifier: GPL-2.0-only
// Reading the table back.
#include <algorithm>

#include "table.h"

namespace nfthelper {

std::string Table::own(const Netlink::Objects& objects) const {
  const bool guarded = std::any_of(objects.chains.begin(), objects.chains.end(),
                                   [](const auto& chain) { return chain.name == "tw_guard"; });
  if (!objects.table || guarded || (objects.empty() && objects.rules.empty())) return {};
  return "table inet " + name_ +
         " was made by somebody else: choose another name for the mitigator's table, or delete it";
}

void Table::take_element(const SetName& set, const Element& element, bool wired, Contents* contents) {
  if (set.exempts()) {
    exemptions_[{set, element.key}] = element.limit && !element.limit->in_bytes ? element.limit->rate : 0;
    return;
  }
  if (set.kind == SetName::Kind::filter) return take_filter_element(set, element);
  const auto match = match_of(set, element.key);
  const bool limits = set.kind == SetName::Kind::limit;
  const bool complete = !limits || (element.limit && element.limit->in_bytes && element.limit->rate > 0);
  if (!match || !complete || rules_.contains(*match)) {
    ElementChange removal;
    removal.add = false;
    removal.set = to_string(set);
    removal.key = element.key;
    foreign_elements_.push_back(removal);
    if (contents != nullptr) contents->foreign.push_back("element of set " + removal.set);
    return;
  }
  Rule rule;
  rule.match = *match;
  rule.action = limits ? Action::limit : set.kind == SetName::Kind::blackhole ? Action::blackhole : Action::drop;
  rule.bytes_per_s = limits ? element.limit->rate : 0;
  rules_[*match] = {rule, set};
  if (contents != nullptr && wired) contents->rules.push_back({rule, element.counters});
}

std::string Table::read(Netlink::Objects& objects, Contents* contents) {
  if (const Outcome outcome = netlink_.objects(name_, objects); !outcome.ok()) return outcome.text;
  if (const std::string error = own(objects); !error.empty()) return error;
  sets_.clear();
  rules_.clear();
  exemptions_.clear();
  foreign_elements_.clear();
  filter_elements_.clear();
  wired_ = structure_.wired(objects);
  if (contents != nullptr) contents->foreign = structure_.foreign(objects).texts;
  for (const auto& object : objects.sets) {
    if (const auto set = parse_set_name(object.name)) sets_.insert(*set);
  }
  std::vector<Element> elements;
  for (const SetName& set : sets_) {
    const Outcome outcome = netlink_.elements(name_, to_string(set), elements);
    if (!outcome.ok()) return "cannot read set " + to_string(set) + ": " + outcome.text;
    for (const Element& element : elements) take_element(set, element, wired_.contains(set), contents);
  }
  filters_ = FilterView(objects, filter_elements_, wired_);
  if (contents != nullptr) {
    contents->foreign.insert(contents->foreign.end(), filters_.foreign.begin(), filters_.foreign.end());
    for (const std::uint64_t number : filters_.reached) {
      contents->filters.push_back({filters_.lists.at(number), filters_.counters.at(number)});
    }
  }
  return {};
}

std::string Table::list(Contents& contents) {
  // A transaction between two parts of the reading can make a list look broken that is not.
  for (int tries = 0;; ++tries) {
    Netlink::Objects objects;
    contents = {};
    std::uint32_t before = 0, after = 0;
    if (const Outcome outcome = netlink_.generation(before); !outcome.ok()) return outcome.text;
    if (std::string error = read(objects, &contents); !error.empty()) return error;
    if (filters_.foreign.empty() && filters_.reached.size() == filters_.lists.size()) return {};
    if (const Outcome outcome = netlink_.generation(after); !outcome.ok()) return outcome.text;
    if (before == after || tries == 4) return {};
  }
}

std::string Table::open() {
  open_ = false;
  Netlink::Objects objects;
  if (const std::string error = read(objects, nullptr); !error.empty()) return error;
  // Sets that nothing is in any more cost a look-up for each packet. They go when nobody else's rule can refer to them.
  std::vector<SetName> unused;
  if (structure_.foreign(objects).texts.empty() && filters_.foreign.empty()) {
    std::set<SetName> used;
    for (const auto& [match, placed] : rules_) used.insert(placed.set);
    for (const auto& [key, rate] : exemptions_) used.insert(key.first);
    for (const auto& [prefix, group] : dispatch_of(filters_.lists).elements) used.insert(filter_map(prefix));
    for (const auto& change : foreign_elements_) used.insert(*parse_set_name(change.set));
    std::set_difference(sets_.begin(), sets_.end(), used.begin(), used.end(), std::back_inserter(unused));
  }
  if (!objects.table || !unused.empty() || !structure_.intact(objects, sets_)) {
    for (const SetName& set : unused) sets_.erase(set);
    if (const std::string error = structure_.build(sets_, unused); !error.empty()) {
      return "cannot build table inet " + name_ + ": " + error;
    }
    wired_ = sets_;
  }
  if (filters_.foreign.empty() && filters_.reached.size() != filters_.lists.size()) {
    if (const std::string error = repair_filters(); !error.empty()) {
      return "cannot repair the filters of table inet " + name_ + ": " + error;
    }
  }
  open_ = true;
  return {};
}

std::string Table::remove_foreign(std::vector<std::string>& removed) {
  Netlink::Objects objects;
  Contents contents;
  if (const std::string error = read(objects, &contents); !error.empty()) return error;
  std::string commands;
  // Before the chains that they may lead to.
  for (const Prefix& prefix : filters_.astray) {
    commands += "delete element inet " + name_ + " " + to_string(filter_map(prefix)) + " { " +
                to_string(prefix.address) + " }\n";
  }
  for (const std::string& rule : filters_.removals) commands += "delete rule inet " + name_ + " " + rule + "\n";
  for (const std::string& command : structure_.foreign(objects).removals) commands += command + "\n";
  if (!commands.empty()) {
    if (const std::string error = run_nft(commands); !error.empty()) {
      return "cannot remove foreign objects from table inet " + name_ + ": " + error;
    }
  }
  if (const Outcome outcome = netlink_.change(name_, foreign_elements_); !outcome.ok()) {
    return "cannot remove foreign elements from table inet " + name_ + ": " + outcome.text;
  }
  if (!filters_.foreign.empty()) {
    if (const std::string error = repair_filters(); !error.empty()) {
      return "cannot remove altered filters from table inet " + name_ + ": " + error;
    }
  }
  removed = contents.foreign;
  return {};
}

}  // namespace nfthelper
