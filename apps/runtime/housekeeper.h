// Work that may block on a disk or wait for others, and must hold nobody up: a thread of its own, one job after the
// other. What only this thread touches needs no lock.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "base/time.h"

namespace dots::runtime {

class Housekeeper {
 public:
  using Job = std::function<void()>;

  Housekeeper() = default;
  ~Housekeeper() { stop(); }
  Housekeeper(const Housekeeper&) = delete;
  Housekeeper& operator=(const Housekeeper&) = delete;

  // Runs each `every`, from the first `every` on. Before start().
  void add(base::Duration every, Job job) { recurring_.push_back({every, {}, std::move(job)}); }
  void start();
  // Any thread. False: too many jobs wait, or stop() was called; the job is gone.
  [[nodiscard]] bool post(Job job);
  // Runs what was posted, then ends the thread.
  void stop();

 private:
  struct Recurring {
    base::Duration every;
    base::SteadyTime due;
    Job job;
  };
  void run();

  std::vector<Recurring> recurring_;  // the thread's own, once it runs
  std::mutex mutex_;                  // guards what follows
  std::condition_variable wake_;
  std::deque<Job> posted_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace dots::runtime
