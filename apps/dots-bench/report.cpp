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
  for (const Sample& sample : row.samples) {
    cpu.push_back(sample.per_cpu_s());
    wall.push_back(sample.per_wall_s());
    summary.operations += sample.operations;
  }
  summary.per_cpu_s = median(std::move(cpu));
  summary.per_wall_s = median(std::move(wall));
  summary.latency = row.latency();
  return summary;
}

std::string spread_of(const std::vector<double>& values) {
  if (values.size() < 2) return "";
  const auto [low, high] = std::minmax_element(values.begin(), values.end());
  return fmt::format("{:.2f}-{:.2f}", *low, *high);
}

// What was not measured shows as nothing, not as zero.
std::string number(double value, int decimals) { return value > 0 ? fmt::format("{:.{}f}", value, decimals) : "-"; }

std::string line_of(const Row& row) {
  std::string out = fmt::format("{:<36} {:<5}", row.name, row.credential);
  if (!row.skipped.empty()) return out + " SKIP: " + row.skipped + "\n";
  const Summary s = summary_of(row);
  out += fmt::format(" {:>9} {:>9} {:>8} {:>8} {:>8}  {:>6} {:<10}", number(s.per_cpu_s, 0), number(s.per_wall_s, 0),
                     number(s.latency.p50_us / 1000, 2), number(s.latency.p95_us / 1000, 2),
                     number(s.latency.p99_us / 1000, 2), row.ratios.empty() ? "" : fmt::format("{:.3f}", row.ratio()),
                     spread_of(row.ratios));
  std::vector<std::string> remarks;
  if (const auto bytes = row.figure(Figure::bytes_each))
    remarks.push_back(fmt::format("{:.1f} KB each", *bytes / 1024));
  for (const Goal& goal : row.goals) remarks.push_back(goal.text + (row.met(goal) ? ": met" : ": SHORT"));
  if (row.goals.empty() && !row.reference.empty()) remarks.push_back("of " + row.reference);
  if (!row.note.empty()) remarks.push_back(row.note);
  for (std::size_t i = 0; i < remarks.size(); ++i) out += (i == 0 ? " " : "; ") + remarks[i];
  return out + "\n";
}

boost::json::object json_of(const Row& row) {
  namespace bj = boost::json;
  bj::object o{{"name", row.name}, {"credential", row.credential}};
  if (!row.note.empty()) o["note"] = row.note;
  if (!row.skipped.empty()) {
    o["skipped"] = row.skipped;
    return o;
  }
  const Summary s = summary_of(row);
  o["rounds"] = row.samples.size();
  o["operations"] = s.operations;
  o["per_cpu_s"] = s.per_cpu_s;
  o["per_wall_s"] = s.per_wall_s;
  o["p50_us"] = s.latency.p50_us;
  o["p95_us"] = s.latency.p95_us;
  o["p99_us"] = s.latency.p99_us;
  o["worst_us"] = s.latency.worst_us;
  o["request_datagram_bytes"] = row.request_datagram_bytes;
  o["answer_datagram_bytes"] = row.answer_datagram_bytes;
  if (!row.ratios.empty()) {
    o["reference"] = row.reference;
    o["ratio"] = row.ratio();
    o["ratios"] = bj::array(row.ratios.begin(), row.ratios.end());
  }
  if (const auto bytes = row.figure(Figure::bytes_each)) o["bytes_each"] = *bytes;
  bj::array goals;
  for (const Goal& goal : row.goals) {
    goals.push_back(bj::object{{"goal", goal.text}, {"limit", goal.limit}, {"met", row.met(goal)}});
  }
  if (!goals.empty()) o["goals"] = std::move(goals);
  return o;
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
  for (const Row& row : report.rows) out += line_of(row);
  return out;
}

std::string json(const Report& report) {
  namespace bj = boost::json;
  const Machine& m = report.machine;
  bj::array rows;
  for (const Row& row : report.rows) rows.push_back(json_of(row));
  const bj::object all{
      {"taken", report.taken},
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
  };
  return bj::serialize(all) + "\n";
}

}  // namespace dots::bench
