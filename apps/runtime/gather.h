// Collects one view of each shard, then goes on: nobody waits on a thread.
#pragma once

#include <functional>
#include <mutex>
#include <utility>
#include <vector>

namespace dots::runtime {

// `done` runs on the thread of the last one that adds.
template <class View>
class Gather {
 public:
  Gather(std::size_t expected, std::function<void(std::vector<View>)> done)
      : expected_(expected), done_(std::move(done)) {}

  void add(View view) {
    std::vector<View> all;
    {
      const std::lock_guard lock(mutex_);
      views_.push_back(std::move(view));
      if (views_.size() < expected_) return;
      all = std::move(views_);
    }
    done_(std::move(all));
  }

 private:
  const std::size_t expected_;
  std::mutex mutex_;
  std::vector<View> views_;  // guarded by mutex_
  std::function<void(std::vector<View>)> done_;
};

}  // namespace dots::runtime
