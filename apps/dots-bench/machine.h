// Where a figure was measured: without it the figure says nothing.
#pragma once

#include <string>

#include "base/result.h"

namespace dots::bench {

struct Machine {
  std::string cpu_model;
  long cpus = 0;
  std::string kernel;
  std::string tls_library;
  double load = 0;  // of the last minute: others at work
  bool optimised = false;
  bool assertions = false;
};
Machine this_machine();

struct Disk {
  std::string file_system;  // "ext4 on /dev/vda"
  double fsync_p50_ms = 0;
  double fsync_p99_ms = 0;
};
// Writes 4 KB and waits for the disk, so many times.
base::Result<Disk> measure_disk(const std::string& folder, int writes);

}  // namespace dots::bench
