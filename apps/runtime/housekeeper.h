// Work that recurs, may block on a disk, and must hold nobody up: a thread of its own.
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "base/time.h"

namespace dots::runtime {

class Housekeeper {
 public:
  // Every job runs each `every`, one after the other, from the first `every` on.
  explicit Housekeeper(base::Duration every) : every_(every) {}
  ~Housekeeper() { stop(); }
  Housekeeper(const Housekeeper&) = delete;
  Housekeeper& operator=(const Housekeeper&) = delete;

  void add(std::function<void()> job) { jobs_.push_back(std::move(job)); }  // before start()
  void start();
  void stop();

 private:
  const base::Duration every_;
  std::vector<std::function<void()>> jobs_;
  std::mutex mutex_;  // guards stopping_
  std::condition_variable wake_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace dots::runtime
