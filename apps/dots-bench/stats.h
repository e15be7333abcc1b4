// Latencies and repeated measurements, made few numbers.
#pragma once

#include <vector>

#include "base/time.h"

namespace dots::bench {

struct Percentiles {
  double p50_us = 0, p95_us = 0, p99_us = 0, worst_us = 0;
};

// Nearest rank; all 0 without samples.
Percentiles percentiles(std::vector<base::Duration> samples);
double median(std::vector<double> values);  // 0 without values

}  // namespace dots::bench
