#include "dots-bench/watch.h"

#include <string>

namespace dots::bench {

base::Result<Watch> Watch::begin(Daemon* daemon) {
  Watch watch;
  watch.daemon_ = daemon;
  if (daemon == nullptr) return watch;
  auto metrics = daemon->metrics();
  if (!metrics) return metrics.error();
  watch.before_ = std::move(*metrics);
  return watch;
}

base::Result<void> Watch::end(std::string_view metric, std::string_view label, std::uint64_t operations) const {
  if (daemon_ == nullptr) return {};
  const auto after = daemon_->metrics();
  if (!after) return after.error();
  for (const auto& reason : spoiled(before_, *after)) return base::Error{"the run is spoiled: " + reason};
  const double grown =
      label.empty() ? after->sum(metric) - before_.sum(metric) : after->of(metric, label) - before_.of(metric, label);
  if (grown < static_cast<double>(operations)) {
    return base::Error{"dotsd says it did " + std::to_string(static_cast<long long>(grown)) + " of " +
                       std::to_string(operations) + " operations (" + std::string{metric} + ")"};
  }
  return {};
}

}  // namespace dots::bench
