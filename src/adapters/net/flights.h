// When a flight of a DTLS handshake may leave again (RFC 6347 4.2.4), pure. Not for other rooms.
//
// GnuTLS doubles its own timer with each repeat, without regard to what is at stake, so that half a minute of heavy
// loss holds five tries. Here GnuTLS is told to repeat whenever it is called, and this gate decides which of its
// repeats leave: at a steady pace for a while, then more and more slowly. It knows a repeat by the first record of its
// flight.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>

#include "base/bytes.h"
#include "base/time.h"

namespace dots::adapters::net {

struct FlightPace {
  base::Duration repeat_after = std::chrono::milliseconds{500};
  int steady_repeats = 40;  // of one flight; after them the time doubles with each
  base::Duration slowest = std::chrono::seconds{2};

  // Between send number `sent` of a flight and the next one.
  base::Duration after(int sent) const {
    base::Duration wait = repeat_after;
    for (int i = steady_repeats; i < sent && wait < slowest; ++i) wait *= 2;
    return std::min(wait, std::max(slowest, repeat_after));
  }
};

class FlightGate {
 public:
  explicit FlightGate(const FlightPace& pace) : pace_(pace) {}

  // Between two flights GnuTLS always looks for an answer; records that it writes in one go belong together.
  void pause() { in_flight_ = false; }
  // Whether a record of a handshake may leave. REQUIRES: a complete record header.
  bool lets_out(base::ByteView record, base::SteadyTime now);
  // What the peer says again shows that it lacks our last flight: RFC 6347 4.2.4, the FINISHED state.
  void answer_repeats() { answering_ = true; }

  base::SteadyTime due() const { return due_; }
  // The time has passed and GnuTLS had nothing to repeat: it has part of the peer's flight and waits for the rest.
  void skip(base::SteadyTime now) {
    if (due_ <= now) due_ = now + pace_.repeat_after;
  }

 private:
  static constexpr std::uint32_t kChangeCipherSpec = 1U << 16;  // not a number of a message
  FlightPace pace_;
  std::optional<std::uint32_t> flight_;  // how the flight that left last begins
  base::SteadyTime left_{};
  base::SteadyTime due_{};
  int sent_ = 0;
  bool in_flight_ = false;
  bool open_ = false;  // for the records of the flight that is being written
  bool answering_ = false;
};

}  // namespace dots::adapters::net
