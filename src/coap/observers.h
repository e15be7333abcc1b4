// Observations that the peer registered here (RFC 7641 section 4).
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "coap/token.h"

namespace dots::coap {

struct Observation {
  Token token;
  std::uint64_t registration = 0;  // fingerprint of the request
  // Message ids of the latest notifications: a Reset to one of them ends the observation.
  std::array<std::uint16_t, 8> notified{};
  std::uint32_t notifications = 0;
  // Notifications may come in Q-Blocks (RFC 9177): of this size, and what their missing blocks are asked for by.
  std::optional<std::uint8_t> q_block_exponent;
  std::uint64_t resource = 0;
};

class Observers {
 public:
  Observation* find(base::ByteView token);
  // A known token is registered again (RFC 7641 4.1). Null when `most` are registered. Pointers of earlier calls end.
  Observation* add(const Token& token, std::uint64_t registration, std::size_t most);
  // Returns what was removed.
  std::optional<Observation> remove(base::ByteView token);
  // The same for the observation that the notification with this id belonged to.
  std::optional<Observation> remove_notified(std::uint16_t message_id);

  void record(Observation& observation, std::uint16_t message_id);
  // 24 bits; strictly increasing over all observations, hence in each of them (RFC 7641 4.4), also when a token is
  // registered again.
  std::uint32_t next_sequence() { return sequence_ = (sequence_ + 1) & 0xffffffU; }

 private:
  std::vector<Observation> observations_;
  std::uint32_t sequence_ = 1;  // never 0 or 1 at first: these mean register and deregister in requests
};

}  // namespace dots::coap
