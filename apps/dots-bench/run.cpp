#include "dots-bench/run.h"

#include <algorithm>
#include <chrono>
#include <ctime>
#include <iterator>
#include <utility>

#include "dots-bench/groups.h"

namespace dots::bench {

std::string today() {
  const std::time_t now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
  std::tm utc{};
  ::gmtime_r(&now, &utc);
  char text[16];
  return std::string(text, std::strftime(text, sizeof text, "%Y-%m-%d", &utc));
}

base::Result<Report> run(const RunOptions& options, const std::string& self) {
  allow_descriptors(std::max(options.sessions, options.domains) + kSpareDescriptors);  // a socket for each session
  if (options.quick) do_not_wait_for_rest();
  Report report;
  report.options = options;
  report.machine = this_machine();
  report.taken = today();
  auto rig = Rig::make(options, self, {.domains = options.domains});
  if (!rig) return rig.error();
  auto disk = measure_disk((*rig)->set().folder(), options.disk_writes);
  if (!disk) return disk.error();
  report.disk = *disk;
  if (auto started = (*rig)->start_echoes(); !started) return started.error();

  const auto take = [&report](base::Result<Rows> rows) -> base::Result<void> {
    if (!rows) return rows.error();
    report.rows.insert(report.rows.end(), std::make_move_iterator(rows->begin()), std::make_move_iterator(rows->end()));
    return {};
  };
  for (const auto group : {request_rows, mitigation_rows, handshake_rows, flood_rows}) {
    if (auto done = take(group(**rig)); !done) return done.error();
  }
  report.suites = (*rig)->suites();
  rig->reset();
  if (auto done = take(data_rows(options, self)); !done) return done.error();
  if (auto done = take(idle_rows(options, self)); !done) return done.error();
  if (auto done = take(nftables_rows(options, self, *disk)); !done) return done.error();
  if (auto done = take(loss_rows(options, self)); !done) return done.error();
  return report;
}

}  // namespace dots::bench
