// One connection of the load generator to the data channel: TLS and HTTP/1.1 with keep-alive, one request at a time.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "adapters/net/tcp_stream.h"
#include "base/result.h"
#include "dots-bench/lane.h"
#include "ports/secure_channel.h"

namespace dots::bench {

struct WebAnswer {
  int status = 0;
  std::string body;
  std::size_t bytes = 0;  // with the header section
};

class WebLane {
 public:
  // Begins to connect; the handshake goes on in receive().
  static base::Result<WebLane> open(const model::SocketAddress& server, const ClientCredentials& credentials);

  // REQUIRES: is_open(), and no request is under way.
  base::Result<void> send(const std::string& request);
  // Reads what is there; an answer when it is whole.
  base::Result<std::optional<WebAnswer>> receive();
  // Goes on with what the kernel has not taken.
  base::Result<void> flush() { return stream_.flush(); }
  bool wants_write() const { return stream_.wants_write(); }
  bool is_open() const { return channel_->is_open(); }
  int fd() const { return stream_.fd(); }

 private:
  WebLane(adapters::net::TcpStream stream, std::unique_ptr<ports::SecureChannel> channel)
      : stream_(std::move(stream)), channel_(std::move(channel)) {}
  base::Result<void> absorb(ports::ChannelEvents& events);

  adapters::net::TcpStream stream_;
  std::unique_ptr<ports::SecureChannel> channel_;
  std::string text_;  // of the answer that comes
};

// The answer at the front of `text`, which is taken off; nothing while it is not whole. Bodies have a Content-Length,
// as ours and those of the reference do, or there is none (204).
base::Result<std::optional<WebAnswer>> take_answer(std::string& text);

}  // namespace dots::bench
