// Writes a CoAP datagram front to back (RFC 7252 section 3).
#pragma once

#include <cstdint>

#include "base/bytes.h"
#include "wire/coap_message.h"

namespace dots::wire {

class MessageWriter {
 public:
  // REQUIRES: token at most 8 bytes. `room` is a guess of the size of options and payload together.
  MessageWriter(MessageType type, std::uint8_t code, std::uint16_t message_id, base::ByteView token,
                std::size_t room = 64);

  // REQUIRES: numbers do not descend from call to call, the value has at most 65804 bytes.
  void option(std::uint16_t number, base::ByteView value);
  void option(OptionNumber number, base::ByteView value) { option(static_cast<std::uint16_t>(number), value); }
  void uint_option(OptionNumber number, std::uint64_t value);
  // Last; an empty payload writes nothing.
  void payload(base::ByteView bytes);

  base::Bytes take() { return std::move(bytes_); }

 private:
  base::Bytes bytes_;
  std::uint16_t last_number_ = 0;
};

// A message of four bytes: acknowledgement, reset or ping (RFC 7252 4.1).
base::Bytes empty_message(MessageType type, std::uint16_t message_id);
// Rewrites type and message id of a serialised message. REQUIRES: at least four bytes.
void readdress(base::Bytes& datagram, MessageType type, std::uint16_t message_id);

}  // namespace dots::wire
