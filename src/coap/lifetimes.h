// Times of RFC 7252 4.8.2 with its default transmission parameters.
#pragma once

#include <chrono>

#include "base/time.h"

namespace dots::coap {

// How long a message id of a confirmable message means that message.
inline constexpr base::Duration kExchangeLifetime = std::chrono::seconds{247};
// The same for a non-confirmable message.
inline constexpr base::Duration kNonLifetime = std::chrono::seconds{145};
// Max-Age of an answer that does not say it (RFC 7252 5.10.5).
inline constexpr base::Duration kDefaultMaxAge = std::chrono::seconds{60};
// A confirmable request gets an empty acknowledgement when it is not answered by then; a quarter of ACK_TIMEOUT leaves
// the peer no reason to retransmit.
inline constexpr base::Duration kAcknowledgeAfter = std::chrono::milliseconds{500};
// RFC 9132 4.4: spacing of non-confirmable sends without a round-trip estimate.
inline constexpr base::Duration kBlindSpacing = std::chrono::seconds{3};
inline constexpr base::Duration kLeastSpacing = std::chrono::milliseconds{50};

}  // namespace dots::coap
