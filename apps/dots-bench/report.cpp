#include "dots-bench/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>

namespace dots::bench {
namespace {

struct Summary {
  double per_cpu_s = 0, per_wall_s = 0, operations = 0;
  Percentiles latency;
};

Summary summary_of(const Row& row) {
  Summary summary;
  std::vector<double> cpu;
  std::vector<double> wall;
  std::vector<base::Duration> latencies;
  for (const Sample& sample : row.samples) {
    cpu.push_back(sample.per_cpu_s());
    wall.push_back(sample.per_wall_s());
    summary.operations += sample.operations;
    latencies.insert(latencies.end(), sample.latencies.begin(), sample.latencies.end());
  }
  summary.per_cpu_s = median(std::move(cpu));
  summary.per_wall_s = median(std::move(wall));
  summary.latency = percentiles(std::move(latencies));
  return summary;
}

std::string spread_of(const std::vector<double>& values) {
  if (values.size() < 2) return "";
  const auto [low, high] = std::minmax_element(values.begin(), values.end());
  return fmt::format("{:.2f}-{:.2f}", *low, *high);
}

}  // namespace

std::string table(const Report& report) {
  const Machine& m = report.machine;
  std::string out;
  out += fmt::format("machine   {} x {}, {}, load {:.1f}; {}; {}, assertions {}\n", m.cpus, m.cpu_model, m.kernel,
                     m.load, m.tls_library, m.optimised ? "optimised" : "NOT OPTIMISED", m.assertions ? "on" : "off");
  out += fmt::format("state     {}, fsync p50 {:.2f} ms, p99 {:.2f} ms; SQLite, WAL, synchronous=FULL\n",
                     report.disk.file_system, report.disk.fsync_p50_ms, report.disk.fsync_p99_ms);
  for (const auto& suite : report.suites) out += "dtls      " + suite + "\n";
  out +=
      fmt::format("load      {} in flight over {} sessions (put-new: {}), at most 400 requests/s each; {} rounds\n\n",
                  report.options.in_flight, report.options.sessions,
                  std::max(report.options.sessions, report.options.domains), report.options.rounds);
  out += fmt::format("{:<36} {:<5} {:>9} {:>9} {:>8} {:>8} {:>8}  {:>6} {:<10} {}\n", "", "cred", "/cpu s", "/wall s",
                     "p50 ms", "p95 ms", "p99 ms", "ratio", "min-max", "goal");
  for (const Row& row : report.rows) {
    const Summary s = summary_of(row);
    out +=
        fmt::format("{:<36} {:<5} {:>9.0f} {:>9.0f} {:>8.2f} {:>8.2f} {:>8.2f}", row.name, row.credential, s.per_cpu_s,
                    s.per_wall_s, s.latency.p50_us / 1000, s.latency.p95_us / 1000, s.latency.p99_us / 1000);
    if (!row.ratios.empty()) {
      out += fmt::format("  {:>6.3f} {:<10}", row.ratio(), spread_of(row.ratios));
      if (row.goal) {
        out += fmt::format(" {} of {}: {}", row.goal_text, row.reference, row.met() ? "met" : "SHORT");
      } else {
        out += " of " + row.reference;
      }
    }
    out += "\n";
  }
  for (const auto& note : report.notes) out += "note: " + note + "\n";
  return out;
}

std::string json(const Report& report) {
  namespace bj = boost::json;
  const Machine& m = report.machine;
  bj::array rows;
  for (const Row& row : report.rows) {
    const Summary s = summary_of(row);
    bj::object o{{"name", row.name},
                 {"credential", row.credential},
                 {"rounds", row.samples.size()},
                 {"operations", s.operations},
                 {"per_cpu_s", s.per_cpu_s},
                 {"per_wall_s", s.per_wall_s},
                 {"p50_us", s.latency.p50_us},
                 {"p95_us", s.latency.p95_us},
                 {"p99_us", s.latency.p99_us},
                 {"worst_us", s.latency.worst_us},
                 {"request_datagram_bytes", row.request_datagram_bytes},
                 {"answer_datagram_bytes", row.answer_datagram_bytes}};
    if (!row.ratios.empty()) {
      o["reference"] = row.reference;
      o["ratio"] = row.ratio();
      o["ratios"] = bj::array(row.ratios.begin(), row.ratios.end());
    }
    if (row.goal) {
      o["goal"] = *row.goal;
      o["met"] = row.met();
    }
    rows.push_back(std::move(o));
  }
  const bj::object all{
      {"machine",
       {{"cpu_model", m.cpu_model},
        {"cpus", m.cpus},
        {"kernel", m.kernel},
        {"load", m.load},
        {"tls_library", m.tls_library},
        {"optimised", m.optimised},
        {"assertions", m.assertions}}},
      {"state",
       {{"file_system", report.disk.file_system},
        {"fsync_p50_ms", report.disk.fsync_p50_ms},
        {"fsync_p99_ms", report.disk.fsync_p99_ms}}},
      {"suites", bj::array(report.suites.begin(), report.suites.end())},
      {"load",
       {{"in_flight", report.options.in_flight},
        {"sessions", report.options.sessions},
        {"rounds", report.options.rounds},
        {"active", report.options.active},
        {"domains", report.options.domains},
        {"quick", report.options.quick}}},
      {"rows", std::move(rows)},
      {"notes", bj::array(report.notes.begin(), report.notes.end())},
  };
  return bj::serialize(all) + "\n";
}

}  // namespace dots::bench
