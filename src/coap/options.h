// Options of a received message -> Request or Response, with the rules for what is unknown, malformed or repeated
// (RFC 7252 5.4, RFC 8768).
#pragma once

#include <optional>
#include <string>

#include "coap/request.h"
#include "wire/coap_view.h"

namespace dots::coap {

struct OptionProblem {
  model::ResponseCode code = model::ResponseCode::bad_option;
  std::string text;  // for the diagnostic payload
};

// Fills everything but the message type. Elective options that are unknown, malformed or one too many are as if absent.
std::optional<OptionProblem> read_request(const wire::MessageView& message, Request& request);
// Options that belong into requests are overlooked: some servers echo Uri-Path.
std::optional<OptionProblem> read_response(const wire::MessageView& message, Response& response);

}  // namespace dots::coap
