// How a load generator knows what comes: tokens of four bytes, and the heartbeats of the other side.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "base/bytes.h"

namespace dots::bench {

using LoadToken = std::array<std::uint8_t, 4>;

LoadToken token_of_number(std::uint32_t number);
// Without a look at the options, which an echo does not have; nothing when it is none of our tokens.
std::optional<std::uint32_t> number_of_token(base::ByteView message);
bool is_request(base::ByteView message);
// The server's heartbeats want an answer like those of any client (RFC 9132 4.7); empty for what is no CoAP.
base::Bytes answer_to_heartbeat(base::ByteView request, std::uint16_t message_id);

}  // namespace dots::bench
