// From an HTTP request to a call of the agent and back, without sockets.
#pragma once

#include <optional>
#include <string>
#include <variant>

#include "agent/control.h"
#include "api/rights.h"
#include "ops/sink.h"

namespace dots::api {

struct HttpAnswer {
  unsigned status = 200;
  std::string body;
  std::string content_type = "application/json";
  std::string allow;    // methods, with 405
  std::string refusal;  // for the counter of refusals; empty: none
};

// Everything is answered at once except a call of the agent.
using Routed = std::variant<HttpAnswer, agent::Call>;

// `metrics_only`: a listener that serves nothing but /metrics.
Routed route(const std::string& method, const std::string& target, const std::string& body, const Admission& admission,
             const ops::Instruments& instruments, bool metrics_only);

// `unwell` is added to the answer of "status", so that every role shows it alike.
HttpAnswer answer_of(agent::CallAnswer answer, const std::string& operation, const std::vector<ops::Unwell>& unwell);

HttpAnswer error_answer(unsigned status, const std::string& error, const std::string& next_step,
                        const std::string& refusal);

}  // namespace dots::api
