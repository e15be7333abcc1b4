// Which lists of filters a domain wants enforced, as the back ends were told last; says what is new. Pure.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "agent/server/gate.h"
#include "data/effective.h"
#include "mitigation/filters.h"
#include "policy/domain_policy.h"

namespace dots::agent::server {

class FiltersInForce {
 public:
  struct News {
    std::optional<mitigation::DomainFilters> wants;
    std::vector<OperatorLine> lines;
  };
  News update(const policy::DomainPolicy& policy, const std::vector<data::EffectiveFilter>& effective);
  // What was told may be lost, or was taken back: the next update says everything.
  void forget_told() { whole_ = true; }
  // A list that is in force; null when it is not.
  const model::FilterList* find(const base::Cuid& cuid, const std::string& list) const;
  // An entry of such a list; null when there is none.
  const model::FilterRule* find(const base::Cuid& cuid, const std::string& list, const std::string& entry) const;
  // Entries of a list that are not enforced, because the domain does not own their destination any more.
  std::vector<std::string> left_out(const base::Cuid& cuid, const std::string& list) const;
  bool empty() const { return lists_.empty(); }

 private:
  using Name = std::pair<base::Cuid, std::string>;
  struct List {
    std::shared_ptr<const model::Filter> filter;
    std::uint32_t place = 0;
    std::shared_ptr<const model::FilterList> list;  // null: nothing of it is left
    std::vector<std::string> left_out;
    std::map<std::string_view, const model::FilterRule*> rules;  // of `list`, by the names of their entries
  };
  std::map<Name, List> lists_;
  std::vector<model::Prefix> owned_;  // when they were made
  bool whole_ = true;
};

}  // namespace dots::agent::server
