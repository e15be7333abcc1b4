// The counters of CoAP endpoints, as both roles export them.
#pragma once

#include "coap/endpoint.h"
#include "ops/facts/messages.h"

namespace dots::runtime {

void count_coap(const coap::Counters& counters, ops::facts::Sink& sink);

}  // namespace dots::runtime
