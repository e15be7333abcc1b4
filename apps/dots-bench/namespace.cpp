#include "dots-bench/namespace.h"

#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

namespace dots::bench {
namespace {

bool raise_loopback() {
  const Descriptor socket{::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
  ifreq request{};
  std::memcpy(request.ifr_name, "lo", 3);
  if (!socket.ok() || ::ioctl(socket.get(), SIOCGIFFLAGS, &request) != 0) return false;
  request.ifr_flags = static_cast<short>(request.ifr_flags | IFF_UP);
  return ::ioctl(socket.get(), SIOCSIFFLAGS, &request) == 0;
}

}  // namespace

base::Result<std::unique_ptr<OwnNetwork>> OwnNetwork::enter() {
  Descriptor before{::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC)};
  if (!before.ok() || ::unshare(CLONE_NEWNET) != 0) {
    return base::Error{std::string{"no network namespace of its own: "} + std::strerror(errno)};
  }
  std::unique_ptr<OwnNetwork> network{new OwnNetwork{std::move(before)}};
  if (!raise_loopback()) return base::Error{std::string{"no loopback in its namespace: "} + std::strerror(errno)};
  return network;
}

OwnNetwork::~OwnNetwork() {
  if (::setns(before_.get(), CLONE_NEWNET) == 0) return;
  std::perror("dots-bench: the way back out of a network namespace");
  std::abort();  // what follows would be measured somewhere else
}

}  // namespace dots::bench
