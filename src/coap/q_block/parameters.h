// The parameters of robust block transmission (RFC 9177 7.2) as a session configuration gives them (RFC 9362).
#pragma once

#include <cstdint>

#include "base/time.h"
#include "model/session_config.h"

namespace dots::coap {

struct QBlockParameters {
  std::uint32_t max_payloads = 10;  // blocks of one set
  int non_max_retransmit = 3;
  base::Duration non_timeout{};
  double ack_random_factor = 1.5;
  base::Duration non_receive_timeout{};
  base::Duration non_probing_wait{};
  base::Duration probing_jitter{};  // the most that is added to it; none when it was configured (RFC 9362 section 3)
  base::Duration non_partial_timeout{};
  std::uint64_t probing_rate = 5;  // bytes in a second

  // NON_TIMEOUT_RANDOM; `fraction` in [0, 1) is drawn once for each body.
  base::Duration between_sets(double fraction) const;
  // Time-to-Wait before the next request for what is missing, after `asked` of them.
  base::Duration time_to_wait(int asked) const;
  // The longest that a receiver waits before it asks again or gives up: so long the sender keeps a body.
  base::Duration longest_wait() const;
};

// REQUIRES: a set with every parameter.
QBlockParameters q_block_parameters(const model::ParameterSet& set);

}  // namespace dots::coap
