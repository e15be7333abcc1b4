// The average rate towards a peer that does not answer (PROBING_RATE, RFC 7252 4.7), as RFC 9177 7.2 applies it: to
// whole bodies, and to each request for missing blocks.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>

#include "base/time.h"
#include "coap/q_block/parameters.h"

namespace dots::coap {

class ProbingRate {
 public:
  // The peer has spoken: nothing is held back.
  void on_heard() { allowed_at_ = {}; }
  // `fraction` in [0, 1) is the jitter of this wait.
  void on_sent(std::size_t bytes, const QBlockParameters& parameters, double fraction, base::SteadyTime now) {
    const base::Duration at_rate = std::chrono::milliseconds{bytes * 1000 / parameters.probing_rate};
    const base::Duration most =
        parameters.non_probing_wait + base::Duration{static_cast<base::Duration::rep>(
                                          static_cast<double>(parameters.probing_jitter.count()) * fraction)};
    allowed_at_ = std::max(allowed_at_, now) + std::min(at_rate, most);
  }
  base::SteadyTime allowed_at() const { return allowed_at_; }

 private:
  base::SteadyTime allowed_at_{};
};

}  // namespace dots::coap
