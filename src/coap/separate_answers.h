// Confirmable answers that were not in time for the acknowledgement of their request (RFC 7252 5.2.2).
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/bytes.h"
#include "coap/retransmission.h"

namespace dots::coap {

class SeparateAnswers {
 public:
  // Retransmits `datagram`, which was just sent, until settled or given up.
  void add(std::uint16_t message_id, base::Bytes datagram, Random& random, base::SteadyTime now);
  // Acknowledged or reset. False when none has this id.
  bool settle(std::uint16_t message_id);
  void on_timer(base::SteadyTime now, std::vector<base::Bytes>& send);
  std::optional<base::SteadyTime> next_deadline() const;

  std::size_t size() const { return answers_.size(); }
  const Transmission& transmission() const { return transmission_; }
  void set_transmission(const Transmission& transmission) { transmission_ = transmission; }

 private:
  struct Answer {
    std::uint16_t message_id;
    base::Bytes datagram;
    Retransmission retransmission;
  };

  std::vector<Answer> answers_;
  Transmission transmission_;
};

}  // namespace dots::coap
