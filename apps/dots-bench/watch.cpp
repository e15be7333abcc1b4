#include "dots-bench/watch.h"

#include <string>
#include <thread>

#include "dots-bench/poller.h"

namespace dots::bench {
namespace {

constexpr base::Duration kCountTime = std::chrono::seconds{5};

}  // namespace

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
  // The daemon counts when it has sent.
  double grown = 0;
  for (const base::SteadyTime end = steady_now() + kCountTime;;) {
    const auto after = daemon_->metrics();
    if (!after) return after.error();
    for (const auto& reason : spoiled(before_, *after)) return base::Error{"the run is spoiled: " + reason};
    grown =
        label.empty() ? after->sum(metric) - before_.sum(metric) : after->of(metric, label) - before_.of(metric, label);
    if (grown >= static_cast<double>(operations)) return {};
    if (steady_now() > end) break;
    std::this_thread::sleep_for(std::chrono::milliseconds{5});
  }
  return base::Error{"dotsd says it did " + std::to_string(static_cast<long long>(grown)) + " of " +
                     std::to_string(operations) + " operations (" + std::string{metric} + ")"};
}

}  // namespace dots::bench
