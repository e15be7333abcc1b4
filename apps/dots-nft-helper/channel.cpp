// SPDX-License-Identifier: GPL-2.0-only
#include "channel.h"

#include <unistd.h>

#include <array>
#include <cerrno>

namespace nfthelper {

Channel::Read Channel::read_line(std::string& line) {
  for (;;) {
    const auto end = buffer_.find('\n', searched_);
    if (end != std::string::npos) {
      if (end > kMaxLineBytes) return Read::too_long;
      line.assign(buffer_, 0, end);
      buffer_.erase(0, end + 1);
      searched_ = 0;
      return Read::line;
    }
    searched_ = buffer_.size();
    if (buffer_.size() > kMaxLineBytes) return Read::too_long;
    std::array<char, 65536> chunk;
    const ssize_t n = ::read(read_fd_, chunk.data(), chunk.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return Read::closed;
    buffer_.append(chunk.data(), static_cast<std::size_t>(n));
  }
}

bool Channel::write_line(const std::string& line) {
  const std::string text = line + "\n";
  for (std::size_t sent = 0; sent < text.size();) {
    const ssize_t n = ::write(write_fd_, text.data() + sent, text.size() - sent);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    sent += static_cast<std::size_t>(n);
  }
  return true;
}

}  // namespace nfthelper
