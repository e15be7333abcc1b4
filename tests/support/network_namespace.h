// Puts this whole process into a network namespace of its own, so that a test may change the packet filter.
#pragma once

#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <string>

namespace dots::tests {

// A new namespace has its loopback down.
inline std::string raise_loopback() {
  const int fd = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  ifreq request{};
  std::strcpy(request.ifr_name, "lo");
  request.ifr_flags = IFF_UP | IFF_RUNNING;
  const bool up = fd >= 0 && ::ioctl(fd, SIOCSIFFLAGS, &request) == 0;
  const std::string why_not = up ? "" : std::string("the loopback stays down: ") + std::strerror(errno);
  if (fd >= 0) ::close(fd);
  return why_not;
}

// Once for the process, and before it starts threads. Without root it tries a user namespace. The reason why not, or
// nothing.
inline const std::string& own_network_namespace() {
  static const std::string why_not = []() -> std::string {
    if (::unshare(CLONE_NEWNET) == 0) return raise_loopback();
    const auto uid = ::geteuid();
    const auto gid = ::getegid();
    if (::unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0) {
      return std::string("no network namespace of our own without root: ") + std::strerror(errno);
    }
    std::ofstream("/proc/self/setgroups") << "deny";
    std::ofstream("/proc/self/uid_map") << "0 " << uid << " 1";
    std::ofstream("/proc/self/gid_map") << "0 " << gid << " 1";
    return ::geteuid() == 0 ? raise_loopback() : "the user namespace could not be set up";
  }();
  return why_not;
}

}  // namespace dots::tests
