// How large an attack is by what back ends drop, held steady for those who decide by it. Pure.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <utility>

#include "base/time.h"

namespace dots::signal::server {

// Rises at once and by a tenth at least. What it has risen to is held for ten minutes; after that it falls when it has
// been below half for a minute, to the most that was seen below, and it is unknown when nothing was measured meanwhile:
// what has been moved to a back end that does not count. Each rise after a fall is held twice as long, an hour at most.
// So a mitigation does not swing between two policies of which one changes what can be measured.
class AttackVolume {
 public:
  // `total`: bytes dropped so far. True: held_bps() has changed.
  bool measured(std::uint64_t total, base::SteadyTime now) {
    last_ = now;
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
  // True: nobody has measured it for so long that it is unknown now.
  bool forget(base::SteadyTime now) {
    const auto when = forgotten_at();
    if (!when || now < *when) return false;
    held_ = 0;
    fallen_ = true;
    at_.reset();
    below_since_.reset();
    return true;
  }
  // When forget() may have something to do.
  std::optional<base::SteadyTime> forgotten_at() const {
    return held_ == 0 ? std::nullopt : std::optional<base::SteadyTime>(last_ + hold_);
  }
  // For a mitigation that goes on under another name: its counters begin anew.
  AttackVolume carried_over(base::SteadyTime now) const {
    AttackVolume out = *this;
    out.at_.reset();
    out.last_ = now;
    return out;
  }
  std::uint64_t held_bps() const { return held_; }  // BITS per second; 0: not known

 private:
  static constexpr base::Duration kSpan = std::chrono::seconds{2};
  static constexpr base::Duration kCalm = std::chrono::minutes{1};
  static constexpr base::Duration kHold = std::chrono::minutes{10};
  static constexpr base::Duration kMostHold = std::chrono::hours{1};

  bool take(std::uint64_t bps, base::SteadyTime now) {
    if (bps > held_ + held_ / 10) {
      if (std::exchange(fallen_, false)) hold_ = std::min<base::Duration>(hold_ * 2, kMostHold);
      held_ = bps;
      raised_at_ = now;
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
    if (now - *below_since_ < kCalm || now - raised_at_ < hold_) return false;
    below_since_.reset();
    held_ = most_;
    fallen_ = true;
    return true;
  }

  std::optional<base::SteadyTime> at_;
  std::uint64_t total_ = 0;
  std::uint64_t held_ = 0;
  base::SteadyTime last_{};
  base::SteadyTime raised_at_{};
  base::Duration hold_ = kHold;
  bool fallen_ = false;  // since it has risen last
  std::optional<base::SteadyTime> below_since_;
  std::uint64_t most_ = 0;  // since then
};

}  // namespace dots::signal::server
