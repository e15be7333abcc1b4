#include "dots-bench/target.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <thread>

#include "dots-bench/ask.h"
#include "dots-bench/poller.h"
#include "dots-bench/watch.h"
#include "wire/coap_writer.h"

namespace dots::bench {

using namespace std::chrono_literals;

base::Result<Measured> measure(Target& target, const Workload& workload, std::uint64_t requests,
                               std::size_t in_flight) {
  const auto watch = Watch::begin(target.daemon);
  if (!watch) return watch.error();
  LoadOptions options;
  options.in_flight = in_flight;
  options.requests = requests / 10;
  if (options.requests > 0) {
    if (const auto warm = target.load->run(workload, options); !warm) return warm.error();
  }
  const auto before = target.process->cpu_at_rest_s();
  if (!before) return before.error();
  options.requests = requests;
  auto loaded = target.load->run(workload, options);
  if (!loaded) return loaded.error();
  const auto after = target.process->cpu_at_rest_s();
  if (!after) return after.error();
  if (auto clean = watch->end("dots_requests_total", "", requests + requests / 10); !clean) return clean.error();
  Measured measured;
  measured.sample = {*after - *before, loaded->wall_s, static_cast<double>(requests), std::move(loaded->latencies)};
  loaded->latencies = {};
  measured.load = std::move(*loaded);
  return measured;
}

base::Result<void> fill(Target& target, const Workload& workload, std::uint64_t requests, std::size_t in_flight) {
  const auto watch = Watch::begin(target.daemon);
  if (!watch) return watch.error();
  LoadOptions options;
  options.in_flight = in_flight;
  options.requests = requests;
  if (const auto loaded = target.load->run(workload, options); !loaded) return loaded.error();
  return watch->end("dots_requests_total", "", requests);
}

base::Result<Sample> measure_handshakes(Process& process, Daemon* daemon, const OpenOptions& options) {
  const auto watch = Watch::begin(daemon);
  if (!watch) return watch.error();
  OpenOptions warm = options;
  warm.sessions = std::max<std::size_t>(options.in_flight, options.sessions / 10);
  if (const auto opened = open_sessions(warm); !opened) return opened.error();
  const auto before = process.cpu_at_rest_s();
  if (!before) return before.error();
  const base::SteadyTime begin = steady_now();
  auto opened = open_sessions(options);
  if (!opened) return opened.error();
  const base::SteadyTime end = steady_now();
  if (options.tickets && opened->resumed != options.sessions) {
    return base::Error{std::to_string(options.sessions - opened->resumed) + " handshakes were full ones"};
  }
  const auto after = process.cpu_at_rest_s();
  if (!after) return after.error();
  if (auto clean = watch->end("dots_handshakes_total", "opened", options.sessions + warm.sessions); !clean) {
    return clean.error();
  }
  return Sample{*after - *before, std::chrono::duration<double>(end - begin).count(),
                static_cast<double>(options.sessions), std::move(opened->handshakes)};
}

base::Result<void> prove_counters(Daemon& daemon, Lane& lane) {
  const std::array<std::uint8_t, 4> token = {0xff, 0xff, 0xff, 0xff};
  base::Bytes message = heartbeats().make(0, lane.next_message_id++, token).message;
  const auto before = daemon.metrics();
  if (!before) return before.error();
  if (auto first = ask(lane, message); !first) return first.error();
  if (auto duplicate = ask(lane, message); !duplicate) return duplicate.error();
  wire::readdress(message, wire::MessageType::non_confirmable, lane.next_message_id++);
  if (auto repeat = ask(lane, message); !repeat) return repeat.error();
  // The daemon counts when it has sent.
  for (const char* metric : {"dots_duplicates_total", "dots_repeats_total"}) {
    double grown = 0;
    for (const base::SteadyTime end = steady_now() + 5s; grown < 1 && steady_now() < end;) {
      const auto after = daemon.metrics();
      if (!after) return after.error();
      grown = after->sum(metric) - before->sum(metric);
      if (grown < 1) std::this_thread::sleep_for(20ms);
    }
    if (grown != 1) {
      return base::Error{std::string{metric} + " does not count: a spoiled run could not be told from a good one"};
    }
  }
  return {};
}

}  // namespace dots::bench
