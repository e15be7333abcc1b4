// The data channel: HTTPS against a bare responder, in a domain with little and in one with much in it.
#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <thread>
#include <utility>

#include "dots-bench/groups.h"
#include "dots-bench/watch.h"
#include "dots-bench/web_requests.h"

namespace dots::bench {
namespace {

constexpr const char* kBareWeb = "bare Beast responder";
constexpr double kResponsiveMs = 100;  // to an operator's program
constexpr double kHeartbeatMs = 50;    // RFC 9132 4.7: far from a missed one; what a shard may be held up
constexpr std::size_t kFewAliases = 1000;
constexpr std::size_t kFewEntries = 10;
constexpr std::size_t kAliasesAtOnce = 1000;
constexpr base::Duration kBeatSpacing = std::chrono::milliseconds{500};
constexpr std::uint64_t kBeatsAtOnce = 64;
constexpr base::Duration kPatience = std::chrono::seconds{60};

struct Web {
  Process* process = nullptr;
  Daemon* daemon = nullptr;  // null: the reference
  WebLoad load;
};

struct Seen {
  Sample sample;
  double request_bytes = 0, answer_bytes = 0;
};

// A tenth of the requests goes ahead unmeasured.
base::Result<Seen> look(Web& web, const WebWorkload& workload, std::uint64_t requests) {
  const auto watch = Watch::begin(web.daemon);
  if (!watch) return watch.error();
  if (requests >= 10) {
    if (auto warm = web.load.run(workload, requests / 10, kPatience); !warm) return warm.error();
  }
  const auto before = web.process->cpu_at_rest_s();
  if (!before) return before.error();
  auto loaded = web.load.run(workload, requests, kPatience);
  if (!loaded) return loaded.error();
  const auto after = web.process->cpu_at_rest_s();
  if (!after) return after.error();
  if (auto clean = watch->end("dots_data_requests_total", "", requests + requests / 10); !clean) return clean.error();
  return Seen{{*after - *before, loaded->wall_s, static_cast<double>(requests), std::move(loaded->latencies)},
              loaded->request_bytes,
              loaded->answer_bytes};
}

// Beside `work`, which runs on a thread of its own, the signal channel beats; how long those answers took.
base::Result<std::vector<base::Duration>> beats_beside(Target& signal,
                                                       const std::function<base::Result<void>()>& work) {
  std::atomic<bool> done{false};
  base::Result<void> worked;
  std::thread worker{[&] {
    worked = work();
    done = true;
  }};
  LoadOptions beats;
  beats.requests = kBeatsAtOnce;
  beats.in_flight = signal.load->sessions();
  beats.spacing = kBeatSpacing;
  signal.load->spread_over(kBeatSpacing);
  std::vector<base::Duration> latencies;
  base::Result<void> beaten;
  while (!done && beaten) {
    auto result = signal.load->run(heartbeats(), beats);
    if (result) {
      latencies.insert(latencies.end(), result->latencies.begin(), result->latencies.end());
    } else {
      beaten = result.error();
    }
  }
  worker.join();
  if (!worked) return worked.error();
  if (!beaten) return beaten.error();
  return latencies;
}

class DataGroup {
 public:
  DataGroup(Rig& rig, Web ours, Web bare, Target signal)
      : rig_(rig), ours_(std::move(ours)), bare_(std::move(bare)), signal_(std::move(signal)) {}

