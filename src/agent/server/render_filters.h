// Lists of filters as operators see them, as JSON (docs/api.md): pure functions over views.
#pragma once

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <string>
#include <vector>

#include "agent/server/render.h"
#include "agent/server/shard.h"

namespace dots::agent::server {

// Empty members do not narrow.
struct FilterQuery {
  std::string domain;
  std::string cuid;
  std::optional<model::Prefix> prefix;  // some entry is about destinations in it, or sources
};
boost::json::object render_filters(const std::vector<BackEndView>& back_ends, std::vector<FilterListView> lists,
                                   const FilterQuery& query, base::Now now);

// "drop udp from 203.0.113.0/24 port 53"; what a sentence cannot hold is "and more".
std::string text_of(const model::FilterEntry& entry);

// For render_explain: what back ends do with a list, and one sentence of it.
boost::json::object render_filter_story(const mitigation::FilterStory& story, const BackEndView& back_end);
std::string filter_sentence(const mitigation::FilterStory& story, const BackEndView& back_end);
// Some entry is enforced for destinations that overlap.
bool concerns(const mitigation::FilterStory& story, const model::Prefix& prefix);

}  // namespace dots::agent::server
