// How many requests of one peer are served: a bucket of `burst` that fills with `per_s` a second. Pure.
#pragma once

#include <algorithm>
#include <cstdint>

#include "base/time.h"

namespace dots::base {

struct RequestRate {
  std::uint32_t per_s = 500;
  std::uint32_t burst = 1000;
};

class RequestBucket {
 public:
  // True: serve this one, which counts as `weight` requests. One that is heavier than the burst needs a full bucket.
  bool take(const RequestRate& rate, SteadyTime now, std::uint32_t weight = 1) {
    const Duration each = each_of(rate);
    if (std::max(full_at_, now) + each * std::min(weight, rate.burst) - now > each * rate.burst) return false;
    charge(rate, now, weight);
    return true;
  }
  // What was served already turns out to be so much heavier.
  void charge(const RequestRate& rate, SteadyTime now, std::uint32_t weight) {
    full_at_ = std::max(full_at_, now) + each_of(rate) * weight;
  }

 private:
  static Duration each_of(const RequestRate& rate) {
    return std::chrono::nanoseconds{std::chrono::seconds{1}} / rate.per_s;
  }

  SteadyTime full_at_{};  // when the bucket will be full again
};

}  // namespace dots::base
