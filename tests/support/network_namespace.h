// Puts this whole process into a network namespace of its own, so that a test may change the packet filter.
#pragma once

#include <sched.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <string>

namespace dots::tests {

// Once for the process, and before it starts threads. Without root it tries a user namespace. The reason why not, or
// nothing.
inline const std::string& own_network_namespace() {
  static const std::string why_not = []() -> std::string {
    if (::unshare(CLONE_NEWNET) == 0) return {};
    const auto uid = ::geteuid();
    const auto gid = ::getegid();
    if (::unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0) {
      return std::string("no network namespace of our own without root: ") + std::strerror(errno);
    }
    std::ofstream("/proc/self/setgroups") << "deny";
    std::ofstream("/proc/self/uid_map") << "0 " << uid << " 1";
    std::ofstream("/proc/self/gid_map") << "0 " << gid << " 1";
    return ::geteuid() == 0 ? std::string() : "the user namespace could not be set up";
  }();
  return why_not;
}

}  // namespace dots::tests
