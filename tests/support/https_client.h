// A blocking HTTPS client for tests that want to send what no decent client sends, over a real socket.
#pragma once

#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <memory>
#include <string>

#include "adapters/net/tls_channel.h"

namespace dots::test {

class HttpsClient {
 public:
  HttpsClient(std::uint16_t port, const std::shared_ptr<const adapters::net::Credentials>& credentials,
              const std::string& alpn = "http/1.1", int receive_buffer_bytes = 0)
      : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    if (receive_buffer_bytes > 0) {
      ::setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &receive_buffer_bytes, sizeof receive_buffer_bytes);
    }
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (::connect(fd_, reinterpret_cast<sockaddr*>(&to), sizeof to) != 0) {
      ended_ = true;
      return;
    }
    if (!credentials) return;  // plain text
    adapters::net::TlsConnector connector{credentials, {}, alpn};
    ports::ChannelEvents events;
    channel_ = *connector.connect("server.example", events);
    take(events);
    while (!ended_ && !open_) receive(5000);
  }
  ~HttpsClient() { close(); }
  HttpsClient(const HttpsClient&) = delete;
  HttpsClient& operator=(const HttpsClient&) = delete;

  bool open() const { return open_ && !ended_; }
  bool ended() const { return ended_; }
  const std::string& received() const { return received_; }
  void forget() { received_.clear(); }

  void send(const std::string& text) {
    if (!channel_) return write(base::as_bytes(text));
    ports::ChannelEvents events;
    if (channel_->send(base::as_bytes(text), events)) take(events);
  }
  // True when the text has come.
  bool wait_for(const std::string& text, int most_ms = 5000) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds{most_ms};
    while (received_.find(text) == std::string::npos) {
      const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end - std::chrono::steady_clock::now());
      if (ended_ || left.count() <= 0) return false;
      receive(static_cast<int>(left.count()));
    }
    return true;
  }
  bool wait_for_end(int most_ms = 5000) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds{most_ms};
    while (!ended_ && std::chrono::steady_clock::now() < end) receive(50);
    return ended_;
  }
  // Without a word of TLS.
  void close() {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
    ended_ = true;
  }
  void half_close() {
    ports::ChannelEvents events;
    if (channel_) channel_->close(events);
    take(events);
    ::shutdown(fd_, SHUT_WR);
  }

 private:
  void write(base::ByteView bytes) {
    while (!bytes.empty()) {
      const ssize_t count = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (count <= 0) {
        ended_ = true;
        return;
      }
      bytes = bytes.subspan(static_cast<std::size_t>(count));
    }
  }
  void take(const ports::ChannelEvents& events) {
    for (const auto& piece : events.datagrams) write(piece);
    for (const auto& text : events.plaintexts) received_ += base::as_text(text);
    open_ |= events.opened;
    ended_ |= events.closed;
  }
  void receive(int most_ms) {
    pollfd ready{fd_, POLLIN, 0};
    if (::poll(&ready, 1, most_ms) <= 0) return;
    std::array<std::uint8_t, 65536> buffer{};
    const ssize_t count = ::recv(fd_, buffer.data(), buffer.size(), 0);
    if (count <= 0) {
      ended_ = true;
      return;
    }
    const base::ByteView bytes{buffer.data(), static_cast<std::size_t>(count)};
    if (!channel_) {
      received_ += base::as_text(bytes);
      return;
    }
    ports::ChannelEvents events;
    channel_->on_datagram(bytes, events);
    take(events);
  }

  int fd_ = -1;
  std::unique_ptr<ports::SecureChannel> channel_;
  std::string received_;
  bool open_ = false, ended_ = false;
};

}  // namespace dots::test
