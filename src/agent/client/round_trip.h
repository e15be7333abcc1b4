// The round-trip estimate of one session (RFC 6298), which decides how fast requests may follow each other
// (RFC 9132 4.4: at most one datagram per round trip, and without an estimate one request every 3 s).
#pragma once

#include <optional>

#include "base/time.h"

namespace dots::agent::client {

inline constexpr base::Duration kSpacingWithoutEstimate = std::chrono::seconds{3};
inline constexpr base::Duration kMinSpacing = std::chrono::milliseconds{50};
// Under a beginning attack an old estimate says nothing about the link any more.
inline constexpr base::Duration kEstimateLife = std::chrono::seconds{60};

class RoundTrip {
 public:
  void on_sample(base::Duration sample, base::SteadyTime now);

  // How long to wait for an answer before the same request is sent again; nothing without a fresh estimate.
  std::optional<base::Duration> timeout(base::SteadyTime now) const;
  // Between two requests.
  base::Duration spacing(base::SteadyTime now) const;

 private:
  bool fresh(base::SteadyTime now) const { return sampled_at_ && now - *sampled_at_ <= kEstimateLife; }

  std::optional<base::SteadyTime> sampled_at_;
  base::Duration smoothed_{};
  base::Duration variation_{};
};

}  // namespace dots::agent::client
