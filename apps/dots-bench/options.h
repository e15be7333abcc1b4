// What `dots-bench run` is told.
#pragma once

#include <cstdint>
#include <set>
#include <string>

namespace dots::bench {

struct RunOptions {
  std::string dotsd;                     // program; empty: beside dots-bench
  std::string work_folder = "/var/tmp";  // state and credentials go into a folder in it
  std::string json_file;
  std::set<std::string> only;  // workloads by name; empty: all
  bool quick = false;          // does it run at all, and are the answers right?
  bool require_goals = false;
  bool keep = false;  // leaves the folder

  std::size_t sessions = 256;
  std::size_t in_flight = 64;
  std::size_t rounds = 5;
  std::uint64_t requests = 20000;    // of one measurement that writes nothing
  std::uint64_t mitigations = 4000;  // of one measurement that writes
  std::uint64_t active = 10000;      // mitigations that are there already
  std::size_t domains = 1000;
  std::uint64_t handshakes = 600;
  std::size_t handshakes_in_flight = 16;
  int disk_writes = 300;

  bool wants(const std::string& workload) const { return only.empty() || only.count(workload) != 0; }
  void make_quick() {
    quick = true;
    rounds = 1;
    requests = 1000;
    mitigations = 300;
    active = 1000;
    domains = 256;
    handshakes = 64;
    disk_writes = 30;
  }
};

}  // namespace dots::bench
