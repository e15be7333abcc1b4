// What an endpoint holds for a byte stream (RFC 8323 sections 3 and 5).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/time.h"
#include "coap/endpoint.h"
#include "coap/token.h"
#include "wire/coap_stream.h"

namespace dots::coap {

struct Stream {
  explicit Stream(const EndpointLimits& limits) : most_bytes(limits.message_bytes), csm_time(limits.csm_time) {}

  wire::FrameReader reader;
  std::size_t most_bytes;  // of a message to us
  std::size_t peer_most_bytes = wire::kBaseMessageBytes;
  base::Duration csm_time;
  std::optional<base::SteadyTime> due;  // until the CSM of the peer, or after a Release the end of waiting
  std::vector<Token> custody;           // Pings that are answered when all requests before them are
  std::string release;                  // not empty: the peer wants the connection closed
  bool csm_seen = false;
  bool peer_takes_blocks = false;  // Block-Wise-Transfer in its CSM
  bool closed = false;
};

}  // namespace dots::coap
