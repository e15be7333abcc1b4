// `dotsctl rules`: what is desired, what is installed and where the two differ, by back end (docs/api.md). Pure.
#pragma once

#include <boost/json/object.hpp>
#include <optional>
#include <string>
#include <vector>

#include "agent/server/render.h"

namespace dots::agent::server {

// What is empty does not narrow.
struct RulesQuery {
  std::string domain;
  std::string back_end;
  std::optional<model::Prefix> prefix;
  bool only_differences = false;
  std::size_t limit = 1000;
};

// Rules in the order of back end and rule; `left-out` says how many more there are, `totals` counts all that match.
boost::json::object render_rules(const std::vector<BackEndView>& back_ends,
                                 const std::vector<signal::server::MitigationView>& mitigations,
                                 const RulesQuery& query);

}  // namespace dots::agent::server
