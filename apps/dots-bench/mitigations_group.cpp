#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "dots-bench/groups.h"
#include "dots-bench/pair.h"

namespace dots::bench {
namespace {

constexpr double kMitigationGoal = 0.35;
constexpr double kActiveGoal = 1 / 1.3;  // at 10,000 active, of what it is with few

// One domain: from nothing, and with `active` in it.
base::Result<void> one_domain(Rig& rig, Target& bare, Row& few, Row& many, Row& bare_row) {
  const RunOptions& options = rig.options();
  const auto clients = rig.set().one_client();
  if (!clients) return clients.error();
  if (auto started = rig.start_daemon(); !started) return started;
  auto target = rig.daemon_target(*clients, bare.load->sessions());
  if (!target) return target.error();
  auto mids = std::make_shared<Mids>(Spread{});
  const auto measured = [&](Row& row, Row* beside) {
    return measure_pair(options, *target, put_new(mids), options.mitigations, row, {bare, beside});
  };
  if (auto done = measured(few, &bare_row); !done) return done;
  if (mids->total() < options.active) {
    auto filled = fill(*target, put_new(mids), options.active - mids->total(), options.in_flight);
    if (!filled) return filled;
  }
  return measured(many, nullptr);
}

// Many domains with `active` in all.
base::Result<void> many_domains(Rig& rig, Target& bare, Row& spread) {
  const RunOptions& options = rig.options();
  const auto clients = rig.set().domain_clients();
  if (!clients) return clients.error();
  if (auto started = rig.start_daemon(); !started) return started;
  auto target = rig.daemon_target(*clients, bare.load->sessions());
  if (!target) return target.error();
  auto mids = std::make_shared<Mids>(Spread{options.domains, 1});
  if (auto done = fill(*target, put_new(mids), options.active, options.in_flight); !done) return done;
  return measure_pair(options, *target, put_new(mids), options.mitigations, spread, {bare});
}

}  // namespace

base::Result<Rows> mitigation_rows(Rig& rig) {
  const RunOptions& options = rig.options();
  if (!options.wants("put-new")) return Rows{};
  say("mitigations");
  // A session for each domain, and as many everywhere: more sessions cost more cache misses, whoever serves them.
  auto bare = rig.echo_target(std::max(options.sessions, options.domains));
  if (!bare) return bare.error();
  Row bare_row{.name = "bare DTLS echo (sizes of put)"};
  Row few{.name = "put-new, durable, few active",
          .reference = kDtlsEcho,
          .goals = {ratio_at_least(kMitigationGoal, kDtlsEcho)}};
  Row many{.name = fmt::format("put-new at {} active, 1 domain", options.active)};
  Row spread{.name = fmt::format("put-new at {} active, {} domains", options.active, options.domains)};
  for (std::size_t round = 0; round < options.rounds; ++round) {
    auto done = one_domain(rig, *bare, few, many, bare_row);
    if (done) done = many_domains(rig, *bare, spread);
    if (!done) return done.error();
  }
  // Their goal is against the first row: growth must not cost.
  for (Row* row : {&many, &spread}) {
    for (std::size_t round = 0; round < row->ratios.size(); ++round) {
      row->ratios[round] = row->samples[round].per_cpu_s() / few.samples[round].per_cpu_s();
    }
    row->reference = "put-new with few";
    row->goals = {ratio_at_least(kActiveGoal, row->reference)};
  }
  Rows rows;
  for (Row* row : {&bare_row, &few, &many, &spread}) rows.push_back(std::move(*row));
  return rows;
}

}  // namespace dots::bench
