// A child process and the processor time that it and its children have used.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"

namespace dots::bench {

class Process {
 public:
  // Standard error goes to `log_file`. With `wait_for_line` the child must print one line on standard output first.
  static base::Result<std::unique_ptr<Process>> start(const std::vector<std::string>& arguments,
                                                      const std::string& log_file, bool wait_for_line);
  ~Process();  // ends it
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  const std::string& first_line() const { return first_line_; }
  pid_t pid() const { return pid_; }
  bool running();
  void stop();  // SIGTERM, then SIGKILL after ten seconds

  // User and system time of the process, all its threads and all its children, dead ones included.
  base::Result<double> cpu_s() const;
  // The same as soon as it has nothing left to do, so that work put off belongs to those who caused it.
  base::Result<double> cpu_at_rest_s() const;
  // Memory of the process and its children that is in use.
  base::Result<std::uint64_t> resident_bytes() const;

 private:
  explicit Process(pid_t pid) : pid_(pid) {}
  pid_t pid_;
  bool ended_ = false;
  std::string first_line_;
};

// From now on cpu_at_rest_s() is cpu_s(): for a run that measures nothing.
void do_not_wait_for_rest();

// Of this process and those that it starts: as many as that, or as many as there may be.
inline constexpr std::size_t kSpareDescriptors = 5000;
void allow_descriptors(std::size_t wanted);
std::size_t allowed_descriptors();

}  // namespace dots::bench