  base::Result<Rows> rows() {
    const RunOptions& o = rig_.options();
    auto done = fill(register_client(), 1);
    if (done) done = fill(add_aliases(0, kFewAliases), 1);
    if (done) done = fill(put_list(1, kFewEntries, changes_), 1);
    Row bare{.name = fmt::format("{} (sizes of alias get)", kBareWeb), .credential = "x509"};
    Row get{.name = "data: get alias", .credential = "x509", .reference = kBareWeb};
    Row put{.name = "data: put alias, durable", .credential = "x509", .reference = kBareWeb};
    Row get_short{
        .name = fmt::format("data: get list of {}", kFewEntries), .credential = "x509", .reference = kBareWeb};
    Row put_short{
        .name = fmt::format("data: put list of {}, durable", kFewEntries), .credential = "x509", .reference = kBareWeb};
    for (std::size_t round = 0; done && round < o.rounds; ++round) {
      done = pair(get, get_alias(kFewAliases), o.web_requests, &bare);
      if (done) done = pair(put, put_alias(kFewAliases, changes_), o.web_requests);
      if (done) done = pair(get_short, get_list(1, kFewEntries), o.web_requests);
      if (done) done = pair(put_short, put_list(1, kFewEntries, changes_), o.web_requests / 2);
    }
    if (!done) return done.error();

    const std::string much = fmt::format("{} aliases, {} entries", o.aliases, o.lists * o.entries);
    say("  filling: " + much);
    if (o.aliases > kFewAliases) {
      const std::size_t more = o.aliases - kFewAliases;
      done = fill(add_aliases(kFewAliases, kAliasesAtOnce), more / kAliasesAtOnce);
    }
    if (done) done = fill(put_list(o.lists, o.entries, changes_), o.lists);
    const std::vector<Goal> responsive = {at_most_ms(Figure::p99_ms, kResponsiveMs)};
    Row get_many{.name = fmt::format("data: get alias, {} there", o.aliases),
                 .credential = "x509",
                 .reference = kBareWeb,
                 .goals = responsive,
                 .note = much};
    Row put_many{.name = "... put alias, durable", .credential = "x509", .reference = kBareWeb, .goals = responsive};
    Row get_long{.name = fmt::format("... get list of {}", o.entries), .credential = "x509", .reference = kBareWeb};
    Row put_long{
        .name = fmt::format("... put list of {}, durable", o.entries), .credential = "x509", .reference = kBareWeb};
    for (std::size_t round = 0; done && round < o.rounds; ++round) {
      done = pair(get_many, get_alias(o.aliases), o.web_requests);
      if (done) done = pair(put_many, put_alias(o.aliases, changes_), o.web_requests);
      if (done) done = pair(get_long, get_list(o.lists, o.entries), std::max<std::uint64_t>(20, o.web_requests / 40));
      if (done)
        done = pair(put_long, put_list(o.lists, o.entries, changes_), std::max<std::uint64_t>(20, o.web_requests / 40));
    }
    if (!done) return done.error();

    Row calm{.name = "... heartbeat, nothing beside it"};
    Row small{.name = "... heartbeat beside gets and puts of aliases",
              .goals = {at_most_ms(Figure::p99_ms, kHeartbeatMs)}};
    Row lists{.name = fmt::format("... heartbeat beside puts of lists of {}", o.entries),
              .goals = {at_most_ms(Figure::p99_ms, kHeartbeatMs)}};
    Row all{.name = fmt::format("... get all {} aliases", o.aliases), .credential = "x509"};
    Row whole{.name = "... heartbeat beside gets of all aliases"};
    done = beside(calm, [] {
      std::this_thread::sleep_for(std::chrono::seconds{1});
      return base::Result<void>{};
    });
    if (done) {
      done = beside(small, [&] {
        auto worked = fill(get_alias(o.aliases), o.web_requests);
        return worked ? fill(put_alias(o.aliases, changes_), o.web_requests) : worked;
      });
    }
    if (done) {
      done = beside(lists, [&] {
        return fill(put_list(o.lists, o.entries, changes_), std::max<std::uint64_t>(20, o.web_requests / 40));
      });
    }
    if (done) {
      done = beside(whole, [&]() -> base::Result<void> {
        auto loaded = ours_.load.run(get_all_aliases(o.aliases), kGetsOfAll, kPatience);
        if (!loaded) return loaded.error();
        all.note = fmt::format("{:.1f} MB", loaded->answer_bytes / 1e6);
        all.samples.push_back({0, loaded->wall_s, kGetsOfAll, std::move(loaded->latencies)});
        return {};
      });
    }
    if (!done) return done.error();
    Rows rows;
    for (Row* row : {&bare, &get, &put, &get_short, &put_short, &get_many, &put_many, &get_long, &put_long, &calm,
                     &small, &lists, &all, &whole}) {
      rows.push_back(std::move(*row));
    }
    return rows;
  }

