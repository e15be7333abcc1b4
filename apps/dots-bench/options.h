// What `dots-bench run` and `dots-bench growth` are told.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <vector>

namespace dots::bench {

inline constexpr const char* kWorkloads[] = {"heartbeat", "get",  "refresh",  "put-new", "handshake",
                                             "flood",     "idle", "nftables", "loss",    "data"};

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

  std::size_t idle_sessions = 10000;
  unsigned idle_interval_s = 15;  // between two heartbeats of a session
  unsigned idle_periods = 2;      // so many of them are measured
  std::uint64_t hellos = 20000;   // forged ones, of one measurement of their price
  unsigned flood_per_s = 20000;   // while genuine clients connect
  std::uint64_t genuine = 200;    // of those
  std::uint64_t rules = 300;      // mitigations from request to rule, one after the other
  std::size_t loss_clients = 16;
  std::uint64_t loss_requests = 20;  // of each client

  std::size_t connections = 16;       // to the data channel
  std::uint64_t web_requests = 4000;  // of one measurement there
  std::size_t aliases = 100000;       // that are there already, in one domain
  std::size_t lists = 10;             // ... beside them, with so many entries each
  std::size_t entries = 1000;

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
    idle_sessions = 256;
    idle_interval_s = 1;
    idle_periods = 1;
    hellos = 2000;
    flood_per_s = 5000;
    genuine = 10;
    rules = 10;
    loss_clients = 4;
    loss_requests = 1;
    connections = 4;
    web_requests = 100;
    aliases = 2000;
    lists = 2;
    entries = 100;
  }
};

struct GrowthOptions {
  std::vector<std::size_t> sessions = {256, 1000, 10000};
  std::vector<std::uint64_t> active = {0, 1000, 10000, 100000};
  std::string csv_file;
};

}  // namespace dots::bench
