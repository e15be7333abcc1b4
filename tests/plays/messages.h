// What a play writes and what travels: the text of requests and responses, in both directions.
#pragma once

#include <string>

#include "base/result.h"
#include "coap/request.h"
#include "tests/plays/play.h"
#include "tests/plays/words.h"

namespace dots::plays {

// METHOD PATH [option...], with the body of the line.
base::Result<coap::Request> request_of(const Words& words, const Line& line);
// CODE [max-age=N] [saying TEXT], with the body of the line, as an answer about this path.
base::Result<coap::Response> response_of(const Words& words, const Line& line, const std::string& about);

// The path below .well-known/dots.
std::string path_text(const coap::Request& request);
// METHOD PATH [option...]
Words words_of(const coap::Request& request);
// The body as JSON; a diagnostic payload as it is.
base::Result<std::string> body_text(const coap::Request& request);
base::Result<std::string> body_text(const coap::Response& response, const std::string& about);

}  // namespace dots::plays
