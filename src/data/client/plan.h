// From what an operator wants to what has to be done at the server: the difference, in words and as steps.
#pragma once

#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "data/client/entry.h"

namespace dots::data::client {

struct PlanStep {
  enum class What : std::uint8_t {
    create,
    replace,
    move,  // as it is, to another place
    keep,  // as it is; the client does not know it as its own yet
    erase,
  } what = What::create;
  Kind kind = Kind::alias;
  std::string name;
  std::optional<Entry> wanted;  // unless erase
  Placement placement;          // of a filter
};

struct PlanInput {
  std::vector<Entry> wanted;   // names are unique for each kind; filters in their order
  std::vector<Entry> present;  // at the server, filters in their order
  std::set<std::pair<Kind, std::string>> kept;
  std::set<Kind> prune;  // kinds of which nothing else may stay
};

struct Plan {
  std::vector<PlanStep> steps;  // in the order of doing: what is new is there before what is old goes
  std::size_t unchanged = 0;
  std::vector<std::pair<Kind, std::string>> others;  // at the server, not wanted, and left alone
};
Plan make_plan(const PlanInput& input);

// "+ alias 'x'" and the leaves below it; `before`: what is at the server, null when it is not there.
std::string difference(const PlanStep& step, const Instance* before);

}  // namespace dots::data::client
