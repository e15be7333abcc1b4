#include "dots-bench/stats.h"

#include <algorithm>
#include <cmath>

namespace dots::bench {

Percentiles percentiles(std::vector<base::Duration> samples) {
  if (samples.empty()) return {};
  std::sort(samples.begin(), samples.end());
  const auto at = [&](double share) {
    const auto rank = static_cast<std::size_t>(std::ceil(share * static_cast<double>(samples.size())));
    const base::Duration value = samples[std::clamp<std::size_t>(rank, 1, samples.size()) - 1];
    return std::chrono::duration<double, std::micro>(value).count();
  };
  return {at(0.50), at(0.95), at(0.99), at(1.0)};
}

double median(std::vector<double> values) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  const std::size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

}  // namespace dots::bench
