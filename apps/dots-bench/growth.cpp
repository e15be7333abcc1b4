#include "dots-bench/growth.h"

#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <utility>

#include "dots-bench/groups.h"
#include "dots-bench/pair.h"
#include "dots-bench/run.h"

namespace dots::bench {
namespace {

std::size_t descriptors() {
  rlimit files{};
  return ::getrlimit(RLIMIT_NOFILE, &files) == 0 ? files.rlim_cur : 0;
}

struct Curve {
  std::string name;
  Workload workload;
  std::uint64_t requests;
  Row row;
};

base::Result<void> one_round(const RunOptions& options, Target& target, Target& bare, std::vector<Curve>& curves) {
  for (Curve& curve : curves) {
    auto done = measure_pair(options, target, curve.workload, curve.requests, curve.row, {bare});
    if (!done) return done;
  }
  return {};
}

void keep(Growth& growth, const std::vector<Curve>& curves, const std::string& over, std::uint64_t at) {
  for (const Curve& curve : curves) growth.points.push_back(point_of(curve.name, "ratio", over, at, curve.row.ratios));
}

// With so many sessions: what they cost each, and what requests cost.
base::Result<void> at_sessions(Rig& rig, std::size_t sessions, Growth& growth) {
  const RunOptions& options = rig.options();
  say(fmt::format("{} sessions", sessions));
  const auto clients = rig.set().one_client();
  if (!clients) return clients.error();
  // References anew too: their memory and caches are to be those of so many sessions.
  if (auto started = rig.start_echoes(); !started) return started;
  if (auto started = rig.start_daemon(); !started) return started;
  const auto memory = [](Process& process) { return process.resident_bytes(); };
  const auto ours_before = memory(rig.daemon().process());
  const auto bare_before = memory(*rig.dtls_echo().process);
  if (!ours_before) return ours_before.error();
  if (!bare_before) return bare_before.error();
  auto target = rig.daemon_target(*clients, sessions);
  if (!target) return target.error();
  auto bare = rig.echo_target(sessions);
  if (!bare) return bare.error();
  const auto ours_after = memory(rig.daemon().process());
  const auto bare_after = memory(*rig.dtls_echo().process);
  if (!ours_after) return ours_after.error();
  if (!bare_after) return bare_after.error();
  const auto each = [&](std::uint64_t before, std::uint64_t after) {
    return std::vector{(static_cast<double>(after) - static_cast<double>(before)) / static_cast<double>(sessions)};
  };
  growth.points.push_back(point_of("dotsd", "bytes", "sessions", sessions, each(*ours_before, *ours_after)));
  growth.points.push_back(point_of("bare DTLS echo", "bytes", "sessions", sessions, each(*bare_before, *bare_after)));

  auto mids = std::make_shared<Mids>(Spread{});
  if (auto filled = fill(*target, put_new(mids), options.sessions, options.in_flight); !filled) return filled;
  std::vector<Curve> curves;
  curves.push_back({"heartbeat", heartbeats(), options.requests, {.name = "heartbeat"}});
  curves.push_back({"get", get_one(mids), options.requests, {.name = "get"}});
  curves.push_back({"put-new", put_new(mids), options.mitigations, {.name = "put-new"}});
  for (std::size_t round = 0; round < options.rounds; ++round) {
    if (auto done = one_round(options, *target, *bare, curves); !done) return done;
  }
  keep(growth, curves, "sessions", sessions);
  return {};
}

// Beside so many mitigations; a round adds some hundred.
base::Result<void> at_active(Rig& rig, Target& bare, const std::vector<std::uint64_t>& steps, Growth& growth) {
  const RunOptions& options = rig.options();
  const auto clients = rig.set().one_client();
  if (!clients) return clients.error();
  if (auto started = rig.start_daemon(); !started) return started;
  auto target = rig.daemon_target(*clients, options.sessions);
  if (!target) return target.error();
  auto mids = std::make_shared<Mids>(Spread{});
  for (const std::uint64_t active : steps) {
    say(fmt::format("{} active", active));
    if (mids->total() < active) {
      auto filled = fill(*target, put_new(mids), active - mids->total(), options.in_flight);
      if (!filled) return filled;
    }
    std::vector<Curve> curves;
    curves.push_back({"put-new", put_new(mids), options.mitigations, {.name = "put-new"}});
    curves.push_back({"get", get_one(mids), options.requests, {.name = "get"}});
    curves.push_back({"refresh", refresh(mids), options.mitigations, {.name = "refresh"}});
    for (std::size_t round = 0; round < options.rounds; ++round) {
      if (auto done = one_round(options, *target, bare, curves); !done) return done;
    }
    keep(growth, curves, "active", active);
  }
  return {};
}

}  // namespace

base::Result<Growth> grow(const RunOptions& options, const GrowthOptions& steps, const std::string& self) {
  const std::size_t most = *std::max_element(steps.sessions.begin(), steps.sessions.end());
  allow_descriptors(2 * most + kSpareDescriptors);
  Growth growth;
  growth.machine = this_machine();
  growth.taken = today();
  // Seldom: the beats of 100,000 sessions would never let it come to rest.
  auto rig = Rig::make(options, self, {.domains = 1, .heartbeat_interval_s = 240});
  if (!rig) return rig.error();
  for (const std::size_t sessions : steps.sessions) {
    if (2 * sessions + kLeastSessions > descriptors()) {
      growth.skipped.push_back(
          fmt::format("{} sessions: they need {} sockets and {} are allowed", sessions, 2 * sessions, descriptors()));
      continue;
    }
    if (auto done = at_sessions(**rig, sessions, growth); !done) return done.error();
  }
  if (auto started = (*rig)->start_echoes(); !started) return started.error();
  auto bare = (*rig)->echo_target(options.sessions);
  if (!bare) return bare.error();
  std::vector<std::uint64_t> active = steps.active;
  std::sort(active.begin(), active.end());
  if (auto done = at_active(**rig, *bare, active, growth); !done) return done.error();
  return growth;
}

}  // namespace dots::bench
