// A row and the bare echo beside it, in turns.
#pragma once

#include "dots-bench/options.h"
#include "dots-bench/row.h"
#include "dots-bench/target.h"

namespace dots::bench {

// The echoes with the sizes of the row; what has no row of its own gives its figure to the ratio alone.
struct Beside {
  Target& dtls;
  Row* dtls_row = nullptr;
  Target* udp = nullptr;
  Row* udp_row = nullptr;
};

// One round: `requests` of the workload, then the echoes.
base::Result<void> measure_pair(const RunOptions& options, Target& target, const Workload& workload,
                                std::uint64_t requests, Row& row, Beside beside);

}  // namespace dots::bench
