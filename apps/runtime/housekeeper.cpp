#include "apps/runtime/housekeeper.h"

#include <algorithm>

#include "adapters/net/event_loop.h"

namespace dots::runtime {

namespace {

// Operators' orders; each is answered before the next begins.
constexpr std::size_t kMostPosted = 64;

}  // namespace

void Housekeeper::start() {
  const base::SteadyTime now = adapters::net::clock_now().steady;
  for (Recurring& one : recurring_) one.due = now + one.every;
  thread_ = std::thread([this] { run(); });
}

bool Housekeeper::post(Job job) {
  {
    const std::lock_guard lock(mutex_);
    if (stopping_ || posted_.size() >= kMostPosted) return false;
    posted_.push_back(std::move(job));
  }
  wake_.notify_all();
  return true;
}

void Housekeeper::run() {
  std::unique_lock lock(mutex_);
  while (true) {
    if (!posted_.empty()) {
      const Job job = std::move(posted_.front());
      posted_.pop_front();
      lock.unlock();
      job();
      lock.lock();
      continue;
    }
    if (stopping_) return;
    const auto next = std::min_element(recurring_.begin(), recurring_.end(),
                                       [](const Recurring& a, const Recurring& b) { return a.due < b.due; });
    const auto called = [this] { return stopping_ || !posted_.empty(); };
    if (next == recurring_.end()) {
      wake_.wait(lock, called);
      continue;
    }
    const base::Duration left = next->due - adapters::net::clock_now().steady;
    if (wake_.wait_for(lock, std::max(left, base::Duration::zero()), called)) continue;
    lock.unlock();
    next->job();
    next->due = adapters::net::clock_now().steady + next->every;
    lock.lock();
  }
}

void Housekeeper::stop() {
  if (!thread_.joinable()) return;
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  thread_.join();
}

}  // namespace dots::runtime
