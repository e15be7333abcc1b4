// What became of handshakes: for the metrics and for the operator's view.
#pragma once

#include <atomic>
#include <cstdint>

#include "agent/peers/admission_table.h"
#include "ops/facts/messages.h"

namespace dots::runtime {

// add() is for one thread, the rest for any.
class HandshakeTally {
 public:
  // `metric` is counted with the event as its label.
  HandshakeTally(ops::facts::Sink& sink, const char* metric) : sink_(sink), metric_(metric) {}

  void add(const agent::AdmissionCounters& counters);
  // Handshakes that came to a session since the start.
  std::uint64_t full() const { return full_; }
  std::uint64_t resumed() const { return resumed_; }

 private:
  ops::facts::Sink& sink_;
  const char* metric_;
  std::atomic<std::uint64_t> full_{0}, resumed_{0};
};

}  // namespace dots::runtime
