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
  // True: serve this one.
  bool take(const RequestRate& rate, SteadyTime now) {
    const Duration each = std::chrono::nanoseconds{std::chrono::seconds{1}} / rate.per_s;
    const SteadyTime next = std::max(full_at_, now) + each;
    if (next - now > each * rate.burst) return false;
    full_at_ = next;
    return true;
  }

 private:
  SteadyTime full_at_{};  // when the bucket will be full again
};

}  // namespace dots::base
