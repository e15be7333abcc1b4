// One line of the table: what was measured, against what, and what is asked of it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "dots-bench/stats.h"

namespace dots::bench {

// One measurement: so many operations in one window.
struct Sample {
  double cpu_s = 0;  // 0: the row is about time alone
  double wall_s = 0;
  double operations = 0;
  std::vector<base::Duration> latencies = {};

  double per_cpu_s() const { return cpu_s > 0 ? operations / cpu_s : 0; }
  double per_wall_s() const { return wall_s > 0 ? operations / wall_s : 0; }
};

// What a goal looks at.
enum class Figure : std::uint8_t { ratio, p95_ms, p99_ms, bytes_each };

struct Goal {
  Figure figure = Figure::ratio;
  bool at_most = false;  // else at least
  double limit = 0;
  std::string text;  // ">= 0.70 of the bare DTLS echo"
};

// The rounds of a row and of its reference were measured in turns; the ratio is that of each pair.
struct Row {
  std::string name;
  std::string credential = "psk";
  std::string reference = {};  // what the ratio is against
  std::vector<Goal> goals = {};
  std::vector<Sample> samples = {};
  std::vector<double> ratios = {};
  std::vector<double> bytes_each = {};  // memory that grew, for each session, in each round
  double request_datagram_bytes = 0, answer_datagram_bytes = 0;
  std::string note = {};     // what a reader must know of the figure: the rate of a flood
  std::string skipped = {};  // why it could not be measured here; then there are no figures

  double ratio() const { return median(ratios); }
  Percentiles latency() const;  // of all rounds
  std::optional<double> figure(Figure which) const;
  bool met(const Goal& goal) const;
  bool met() const;  // all of them; a row that was skipped misses none
};

Goal ratio_at_least(double limit, const std::string& reference);
Goal ratio_at_most(double limit, const std::string& reference);
Goal at_most_ms(Figure percentile, double limit_ms);
Goal at_most_bytes_each(double limit);

}  // namespace dots::bench
