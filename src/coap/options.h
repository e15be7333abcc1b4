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
  std::string text;         // for the diagnostic payload
  bool understood = false;  // 4.02 for what they are together: said to non-confirmable requests too
};

// Fills everything but the message type. Elective options that are unknown, malformed or one too many are as if absent.
// Without `q_blocks` Q-Block1 and Q-Block2 (RFC 9177) are unrecognised critical options.
std::optional<OptionProblem> read_request(const wire::MessageView& message, bool q_blocks, Request& request);
// Options that belong into requests are overlooked: some servers echo Uri-Path.
std::optional<OptionProblem> read_response(const wire::MessageView& message, bool q_blocks, Response& response);

}  // namespace dots::coap
