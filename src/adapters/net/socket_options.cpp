#include "adapters/net/socket_options.h"

#include <netinet/in.h>
#include <sys/socket.h>

namespace dots::adapters::net {

std::uint32_t raise_receive_buffer(int fd, std::uint32_t bytes) {
  const int wanted = static_cast<int>(bytes);
  if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &wanted, sizeof wanted) != 0) {
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &wanted, sizeof wanted);
  }
  int got = 0;
  socklen_t length = sizeof got;
  getsockopt(fd, SOL_SOCKET, SO_RCVBUF, &got, &length);
  return static_cast<std::uint32_t>(got) / 2;  // the kernel doubles it for its own books
}

void ignore_path_mtu_messages(int fd, int family) {
  if (family == AF_INET) {
    const int mode = IP_PMTUDISC_OMIT;
    setsockopt(fd, IPPROTO_IP, IP_MTU_DISCOVER, &mode, sizeof mode);
  } else {
    const int mode = IPV6_PMTUDISC_OMIT;
    setsockopt(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, &mode, sizeof mode);
  }
}

bool tell_local_address(int fd, int family) {
  const int on = 1;
  if (family == AF_INET) return setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof on) == 0;
  return setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof on) == 0;
}

}  // namespace dots::adapters::net
