// Many datagrams in one system call, in memory that is there already: for the references.
#pragma once

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "adapters/net/socket_address.h"
#include "base/bytes.h"
#include "base/result.h"

namespace dots::bench {

inline constexpr std::size_t kBatch = 64;
inline constexpr std::size_t kBatchSlotBytes = 2048;

class DatagramBatch {
 public:
  DatagramBatch() {
    for (std::size_t i = 0; i < kBatch; ++i) {
      where_[i] = {bytes_[i].data(), bytes_[i].size()};
      headers_[i].msg_hdr.msg_iov = &where_[i];
      headers_[i].msg_hdr.msg_iovlen = 1;
      headers_[i].msg_hdr.msg_name = &peers_[i].any;
    }
  }
  DatagramBatch(const DatagramBatch&) = delete;
  DatagramBatch& operator=(const DatagramBatch&) = delete;

  // Waits for one, takes up to kBatch.
  std::size_t receive(int fd) {
    for (std::size_t i = 0; i < kBatch; ++i) {
      headers_[i].msg_hdr.msg_namelen = sizeof(sockaddr_in6);
      where_[i].iov_len = kBatchSlotBytes;
    }
    const int count = ::recvmmsg(fd, headers_.data(), kBatch, MSG_WAITFORONE, nullptr);
    return count > 0 ? static_cast<std::size_t>(count) : 0;
  }
  base::ByteView bytes(std::size_t i) const { return {bytes_[i].data(), headers_[i].msg_len}; }
  const adapters::net::NativeAddress& peer(std::size_t i) const { return peers_[i]; }

  // Sending: one datagram of at most kBatchSlotBytes to `peer`; leaves when the batch is full or with flush().
  void add(int fd, const adapters::net::NativeAddress& peer, base::ByteView bytes, std::size_t size) {
    if (used_ == kBatch) flush(fd);
    const std::size_t copied = std::min({bytes.size(), size, kBatchSlotBytes});
    std::memcpy(bytes_[used_].data(), bytes.data(), copied);
    if (size > copied) std::memset(bytes_[used_].data() + copied, 0, size - copied);
    where_[used_].iov_len = size;
    peers_[used_] = peer;
    headers_[used_].msg_hdr.msg_namelen = sizeof(sockaddr_in);
    ++used_;
  }
  // Puts more behind the last datagram when it is for this peer and stays within `most` bytes.
  bool append(const adapters::net::NativeAddress& peer, base::ByteView bytes, std::size_t most) {
    if (used_ == 0) return false;
    const sockaddr_in& before = peers_[used_ - 1].v4;
    if (before.sin_port != peer.v4.sin_port || before.sin_addr.s_addr != peer.v4.sin_addr.s_addr) return false;
    iovec& last = where_[used_ - 1];
    if (last.iov_len + bytes.size() > most) return false;
    std::memcpy(bytes_[used_ - 1].data() + last.iov_len, bytes.data(), bytes.size());
    last.iov_len += bytes.size();
    return true;
  }
  void flush(int fd) {
    std::size_t done = 0;
    while (done < used_) {
      const int sent = ::sendmmsg(fd, headers_.data() + done, static_cast<unsigned>(used_ - done), 0);
      done += sent > 0 ? static_cast<std::size_t>(sent) : 1;
    }
    used_ = 0;
  }

 private:
  std::array<std::array<std::uint8_t, kBatchSlotBytes>, kBatch> bytes_{};
  std::array<adapters::net::NativeAddress, kBatch> peers_{};
  std::array<iovec, kBatch> where_{};
  std::array<mmsghdr, kBatch> headers_{};
  std::size_t used_ = 0;
};

// A blocking UDP socket on 127.0.0.1 with a port of the kernel's choice.
base::Result<int> open_reference_socket();
// Prints the port: the reference is ready.
void announce(int fd);

}  // namespace dots::bench
