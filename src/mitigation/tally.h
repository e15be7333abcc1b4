// Counters that never fall, and averages as RFC 9132 4.4.2 wants them. Pure.
#pragma once

#include <cstdint>
#include <optional>

#include "base/time.h"
#include "model/mitigation.h"
#include "model/rule.h"

namespace dots::mitigation {

// One rule: the back end starts at zero whenever the rule is installed anew; the total goes on.
class RuleTally {
 public:
  void reinstalled() { last_ = {}; }
  void counted(const model::RuleCounters& seen);
  const model::RuleCounters& total() const { return total_; }
  bool known() const { return known_; }

 private:
  model::RuleCounters last_;
  model::RuleCounters total_;
  bool known_ = false;
};

// One mitigation since it was triggered: measured into five-minute buckets, the buckets averaged over the time since
// the trigger. Until the first bucket is full, the average is over the time so far.
class OwnerTally {
 public:
  static constexpr base::Duration kBucket = std::chrono::minutes{5};

  // `total`: everything dropped since the trigger.
  void counted(const model::RuleCounters& total, base::Duration since_trigger);
  // Rules that the mitigation no longer wants keep what they dropped for it.
  void retire(const model::RuleCounters& part);
  const model::RuleCounters& retired() const { return retired_; }
  // Empty until something was counted: unknown is not zero.
  model::DropCounters report(base::Duration since_trigger) const;

 private:
  bool known_ = false;
  model::RuleCounters retired_;
  model::RuleCounters total_;
  model::RuleCounters in_full_buckets_;
  std::uint64_t full_buckets_ = 0;
};

}  // namespace dots::mitigation
