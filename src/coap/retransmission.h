// Retransmission of one confirmable message (RFC 7252 4.2).
#pragma once

#include <algorithm>
#include <cmath>

#include "base/time.h"
#include "coap/lifetimes.h"
#include "coap/random.h"
#include "coap/request.h"

namespace dots::coap {

// Transmission parameters of confirmable messages, the part of Repetition that concerns them.
struct Transmission {
  base::Duration ack_timeout = std::chrono::seconds{2};
  float ack_random_factor = 1.5F;
  std::uint8_t max_retransmit = 3;

  Transmission() = default;
  explicit Transmission(const Repetition& repetition)
      : ack_timeout(
            std::clamp<base::Duration>(repetition.ack_timeout, std::chrono::milliseconds{1}, std::chrono::minutes{10})),
        ack_random_factor(static_cast<float>(std::clamp(repetition.ack_random_factor, 1.0, 10.0))),
        max_retransmit(static_cast<std::uint8_t>(std::clamp(repetition.max_retransmit, 0, 15))) {}

  // EXCHANGE_LIFETIME of RFC 7252 4.8.2: the span of all sends, twice the longest latency, the processing delay.
  base::Duration exchange_lifetime() const {
    const double span_s =
        std::chrono::duration<double>(ack_timeout).count() * (std::ldexp(1.0, max_retransmit) - 1) * ack_random_factor;
    const auto span = std::chrono::duration_cast<base::Duration>(std::chrono::duration<double>(std::min(span_s, 1e8)));
    return std::max<base::Duration>(kExchangeLifetime, span + std::chrono::seconds{200} + ack_timeout);
  }
};

class Retransmission {
 public:
  Retransmission() = default;
  Retransmission(const Transmission& transmission, Random& random, base::SteadyTime now)
      : left_(transmission.max_retransmit) {
    const double stretch = 1.0 + random.fraction() * (static_cast<double>(transmission.ack_random_factor) - 1.0);
    timeout_ = base::Duration{
        static_cast<base::Duration::rep>(static_cast<double>(transmission.ack_timeout.count()) * stretch)};
    next_at_ = now + timeout_;
  }

  base::SteadyTime next_at() const { return next_at_; }
  // At next_at(): true asks for another send, false gives up.
  bool again(base::SteadyTime now) {
    if (left_ == 0) return false;
    --left_;
    timeout_ *= 2;
    next_at_ = now + timeout_;
    return true;
  }

 private:
  base::Duration timeout_{};
  base::SteadyTime next_at_{};
  std::uint8_t left_ = 0;
};

}  // namespace dots::coap
