// The identifiers that a client chooses: cuid and mid (RFC 9132 4.4.1.1).
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/ids.h"

namespace dots::signal::client {

// Three quarters of 2^32 - 1: from here on the sequence starts again at 0 as soon as no attack goes on.
inline constexpr std::uint64_t kMidRollover = 3221225471;

class MidSequence {
 public:
  explicit MidSequence(std::uint64_t next = 1) : next_(next) {}

  bool wants_rollover() const { return next_ >= kMidRollover; }
  // REQUIRES: nothing is active.
  void roll_over() { next_ = 0; }
  // Nothing when all 2^32 are used up, which only an attack without end can do.
  std::optional<base::Mid> take();
  // No mid up to and including this one will be used.
  void skip(base::Mid used);
  std::uint64_t next() const { return next_; }

 private:
  std::uint64_t next_;
};

// 22 characters like the derived ones, from 63 random bits that a store counter can keep.
base::Cuid random_cuid(std::uint64_t seed);

// Well mixed 64-bit values from a seed (SplitMix64).
std::uint64_t next_random(std::uint64_t& state);

}  // namespace dots::signal::client
