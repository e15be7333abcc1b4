#include "apps/runtime/housekeeper.h"

namespace dots::runtime {

void Housekeeper::start() {
  thread_ = std::thread([this] {
    std::unique_lock lock(mutex_);
    while (!wake_.wait_for(lock, every_, [this] { return stopping_; })) {
      lock.unlock();
      for (const auto& job : jobs_) job();
      lock.lock();
    }
  });
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
