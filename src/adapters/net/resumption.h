// What a channel needs to resume sessions by tickets; without, every session is a full handshake.
#pragma once

#include <memory>

#include "adapters/net/ticket_cache.h"
#include "adapters/net/ticket_keys.h"

namespace dots::adapters::net {

struct Resumption {
  std::shared_ptr<const TicketKeys> keys = {};  // server
  std::shared_ptr<TicketCache> tickets = {};    // client
};

}  // namespace dots::adapters::net
