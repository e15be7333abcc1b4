#include "mitigation/tally.h"

#include <algorithm>

namespace dots::mitigation {

void RuleTally::counted(const model::RuleCounters& seen) {
  const auto grown = [](std::uint64_t now, std::uint64_t before) { return now >= before ? now - before : now; };
  // Both fall together when somebody put the rule in anew behind our back.
  const bool restarted = seen.packets < last_.packets || seen.bytes < last_.bytes;
  const model::RuleCounters before = restarted ? model::RuleCounters{} : last_;
  total_.packets += grown(seen.packets, before.packets);
  total_.bytes += grown(seen.bytes, before.bytes);
  last_ = seen;
  known_ = true;
}

void OwnerTally::counted(const model::RuleCounters& total, base::Duration since_trigger) {
  const auto full = static_cast<std::uint64_t>(std::max(since_trigger, base::Duration::zero()) / kBucket);
  total_.packets = std::max(total_.packets, total.packets);
  total_.bytes = std::max(total_.bytes, total.bytes);
  known_ = true;
  if (full > full_buckets_) {
    full_buckets_ = full;
    in_full_buckets_ = total_;
  }
}

void OwnerTally::retire(const model::RuleCounters& part) {
  retired_.packets += part.packets;
  retired_.bytes += part.bytes;
}

model::DropCounters OwnerTally::report(base::Duration since_trigger) const {
  if (!known_) return {};
  const std::uint64_t bucket_s = base::whole_seconds(kBucket);
  const bool full = full_buckets_ > 0;
  const model::RuleCounters& measured = full ? in_full_buckets_ : total_;
  const std::uint64_t seconds =
      full ? full_buckets_ * bucket_s : std::clamp<std::uint64_t>(base::whole_seconds(since_trigger), 1, bucket_s);
  return {.bytes_dropped = total_.bytes,
          .bps_dropped = measured.bytes / seconds,
          .pkts_dropped = total_.packets,
          .pps_dropped = measured.packets / seconds};
}

}  // namespace dots::mitigation
