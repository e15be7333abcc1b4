// Requests of ours: sends, repeats, answers, and the observations that grow out of them (RFC 7252 4.2, 4.3, 5.3;
// RFC 7641 section 3; RFC 9132 4.4).
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "coap/message_ids.h"
#include "coap/retransmission.h"
#include "coap/token.h"

namespace dots::coap {

struct OutgoingLimits {
  std::size_t requests = 0;   // in flight
  std::size_t observing = 0;  // asked for or held
};

struct Outgoing {
  RequestId id;
  Token token;
  bool confirmable = false;
  bool acknowledged = false;  // empty acknowledgement seen: no more sends
  bool observe = false;       // asked for an observation
  bool observing = false;     // answered; waits for notifications and nothing else
  // In Q-Blocks (RFC 9177): further messages of it have tokens of their own, which share their first four bytes.
  bool family = false;
  std::uint32_t next_of_family = 0;
  bool held = false;  // blocks of it come or go: neither repeated nor given up here
  std::optional<std::uint32_t> freshest;
  base::SteadyTime freshest_at{};

  std::array<std::uint16_t, 4> message_ids{};  // of the latest sends; before the fifth, some twice
  int sends = 0;
  base::SteadyTime last_send{};
  base::Bytes datagram;

  Retransmission retransmission;  // confirmable
  base::Duration interval{};      // non-confirmable
  bool jitter = false;            // between its repetitions
  int tries = 1;
  base::Duration patience{};
  base::SteadyTime next_at{};

  // Is this notification newer than what we know (RFC 7641 3.4)? Remembers it when it is.
  bool freshens(std::uint32_t sequence, base::SteadyTime now);
  bool sent_as(std::uint16_t message_id) const;
  bool has_token(base::ByteView other) const;
  Token next_token();  // REQUIRES: family
  void record_send(std::uint16_t message_id, base::SteadyTime now);
};

class OutgoingRequests {
 public:
  struct Failure {
    RequestId id;
    std::string reason;
  };

  // `reliable`: sent once; an answer is awaited as long as repeats and patience would have taken together. Nothing when
  // a limit, message ids or the length of an option value forbid it. `limited` tells whether a limit did.
  std::optional<RequestId> send(const Request& request, const Repetition& repetition, const OutgoingLimits& limits,
                                MessageIds& ids, Random& random, bool reliable, base::SteadyTime now,
                                std::vector<base::Bytes>& send, bool& limited);

  Outgoing* find(base::ByteView token);
  Outgoing* find(RequestId id);
  void forget(RequestId id);

  void on_acknowledgement(std::uint16_t message_id, base::SteadyTime now);
  std::optional<Failure> on_reset(std::uint16_t message_id);
  void on_timer(MessageIds& ids, Random& random, base::SteadyTime now, std::vector<base::Bytes>& send,
                std::vector<Failure>& failures);
  std::optional<base::SteadyTime> next_deadline() const;

 private:
  Token new_token(Random& random, bool family);
  // False when the request has failed for want of an answer.
  bool advance(Outgoing& request, MessageIds& ids, Random& random, base::SteadyTime now,
               std::vector<base::Bytes>& send);

  std::vector<Outgoing> requests_;
  std::uint64_t last_id_ = 0;
};

// The request for more blocks of an answer (RFC 9177 4.4): as the first one, without what belongs to that one alone.
base::Bytes question_about(const Outgoing& request, const Token& token, std::uint16_t message_id,
                           const std::vector<std::uint32_t>& q_block2);
// The GET that ends an observation (RFC 7641 3.6): as the registration, with Observe 1.
base::Bytes deregistration(const Outgoing& registration, std::uint16_t message_id);

}  // namespace dots::coap
