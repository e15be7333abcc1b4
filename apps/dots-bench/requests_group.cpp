#include <utility>

#include "dots-bench/groups.h"
#include "dots-bench/pair.h"

namespace dots::bench {
namespace {

constexpr double kRequestGoal = 0.7;

}  // namespace

base::Result<Rows> request_rows(Rig& rig) {
  const RunOptions& options = rig.options();
  const bool beats = options.wants("heartbeat");
  const bool gets = options.wants("get");
  const bool refreshes = options.wants("refresh");
  if (!beats && !gets && !refreshes) return Rows{};
  say("requests");
  if (auto started = rig.start_daemon(); !started) return started.error();
  auto clients = rig.set().one_client();
  if (!clients) return clients.error();
  auto target = rig.daemon_target(*clients, options.sessions);
  if (!target) return target.error();
  auto bare = rig.echo_target(options.sessions);
  if (!bare) return bare.error();
  auto lanes = open_plain(rig.plain_echo().address, options.sessions);
  if (!lanes) return lanes.error();
  Target plain{rig.plain_echo().process.get(), nullptr, std::make_unique<Load>(std::move(*lanes))};
  if (auto proven = prove_counters(rig.daemon(), target->load->lane(0)); !proven) return proven.error();
  auto mids = std::make_shared<Mids>(Spread{});
  if (auto filled = fill(*target, put_new(mids), options.sessions, options.in_flight); !filled) return filled.error();

  Row udp{.name = "bare UDP echo (sizes of heartbeat)", .credential = "-"};
  Row dtls{.name = "bare DTLS echo (sizes of heartbeat)"};
  Row get_dtls{.name = "bare DTLS echo (sizes of get)"};
  const std::vector<Goal> goals = {ratio_at_least(kRequestGoal, kDtlsEcho)};
  Row heartbeat{.name = "heartbeat", .reference = kDtlsEcho, .goals = goals};
  Row get{.name = "get", .reference = kDtlsEcho, .goals = goals};
  Row again{.name = "refresh, durable", .reference = kDtlsEcho};
  for (std::size_t round = 0; round < options.rounds; ++round) {
    const auto one = [&](bool wanted, const Workload& workload, std::uint64_t requests, Row& row,
                         Beside beside) -> base::Result<void> {
      return wanted ? measure_pair(options, *target, workload, requests, row, beside) : base::Result<void>{};
    };
    auto done = one(beats, heartbeats(), options.requests, heartbeat, {*bare, &dtls, &plain, &udp});
    if (done) done = one(gets, get_one(mids), options.requests, get, {*bare, &get_dtls});
    if (done) done = one(refreshes, refresh(mids), options.mitigations, again, {*bare});
    if (!done) return done.error();
  }
  Rows rows;
  for (Row* row : {&udp, &dtls, &heartbeat, &get_dtls, &get, &again}) {
    if (!row->samples.empty()) rows.push_back(std::move(*row));
  }
  return rows;
}

}  // namespace dots::bench
