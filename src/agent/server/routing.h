// A CoAP request of a client -> its meaning, or a refusal: everything that needs no state (RFC 9132 4.2, 4.4, 4.7, 9).
#pragma once

#include <optional>
#include <string>
#include <variant>

#include "coap/endpoint.h"
#include "model/response_code.h"
#include "signal/server/events.h"
#include "wire/messages.h"

namespace dots::agent::server {

struct Refusal {
  model::ResponseCode code = model::ResponseCode::bad_request;
  std::string diagnostic;
};

using Routed = std::variant<Refusal, wire::Heartbeat, signal::server::PutMitigation, signal::server::GetMitigation,
                            signal::server::DeleteMitigation, signal::server::PutConfig, signal::server::GetConfig,
                            signal::server::DeleteConfig>;

// Before the blocks of a body are put together: what can be refused without it.
std::optional<Refusal> refuse_blocks(const coap::Request& request);

// Checks in the order path, method, content format, path parameters, body. `origin` is copied into the domain's events.
Routed route(const coap::Request& request, const signal::server::Origin& origin, wire::FilterControl filter_control);

}  // namespace dots::agent::server
