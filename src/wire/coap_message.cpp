#include "wire/coap_message.h"

#include <algorithm>

#include "wire/coap_view.h"
#include "wire/coap_writer.h"

namespace dots::wire {

namespace {

constexpr std::uint8_t kPayloadMarker = 0xff;

// Reads the four bits of a delta or length and what extends them (RFC 7252 3.1). Nothing when truncated or reserved
// (15).
std::optional<std::uint32_t> read_extended(unsigned nibble, base::ByteView& rest) {
  if (nibble < 13) return nibble;
  if (nibble == 13) {
    if (rest.empty()) return std::nullopt;
    const std::uint32_t value = 13U + rest[0];
    rest = rest.subspan(1);
    return value;
  }
  if (nibble == 14) {
    if (rest.size() < 2) return std::nullopt;
    const std::uint32_t value = 269U + (static_cast<std::uint32_t>(rest[0]) << 8U | rest[1]);
    rest = rest.subspan(2);
    return value;
  }
  return std::nullopt;
}

struct RawOption {
  std::uint32_t delta = 0;
  base::ByteView value;
};

// REQUIRES: rest is not empty and does not start with the payload marker.
std::optional<RawOption> read_option(base::ByteView& rest) {
  const unsigned head = rest[0];
  rest = rest.subspan(1);
  const auto delta = read_extended(head >> 4U, rest);
  if (!delta) return std::nullopt;
  const auto length = read_extended(head & 0x0fU, rest);
  if (!length || *length > rest.size()) return std::nullopt;
  const RawOption option{*delta, rest.first(*length)};
  rest = rest.subspan(*length);
  return option;
}

// Codes 1.xx, 6.xx and 7.xx are reserved in datagrams (RFC 7252 12.1).
bool is_reserved(std::uint8_t code) {
  const unsigned klass = code >> 5U;
  return klass == 1 || klass >= 6;
}

}  // namespace

std::optional<OptionView> OptionCursor::next() {
  if (rest_.empty()) return std::nullopt;
  const auto raw = read_option(rest_);
  if (!raw) {
    rest_ = {};
    return std::nullopt;
  }
  number_ = static_cast<std::uint16_t>(number_ + raw->delta);
  return OptionView{number_, raw->value};
}

std::optional<std::string> read_content(MessageView& message, const MessageLimits& limits) {
  base::ByteView rest = message.content;
  std::uint32_t number = 0;
  std::size_t count = 0;
  while (!rest.empty() && rest[0] != kPayloadMarker) {
    const auto option = read_option(rest);
    if (!option) return "option " + std::to_string(count + 1) + " is malformed or truncated";
    number += option->delta;
    if (number > 65535) return "option number " + std::to_string(number) + " is over 65535";
    if (option->value.size() > limits.option_bytes) {
      return "option " + std::to_string(number) + " has " + std::to_string(option->value.size()) +
             " bytes, over the limit of " + std::to_string(limits.option_bytes);
    }
    if (++count > limits.options) return "more than " + std::to_string(limits.options) + " options";
  }
  message.options = message.content.first(message.content.size() - rest.size());
  if (!rest.empty()) {
    message.payload = rest.subspan(1);
    if (message.payload.empty()) return std::string{"a payload marker without a payload"};
    if (message.payload.size() > limits.payload_bytes) {
      return "a payload of " + std::to_string(message.payload.size()) + " bytes, over the limit of " +
             std::to_string(limits.payload_bytes);
    }
  }
  return std::nullopt;
}

base::Result<MessageView, MessageFailure> view(base::ByteView datagram, const MessageLimits& limits) {
  if (datagram.size() < 4) return MessageFailure{"shorter than the CoAP header", false, 0};
  if (datagram[0] >> 6U != 1) {
    return MessageFailure{"CoAP version " + std::to_string(datagram[0] >> 6U) + " is not 1", false, 0};
  }
  MessageView message;
  message.type = static_cast<MessageType>(datagram[0] >> 4U & 3U);
  message.code = datagram[1];
  message.message_id = static_cast<std::uint16_t>(datagram[2] << 8U | datagram[3]);
  const auto failure = [&](std::string reason) {
    return MessageFailure{std::move(reason), message.type == MessageType::confirmable, message.message_id};
  };

  const std::size_t token_bytes = datagram[0] & 0x0fU;
  if (token_bytes > 8) return failure("token length " + std::to_string(token_bytes) + " is over 8");
  if (is_reserved(message.code)) return failure("code " + std::to_string(message.code) + " is of a reserved class");
  if (message.code == 0 && (token_bytes != 0 || datagram.size() > 4)) {
    return failure("an empty message has bytes after its header");
  }
  if (datagram.size() < 4 + token_bytes) return failure("the token is truncated");
  message.token = datagram.subspan(4, token_bytes);
  message.content = datagram.subspan(4 + token_bytes);

  if (auto reason = read_content(message, limits)) return failure(std::move(*reason));
  return message;
}

base::Result<Message, MessageFailure> parse(base::ByteView datagram, const MessageLimits& limits) {
  auto seen = view(datagram, limits);
  if (!seen) return seen.error();
  Message message;
  message.type = seen->type;
  message.code = seen->code;
  message.message_id = seen->message_id;
  message.token.assign(seen->token.begin(), seen->token.end());
  OptionCursor cursor{seen->options};
  while (const auto option = cursor.next()) {
    message.options.push_back({option->number, {option->value.begin(), option->value.end()}});
  }
  message.payload.assign(seen->payload.begin(), seen->payload.end());
  return message;
}

base::Bytes serialise(const Message& message) {
  std::size_t room = message.payload.size() + 1;
  for (const Option& option : message.options) room += option.value.size() + 5;
  MessageWriter writer{message.type, message.code, message.message_id, message.token, room};
  const auto ascending = [](const Option& a, const Option& b) { return a.number < b.number; };
  if (std::is_sorted(message.options.begin(), message.options.end(), ascending)) {
    for (const Option& option : message.options) writer.option(option.number, option.value);
  } else {
    std::vector<const Option*> order;
    order.reserve(message.options.size());
    for (const Option& option : message.options) order.push_back(&option);
    std::stable_sort(order.begin(), order.end(), [&](const Option* a, const Option* b) { return ascending(*a, *b); });
    for (const Option* option : order) writer.option(option->number, option->value);
  }
  writer.payload(message.payload);
  return writer.take();
}

std::optional<std::uint64_t> uint_of(base::ByteView value) {
  if (value.size() > 8) return std::nullopt;
  std::uint64_t number = 0;
  for (const std::uint8_t byte : value) number = number << 8U | byte;
  return number;
}

}  // namespace dots::wire
