// Non-blocking TCP: a connection with the bytes that its peer has not taken yet, and a listening socket.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "model/peer.h"

namespace dots::adapters::net {

struct TcpOptions {
  // What waits for a peer that does not read; past it the connection is given up.
  std::size_t unsent_bytes = 256 * 1024;
  // A connection on which nothing is acknowledged for so long is dead; so is an idle one whose probes stay unanswered
  // (RFC 9132 4.7: the default loss verdict, 15 heartbeats of 30 s).
  base::Duration dead_after = std::chrono::seconds{450};
  // Listening: what else helps when the address is taken.
  std::string remedy = "set listen.tcp = false";
};

// Owns its descriptor; movable. Threads: one at a time.
class TcpStream {
 public:
  TcpStream(int fd, const model::Path& path, const TcpOptions& options, bool connecting);
  TcpStream(TcpStream&& other) noexcept;
  TcpStream& operator=(TcpStream&& other) noexcept;
  ~TcpStream();

  // Begins to connect, from an address and port that are known at once.
  static base::Result<TcpStream> connect(const model::SocketAddress& server, const TcpOptions& options = {});

  int fd() const { return fd_; }
  const model::Path& path() const { return path_; }

  // Appends what is there, one reading call at most; false when there was nothing. An error is the end, and says why.
  base::Result<bool> receive(base::Bytes& out);
  // Takes the bytes, and gives the kernel what it takes now. An error is the end.
  base::Result<void> send(base::ByteView bytes);
  // Goes on with what waits, or with connecting, when the socket is writable.
  base::Result<void> flush();
  bool wants_write() const { return connecting_ || !unsent_.empty(); }
  std::size_t unsent() const { return unsent_.size() - sent_; }
  // No more from us; the peer reads what was sent and then the end.
  void shut_down();

 private:
  int fd_ = -1;
  model::Path path_;
  TcpOptions options_;
  base::Bytes unsent_;
  std::size_t sent_ = 0;  // of unsent_
  bool connecting_ = false;
};

class TcpListener {
 public:
  TcpListener(TcpListener&& other) noexcept;
  TcpListener& operator=(TcpListener&& other) noexcept;
  ~TcpListener();

  static base::Result<TcpListener> listen(const model::SocketAddress& address, const TcpOptions& options = {});

  int fd() const { return fd_; }
  const model::SocketAddress& bound() const { return bound_; }  // the port is the real one
  // Nothing when nobody waits. `full` is set when the process has no descriptor left: the caller waits a while.
  std::optional<TcpStream> accept(bool& full);

 private:
  TcpListener(int fd, const TcpOptions& options) : fd_(fd), options_(options) {}
  int fd_ = -1;
  model::SocketAddress bound_;
  TcpOptions options_;
};

// A session over TCP takes a descriptor: as many as the process may have.
void raise_descriptor_limit();

}  // namespace dots::adapters::net
