// The one implementation of facts::Sink: log, metrics and the health board of a daemon.
//
// Threads: everything may be called from any thread. message() hands the line to a log thread and drops the oldest
// lines when that one cannot keep up, so a blocked terminal never blocks a packet.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "ops/config.h"
#include "ops/facts/health.h"
#include "ops/facts/messages.h"

namespace dots::ops {

struct Unwell {
  const facts::HealthFact* fact = nullptr;
  std::string subject;
  std::string details;
  std::int64_t since_unix_s = 0;
};

class Instruments final : public facts::Sink {
 public:
  struct Options {
    LogConfig log;
    std::uint32_t messages_burst = 20;      // of one id
    std::uint32_t messages_per_second = 2;  // of one id, after the burst
    std::size_t label_values = 1000;        // of one metric; further ones are counted as "other"
    // For tests: the clock of the rate limit, and where lines go instead of the log.
    std::function<std::chrono::steady_clock::time_point()> clock;
    std::function<void(facts::Severity, const std::string&)> write;
  };
  static base::Result<std::unique_ptr<Instruments>> open(Options options);
  ~Instruments() override;

  void message(std::string_view id, const std::string& details) override;
  void count(std::string_view metric, std::string_view label, std::uint64_t increment) override;
  void gauge(std::string_view metric, std::string_view label, double value) override;
  void observe(std::string_view metric, std::string_view label, double value) override;
  void health(std::string_view condition, std::string_view subject, bool unwell, const std::string& details) override;

  // What is unwell now: failed before degraded, then by name.
  std::vector<Unwell> unwell() const;
  // Prometheus text format.
  std::string metrics_text() const;
  // Writes what the rate limit holds back ("12 more"), and all lines to their file.
  void flush();

 private:
  struct State;
  void say(std::string_view id, const std::string& details, std::string_view next_step);
  explicit Instruments(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace dots::ops
