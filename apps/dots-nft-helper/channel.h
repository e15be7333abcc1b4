// SPDX-License-Identifier: GPL-2.0-only
// Lines of bounded length over a file descriptor.
#pragma once

#include <cstddef>
#include <string>

namespace nfthelper {

constexpr std::size_t kMaxLineBytes = 8u << 20;

class Channel {
 public:
  Channel(int read_fd, int write_fd) : read_fd_(read_fd), write_fd_(write_fd) {}

  enum class Read { line, closed, too_long };
  // Blocks for the next line.
  Read read_line(std::string& line);
  // False when the other side is gone.
  bool write_line(const std::string& line);

 private:
  int read_fd_;
  int write_fd_;
  std::string buffer_;
  std::size_t searched_ = 0;
};

}  // namespace nfthelper
