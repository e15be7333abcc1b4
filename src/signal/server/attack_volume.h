// How large an attack is by what back ends drop, held steady for those who decide by it. Pure.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>

#include "base/time.h"

namespace dots::signal::server {

// Rises at once and by a tenth at least; falls when it has been below half of what is held for a minute, to the most
// of that minute. So a mitigation does not swing between two policies.
class AttackVolume {
 public:
  // `total`: bytes dropped so far. True: held_bps() has changed.
  bool measured(std::uint64_t total, base::SteadyTime now) {
    if (!at_ || total < total_) {
      at_ = now;
      total_ = total;
      return false;
    }
    const base::Duration span = now - *at_;
    if (span < kSpan) return false;
    const auto millis = static_cast<double>(std::chrono::duration_cast<std::chrono::milliseconds>(span).count());
    const auto bps = static_cast<std::uint64_t>(static_cast<double>(total - total_) * 8000.0 / millis);
    at_ = now;
    total_ = total;
    return take(bps, now);
  }
  std::uint64_t held_bps() const { return held_; }  // BITS per second; 0: not known

 private:
  static constexpr base::Duration kSpan = std::chrono::seconds{2};
  static constexpr base::Duration kCalm = std::chrono::minutes{1};

  bool take(std::uint64_t bps, base::SteadyTime now) {
    if (bps > held_ + held_ / 10) {
      held_ = bps;
      below_since_.reset();
      return true;
    }
    if (bps * 2 >= held_) {
      below_since_.reset();
      return false;
    }
    if (!below_since_) {
      below_since_ = now;
      most_ = 0;
    }
    most_ = std::max(most_, bps);
    if (now - *below_since_ < kCalm) return false;
    below_since_.reset();
    held_ = most_;
    return true;
  }

  std::optional<base::SteadyTime> at_;
  std::uint64_t total_ = 0;
  std::uint64_t held_ = 0;
  std::optional<base::SteadyTime> below_since_;
  std::uint64_t most_ = 0;  // since then
};

}  // namespace dots::signal::server
