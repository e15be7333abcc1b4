// A secure channel that protects nothing: what comes is plaintext, and so is what leaves. The first byte proves the
// identity; a single 0x15 alone is the peer's close_notify.
#pragma once

#include <string>
#include <utility>

#include "ports/secure_channel.h"

namespace dots::test {

class PlainChannel final : public ports::SecureChannel {
 public:
  explicit PlainChannel(const std::string& name) { identity_.names = {name}; }

  void on_datagram(base::ByteView bytes, ports::ChannelEvents& events) override {
    if (closed_ || bytes.empty()) return;
    events.opened = !std::exchange(open_, true);
    if (bytes.size() == 1 && bytes[0] == 0x15) {
      closed_ = events.closed = true;
      events.reason = "the peer closed the session";
      return;
    }
    events.plaintexts.emplace_back(bytes.begin(), bytes.end());
  }
  void on_timeout(ports::ChannelEvents&) override {}
  std::optional<base::Duration> timeout() const override { return std::nullopt; }
  base::Result<void> send(base::ByteView plaintext, ports::ChannelEvents& events) override {
    events.datagrams.emplace_back(plaintext.begin(), plaintext.end());
    return {};
  }
  void close(ports::ChannelEvents& events) override {
    if (open_) events.datagrams.push_back(base::Bytes{0x15});
    closed_ = true;
  }
  bool is_open() const override { return open_ && !closed_; }
  const model::PeerIdentity& identity() const override { return identity_; }
  std::size_t max_plaintext() const override { return 1U << 20; }
  bool resumed() const override { return false; }
  std::optional<std::string> recheck(base::WallTime) override { return credential_problem; }

  std::optional<std::string> credential_problem;

 private:
  model::PeerIdentity identity_;
  bool open_ = false, closed_ = false;
};

}  // namespace dots::test
