#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "dots-bench/crowd.h"
#include "dots-bench/groups.h"

namespace dots::bench {
namespace {

constexpr double kCpuGoal = 1.5;
constexpr double kBytesGoal = 16 * 1024;
constexpr const char* kBareLoop = "bare loop over GnuTLS";
constexpr unsigned kLeastServerInterval = 15;  // RFC 8085; ours take no less

struct Idle {
  Sample sample;
  LoadResult load;
  double bytes_each = 0;
};

// Opens the sessions, lets them beat for the periods and measures; the memory is that of the end.
base::Result<Idle> beat(Process& process, Daemon* daemon, const model::SocketAddress& server,
                        const ClientCredentials& credentials, const RunOptions& options,
                        const std::function<Workload()>& workload) {
  const auto before = process.resident_bytes();
  if (!before) return before.error();
  auto crowd = Crowd::open(server, credentials, options.idle_sessions);
  if (!crowd) return crowd.error();
  const auto counted = daemon != nullptr ? daemon->metrics() : base::Result<Metrics>{Metrics{}};
  if (!counted) return counted.error();
  const auto cpu_before = process.cpu_s();
  if (!cpu_before) return cpu_before.error();
  auto loaded = crowd->beat(workload(), std::chrono::seconds{options.idle_interval_s}, options.idle_periods);
  if (!loaded) return loaded.error();
  const auto cpu_after = process.cpu_s();
  const auto after = process.resident_bytes();
  if (!cpu_after) return cpu_after.error();
  if (!after) return after.error();
  if (daemon != nullptr) {
    const auto now = daemon->metrics();
    if (!now) return now.error();
    for (const auto& reason : spoiled(*counted, *now)) return base::Error{"the run is spoiled: " + reason};
  }
  Idle idle;
  const auto exchanges = static_cast<double>(loaded->sent + loaded->peer_requests);
  idle.sample = {*cpu_after - *cpu_before, loaded->wall_s, exchanges, std::move(loaded->latencies)};
  loaded->latencies = {};
  idle.load = std::move(*loaded);
  idle.bytes_each =
      (static_cast<double>(*after) - static_cast<double>(*before)) / static_cast<double>(options.idle_sessions);
  return idle;
}

}  // namespace

base::Result<Rows> idle_rows(const RunOptions& options, const std::string& self) {
  if (!options.wants("idle")) return Rows{};
  say("idle sessions");
  // The server beats as often as the clients.
  auto rig = Rig::make(options, self,
                       {.domains = 1, .heartbeat_interval_s = std::max(kLeastServerInterval, options.idle_interval_s)});
  if (!rig) return rig.error();
  const auto clients = (*rig)->set().one_client();
  if (!clients) return clients.error();
  Row ours{.name = fmt::format("{} idle sessions, a beat in {} s", options.idle_sessions, options.idle_interval_s),
           .reference = kBareLoop,
           .goals = {ratio_at_most(kCpuGoal, kBareLoop), at_most_bytes_each(kBytesGoal)}};
  Row bare{.name = kBareLoop};
  if (auto started = (*rig)->start_daemon(); !started) return started.error();
  auto idle = beat((*rig)->daemon().process(), &(*rig)->daemon(), (*rig)->set().server(), clients->front(), options,
                   heartbeats);
  if (!idle) return base::Error{ours.name + ": " + idle.error().message};
  (*rig)->stop_daemon();

  auto reference = (*rig)->start_reference({"dtls", "--folder", (*rig)->set().folder(), "--beat-s",
                                            std::to_string(std::max(kLeastServerInterval, options.idle_interval_s))});
  if (!reference) return reference.error();
  const auto size = [](double bytes) { return static_cast<std::size_t>(bytes + 0.5); };
  auto loop = beat(*reference->process, nullptr, reference->address, clients->front(), options,
                   [&] { return echo(size(idle->load.request_bytes), size(idle->load.answer_bytes)); });
  if (!loop) return base::Error{bare.name + ": " + loop.error().message};

  // The price of a beat: the windows differ by a few of them.
  const auto price = [](const Sample& sample) { return sample.cpu_s / sample.operations; };
  ours.ratios.push_back(price(idle->sample) / price(loop->sample));
  ours.bytes_each.push_back(idle->bytes_each);
  const auto note = [](const Idle& one) {
    return fmt::format("{:.2f} % of one CPU, {} beats of {} lost", 100 * one.sample.cpu_s / one.sample.wall_s,
                       one.load.unanswered, one.load.sent);
  };
  ours.note = note(*idle);
  bare.bytes_each.push_back(loop->bytes_each);
  bare.note = note(*loop);
  say(fmt::format("  {:<36} {:.2f} of the {}, {:.1f} KB each", ours.name, ours.ratio(), kBareLoop,
                  idle->bytes_each / 1024));
  ours.samples.push_back(std::move(idle->sample));
  bare.samples.push_back(std::move(loop->sample));
  Rows rows;
  rows.push_back(std::move(bare));
  rows.push_back(std::move(ours));
  return rows;
}

}  // namespace dots::bench
