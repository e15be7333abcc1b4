// The value of a Block1 or Block2 option (RFC 7959 2.2), and of BERT over TCP (RFC 8323 section 6).
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace dots::coap {

struct Block {
  // SZX 7: any number of units of 1,024 bytes in one message. Reserved over UDP.
  static constexpr std::uint8_t kBert = 7;
  static constexpr std::uint32_t kMostNumber = (1U << 20U) - 1;

  std::uint32_t number = 0;
  bool more = false;
  std::uint8_t size_exponent = 0;  // SZX

  static constexpr Block of(std::uint32_t value) {
    return {value >> 4U, (value & 0x8U) != 0, static_cast<std::uint8_t>(value & 0x7U)};
  }
  // REQUIRES: number <= kMostNumber.
  constexpr std::uint32_t value() const { return number << 4U | (more ? 0x8U : 0U) | size_exponent; }

  constexpr bool is_bert() const { return size_exponent == kBert; }
  // What `number` counts.
  constexpr std::size_t unit() const { return std::size_t{16} << std::min<std::uint8_t>(size_exponent, 6); }
  constexpr std::size_t offset() const { return number * unit(); }
  // May a payload of this length come with it? All blocks but the last are full.
  constexpr bool allows(std::size_t bytes) const {
    if (is_bert()) return !more || (bytes > 0 && bytes % unit() == 0);
    return more ? bytes == unit() : bytes <= unit();
  }
};

// SZX of the largest plain block that fits `room` bytes.
constexpr std::uint8_t exponent_for(std::size_t room) {
  std::uint8_t exponent = 6;
  while (exponent > 0 && (std::size_t{16} << exponent) > room) --exponent;
  return exponent;
}
// Bytes of a full block. REQUIRES: for BERT, room for 1,024 bytes.
constexpr std::size_t full_block(std::uint8_t exponent, std::size_t room) {
  const std::size_t unit = Block{0, false, exponent}.unit();
  return exponent == Block::kBert ? room / unit * unit : unit;
}

}  // namespace dots::coap
