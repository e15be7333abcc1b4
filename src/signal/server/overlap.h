// Which requests of one cuid and one trigger type overlap a scope (RFC 9132 4.4.1.3). Internal to this room.
#pragma once

#include <functional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/ids.h"
#include "model/mitigation.h"
#include "policy/prefix_tree.h"

namespace dots::signal::server {

// Two scopes overlap when they share an address, a prefix, a name, a URI or an alias; protocols and ports do not count.
// Names and URIs are compared by their text and by the addresses that they had (docs/decisions/names-in-requests.md).
class ScopeIndex {
 public:
  void add(base::Mid mid, const model::MitigationScope& scope, const std::vector<model::Prefix>& expanded);
  // REQUIRES: the values that add() got.
  void remove(base::Mid mid, const model::MitigationScope& scope, const std::vector<model::Prefix>& expanded);
  // Calls visit for every overlapping mid, possibly several times for one; false stops.
  void visit(const model::MitigationScope& scope, const std::vector<model::Prefix>& expanded,
             const std::function<bool(base::Mid)>& visit) const;

 private:
  policy::PrefixTree<base::Mid> prefixes_;
  std::unordered_map<std::string, std::vector<base::Mid>> words_;
};

}  // namespace dots::signal::server
