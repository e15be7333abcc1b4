#include "adapters/net/udp_socket.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "adapters/net/socket_address.h"
#include "adapters/net/socket_options.h"

namespace dots::adapters::net {
namespace {

constexpr std::size_t kControlBytes = CMSG_SPACE(sizeof(in6_pktinfo));

struct Control {
  alignas(cmsghdr) std::array<char, kControlBytes> bytes{};
};

}  // namespace

struct ReceiveBuffers::Slots {
  struct Slot {
    std::array<std::uint8_t, kLargestDatagramBytes> bytes;
    NativeAddress peer;
    Control control;
    iovec where{};
  };
  std::array<Slot, kDatagramsPerCall> slots;
  std::array<mmsghdr, kDatagramsPerCall> headers{};

  Slots() { prepare(kDatagramsPerCall); }

  // The kernel writes lengths and flags into those that it used; the others are as they were.
  void prepare(std::size_t used) {
    for (std::size_t i = 0; i < used; ++i) {
      Slot& slot = slots[i];
      slot.where = {slot.bytes.data(), slot.bytes.size()};
      msghdr& header = headers[i].msg_hdr;
      header = {};
      header.msg_name = &slot.peer.any;
      header.msg_namelen = sizeof(sockaddr_in6);
      header.msg_iov = &slot.where;
      header.msg_iovlen = 1;
      header.msg_control = slot.control.bytes.data();
      header.msg_controllen = slot.control.bytes.size();
    }
  }
};

ReceiveBuffers::ReceiveBuffers() : slots_(std::make_unique<Slots>()) {}
ReceiveBuffers::~ReceiveBuffers() = default;

UdpSocket::UdpSocket(UdpSocket&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)), bound_(other.bound_), peer_(other.peer_), connected_(other.connected_) {}

UdpSocket& UdpSocket::operator=(UdpSocket&& other) noexcept {
  if (this != &other) {
    if (fd_ >= 0) ::close(fd_);
    fd_ = std::exchange(other.fd_, -1);
    bound_ = other.bound_;
    peer_ = other.peer_;
    connected_ = other.connected_;
  }
  return *this;
}

UdpSocket::~UdpSocket() {
  if (fd_ >= 0) ::close(fd_);
}

base::Result<UdpSocket> UdpSocket::connect(const model::SocketAddress& server, std::uint32_t receive_buffer_bytes) {
  const int family = native_family(server.ip.family);
  const int fd = ::socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return base::Error{std::string{"no UDP socket: "} + std::strerror(errno)};
  UdpSocket socket{fd, {}, true, server};
  raise_receive_buffer(fd, receive_buffer_bytes);
  ignore_path_mtu_messages(fd, family);
  const NativeAddress to{server};
  NativeAddress own;
  if (::connect(fd, &to.any, to.length) != 0 || ::getsockname(fd, &own.any, &own.length) != 0) {
    return base::Error{"no way to " + model::to_string(server) + ": " + std::strerror(errno)};
  }
  socket.bound_ = own.value();
  return socket;
}

