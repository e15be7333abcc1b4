#include "coap/separate_answers.h"

#include <algorithm>
#include <utility>

namespace dots::coap {

void SeparateAnswers::add(std::uint16_t message_id, base::Bytes datagram, Random& random, base::SteadyTime now) {
  answers_.push_back({message_id, std::move(datagram), Retransmission{transmission_, random, now}});
}

bool SeparateAnswers::settle(std::uint16_t message_id) {
  const auto removed = std::erase_if(answers_, [&](const Answer& answer) { return answer.message_id == message_id; });
  if (answers_.empty()) answers_ = {};
  return removed > 0;
}

void SeparateAnswers::on_timer(base::SteadyTime now, std::vector<base::Bytes>& send) {
  std::size_t kept = 0;
  for (std::size_t i = 0; i < answers_.size(); ++i) {
    Answer& answer = answers_[i];
    if (answer.retransmission.next_at() <= now) {
      if (!answer.retransmission.again(now)) continue;
      send.push_back(answer.datagram);
    }
    if (kept != i) answers_[kept] = std::move(answer);
    ++kept;
  }
  answers_.erase(answers_.begin() + static_cast<std::ptrdiff_t>(kept), answers_.end());
  if (answers_.empty()) answers_ = {};
}

std::optional<base::SteadyTime> SeparateAnswers::next_deadline() const {
  std::optional<base::SteadyTime> next;
  for (const Answer& answer : answers_) {
    if (!next || answer.retransmission.next_at() < *next) next = answer.retransmission.next_at();
  }
  return next;
}

}  // namespace dots::coap
