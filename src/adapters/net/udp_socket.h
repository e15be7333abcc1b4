// Non-blocking UDP sockets that read and write many datagrams in one call.
//
// A listening socket tells for each datagram which of our addresses it was sent to, and answers leave from that
// address. A connected one (client role) talks to one server. Link-local IPv6 peers are not supported: they would need
// a zone.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "model/peer.h"

namespace dots::adapters::net {

inline constexpr std::size_t kDatagramsPerCall = 64;
inline constexpr std::size_t kLargestDatagramBytes = 9216;  // larger ones are dropped

// Room for one reading call; one for each thread.
class ReceiveBuffers {
 public:
  ReceiveBuffers();
  ~ReceiveBuffers();
  ReceiveBuffers(const ReceiveBuffers&) = delete;
  ReceiveBuffers& operator=(const ReceiveBuffers&) = delete;

 private:
  friend class UdpSocket;
  struct Slots;
  std::unique_ptr<Slots> slots_;
};

struct SendCount {
  std::size_t sent = 0;
  std::size_t dropped = 0;  // the kernel did not take them: full buffer, no route, forbidden
};

// Owns its descriptor; movable. Threads: one at a time.
class UdpSocket {
 public:
  explicit UdpSocket(int fd, const model::SocketAddress& bound, bool connected = false,
                     const model::SocketAddress& peer = {})
      : fd_(fd), bound_(bound), peer_(peer), connected_(connected) {}
  UdpSocket(UdpSocket&& other) noexcept;
  UdpSocket& operator=(UdpSocket&& other) noexcept;
  ~UdpSocket();

  // To one server, from a port of the kernel's choice that stays for the life of the socket. Datagrams of others do
  // not arrive.
  static base::Result<UdpSocket> connect(const model::SocketAddress& server,
                                         std::uint32_t receive_buffer_bytes = 1u << 20);

  int fd() const { return fd_; }
  const model::SocketAddress& bound() const { return bound_; }  // the port is the real one
  void set_bound(const model::SocketAddress& bound) { bound_ = bound; }
  bool connected() const { return connected_; }
  const model::SocketAddress& peer() const { return peer_; }  // REQUIRES: connected()

  // Appends what is there, at most kDatagramsPerCall; returns how many the kernel gave (0: nothing left).
  std::size_t receive(ReceiveBuffers& buffers, std::vector<model::Datagram>& out);
  // Never waits: what does not fit is dropped and counted, as UDP may.
  SendCount send(std::span<const model::Datagram> datagrams);

 private:
  int fd_ = -1;
  model::SocketAddress bound_, peer_;
  bool connected_ = false;
};

}  // namespace dots::adapters::net
