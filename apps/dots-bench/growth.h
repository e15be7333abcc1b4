// How costs grow: the same work with more sessions, and with more active mitigations.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "dots-bench/machine.h"
#include "dots-bench/options.h"

namespace dots::bench {

// One measured point of a curve.
struct Point {
  std::string curve;   // "heartbeat"
  std::string figure;  // "ratio": to the bare DTLS echo; "bytes": of memory for each session
  std::string over;    // what grows: "sessions", "active"
  std::uint64_t at = 0;
  double value = 0, low = 0, high = 0;  // median and range of the rounds

  friend bool operator==(const Point&, const Point&) = default;
};

struct Growth {
  Machine machine;
  std::string taken;
  std::vector<Point> points;
  std::vector<std::string> skipped;  // sentences: what could not be measured here
};

// REQUIRES: values is not empty.
Point point_of(std::string curve, std::string figure, std::string over, std::uint64_t at, std::vector<double> values);

base::Result<Growth> grow(const RunOptions& options, const GrowthOptions& growth, const std::string& self);

// Lines of `curve,figure,over,at,value,low,high` behind lines with `#` that say where it was measured;
// tools/performance.py draws it.
std::string csv(const Growth& growth);

}  // namespace dots::bench
