#include "agent/server/filters_in_force.h"

#include <set>

namespace dots::agent::server {
namespace {

std::string reason_of(const data::EffectiveFilter& effective) {
  const bool always = effective.filter->activation == model::ActivationType::immediate;
  return "made by client " + effective.client.value + (always ? ", immediate" : ", while it has a mitigation");
}

std::vector<std::string> missing(const model::Filter& filter, const model::FilterList& list) {
  std::vector<std::string> out;
  auto there = list.rules.begin();
  for (const model::FilterEntry& entry : filter.entries) {
    if (there != list.rules.end() && there->entry.name == entry.name) {
      ++there;
    } else {
      out.push_back(entry.name);
    }
  }
  return out;
}

OperatorLine line_of(const model::FilterListKey& key, const std::vector<std::string>& left_out) {
  std::string text = model::to_string(key) + ": ";
  if (left_out.empty()) return {"FILTER_WITHIN_DOMAIN", text + "all of it is enforced again"};
  text += "entry '" + left_out.front() + "'";
  if (left_out.size() > 1) text += " and " + std::to_string(left_out.size() - 1) + " more";
  return {"FILTER_OUTSIDE_DOMAIN", std::move(text)};
}

}  // namespace

FiltersInForce::News FiltersInForce::update(const policy::DomainPolicy& policy,
                                            const std::vector<data::EffectiveFilter>& effective) {
  News news;
  const bool same_land = owned_ == policy.prefixes;
  owned_ = policy.prefixes;
  mitigation::DomainFilters wants{policy.id, std::exchange(whole_, false), {}};
  std::map<Name, List> before = std::move(lists_);
  lists_.clear();
  for (const data::EffectiveFilter& one : effective) {
    const Name name{one.cuid, one.filter->name};
    const auto old = before.find(name);
    const bool known = old != before.end();
    const bool same = known && same_land && old->second.filter == one.filter && old->second.place == one.place;
    List& list = lists_[name];
    if (same) {
      list = std::move(old->second);
    } else {
      model::FilterList made = data::list_of(policy.id, one, policy.prefixes);
      list = {one.filter, one.place, nullptr, missing(*one.filter, made), {}};
      const bool told_before = known && !old->second.left_out.empty();
      if (known ? list.left_out != old->second.left_out : !list.left_out.empty()) {
        if (told_before || !list.left_out.empty()) news.lines.push_back(line_of(made.key, list.left_out));
      }
      if (!made.rules.empty()) list.list = std::make_shared<const model::FilterList>(std::move(made));
      if (list.list) {
        for (const model::FilterRule& rule : list.list->rules) list.rules.emplace(rule.entry.name, &rule);
      }
    }
    if (list.list && (!same || wants.whole)) wants.lists.push_back({list.list->key, list.list, reason_of(one)});
    if (!list.list && known && old->second.list) wants.lists.push_back({old->second.list->key, nullptr, {}});
    if (known) before.erase(old);
  }
  for (const auto& [name, gone] : before) {
    if (gone.list) wants.lists.push_back({gone.list->key, nullptr, {}});
  }
  if (wants.whole || !wants.lists.empty()) news.wants = std::move(wants);
  return news;
}

const model::FilterList* FiltersInForce::find(const base::Cuid& cuid, const std::string& list) const {
  const auto at = lists_.find({cuid, list});
  return at == lists_.end() ? nullptr : at->second.list.get();
}

const model::FilterRule* FiltersInForce::find(const base::Cuid& cuid, const std::string& list,
                                              const std::string& entry) const {
  const auto at = lists_.find({cuid, list});
  if (at == lists_.end()) return nullptr;
  const auto rule = at->second.rules.find(entry);
  return rule == at->second.rules.end() ? nullptr : rule->second;
}

std::vector<std::string> FiltersInForce::left_out(const base::Cuid& cuid, const std::string& list) const {
  const auto at = lists_.find({cuid, list});
  return at == lists_.end() ? std::vector<std::string>{} : at->second.left_out;
}

}  // namespace dots::agent::server
