// SPDX-License-Identifier: GPL-2.0-only
// Changing the table.
#include "table.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <random>

namespace nfthelper {

namespace {
// The kernel would take more; this is what the daemon's bounds allow several times over.
constexpr std::size_t kMaxRules = 1'000'000;
constexpr std::size_t kExemptionsAtOnce = 1024;
}  // namespace

Table::Table(std::string name) : name_(std::move(name)), structure_(name_) {}

std::string Table::probe() {
  // Made and deleted in one transaction: nobody ever sees it.
  std::random_device random;
  for (int tries = 0; tries < 10; ++tries) {
    const std::string table = "tw_probe_" + std::to_string(getpid()) + "_" + std::to_string(random() % 1'000'000);
    bool taken = true;
    if (const Outcome outcome = netlink_.has_table(table, taken); !outcome.ok()) return outcome.text;
    if (!taken) return run_nft("add table inet " + table + "\ndelete table inet " + table + "\n");
  }
  return "no free name for a probe table";
}

std::string Table::place(const Rule& rule, SetName& set) const {
  set = set_of(rule, 0);
  if (set.shape != SetName::Shape::range) return {};
  std::set<std::uint8_t> taken;
  Match from = rule.match;
  from.ports.reset();
  for (auto it = rules_.lower_bound(from); it != rules_.end(); ++it) {
    const Match& other = it->first;
    if (other.target != rule.match.target || other.protocol != rule.match.protocol) break;
    if (!other.ports || it->second.set.kind != set.kind || it->second.set.shape != set.shape) continue;
    if (other.ports->lower <= rule.match.ports->upper && rule.match.ports->lower <= other.ports->upper) {
      taken.insert(it->second.set.layer);
    }
  }
  while (taken.contains(set.layer)) ++set.layer;
  if (set.layer >= kMaxLayers) return "more than " + std::to_string(kMaxLayers) + " port ranges overlap there";
  return {};
}

void Table::take_back(const Undo& undo) {
  for (auto it = undo.rbegin(); it != undo.rend(); ++it) {
    if (it->second) {
      rules_[it->first] = *it->second;
    } else {
      rules_.erase(it->first);
    }
  }
}

std::string Table::need(const std::set<SetName>& sets) {
  if (std::includes(wired_.begin(), wired_.end(), sets.begin(), sets.end())) return {};
  std::set<SetName> all = sets_;
  all.insert(sets.begin(), sets.end());
  if (std::string error = structure_.build(all, {}); !error.empty()) return error;
  sets_ = all;
  wired_ = all;
  return {};
}

Outcome Table::apply_once(const std::vector<Change>& changes) {
  Undo undo;
  std::vector<ElementChange> elements;
  std::set<SetName> needed;
  const auto element = [&](bool add, const Placed& placed, std::size_t tag) {
    ElementChange change{add, to_string(placed.set), key_of(placed.rule.match, placed.set), std::nullopt, tag};
    if (placed.rule.action == Action::limit) change.limit = Limit{placed.rule.bytes_per_s, true};
    elements.push_back(std::move(change));
  };
  for (std::size_t i = 0; i < changes.size(); ++i) {
    const Rule& rule = changes[i].rule;
    const auto old = rules_.find(rule.match);
    if (old == rules_.end() ? !changes[i].install : changes[i].install && old->second.rule == rule) {
      if (changes[i].install) needed.insert(old->second.set);
      continue;
    }
    undo.emplace_back(rule.match, old == rules_.end() ? std::nullopt : std::optional(old->second));
    if (old != rules_.end()) {
      element(false, old->second, i);
      rules_.erase(old);
    }
    if (!changes[i].install) continue;
    Placed placed{rule, {}};
    std::string error = rules_.size() >= kMaxRules ? "the table is full" : place(rule, placed.set);
    if (!error.empty()) {
      take_back(undo);
      return Outcome::failed(ENOSPC, to_string(rule) + ": " + error, i);
    }
    needed.insert(placed.set);
    element(true, placed, i);
    rules_[rule.match] = placed;
  }
  if (const std::string error = need(needed); !error.empty()) {
    take_back(undo);
    return Outcome::failed(ENOENT, error);
  }
  Outcome outcome = netlink_.change(name_, elements);
  if (!outcome.ok()) {
    take_back(undo);
    if (outcome.tag < changes.size() && outcome.error != EMSGSIZE) {
      outcome.text = to_string(changes[outcome.tag].rule) + ": " + outcome.text;
    }
  }
  return outcome;
}

std::string Table::apply(const std::vector<Change>& changes) {
  if (!open_) return "the table is not open";
  Outcome outcome = apply_once(changes);
  if (outcome.error == ENOENT || outcome.error == EEXIST || outcome.error == EINVAL) {
    // Somebody else was at our table: look again, then once more.
    if (const std::string error = open(); !error.empty()) return error;
    outcome = apply_once(changes);
  }
  return outcome.text;
}

std::string Table::exempt(const Exempt& wanted) {
  if (!open_) return "the table is not open";
  std::set<std::pair<SetName, ElementKey>> keys;
  std::set<SetName> sets;
  for (const Exemption& exemption : wanted.exemptions) {
    for (auto& key : elements_of(exemption)) {
      sets.insert(key.first);
      keys.insert(std::move(key));
    }
  }
  if (const std::string error = need(sets); !error.empty()) return error;
  // What stays is left alone, with its bucket as it is.
  std::vector<std::pair<std::pair<SetName, ElementKey>, bool>> steps;
  const auto right = [&](const std::pair<SetName, ElementKey>& key) {
    const auto it = exemptions_.find(key);
    return it != exemptions_.end() && it->second == wanted.packets_per_s;
  };
  for (const auto& key : keys) {
    if (!right(key)) steps.emplace_back(key, true);
  }
  for (const auto& [key, rate] : exemptions_) {
    if (!keys.contains(key)) steps.emplace_back(key, false);
  }
  for (std::size_t at = 0; at < steps.size(); at += kExemptionsAtOnce) {
    std::vector<ElementChange> elements;
    const std::size_t end = std::min(at + kExemptionsAtOnce, steps.size());
    for (std::size_t i = at; i < end; ++i) {
      const auto& [key, add] = steps[i];
      const std::string name = to_string(key.first);
      if (exemptions_.contains(key)) elements.push_back({false, name, key.second, std::nullopt, i});
      if (add) elements.push_back({true, name, key.second, Limit{wanted.packets_per_s, false}, i});
    }
    if (const Outcome outcome = netlink_.change(name_, elements); !outcome.ok()) {
      const std::string text = "exemptions: " + outcome.text;
      const std::string error = open();  // what is there is no longer sure
      return error.empty() ? text : error;
    }
    for (std::size_t i = at; i < end; ++i) {
      if (steps[i].second) {
        exemptions_[steps[i].first] = wanted.packets_per_s;
      } else {
        exemptions_.erase(steps[i].first);
      }
    }
  }
  return {};
}

std::string Table::clear() {
  Netlink::Objects objects;
  if (const Outcome outcome = netlink_.objects(name_, objects); !outcome.ok()) return outcome.text;
  if (const std::string error = own(objects); !error.empty()) return error;
  if (objects.table) {
    if (const std::string error = run_nft("delete table inet " + name_ + "\n"); !error.empty()) return error;
  }
  open_ = false;
  sets_.clear();
  wired_.clear();
  rules_.clear();
  exemptions_.clear();
  foreign_elements_.clear();
  filter_elements_.clear();
  filters_ = {};
  return {};
}

}  // namespace nfthelper
