#include "dots-bench/growth.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <utility>

#include "dots-bench/groups.h"
#include "dots-bench/pair.h"
#include "dots-bench/run.h"

namespace dots::bench {
namespace {

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

double grown_each(std::uint64_t before, std::uint64_t after, std::size_t sessions) {
  return (static_cast<double>(after) - static_cast<double>(before)) / static_cast<double>(sessions);
}

// One side of a round with many sessions: opens them, tells their memory, and does the work of each curve.
base::Result<std::vector<Measured>> work(const RunOptions& options, Process& process,
                                         const std::function<base::Result<Target>()>& open,
                                         const std::function<base::Result<void>(Target&)>& prepare,
                                         const std::vector<std::pair<Workload, std::uint64_t>>& workloads,
                                         std::size_t sessions, std::vector<double>& bytes_each) {
  const auto before = process.resident_bytes();
  if (!before) return before.error();
  auto target = open();
  if (!target) return target.error();
  const auto after = process.resident_bytes();
  if (!after) return after.error();
  bytes_each.push_back(grown_each(*before, *after, sessions));
  if (auto ready = prepare(*target); !ready) return ready.error();
  std::vector<Measured> results;
  for (const auto& [workload, requests] : workloads) {
    auto measured = measure(*target, workload, requests, options.in_flight);
    if (!measured) return base::Error{workload.name + ": " + measured.error().message};
    results.push_back(std::move(*measured));
  }
  return results;
}

// With so many sessions: what they cost each, and what requests cost. First ours and then the bare ones, each process
// anew: nobody may have sockets for both at a time.
base::Result<void> at_sessions(Rig& rig, std::size_t sessions, Growth& growth) {
  const RunOptions& options = rig.options();
  say(fmt::format("{} sessions", sessions));
  const auto clients = rig.set().one_client();
  if (!clients) return clients.error();
  const std::vector<std::string> names = {"heartbeat", "get", "put-new"};
  std::vector<std::vector<double>> ratios(names.size());
  std::vector<double> ours_bytes;
  std::vector<double> bare_bytes;
  for (std::size_t round = 0; round < options.rounds; ++round) {
    if (auto started = rig.start_daemon(); !started) return started;
    auto mids = std::make_shared<Mids>(Spread{});
    const auto ours = work(
        options, rig.daemon().process(), [&] { return rig.daemon_target(*clients, sessions); },
        [&](Target& target) { return fill(target, put_new(mids), options.sessions, options.in_flight); },
        {{heartbeats(), options.requests}, {get_one(mids), options.requests}, {put_new(mids), options.mitigations}},
        sessions, ours_bytes);
    if (!ours) return ours.error();
    std::vector<std::pair<Workload, std::uint64_t>> echoes;
    for (const Measured& one : *ours) {
      const auto size = [](double bytes) { return static_cast<std::size_t>(bytes + 0.5); };
      echoes.emplace_back(echo(size(one.load.request_bytes), size(one.load.answer_bytes)), options.requests);
    }
    if (auto started = rig.start_echoes(); !started) return started;
    const auto bare = work(
        options, *rig.dtls_echo().process, [&] { return rig.echo_target(sessions); },
        [](Target&) { return base::Result<void>{}; }, echoes, sessions, bare_bytes);
    if (!bare) return base::Error{std::string{kDtlsEcho} + ": " + bare.error().message};
    for (std::size_t i = 0; i < names.size(); ++i) {
      ratios[i].push_back((*ours)[i].sample.per_cpu_s() / (*bare)[i].sample.per_cpu_s());
      say(fmt::format("  {:<12} {:.3f} of the {}", names[i], ratios[i].back(), kDtlsEcho));
    }
  }
  growth.points.push_back(point_of("dotsd", "bytes", "sessions", sessions, ours_bytes));
  growth.points.push_back(point_of(kDtlsEcho, "bytes", "sessions", sessions, bare_bytes));
  for (std::size_t i = 0; i < names.size(); ++i) {
    growth.points.push_back(point_of(names[i], "ratio", "sessions", sessions, ratios[i]));
  }
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
    for (const Curve& curve : curves) {
      growth.points.push_back(point_of(curve.name, "ratio", "active", active, curve.row.ratios));
    }
  }
  return {};
}

}  // namespace

base::Result<Growth> grow(const RunOptions& options, const GrowthOptions& steps, const std::string& self) {
  const std::size_t most = *std::max_element(steps.sessions.begin(), steps.sessions.end());
  allow_descriptors(most + kSpareDescriptors);
  Growth growth;
  growth.machine = this_machine();
  growth.taken = today();
  // Seldom: the beats of 100,000 sessions would never let it come to rest.
  auto rig = Rig::make(options, self, {.domains = 1, .heartbeat_interval_s = 240});
  if (!rig) return rig.error();
  for (const std::size_t sessions : steps.sessions) {
    if (sessions + kLeastSessions > allowed_descriptors()) {
      growth.skipped.push_back(
          fmt::format("{} sessions: they need a socket each and {} are allowed", sessions, allowed_descriptors()));
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
