#include "coap/q_block/body_sender.h"

namespace dots::coap {

BodySender::Burst BodySender::take(const QBlockParameters& parameters, base::SteadyTime now) {
  Burst burst;
  const base::Duration gap = parameters.between_sets(fraction_);
  if (!again_.empty() && again_at_ <= now) {
    while (!again_.empty() && burst.missing.size() < parameters.max_payloads) {
      const std::uint32_t number = *again_.begin();
      again_.erase(again_.begin());
      ++sends_[number];
      burst.missing.push_back(number);
    }
    again_at_ = now + gap;
    next_at_ = now + gap;  // then another delay before the next set
    return burst;
  }
  if (next_ < blocks() && next_at_ <= now) {
    // Up to the end of a set, also when MAX_PAYLOADS has changed since.
    do {
      ++sends_[next_];
      burst.fresh.push_back(next_++);
    } while (next_ < blocks() && next_ % parameters.max_payloads != 0);
    next_at_ = now + gap;
  }
  return burst;
}

void BodySender::on_continue(std::uint32_t next, base::SteadyTime now) {
  if (next == next_) next_at_ = std::min(next_at_, now);
}

void BodySender::on_missing(std::span<const std::uint32_t> numbers, base::SteadyTime now) {
  for (const std::uint32_t number : numbers) {
    if (number >= blocks()) continue;
    if (number >= next_) {
      next_at_ = std::min(next_at_, now);  // not sent yet: go on
    } else if (sends_[number] < kMostSends) {
      again_.insert(number);
    }
  }
}

std::optional<base::SteadyTime> BodySender::next_at() const {
  std::optional<base::SteadyTime> next;
  if (next_ < blocks()) next = next_at_;
  if (!again_.empty() && (!next || again_at_ < *next)) next = again_at_;
  return next;
}

}  // namespace dots::coap
