// Which requests of a domain overlap a scope (RFC 9132 4.4.1.3), one index for each trigger type. Internal to this
// room.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <unordered_map>
#include <vector>

#include "model/mitigation.h"
#include "policy/prefix_tree.h"

namespace dots::signal::server {

// Two scopes overlap when they share an address, a prefix, a name, a URI or an alias; protocols and ports do not count.
// Names and URIs are compared by their text and by the addresses that they had (docs/decisions/names-in-requests.md).
class ScopeIndex {
 public:
  // Numbers a request inside its domain; small, because a request is entered once for each of its prefixes.
  using Number = std::uint64_t;

  void add(Number number, const model::MitigationScope& scope, const std::vector<model::Prefix>& expanded);
  // REQUIRES: the values that add() got.
  void remove(Number number, const model::MitigationScope& scope, const std::vector<model::Prefix>& expanded);
  // Calls visit for every overlapping request, possibly several times for one; false stops.
  void visit(const model::MitigationScope& scope, const std::vector<model::Prefix>& expanded,
             const std::function<bool(Number)>& visit) const;

 private:
  policy::PrefixTree<Number> prefixes_;
  std::unordered_map<std::string, std::vector<Number>> words_;
};

// What two scopes have in common, to be shown as conflict-scope: the narrower of two overlapping prefixes, equal names,
// URIs and aliases. At most `most` prefixes. Never protocols or ports, which make no overlap.
model::MitigationScope common_targets(const model::MitigationScope& a, const std::vector<model::Prefix>& expanded_a,
                                      const model::MitigationScope& b, const std::vector<model::Prefix>& expanded_b,
                                      std::size_t most);

}  // namespace dots::signal::server
