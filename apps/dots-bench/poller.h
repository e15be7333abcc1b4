// epoll over many sockets, each known by a number.
#pragma once

#include <cstddef>
#include <vector>

#include "base/time.h"

namespace dots::bench {

class Poller {
 public:
  Poller();
  ~Poller();
  Poller(const Poller&) = delete;
  Poller& operator=(const Poller&) = delete;

  bool add(int fd, std::size_t number);
  void remove(int fd);
  // The numbers of readable sockets; waits until one is or `patience` has passed.
  const std::vector<std::size_t>& wait(base::Duration patience);

 private:
  int fd_;
  std::vector<std::size_t> ready_;
};

base::SteadyTime steady_now();

}  // namespace dots::bench
