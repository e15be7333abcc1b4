#include "agent/client/round_trip.h"

#include <algorithm>

namespace dots::agent::client {

void RoundTrip::on_sample(base::Duration sample, base::SteadyTime now) {
  sample = std::clamp<base::Duration>(sample, base::Duration::zero(), kEstimateLife);
  if (!fresh(now)) {
    smoothed_ = sample;
    variation_ = sample / 2;
  } else {
    const base::Duration difference = smoothed_ > sample ? smoothed_ - sample : sample - smoothed_;
    variation_ = (3 * variation_ + difference) / 4;
    smoothed_ = (7 * smoothed_ + sample) / 8;
  }
  sampled_at_ = now;
}

std::optional<base::Duration> RoundTrip::timeout(base::SteadyTime now) const {
  if (!fresh(now)) return std::nullopt;
  return std::clamp<base::Duration>(smoothed_ + 4 * variation_, kMinSpacing, kSpacingWithoutEstimate);
}

base::Duration RoundTrip::spacing(base::SteadyTime now) const {
  if (!fresh(now)) return kSpacingWithoutEstimate;
  return std::clamp<base::Duration>(smoothed_, kMinSpacing, kSpacingWithoutEstimate);
}

}  // namespace dots::agent::client
