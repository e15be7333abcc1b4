// Which blocks of one body are sent when (RFC 9177 7.2), pure; the same for requests and for answers.
//
// In sets of MAX_PAYLOADS, NON_TIMEOUT_RANDOM apart, at once when the peer has said "Continue". Missing blocks go
// before the next set, one set of them at a time. Whatever the peer asks for: no block leaves more than kMostSends
// times, and bursts of missing blocks are NON_TIMEOUT_RANDOM apart.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <set>
#include <span>
#include <vector>

#include "base/time.h"
#include "coap/q_block/parameters.h"

namespace dots::coap {

class BodySender {
 public:
  static constexpr std::uint8_t kMostSends = 16;

  // `fraction` in [0, 1): where between NON_TIMEOUT and its random maximum the delay of this body lies.
  BodySender(std::uint32_t blocks, double fraction, base::SteadyTime now)
      : sends_(blocks), fraction_(fraction), next_at_(now), again_at_(now) {}

  struct Burst {
    std::vector<std::uint32_t> missing;  // asked for again
    std::vector<std::uint32_t> fresh;
    bool empty() const { return missing.empty() && fresh.empty(); }
  };
  // What leaves now.
  Burst take(const QBlockParameters& parameters, base::SteadyTime now);
  // The peer has every block before `next`.
  void on_continue(std::uint32_t next, base::SteadyTime now);
  // Numbers that the body does not have are overlooked.
  void on_missing(std::span<const std::uint32_t> numbers, base::SteadyTime now);
  // Nothing leaves by itself; only blocks that are asked for do.
  void only_when_asked() { next_ = blocks(); }
  // Nothing leaves before.
  void hold_until(base::SteadyTime time) { next_at_ = std::max(next_at_, time); }
  // What was held, and of which nothing has left, may leave.
  void release(base::SteadyTime now) {
    if (next_ == 0) next_at_ = std::min(next_at_, now);
  }

  std::uint32_t blocks() const { return static_cast<std::uint32_t>(sends_.size()); }
  bool all_sent() const { return next_ == blocks() && again_.empty(); }
  // When take() has something; nothing when all was sent.
  std::optional<base::SteadyTime> next_at() const;

 private:
  std::vector<std::uint8_t> sends_;  // of each block
  double fraction_;
  std::uint32_t next_ = 0;  // the first block that was never sent
  std::set<std::uint32_t> again_;
  base::SteadyTime next_at_;   // of the next set
  base::SteadyTime again_at_;  // of missing blocks
};

}  // namespace dots::coap
