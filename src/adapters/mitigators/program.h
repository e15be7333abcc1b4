// One run of a program of the operator: text in, text out, within a time and a size. Private to
// src/adapters/mitigators.
#pragma once

#include <chrono>
#include <cstddef>
#include <string>
#include <vector>

#include "base/result.h"

namespace dots::adapters::mitigators {

struct ProgramRun {
  std::vector<std::string> words;  // the program's path, then its arguments
  std::string input;               // all of its standard input
  std::chrono::milliseconds timeout{5000};
  std::size_t most_output_bytes = std::size_t{16} << 20;
};

// What it wrote to its standard output when it ended with status 0. The error says what happened instead, with the end
// of what it wrote to its standard error.
//
// The program is a process group of its own with a minimal environment. When this returns, nothing of the group runs
// any more: at the time-out, with too much output, and also when a child of a program that has ended is left over.
base::Result<std::string> run_program(const ProgramRun& run);

}  // namespace dots::adapters::mitigators
