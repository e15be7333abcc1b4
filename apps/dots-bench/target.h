// Something that answers: dotsd or a reference, with the sessions that load it.
#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "dots-bench/daemon.h"
#include "dots-bench/load.h"
#include "dots-bench/report.h"

namespace dots::bench {

struct Target {
  Process* process = nullptr;
  Daemon* daemon = nullptr;  // null: a reference
  std::unique_ptr<Load> load;
};

struct Measured {
  Sample sample;
  LoadResult load;
};

// A tenth unmeasured first, then `requests` of them. Fails when an answer was wrong or missing, or when a counter of
// the daemon says that it was not all work.
base::Result<Measured> measure(Target& target, const Workload& workload, std::uint64_t requests, std::size_t in_flight);

// The same without a measurement: to fill a domain.
base::Result<void> fill(Target& target, const Workload& workload, std::uint64_t requests, std::size_t in_flight);

// One measurement of `handshakes`, each on a socket of its own and closed at once.
base::Result<Sample> measure_handshakes(Process& process, Daemon* daemon, const OpenOptions& options);

// Sends one request three times - new, as a duplicate, as a repeat - and sees the daemon count them: without this the
// zeros of a run would prove nothing.
base::Result<void> prove_counters(Daemon& daemon, Lane& lane);

}  // namespace dots::bench
