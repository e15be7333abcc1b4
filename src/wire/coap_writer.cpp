#include "wire/coap_writer.h"

#include <array>
#include <cassert>

namespace dots::wire {

namespace {

constexpr std::size_t kOneByteMore = 13;
constexpr std::size_t kTwoBytesMore = 269;

std::uint8_t first_byte(MessageType type, std::size_t token_bytes) {
  return static_cast<std::uint8_t>(0x40U | static_cast<unsigned>(type) << 4U | token_bytes);
}

std::uint8_t nibble(std::size_t value) {
  if (value < kOneByteMore) return static_cast<std::uint8_t>(value);
  return value < kTwoBytesMore ? 13 : 14;
}

void append_extended(base::Bytes& bytes, std::size_t value) {
  if (value < kOneByteMore) return;
  if (value < kTwoBytesMore) {
    bytes.push_back(static_cast<std::uint8_t>(value - kOneByteMore));
    return;
  }
  const std::size_t rest = value - kTwoBytesMore;
  bytes.push_back(static_cast<std::uint8_t>(rest >> 8U));
  bytes.push_back(static_cast<std::uint8_t>(rest & 0xffU));
}

// Big-endian without leading zeros (RFC 7252 3.2); returns the number of bytes used, at the end of the array.
std::size_t encode_uint(std::uint64_t value, std::array<std::uint8_t, 8>& bytes) {
  std::size_t used = 0;
  while (value != 0) {
    bytes[7 - used] = static_cast<std::uint8_t>(value & 0xffU);
    value >>= 8U;
    ++used;
  }
  return used;
}

}  // namespace

MessageWriter::MessageWriter(MessageType type, std::uint8_t code, std::uint16_t message_id, base::ByteView token,
                             std::size_t room) {
  assert(token.size() <= 8);
  bytes_.reserve(4 + token.size() + room);
  bytes_.push_back(first_byte(type, token.size()));
  bytes_.push_back(code);
  bytes_.push_back(static_cast<std::uint8_t>(message_id >> 8U));
  bytes_.push_back(static_cast<std::uint8_t>(message_id & 0xffU));
  bytes_.insert(bytes_.end(), token.begin(), token.end());
}

void MessageWriter::option(std::uint16_t number, base::ByteView value) {
  assert(number >= last_number_ && value.size() <= 65535 + kTwoBytesMore);
  const std::size_t delta = static_cast<std::size_t>(number - last_number_);
  last_number_ = number;
  bytes_.push_back(static_cast<std::uint8_t>(nibble(delta) << 4U | nibble(value.size())));
  append_extended(bytes_, delta);
  append_extended(bytes_, value.size());
  bytes_.insert(bytes_.end(), value.begin(), value.end());
}

void MessageWriter::uint_option(OptionNumber number, std::uint64_t value) {
  std::array<std::uint8_t, 8> bytes{};
  const std::size_t used = encode_uint(value, bytes);
  option(number, base::ByteView{bytes}.last(used));
}

void MessageWriter::payload(base::ByteView bytes) {
  if (bytes.empty()) return;
  bytes_.push_back(0xff);
  bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
}

base::Bytes empty_message(MessageType type, std::uint16_t message_id) {
  return {first_byte(type, 0), 0, static_cast<std::uint8_t>(message_id >> 8U),
          static_cast<std::uint8_t>(message_id & 0xffU)};
}

void readdress(base::Bytes& datagram, MessageType type, std::uint16_t message_id) {
  assert(datagram.size() >= 4);
  datagram[0] = first_byte(type, datagram[0] & 0x0fU);
  datagram[2] = static_cast<std::uint8_t>(message_id >> 8U);
  datagram[3] = static_cast<std::uint8_t>(message_id & 0xffU);
}

base::Bytes uint_value(std::uint64_t value) {
  std::array<std::uint8_t, 8> bytes{};
  const std::size_t used = encode_uint(value, bytes);
  return {bytes.end() - static_cast<std::ptrdiff_t>(used), bytes.end()};
}

}  // namespace dots::wire
