// Time as a value. The core never reads a clock: it is told `now`.
//
// Running deadlines are steady; what is stored for after a restart is wall time (ARCHITECTURE: idea 1). The two are
// different types, so that mixing them does not compile.
#pragma once

#include <chrono>
#include <cstdint>

namespace dots::base {

using Duration = std::chrono::nanoseconds;
using namespace std::chrono_literals;

struct SteadyClockTag {
  using duration = Duration;
  using rep = Duration::rep;
  using period = Duration::period;
};
struct WallClockTag {
  using duration = Duration;
  using rep = Duration::rep;
  using period = Duration::period;
};

// Monotonic since an unspecified start; lost with the process.
using SteadyTime = std::chrono::time_point<SteadyClockTag, Duration>;
// Since 1970-01-01T00:00:00Z; may step in either direction.
using WallTime = std::chrono::time_point<WallClockTag, Duration>;

struct Now {
  SteadyTime steady;
  WallTime wall;

  friend Now operator+(Now now, Duration d) { return {now.steady + d, now.wall + d}; }
  friend bool operator==(const Now&, const Now&) = default;
};

// Whole seconds, rounded down; negative durations give 0.
inline std::uint64_t whole_seconds(Duration d) {
  return d <= Duration::zero()
             ? 0
             : static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::seconds>(d).count());
}
inline std::uint64_t unix_seconds(WallTime t) { return whole_seconds(t.time_since_epoch()); }
inline WallTime from_unix_seconds(std::uint64_t s) {
  return WallTime{std::chrono::seconds{static_cast<std::int64_t>(s)}};
}

}  // namespace dots::base
