// What was measured, as a table for people and as JSON for programs.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "dots-bench/machine.h"
#include "dots-bench/options.h"
#include "dots-bench/stats.h"

namespace dots::bench {

// One measurement: so many operations in one window.
struct Sample {
  double cpu_s = 0;
  double wall_s = 0;
  double operations = 0;
  std::vector<base::Duration> latencies;

  double per_cpu_s() const { return cpu_s > 0 ? operations / cpu_s : 0; }
  double per_wall_s() const { return wall_s > 0 ? operations / wall_s : 0; }
};

// One line of the table. The rounds of a row and of its reference were measured in turns; the ratio is that of each
// pair.
struct Row {
  std::string name;
  std::string credential;
  std::vector<Sample> samples;
  std::vector<double> ratios;  // against the reference of the row, by processor time
  std::string reference;       // what the ratio is against; empty: a reference itself
  std::optional<double> goal;  // the median ratio is to be at least this
  std::string goal_text;       // of the design
  double request_datagram_bytes = 0, answer_datagram_bytes = 0;

  double ratio() const { return median(ratios); }
  bool met() const { return !goal || ratio() >= *goal; }
};

struct Report {
  RunOptions options;
  Machine machine;
  Disk disk;
  std::vector<std::string> suites;  // what the references negotiated
  std::vector<Row> rows;
  std::vector<std::string> notes;
};

std::string table(const Report& report);
std::string json(const Report& report);

}  // namespace dots::bench
