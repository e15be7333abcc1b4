// Request and Response -> datagram.
#pragma once

#include <optional>
#include <string_view>

#include "coap/request.h"
#include "coap/token.h"

namespace dots::coap {

struct Header {
  wire::MessageType type = wire::MessageType::non_confirmable;
  std::uint16_t message_id = 0;
};

// Nothing when an option value is longer than its definition allows.
std::optional<base::Bytes> write_request(const Header& header, const Token& token, const Request& request);
// `observe` overrides response.observe: sequence numbers belong to the endpoint. REQUIRES: an ETag of 1 to 8 bytes.
base::Bytes write_response(const Header& header, const Token& token, const Response& response,
                           std::optional<std::uint32_t> observe);
// An error that the endpoint itself answers, with a diagnostic payload (RFC 7252 5.5.2).
base::Bytes write_error(const Header& header, base::ByteView token, model::ResponseCode code, std::string_view text);

}  // namespace dots::coap
