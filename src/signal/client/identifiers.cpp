#include "signal/client/identifiers.h"

#include <algorithm>

#include "base/bytes.h"

namespace dots::signal::client {

std::optional<base::Mid> MidSequence::take() {
  if (next_ > UINT32_MAX) return std::nullopt;
  return base::Mid{static_cast<std::uint32_t>(next_++)};
}

void MidSequence::skip(base::Mid used) { next_ = std::max(next_, std::uint64_t{used.value} + 1); }

std::uint64_t next_random(std::uint64_t& state) {
  state += 0x9e3779b97f4a7c15;
  std::uint64_t z = state;
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
  z = (z ^ z >> 27) * 0x94d049bb133111eb;
  return z ^ z >> 31;
}

base::Cuid random_cuid(std::uint64_t seed) {
  base::Bytes bytes;
  for (int word = 0; word < 2; ++word) {
    std::uint64_t value = next_random(seed);
    for (int i = 0; i < 8; ++i, value >>= 8) bytes.push_back(static_cast<std::uint8_t>(value & 0xff));
  }
  return base::Cuid{base::to_base64url(bytes)};
}

}  // namespace dots::signal::client
