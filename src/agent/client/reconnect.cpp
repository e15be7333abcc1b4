#include "agent/client/reconnect.h"

#include <algorithm>

namespace dots::agent::client {

Reconnect::Reconnect(base::Duration retry) : retry_(std::max(retry, kMinRetry)) {}

void Reconnect::on_attempt(base::SteadyTime now) {
  last_ = now;
  ++attempts_;
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

}  // namespace dots::agent::client
