// A CoAP datagram read in place: the same grammar as parse() without copying. Views live as long as the datagram.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/bytes.h"
#include "base/result.h"
#include "wire/coap_message.h"

namespace dots::wire {

struct OptionView {
  std::uint16_t number = 0;
  base::ByteView value;
};

// Walks options that view() has checked.
class OptionCursor {
 public:
  explicit OptionCursor(base::ByteView options) : rest_(options) {}
  // Nothing at the end.
  std::optional<OptionView> next();

 private:
  base::ByteView rest_;
  std::uint16_t number_ = 0;
};

struct MessageView {
  MessageType type = MessageType::non_confirmable;
  std::uint8_t code = 0;
  std::uint16_t message_id = 0;
  base::ByteView token;
  base::ByteView options;  // encoded; walk them with an OptionCursor
  base::ByteView payload;
  // Everything behind the token: two messages with equal code and content say the same.
  base::ByteView content;

  bool is_empty() const { return code == 0; }
  bool is_request() const { return code != 0 && code < 0x20; }
  bool is_response() const { return code >= 0x40; }
};

// Reads options and payload out of message.content; tells what is wrong with them.
std::optional<std::string> read_content(MessageView& message, const MessageLimits& limits);

base::Result<MessageView, MessageFailure> view(base::ByteView datagram, const MessageLimits& limits = {});

}  // namespace dots::wire
