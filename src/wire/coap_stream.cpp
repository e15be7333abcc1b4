#include "wire/coap_stream.h"

#include <cassert>

namespace dots::wire {

namespace {

// Where the length nibble is extended by 1, 2 or 4 bytes (RFC 8323 3.2).
constexpr std::uint64_t kOneByteMore = 13;
constexpr std::uint64_t kTwoBytesMore = 269;
constexpr std::uint64_t kFourBytesMore = 65805;

struct Extended {
  std::size_t bytes;
  std::uint64_t base;
};
constexpr Extended extended(unsigned nibble) {
  if (nibble < kOneByteMore) return {0, nibble};
  if (nibble == 13) return {1, kOneByteMore};
  return nibble == 14 ? Extended{2, kTwoBytesMore} : Extended{4, kFourBytesMore};
}

void append_number(base::Bytes& bytes, std::uint64_t value, unsigned count) {
  for (unsigned i = count; i-- > 0;) bytes.push_back(static_cast<std::uint8_t>(value >> (8 * i) & 0xffU));
}

}  // namespace

void FrameReader::append(base::ByteView bytes) {
  if (read_ == buffer_.size()) {
    buffer_.clear();
  } else if (read_ > 0) {
    buffer_.erase(buffer_.begin(), buffer_.begin() + static_cast<std::ptrdiff_t>(read_));
  }
  read_ = 0;
  buffer_.insert(buffer_.end(), bytes.begin(), bytes.end());
}

base::Result<std::optional<MessageView>, std::string> FrameReader::next(std::size_t most_bytes,
                                                                        const MessageLimits& limits) {
  const base::ByteView rest = base::ByteView{buffer_}.subspan(read_);
  if (rest.empty()) {
    if (buffer_.capacity() > 4096) buffer_ = {};
    buffer_.clear();
    read_ = 0;
    return std::optional<MessageView>{};
  }
  const std::size_t token_bytes = rest[0] & 0x0fU;
  if (token_bytes > 8) return std::string{"token length "} + std::to_string(token_bytes) + " is over 8";
  const Extended more = extended(rest[0] >> 4U);
  if (rest.size() < 2 + more.bytes) return std::optional<MessageView>{};
  std::uint64_t content_bytes = 0;
  for (std::size_t i = 0; i < more.bytes; ++i) content_bytes = content_bytes << 8U | rest[1 + i];
  content_bytes += more.base;
  const std::uint64_t total = 2 + more.bytes + token_bytes + content_bytes;
  if (total > most_bytes) {
    return "a message of " + std::to_string(total) + " bytes, over our Max-Message-Size of " +
           std::to_string(most_bytes);
  }
  if (rest.size() < total) return std::optional<MessageView>{};

  read_ += static_cast<std::size_t>(total);
  MessageView message;
  message.code = rest[1 + more.bytes];
  message.token = rest.subspan(2 + more.bytes, token_bytes);
  message.content = rest.subspan(2 + more.bytes + token_bytes, static_cast<std::size_t>(content_bytes));
  // An empty message is ignored whatever it carries (RFC 8323 3.4).
  if (message.is_empty()) return std::optional<MessageView>{message};
  const unsigned klass = message.code >> 5U;
  if (klass == 1 || klass == 6) return "code " + std::to_string(message.code) + " is of a reserved class";
  if (auto reason = read_content(message, limits)) return std::move(*reason);
  return std::optional<MessageView>{message};
}

base::Bytes to_frame(base::ByteView datagram) {
  assert(datagram.size() >= 4 + (datagram[0] & 0x0fU));
  const std::size_t token_bytes = datagram[0] & 0x0fU;
  const std::uint64_t length = datagram.size() - 4 - token_bytes;
  base::Bytes frame;
  frame.reserve(datagram.size() + 2);
  const auto head = [&](unsigned nibble) { frame.push_back(static_cast<std::uint8_t>(nibble << 4U | token_bytes)); };
  if (length < kOneByteMore) {
    head(static_cast<unsigned>(length));
  } else if (length < kTwoBytesMore) {
    head(13);
    append_number(frame, length - kOneByteMore, 1);
  } else if (length < kFourBytesMore) {
    head(14);
    append_number(frame, length - kTwoBytesMore, 2);
  } else {
    head(15);
    append_number(frame, length - kFourBytesMore, 4);
  }
  frame.push_back(datagram[1]);
  frame.insert(frame.end(), datagram.begin() + 4, datagram.end());
  return frame;
}

}  // namespace dots::wire
