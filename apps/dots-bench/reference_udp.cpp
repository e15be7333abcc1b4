#include <netinet/in.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <memory>

#include "dots-bench/datagram_batch.h"
#include "dots-bench/reference.h"

namespace dots::bench {

base::Result<int> open_reference_socket() {
  const int fd = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  const int buffer_bytes = 4 << 20;  // as dotsd asks for
  sockaddr_in own{};
  own.sin_family = AF_INET;
  own.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (fd >= 0 && ::setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &buffer_bytes, sizeof buffer_bytes) != 0) {
    ::setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &buffer_bytes, sizeof buffer_bytes);
  }
  if (fd < 0 || ::bind(fd, reinterpret_cast<sockaddr*>(&own), sizeof own) != 0) {
    return base::Error{std::string{"no socket on 127.0.0.1: "} + std::strerror(errno)};
  }
  return fd;
}

void announce(int fd) {
  sockaddr_in own{};
  socklen_t size = sizeof own;
  ::getsockname(fd, reinterpret_cast<sockaddr*>(&own), &size);
  std::printf("%u\n", static_cast<unsigned>(ntohs(own.sin_port)));
  std::fflush(stdout);
}

int run_udp_echo() {
  const auto fd = open_reference_socket();
  if (!fd) {
    std::fprintf(stderr, "dots-bench: %s\n", fd.error().message.c_str());
    return 1;
  }
  announce(*fd);
  const auto in = std::make_unique<DatagramBatch>();
  const auto out = std::make_unique<DatagramBatch>();
  for (;;) {
    const std::size_t count = in->receive(*fd);
    for (std::size_t i = 0; i < count; ++i) {
      const std::size_t wanted = echo_answer_bytes(in->bytes(i));
      if (wanted > 0) out->add(*fd, in->peer(i), in->bytes(i), wanted);
    }
    out->flush(*fd);
  }
}

}  // namespace dots::bench
