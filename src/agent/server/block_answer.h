// Large answers in blocks (RFC 7959 2.4; RFC 9132 4.4.2: "Block2 ... NUM 0 ... ETag"), pure.
//
// An answer that does not fit one datagram is kept for its follow-up blocks, so that all blocks are of one
// representation. One for each session: a new large answer replaces the old one, whose follow-ups then get 4.08.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/time.h"
#include "coap/endpoint.h"

namespace dots::agent::server {

class BlockAnswer {
 public:
  // Cuts `response` to its first block when its payload is over `room` bytes or the request asked for blocks; keeps the
  // rest. False when the payload is over `most` bytes: the caller refuses.
  // `bert`: this peer takes several blocks in one message (RFC 8323 section 6).
  bool first(const coap::Request& request, coap::Response& response, std::size_t room, std::size_t most,
             base::SteadyTime until, bool bert = false);
  // The answer to a request for a later block; nothing when the request is not one.
  std::optional<coap::Response> next(const coap::Request& request, std::size_t room, base::SteadyTime now,
                                     bool bert = false);

 private:
  coap::Response block(std::uint32_t number, std::uint8_t size_exponent, std::size_t room) const;

  std::vector<std::string> path_;
  std::vector<std::string> query_;
  coap::Response whole_;
  base::SteadyTime until_{};
  bool kept_ = false;
};

}  // namespace dots::agent::server
