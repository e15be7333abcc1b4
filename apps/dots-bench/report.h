// What was measured, as a table for people and as JSON for programs.
#pragma once

#include <string>
#include <vector>

#include "dots-bench/machine.h"
#include "dots-bench/options.h"
#include "dots-bench/row.h"

namespace dots::bench {

struct Report {
  RunOptions options;
  Machine machine;
  Disk disk;
  std::string taken;                // date
  std::vector<std::string> suites;  // what the references negotiated
  std::vector<Row> rows;
};

std::string table(const Report& report);
std::string json(const Report& report);

}  // namespace dots::bench
