#include <fmt/format.h>

#include <atomic>
#include <boost/json.hpp>
#include <thread>
#include <utility>

#include "dots-bench/forger.h"
#include "dots-bench/groups.h"
#include "dots-bench/poller.h"
#include "dotsctl/api_client.h"
#include "dotsctl/json_read.h"

namespace dots::bench {
namespace {

using namespace std::chrono_literals;

constexpr double kPriceGoal = 1.2;
constexpr double kP95Ms = 1000;
constexpr double kP99Ms = 3000;
constexpr const char* kBareCookie = "bare cookie over GnuTLS";

base::Result<Sample> price(Process& process, const model::SocketAddress& server, std::uint64_t hellos) {
  auto forger = Forger::open(server);
  if (!forger) return forger.error();
  if (auto warm = forger->ask(hellos / 10); !warm) return warm.error();
  const auto before = process.cpu_at_rest_s();
  if (!before) return before.error();
  const base::SteadyTime begin = steady_now();
  if (auto asked = forger->ask(hellos); !asked) return asked.error();
  const base::SteadyTime end = steady_now();
  const auto after = process.cpu_at_rest_s();
  if (!after) return after.error();
  return Sample{*after - *before, std::chrono::duration<double>(end - begin).count(), static_cast<double>(hellos)};
}

// How many sessions the daemon has.
base::Result<std::size_t> sessions_of(const Daemon& daemon) {
  const auto reply = dotsctl::call_api(daemon.socket(), "status", {});
  if (!reply.reached) return base::Error{reply.why};
  return dotsctl::list_of(reply.body, "sessions").size();
}

base::Result<void> prices(Rig& rig, Row& ours, Row& bare) {
  for (std::size_t round = 0; round < rig.options().rounds; ++round) {
    const auto before = rig.daemon().metrics();
    if (!before) return before.error();
    auto measured = price(rig.daemon().process(), rig.set().server(), rig.options().hellos);
    if (!measured) return base::Error{ours.name + ": " + measured.error().message};
    const auto after = rig.daemon().metrics();
    if (!after) return after.error();
    const double cookies = after->of("dots_handshakes_total", "cookie") - before->of("dots_handshakes_total", "cookie");
    const double started =
        after->of("dots_handshakes_total", "started") - before->of("dots_handshakes_total", "started");
    if (cookies < measured->operations || started > 0) {
      return base::Error{fmt::format("dotsd sent {} cookies for {} forged hellos and began {} handshakes", cookies,
                                     measured->operations, started)};
    }
    auto reference = price(*rig.dtls_echo().process, rig.dtls_echo().address, rig.options().hellos);
    if (!reference) return base::Error{bare.name + ": " + reference.error().message};
    ours.ratios.push_back(reference->per_cpu_s() / measured->per_cpu_s());
    say(fmt::format("  {:<36} {:>9.0f}/cpu s, {} {:>9.0f}/cpu s", ours.name, measured->per_cpu_s(), kBareCookie,
                    reference->per_cpu_s()));
    ours.samples.push_back(std::move(*measured));
    bare.samples.push_back(std::move(*reference));
  }
  return {};
}

// Genuine clients connect, one after the other, while hellos come as fast as was asked for.
base::Result<void> connect_meanwhile(Rig& rig, Row& row) {
  const auto clients = rig.set().one_client();
  if (!clients) return clients.error();
  auto forger = Forger::open(rig.set().server());
  if (!forger) return forger.error();
  const auto bytes_before = rig.daemon().process().resident_bytes();
  const auto before = rig.daemon().metrics();
  if (!bytes_before) return bytes_before.error();
  if (!before) return before.error();

  OpenOptions open;
  open.server = rig.set().server();
  open.credentials = *clients;
  open.sessions = rig.options().genuine;
  open.in_flight = 1;
  open.keep = false;
  std::atomic<bool> stop{false};
  std::uint64_t sent = 0;
  const base::SteadyTime begin = steady_now();
  std::thread flood{[&] { sent = forger->flood(rig.options().flood_per_s, stop); }};
  std::this_thread::sleep_for(200ms);
  auto opened = open_sessions(open);
  const double wall_s = std::chrono::duration<double>(steady_now() - begin).count();
  stop = true;
  flood.join();
  if (!opened) return base::Error{row.name + ": " + opened.error().message};

  const auto after = rig.daemon().metrics();
  if (!after) return after.error();
  const double answered = after->of("dots_handshakes_total", "cookie") - before->of("dots_handshakes_total", "cookie");
  // Nothing is left of it: only the clients' own sessions were ever there, and they are closed.
  std::size_t left = 1;
  for (const base::SteadyTime end = steady_now() + 5s; left > 0 && steady_now() < end;) {
    const auto sessions = sessions_of(rig.daemon());
    if (!sessions) return sessions.error();
    left = *sessions;
    if (left > 0) std::this_thread::sleep_for(50ms);
  }
  if (left > 0) return base::Error{fmt::format("{} sessions are left after the flood", left)};
  const auto bytes_after = rig.daemon().process().resident_bytes();
  if (!bytes_after) return bytes_after.error();
  row.note = fmt::format("{:.0f} hellos/s sent, {:.0f}/s answered, no session left, {:+.0f} KB of memory",
                         static_cast<double>(sent) / wall_s, answered / wall_s,
                         (static_cast<double>(*bytes_after) - static_cast<double>(*bytes_before)) / 1024);
  say("  " + row.name + ": " + row.note);
  row.samples.push_back({0, wall_s, static_cast<double>(open.sessions), std::move(opened->handshakes)});
  return {};
}

}  // namespace

base::Result<Rows> flood_rows(Rig& rig) {
  if (!rig.options().wants("flood")) return Rows{};
  say("forged hellos");
  if (auto started = rig.start_daemon(); !started) return started.error();
  Row bare{.name = kBareCookie, .credential = "-"};
  Row ours{.name = "forged hello",
           .credential = "-",
           .reference = kBareCookie,
           .goals = {ratio_at_most(kPriceGoal, kBareCookie)}};
  Row genuine{.name = "genuine handshake in a flood",
              .goals = {at_most_ms(Figure::p95_ms, kP95Ms), at_most_ms(Figure::p99_ms, kP99Ms)}};
  if (auto done = prices(rig, ours, bare); !done) return done.error();
  if (auto done = connect_meanwhile(rig, genuine); !done) return done.error();
  Rows rows;
  for (Row* row : {&bare, &ours, &genuine}) rows.push_back(std::move(*row));
  return rows;
}

}  // namespace dots::bench
