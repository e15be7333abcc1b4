// Requests and responses as values, without message types, ids and tokens.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/time.h"
#include "model/response_code.h"
#include "wire/coap_message.h"

namespace dots::coap {

// A request, in either direction.
struct Request {
  bool confirmable = false;
  wire::Method method = wire::Method::get;  // may be a method we do not know; the raw code byte
  std::vector<std::string> uri_path;
  std::vector<std::string> uri_query;
  std::optional<std::uint32_t> observe;
  std::optional<std::uint16_t> content_format;
  std::optional<std::uint16_t> accept;
  std::vector<base::Bytes> if_match;  // one entry of length 0: the empty If-Match of RFC 9132 4.4.3
  std::vector<base::Bytes> etag;
  std::optional<std::uint8_t> hop_limit;
  std::optional<std::uint32_t> block1;  // raw values of RFC 7959: NUM, M and SZX
  std::optional<std::uint32_t> block2;
  std::optional<std::uint32_t> size1;
  std::vector<base::Bytes> request_tag;  // RFC 9175 section 3
  // RFC 9177, over UDP alone; the endpoint itself cuts and puts together. In a request of ours q_block1 says that the
  // payload goes in blocks of its SZX, q_block2 (number 0, M set) that the answer may come in them.
  std::optional<std::uint32_t> q_block1;
  std::vector<std::uint32_t> q_block2;
  base::Bytes payload;
  friend bool operator==(const Request&, const Request&) = default;
};

struct Response {
  model::ResponseCode code = model::ResponseCode::content;
  std::optional<std::uint32_t> observe;  // set by the endpoint in notifications and first answers
  std::optional<std::uint16_t> content_format;
  std::optional<std::uint32_t> max_age_s;
  std::optional<base::Bytes> etag;
  std::optional<std::uint32_t> block1;
  std::optional<std::uint32_t> block2;
  std::optional<std::uint32_t> size1;
  std::optional<std::uint32_t> size2;
  std::optional<std::uint32_t> q_block1;  // RFC 9177; of single messages, never of what the endpoint delivers
  std::optional<std::uint32_t> q_block2;
  base::Bytes payload;
  friend bool operator==(const Response&, const Response&) = default;
};

// Bytes of its message with the longest token; over TCP two more, for the length. 0: an option is too long for CoAP.
std::size_t encoded_size(const Request& request);

// A request of ours, until its response or failure.
using RequestId = base::StrongId<struct RequestIdTag, std::uint64_t>;

// How a request of ours is repeated until it is answered.
struct Repetition {
  // Confirmable: RFC 7252 4.2 with the session's transmission parameters.
  base::Duration ack_timeout = std::chrono::seconds{2};
  double ack_random_factor = 1.5;
  int max_retransmit = 3;
  // Non-confirmable (RFC 9132 4.4): the same request with a new message id and the same token, every `interval`, at
  // most `tries` sends in all. tries = 1: no repetition (heartbeats).
  base::Duration interval = std::chrono::seconds{3};
  int tries = 1;
  // `interval` follows a round-trip estimate. Without one it is raised to 3 s (RFC 9132 4.4), with one to 50 ms.
  bool rtt_known = false;
  // How long after the last send (or the empty acknowledgement) an answer is still waited for.
  base::Duration patience = std::chrono::seconds{10};
};

}  // namespace dots::coap
