#include "agent/client/reconnect.h"

#include <algorithm>

namespace dots::agent::client {

Reconnect::Reconnect(base::Duration retry) : retry_(std::max(retry, kMinRetry)) {}

void Reconnect::on_attempt(base::SteadyTime now) {
  last_ = now;
  ++attempts_;
}

void Reconnect::on_parallel_attempt(base::SteadyTime now) {
  on_attempt(now);
  last_parallel_ = now;
}

void Reconnect::on_established() {
  ever_established_ = true;
  attempts_ = 0;
}

base::SteadyTime Reconnect::next(bool urgent, base::SteadyTime now) const {
  if (!last_) return now;
  const bool quick = urgent || attempts_ == 0 || (!ever_established_ && attempts_ < kQuickAttemptsAtStart);
  return std::max(now, *last_ + (quick ? kMinRetry : retry_));
}

base::SteadyTime Reconnect::next_parallel(base::SteadyTime now) const {
  base::SteadyTime at = now;
  if (last_ && attempts_ > 0) at = std::max(at, *last_ + kMinRetry);
  if (last_parallel_) at = std::max(at, *last_parallel_ + kMinRetry);
  return at;
}

}  // namespace dots::agent::client
