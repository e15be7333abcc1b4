// Operator messages as facts: each has a stable id, a severity and a text that says what it means and what to do.
//
// Agents and adapters name messages by these ids through a Sink that apps wire to the log, the metrics and the audit
// trail; nobody formats log lines of their own. docs/messages.md is generated from this table.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace dots::ops::facts {

enum class Severity : std::uint8_t { debug, info, notice, warning, error };

std::string_view name_of(Severity severity);

struct MessageFact {
  std::string_view id;  // "SESSION_REFUSED"
  Severity severity;
  std::string_view meaning;    // what happened
  std::string_view next_step;  // what the operator can do; may be empty
};

// All messages, sorted by id. Rooms add rows in messages.cpp.
const std::vector<MessageFact>& messages();
// Nothing when the id is unknown: a test names every id that the code uses.
const MessageFact* find_message(std::string_view id);

// Threads: every method may be called from any thread. Never blocks: rate-limited per id, the excess is counted.
class Sink {
 public:
  virtual ~Sink() = default;
  // `details` is one sentence with the values of this case: who, what, why.
  virtual void message(std::string_view id, const std::string& details) = 0;
  // Counters and gauges by metric name ("dots_requests_total"), with at most one label value.
  virtual void count(std::string_view metric, std::string_view label, std::uint64_t increment) = 0;
  virtual void gauge(std::string_view metric, std::string_view label, double value) = 0;
  // A histogram (facts/metrics.inc).
  virtual void observe(std::string_view /*metric*/, std::string_view /*label*/, double /*value*/) {}
  // A way of being unwell begins or ends (facts/health.inc); `subject` is who: a back end, a server, or empty.
  virtual void health(std::string_view /*condition*/, std::string_view /*subject*/, bool /*unwell*/,
                      const std::string& /*details*/) {}
};

}  // namespace dots::ops::facts
