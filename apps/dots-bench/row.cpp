#include "dots-bench/row.h"

#include <fmt/format.h>

#include <algorithm>

namespace dots::bench {

Percentiles Row::latency() const {
  std::vector<base::Duration> all;
  for (const Sample& sample : samples) all.insert(all.end(), sample.latencies.begin(), sample.latencies.end());
  return percentiles(std::move(all));
}

std::optional<double> Row::figure(Figure which) const {
  const auto ms = [&](double us) { return samples.empty() ? std::nullopt : std::optional{us / 1000}; };
  switch (which) {
    case Figure::ratio:
      return ratios.empty() ? std::nullopt : std::optional{ratio()};
    case Figure::p95_ms:
      return ms(latency().p95_us);
    case Figure::p99_ms:
      return ms(latency().p99_us);
    case Figure::bytes_each:
      return bytes_each.empty() ? std::nullopt : std::optional{median(bytes_each)};
  }
  return std::nullopt;
}

bool Row::met(const Goal& goal) const {
  if (!skipped.empty()) return true;
  const auto found = figure(goal.figure);
  if (!found) return false;  // a goal that nothing was measured for is not reached
  return goal.at_most ? *found <= goal.limit : *found >= goal.limit;
}

bool Row::met() const {
  return std::all_of(goals.begin(), goals.end(), [this](const Goal& goal) { return met(goal); });
}

Goal ratio_at_least(double limit, const std::string& reference) {
  return {Figure::ratio, false, limit, fmt::format(">= {:.2f} of {}", limit, reference)};
}
Goal ratio_at_most(double limit, const std::string& reference) {
  return {Figure::ratio, true, limit, fmt::format("<= {:.2f} of {}", limit, reference)};
}
Goal at_most_ms(Figure percentile, double limit_ms) {
  return {percentile, true, limit_ms,
          fmt::format("{} <= {:.4g} ms", percentile == Figure::p95_ms ? "p95" : "p99", limit_ms)};
}
Goal at_most_bytes_each(double limit) {
  return {Figure::bytes_each, true, limit, fmt::format("<= {:.0f} KB each", limit / 1024)};
}

}  // namespace dots::bench
