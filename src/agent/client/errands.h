// From what the requests machine wants to CoAP requests (RFC 9132 4.4).
#pragma once

#include "agent/client/outbox.h"
#include "signal/client/events.h"
#include "signal/client/session_config.h"

namespace dots::agent::client {

Errand errand_of(const signal::client::SendPut& send);
Errand errand_of(const signal::client::SendGet& send);
Errand errand_of(const signal::client::SendDelete& send);
// RFC 9132 4.5: confirmable.
Errand errand_of(const signal::client::SendConfigGet& send);
Errand errand_of(const signal::client::SendConfigPut& send);
Errand errand_of(const signal::client::SendConfigDelete& send);

}  // namespace dots::agent::client
