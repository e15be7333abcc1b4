#include "dots-bench/poller.h"

#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <array>

namespace dots::bench {

Poller::Poller() : fd_(::epoll_create1(EPOLL_CLOEXEC)) {}
Poller::~Poller() {
  if (fd_ >= 0) ::close(fd_);
}

bool Poller::add(int fd, std::size_t number) {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = number;
  return ::epoll_ctl(fd_, EPOLL_CTL_ADD, fd, &event) == 0;
}

void Poller::remove(int fd) { ::epoll_ctl(fd_, EPOLL_CTL_DEL, fd, nullptr); }

const std::vector<std::size_t>& Poller::wait(base::Duration patience) {
  ready_.clear();
  std::array<epoll_event, 256> events;
  const auto ms = std::chrono::ceil<std::chrono::milliseconds>(std::max(patience, base::Duration::zero())).count();
  const int count = ::epoll_wait(fd_, events.data(), static_cast<int>(events.size()), static_cast<int>(ms));
  for (int i = 0; i < count; ++i) ready_.push_back(events[static_cast<std::size_t>(i)].data.u64);
  return ready_;
}

base::SteadyTime steady_now() { return base::SteadyTime{std::chrono::steady_clock::now().time_since_epoch()}; }

}  // namespace dots::bench
