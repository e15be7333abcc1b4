// Lists of filters, desired versus installed: the sister of reconcile.h, and as pure. One for each back end.
//
// A list has one owner and is replaced as a whole, so nothing of the Reconciler's merging of owners is needed here:
// what the two share is RuleTally and their manners. Lists are compared by their digests, because a back end does not
// read them back rule by rule.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/time.h"
#include "mitigation/reconcile.h"
#include "model/filter_list.h"
#include "ports/mitigator.h"

namespace dots::mitigation {

struct FilterWant {
  model::FilterListKey key;
  std::shared_ptr<const model::FilterList> list;  // null: not wanted any more
  std::string reason;                             // "made by client x, while it has a mitigation"
};
// What is new about the lists of a domain.
struct DomainFilters {
  base::DomainId domain;
  bool whole = false;  // lists of the domain that are not among these are not wanted any more
  std::vector<FilterWant> lists;
};

// One list with its whole story.
struct FilterStory {
  model::FilterListKey key;
  std::shared_ptr<const model::FilterList> list;  // null: nobody wants it, and it is to go
  RuleState state = RuleState::pending;
  std::string failure;
  std::string reason;
  base::WallTime since{};  // wanted
  std::optional<base::WallTime> installed_at;
  std::vector<model::FilterRuleCounters> counters;  // since it is wanted, never falling
};
struct FilterReport {
  model::FilterListKey key;
  RuleState state = RuleState::pending;
  std::string reason;
};
// What was counted for the entries of a list since the last time; an entry that was never told of before is here with
// zeros.
struct FilterCounts {
  model::FilterListKey key;
  std::vector<model::FilterRuleCounters> counters;
};

class FilterReconciler {
 public:
  // Lists that accept should be there before the rules they save from, and go after them: so the two come apart.
  enum class Phase : std::uint8_t { install, remove };
  struct Difference {
    std::vector<ports::FilterChange> changes;
    std::uint64_t version = 0;  // hand back with applied()
    bool empty() const { return changes.empty(); }
  };

  FilterReconciler();
  ~FilterReconciler();
  FilterReconciler(FilterReconciler&&) noexcept;
  FilterReconciler& operator=(FilterReconciler&&) noexcept;

  void want(const DomainFilters& wants, base::Now now);
  // What the back end really has; everything else is taken as not there.
  void learned(const std::vector<ports::InstalledFilterList>& installed, base::Now now);
  void forget_installed();
  // The next batch of this phase: lists in the order in which they were wanted, together at most `entries` entries; a
  // longer list comes alone. Empty when a batch is out, when nothing is known, or when nothing is to be done.
  Difference next(Phase phase, std::size_t entries);
  // After a failure the batch is split until the bad list is alone; it is marked failed and tried again later.
  void applied(std::uint64_t version, bool ok, const std::string& failure, base::Now now, base::Duration retry_after);
  std::optional<base::SteadyTime> next_deadline() const;
  void wake(base::Now now);
  // While on, lists that nobody wants stay: for the time after a start.
  void keep_unexplained(bool on);

  std::uint64_t version() const;  // as in Reconciler
  // As in Reconciler: what was taken counts as installed only when the back end says that it is in force.
  void expect_confirmation(bool on);
  void confirmed(const std::vector<ports::InstalledFilterList>& seen, std::uint64_t as_of);
  // Counters as the back end listed them when version() was `as_of`. A list that the back end has with another digest
  // than is believed is passed over.
  void counted(const std::vector<ports::InstalledFilterList>& seen, std::uint64_t as_of);
  std::vector<FilterCounts> fresh_counts();
  // Everything that was counted for entries that drop or limit; never falling.
  model::RuleCounters dropped() const;

  // Lists whose state has changed since the last call.
  std::vector<FilterReport> reports();
  void report_all();

  std::vector<FilterStory> stories() const;
  bool agrees_with(const std::vector<ports::InstalledFilterList>& installed) const;
  bool wants(const model::FilterListKey& key) const;
  bool quiescent() const;     // known, nothing to change, no batch out, no failed list
  std::size_t lists() const;  // wanted or installed

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace dots::mitigation
