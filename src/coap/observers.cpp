#include "coap/observers.h"

#include <algorithm>

namespace dots::coap {

Observation* Observers::find(base::ByteView token) {
  for (Observation& observation : observations_) {
    const base::ByteView own = observation.token.view();
    if (std::equal(own.begin(), own.end(), token.begin(), token.end())) return &observation;
  }
  return nullptr;
}

Observation* Observers::add(const Token& token, std::uint64_t registration, std::size_t most) {
  if (Observation* known = find(token.view())) {
    known->registration = registration;
    return known;
  }
  if (observations_.size() >= most) return nullptr;
  Observation& added = observations_.emplace_back();
  added.token = token;
  added.registration = registration;
  return &added;
}

std::optional<Observation> Observers::remove(base::ByteView token) {
  const Observation* observation = find(token);
  if (observation == nullptr) return std::nullopt;
  Observation removed = *observation;
  observations_.erase(observations_.begin() + (observation - observations_.data()));
  if (observations_.empty()) observations_ = {};
  return removed;
}

std::optional<Observation> Observers::remove_notified(std::uint16_t message_id) {
  for (const Observation& observation : observations_) {
    const auto known = std::min<std::size_t>(observation.notifications, observation.notified.size());
    const auto end = observation.notified.begin() + static_cast<std::ptrdiff_t>(known);
    if (std::find(observation.notified.begin(), end, message_id) == end) continue;
    const Token token = observation.token;
    return remove(token.view());
  }
  return std::nullopt;
}

void Observers::record(Observation& observation, std::uint16_t message_id) {
  observation.notified[observation.notifications % observation.notified.size()] = message_id;
  ++observation.notifications;
}

}  // namespace dots::coap