 private:
  static constexpr std::uint64_t kGetsOfAll = 3;

  base::Result<void> fill(const WebWorkload& workload, std::uint64_t requests) {
    auto done = ours_.load.run(workload, requests, kPatience);
    if (!done) return done.error();
    return {};
  }

  base::Result<void> pair(Row& row, const WebWorkload& workload, std::uint64_t requests, Row* bare_row = nullptr) {
    auto seen = look(ours_, workload, requests);
    if (!seen) return base::Error{row.name + ": " + seen.error().message};
    auto bare = look(bare_, web_echo(seen->request_bytes, seen->answer_bytes), requests);
    if (!bare) return base::Error{std::string{kBareWeb} + ": " + bare.error().message};
    row.ratios.push_back(seen->sample.per_cpu_s() / bare->sample.per_cpu_s());
    say(fmt::format("  {:<36} {:>9.0f}/cpu s, {} {:>9.0f}/cpu s", row.name, seen->sample.per_cpu_s(), kBareWeb,
                    bare->sample.per_cpu_s()));
    row.samples.push_back(std::move(seen->sample));
    if (bare_row != nullptr) bare_row->samples.push_back(std::move(bare->sample));
    return {};
  }

  base::Result<void> beside(Row& row, const std::function<base::Result<void>()>& work) {
    const base::SteadyTime begin = steady_now();
    auto latencies = beats_beside(signal_, work);
    if (!latencies) return base::Error{row.name + ": " + latencies.error().message};
    const double wall_s = std::chrono::duration<double>(steady_now() - begin).count();
    const auto count = static_cast<double>(latencies->size());
    row.samples.push_back({0, wall_s, count, std::move(*latencies)});
    row.note = fmt::format("worst {:.1f} ms", row.latency().worst_us / 1000);
    say(fmt::format("  {:<36} p99 {:.1f} ms, {}", row.name, row.latency().p99_us / 1000, row.note));
    return {};
  }

  Rig& rig_;
  const Changes changes_ = std::make_shared<std::uint64_t>(0);
  Web ours_, bare_;
  Target signal_;
};

}  // namespace

base::Result<Rows> data_rows(const RunOptions& options, const std::string& self) {
  if (!options.wants("data")) return Rows{};
  say("data channel");
  auto rig = Rig::make(options, self, {.domains = 1, .data_channel = true});
  if (!rig) return rig.error();
  if (auto started = (*rig)->start_daemon(); !started) return started.error();
  auto reference = (*rig)->start_reference({"https", "--folder", (*rig)->set().folder()});
  if (!reference) return reference.error();
  const auto web = (*rig)->set().x509_client();
  if (!web) return web.error();
  const auto client = (*rig)->set().one_client();
  if (!client) return client.error();
  auto ours = WebLoad::open((*rig)->set().data_server(), web->front(), options.connections);
  if (!ours) return base::Error{"the data channel: " + ours.error().message};
  auto bare = WebLoad::open(reference->address, web->front(), options.connections);
  if (!bare) return base::Error{std::string{kBareWeb} + ": " + bare.error().message};
  auto signal = (*rig)->daemon_target(*client, options.sessions);
  if (!signal) return signal.error();
  DataGroup group{**rig,
                  {&(*rig)->daemon().process(), &(*rig)->daemon(), std::move(*ours)},
                  {reference->process.get(), nullptr, std::move(*bare)},
                  std::move(*signal)};
  return group.rows();
}

}  // namespace dots::bench
