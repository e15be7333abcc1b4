#include "apps/runtime/handshake_tally.h"

#include <string>

namespace dots::runtime {

void HandshakeTally::add(const agent::AdmissionCounters& counters) {
  const auto count = [&](const char* event, std::uint64_t increment) {
    if (increment > 0) sink_.count(metric_, event, increment);
  };
  count("cookie", counters.cookies);
  count("dropped", counters.dropped);
  count("started", counters.started);
  count("opened", counters.opened);
  count("resumed", counters.resumed);
  count("failed", counters.failed);
  count("timed_out", counters.timed_out);
  count("limited", counters.limited);
  full_ += counters.opened - counters.resumed;
  resumed_ += counters.resumed;
}

}  // namespace dots::runtime
