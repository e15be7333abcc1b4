// A program of the operator as a back end: one run of it for each call, JSON in, JSON out (docs/mitigators.md).
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "ports/mitigator.h"

namespace dots::adapters::mitigators {

struct CommandOptions {
  std::string name;                  // of this back end, told to the program
  std::vector<std::string> command;  // the program's path, then its arguments
  std::chrono::milliseconds timeout{5000};
};

// A program that ends with another status than 0, answers something else than what it was asked for, too much, or
// nothing in time, fails the call. The program never runs twice at a time for one back end.
std::unique_ptr<ports::Mitigator> make_command_mitigator(CommandOptions options);

}  // namespace dots::adapters::mitigators
