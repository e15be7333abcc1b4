// CoAP messages: bytes <-> syntax, pure (RFC 7252 section 3; datagram framing).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "model/response_code.h"

namespace dots::wire {

enum class MessageType : std::uint8_t { confirmable = 0, non_confirmable = 1, acknowledgement = 2, reset = 3 };

// Code bytes of methods (RFC 7252 12.1.1, RFC 8132).
enum class Method : std::uint8_t { get = 1, post = 2, put = 3, del = 4, fetch = 5, patch = 6, ipatch = 7 };

enum class OptionNumber : std::uint16_t {
  if_match = 1,
  uri_host = 3,
  etag = 4,
  if_none_match = 5,
  observe = 6,
  uri_port = 7,
  location_path = 8,
  uri_path = 11,
  content_format = 12,
  max_age = 14,
  uri_query = 15,
  hop_limit = 16,
  accept = 17,
  q_block1 = 19,
  location_query = 20,
  block2 = 23,
  block1 = 27,
  size2 = 28,
  q_block2 = 31,
  proxy_uri = 35,
  proxy_scheme = 39,
  size1 = 60,
  no_response = 258,
  request_tag = 292,
};

struct Option {
  std::uint16_t number = 0;
  base::Bytes value;
  friend bool operator==(const Option&, const Option&) = default;
};

struct Message {
  MessageType type = MessageType::non_confirmable;
  std::uint8_t code = 0;  // 0.00 empty, 0.01-0.31 request, 2.xx-5.xx response
  std::uint16_t message_id = 0;
  base::Bytes token;            // 0..8 bytes
  std::vector<Option> options;  // in ascending order of number after parsing; serialise sorts stably
  base::Bytes payload;

  bool is_empty() const { return code == 0; }
  bool is_request() const { return code != 0 && code < 0x20; }
  bool is_response() const { return code >= 0x40; }
  friend bool operator==(const Message&, const Message&) = default;
};

struct MessageLimits {
  std::size_t options = 64;
  std::size_t option_bytes = 1034;
  std::size_t payload_bytes = 65535;
};

// Why a datagram is no CoAP message. `answer_reset` is true when the header could be read and the message was
// confirmable, so that RFC 7252 4.2 wants it rejected with a Reset of this message id.
struct MessageFailure {
  std::string reason;
  bool answer_reset = false;
  std::uint16_t message_id = 0;
};

base::Result<Message, MessageFailure> parse(base::ByteView datagram, const MessageLimits& limits = {});
// REQUIRES: token at most 8 bytes.
base::Bytes serialise(const Message& message);

// uint option format (RFC 7252 3.2): shortest big-endian, 0 is empty. Nothing when longer than 8 bytes.
base::Bytes uint_value(std::uint64_t value);
std::optional<std::uint64_t> uint_of(base::ByteView value);

}  // namespace dots::wire
