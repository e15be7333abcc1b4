// A token of 0 to 8 bytes without an allocation.
#pragma once

#include <algorithm>
#include <array>
#include <cassert>
#include <cstdint>

#include "base/bytes.h"

namespace dots::coap {

class Token {
 public:
  Token() = default;
  // REQUIRES: at most 8 bytes.
  explicit Token(base::ByteView bytes) : size_(static_cast<std::uint8_t>(bytes.size())) {
    assert(bytes.size() <= bytes_.size());
    std::copy(bytes.begin(), bytes.end(), bytes_.begin());
  }

  base::ByteView view() const { return base::ByteView{bytes_}.first(size_); }
  bool empty() const { return size_ == 0; }
  friend bool operator==(const Token&, const Token&) = default;

 private:
  std::array<std::uint8_t, 8> bytes_{};
  std::uint8_t size_ = 0;
};

}  // namespace dots::coap
