// The transmission parameters of a session configuration (RFC 9132 4.5, RFC 7252 4.8) as the endpoint takes them.
#pragma once

#include "coap/request.h"
#include "model/session_config.h"

namespace dots::coap {

// Of confirmable messages. REQUIRES: a set with every parameter.
Repetition repetition_of(const model::ParameterSet& parameters);

}  // namespace dots::coap
