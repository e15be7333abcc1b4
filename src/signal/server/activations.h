// How often requests of a client may begin to be mitigated: a client that was taken over must not make routers flap
// (RFC 8811 section 5). Pure.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>

#include "base/time.h"

namespace dots::signal::server {

class Activations {
 public:
  // Nothing: one more is counted. Else it is refused, and there will be room in so long.
  std::optional<base::Duration> take(std::uint32_t per_minute, base::SteadyTime now) {
    if (per_minute == 0) return std::nullopt;
    const base::SteadyTime full = std::max(full_at_, now) + base::Duration{kMinute} / per_minute;
    if (full - now > kMinute) return full - now - kMinute;
    full_at_ = full;
    return std::nullopt;
  }
  // The operator is told of the first refusal, and of the next one after a quiet minute.
  bool news(base::SteadyTime now) {
    const bool quiet = !refused_at_ || now - *refused_at_ >= kMinute;
    refused_at_ = now;
    return quiet;
  }

 private:
  static constexpr base::Duration kMinute = std::chrono::minutes{1};
  base::SteadyTime full_at_{};  // when a whole minute's worth is free again
  std::optional<base::SteadyTime> refused_at_;
};

}  // namespace dots::signal::server
