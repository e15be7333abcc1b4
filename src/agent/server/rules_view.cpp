#include "agent/server/rules_view.h"

#include <algorithm>
#include <boost/json/array.hpp>
#include <string_view>
#include <utility>

namespace dots::agent::server {
namespace {

namespace json = boost::json;
using mitigation::RuleState;
using mitigation::RuleStory;
using signal::server::MitigationView;

// What keeps desired and installed apart; empty when nothing does.
std::string_view difference(const RuleStory& story) {
  if (story.owners.empty()) return story.in_back_end ? "to be removed" : "";
  switch (story.state) {
    case RuleState::pending:
      return story.in_back_end ? "to be changed" : "to be installed";
    case RuleState::failed:
      return "could not be installed";
    case RuleState::taken:
      return "taken, not in force";
    case RuleState::installed:
      break;
  }
  return {};
}

bool matches(const RuleStory& story, const std::string& back_end, const RulesQuery& query) {
  if (!query.back_end.empty() && query.back_end != back_end) return false;
  if (query.only_differences && difference(story).empty()) return false;
  if (query.prefix && !story.rule.match.target.overlaps(query.prefix->masked())) return false;
  return query.domain.empty() || std::any_of(story.owners.begin(), story.owners.end(),
                                             [&](const auto& one) { return one.owner.domain.value == query.domain; });
}

const MitigationView* find(const std::vector<MitigationView>& views, const model::RuleOwner& owner) {
  const auto it = std::find_if(views.begin(), views.end(), [&](const MitigationView& view) {
    return view.record.domain == owner.domain && view.record.cuid == owner.cuid && view.record.mid == owner.mid;
  });
  return it == views.end() ? nullptr : &*it;
}

json::object render(const RuleStory& story, const BackEndView& back_end, const std::vector<MitigationView>& views) {
  json::object out;
  out["mitigator"] = back_end.name;
  out["rule"] = model::to_string(story.rule);
  out["target"] = model::to_string(story.rule.match.target);
  out["desired"] = !story.owners.empty();
  out["installed"] = story.in_back_end;
  if (const auto what = difference(story); !what.empty()) out["difference"] = what;
  if (!story.failure.empty()) out["failure"] = story.failure;
  if (story.installed_at) out["since"] = base::unix_seconds(*story.installed_at);
  // Without an end as long as one of its owners has none.
  std::optional<base::WallTime> until;
  bool endless = story.owners.empty();
  json::array owners;
  for (const auto& owner : story.owners) {
    json::object one{{"domain", owner.owner.domain.value},
                     {"cuid", owner.owner.cuid.value},
                     {"mid", owner.owner.mid.value},
                     {"reason", owner.reason},
                     {"since", base::unix_seconds(owner.since)}};
    if (owner.until) {
      one["until"] = base::unix_seconds(*owner.until);
      until = std::max(until.value_or(*owner.until), *owner.until);
    } else {
      endless = true;
    }
    if (const auto* view = find(views, owner.owner)) {
      one["client"] = view->record.client.value;
      one["author"] = view->record.author;
      one["status"] = model::name_of(view->record.status);
    }
    owners.push_back(std::move(one));
  }
  if (until && !endless) out["until"] = base::unix_seconds(*until);
  out["owners"] = std::move(owners);
  if (back_end.counts) {  // unknown is not zero
    out["packets"] = story.counters.packets;
    out["bytes"] = story.counters.bytes;
  }
  return out;
}

}  // namespace

json::object render_rules(const std::vector<BackEndView>& back_ends, const std::vector<MitigationView>& mitigations,
                          const RulesQuery& query) {
  json::array rules;
  json::array totals;
  std::size_t left_out = 0;
  for (const BackEndView& back_end : back_ends) {
    if (!query.back_end.empty() && query.back_end != back_end.name) continue;
    std::size_t desired = 0, installed = 0, differing = 0;
    for (const RuleStory& story : back_end.stories) {
      if (!matches(story, back_end.name, query)) continue;
      desired += story.owners.empty() ? 0 : 1;
      installed += story.in_back_end ? 1 : 0;
      differing += difference(story).empty() ? 0 : 1;
      if (rules.size() < query.limit) {
        rules.push_back(render(story, back_end, mitigations));
      } else {
        ++left_out;
      }
    }
    totals.push_back(json::object{{"mitigator", back_end.name},
                                  {"state", back_end.state},
                                  {"desired", desired},
                                  {"installed", installed},
                                  {"differing", differing}});
  }
  return {{"rules", std::move(rules)}, {"left-out", left_out}, {"totals", std::move(totals)}};
}

}  // namespace dots::agent::server
