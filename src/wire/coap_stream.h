// CoAP messages on a byte stream: bytes <-> syntax, pure (RFC 8323 sections 3.2 and 5; no types and no message ids).
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/bytes.h"
#include "base/result.h"
#include "wire/coap_view.h"

namespace dots::wire {

// Codes of signaling messages (RFC 8323 5.1).
enum class Signal : std::uint8_t { csm = 0xe1, ping = 0xe2, pong = 0xe3, release = 0xe4, abort = 0xe5 };
constexpr bool is_signal(std::uint8_t code) { return code >> 5U == 7; }

// Option numbers of signaling messages; each code has a number space of its own (RFC 8323 5.2).
inline constexpr std::uint16_t kCsmMaxMessageSize = 2;
inline constexpr std::uint16_t kCsmBlockWiseTransfer = 4;
inline constexpr std::uint16_t kCustody = 2;  // in Ping and Pong
inline constexpr std::uint16_t kReleaseAlternativeAddress = 2;
inline constexpr std::uint16_t kReleaseHoldOff = 4;
inline constexpr std::uint16_t kAbortBadCsmOption = 2;

// Max-Message-Size of a peer that has not said it (RFC 8323 5.3.1).
inline constexpr std::size_t kBaseMessageBytes = 1152;

// Cuts a stream into messages. Holds at most one unfinished message beside what was appended last.
class FrameReader {
 public:
  void append(base::ByteView bytes);
  // The next whole message, with type NON and message id 0; nothing until more bytes come. After an error the stream
  // cannot be read on. The view lives until the next call. `most_bytes`: of a whole message.
  base::Result<std::optional<MessageView>, std::string> next(std::size_t most_bytes, const MessageLimits& limits = {});
  // Bytes that wait for the rest of their message.
  std::size_t waiting() const { return buffer_.size() - read_; }

 private:
  base::Bytes buffer_;
  std::size_t read_ = 0;
};

// A serialised datagram as a message of a stream: type and message id go, the length comes.
// REQUIRES: bytes of MessageWriter.
base::Bytes to_frame(base::ByteView datagram);

}  // namespace dots::wire
