// The answer of one call; told once, also when the daemon stops before the agent has spoken.
#pragma once

#include <functional>
#include <utility>

#include "agent/control.h"

namespace dots::runtime {

class PendingCall {
 public:
  explicit PendingCall(std::function<void(agent::CallAnswer)> done) : done_(std::move(done)) {}
  PendingCall(PendingCall&& other) noexcept : done_(std::exchange(other.done_, nullptr)) {}
  PendingCall& operator=(PendingCall&& other) noexcept {
    std::swap(done_, other.done_);
    return *this;
  }
  ~PendingCall() {
    if (!done_) return;
    agent::CallAnswer answer;
    answer.outcome = agent::CallAnswer::Outcome::unavailable;
    answer.message = "the daemon is stopping or overloaded";
    answer.next_step = "ask again";
    std::exchange(done_, nullptr)(std::move(answer));
  }
  void answer(agent::CallAnswer answer) { std::exchange(done_, nullptr)(std::move(answer)); }

 private:
  std::function<void(agent::CallAnswer)> done_;
};

}  // namespace dots::runtime
