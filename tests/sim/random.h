// Reproducible choices of one simulation.
#pragma once

#include <cstdint>

#include "base/time.h"
#include "coap/random.h"

namespace dots::sim {

class Random {
 public:
  explicit Random(std::uint64_t seed) : source_(seed) {}

  bool chance(double probability) { return probability > 0 && source_.fraction() < probability; }
  std::uint64_t below(std::uint64_t bound) { return bound == 0 ? 0 : source_.next() % bound; }
  std::int64_t between(std::int64_t low, std::int64_t high) {
    return low + static_cast<std::int64_t>(below(static_cast<std::uint64_t>(high - low + 1)));
  }
  double fraction() { return source_.fraction(); }
  base::Duration up_to(base::Duration most) {
    return base::Duration{static_cast<std::int64_t>(static_cast<double>(most.count()) * source_.fraction())};
  }
  std::uint64_t next() { return source_.next(); }

 private:
  coap::Random source_;
};

}  // namespace dots::sim