std::size_t UdpSocket::receive(ReceiveBuffers& buffers, std::vector<model::Datagram>& out) {
  auto& slots = *buffers.slots_;
  int count = -1;
  // A connected socket reports the ICMP errors of what it sent before; they say nothing that a peer could not forge.
  for (int tries = 0; tries < 4 && count < 0; ++tries) {
    count = ::recvmmsg(fd_, slots.headers.data(), kDatagramsPerCall, MSG_DONTWAIT, nullptr);
    if (count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return 0;
  }
  for (int i = 0; i < count; ++i) {
    auto& slot = slots.slots[static_cast<std::size_t>(i)];
    mmsghdr& message = slots.headers[static_cast<std::size_t>(i)];
    if ((message.msg_hdr.msg_flags & MSG_TRUNC) != 0) continue;
    model::Datagram datagram;
    datagram.path.local = bound_;
    datagram.path.peer = connected_ ? peer_ : slot.peer.value();
    for (cmsghdr* c = CMSG_FIRSTHDR(&message.msg_hdr); c != nullptr; c = CMSG_NXTHDR(&message.msg_hdr, c)) {
      if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
        in_pktinfo info{};
        std::memcpy(&info, CMSG_DATA(c), sizeof info);
        datagram.path.local.ip = from_in(info.ipi_addr);
      } else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
        in6_pktinfo info{};
        std::memcpy(&info, CMSG_DATA(c), sizeof info);
        datagram.path.local.ip = from_in6(info.ipi6_addr);
      }
    }
    datagram.bytes.assign(slot.bytes.data(), slot.bytes.data() + message.msg_len);
    out.push_back(std::move(datagram));
  }
  if (count <= 0) return 0;
  slots.prepare(static_cast<std::size_t>(count));
  return static_cast<std::size_t>(count);
}

SendCount UdpSocket::send(std::span<const model::Datagram> datagrams) {
  SendCount total;
  std::array<mmsghdr, kDatagramsPerCall> headers;
  std::array<iovec, kDatagramsPerCall> where;
  std::array<NativeAddress, kDatagramsPerCall> peers;
  std::array<Control, kDatagramsPerCall> controls;  // NOLINT: written before it is read
  while (!datagrams.empty()) {
    const std::size_t count = std::min(datagrams.size(), kDatagramsPerCall);
    for (std::size_t i = 0; i < count; ++i) {
      const model::Datagram& datagram = datagrams[i];
      where[i] = {const_cast<std::uint8_t*>(datagram.bytes.data()), datagram.bytes.size()};
      headers[i] = {};
      msghdr& header = headers[i].msg_hdr;
      header.msg_iov = &where[i];
      header.msg_iovlen = 1;
      if (connected_) continue;
      peers[i] = NativeAddress{datagram.path.peer};
      header.msg_name = &peers[i].any;
      header.msg_namelen = peers[i].length;
      header.msg_control = controls[i].bytes.data();
      header.msg_controllen = controls[i].bytes.size();
      cmsghdr* c = CMSG_FIRSTHDR(&header);
      if (datagram.path.local.ip.family == model::Family::ipv4) {
        in_pktinfo info{};
        info.ipi_spec_dst = to_in(datagram.path.local.ip);
        c->cmsg_level = IPPROTO_IP;
        c->cmsg_type = IP_PKTINFO;
        c->cmsg_len = CMSG_LEN(sizeof info);
        std::memcpy(CMSG_DATA(c), &info, sizeof info);
        header.msg_controllen = CMSG_SPACE(sizeof info);
      } else {
        in6_pktinfo info{};
        info.ipi6_addr = to_in6(datagram.path.local.ip);
        c->cmsg_level = IPPROTO_IPV6;
        c->cmsg_type = IPV6_PKTINFO;
        c->cmsg_len = CMSG_LEN(sizeof info);
        std::memcpy(CMSG_DATA(c), &info, sizeof info);
        header.msg_controllen = CMSG_SPACE(sizeof info);
      }
    }
    std::size_t done = 0;
    bool again = true;  // a pending error of an earlier datagram is reported once and is not about this one
    while (done < count) {
      const int sent = ::sendmmsg(fd_, headers.data() + done, static_cast<unsigned>(count - done), MSG_DONTWAIT);
      if (sent > 0) {
        done += static_cast<std::size_t>(sent);
        total.sent += static_cast<std::size_t>(sent);
        again = true;
      } else if (errno == EINTR || (errno == ECONNREFUSED && std::exchange(again, false))) {
        continue;
      } else if (errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS) {
        total.dropped += datagrams.size() - done;
        return total;
      } else {
        ++total.dropped;  // this one cannot leave; the others may
        ++done;
        again = true;
      }
    }
    datagrams = datagrams.subspan(count);
  }
  return total;
}

}  // namespace dots::adapters::net
