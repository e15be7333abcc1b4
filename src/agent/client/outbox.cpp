#include "agent/client/outbox.h"

#include <algorithm>

namespace dots::agent::client {

namespace {
// How many sends an errand has before another one that waits is tried.
constexpr int kTriesPerTurn = 4;
constexpr int kSlowTries = 100;
constexpr base::Duration kReliablePatience = std::chrono::seconds{30};
}  // namespace

void Outbox::add(const Errand& errand) { enqueue({errand}); }

std::optional<base::SteadyTime> Outbox::doubtful_at() const {
  std::optional<base::SteadyTime> first;
  const auto consider = [&](const Item& item) {
    if (item.errand.urgent && item.doubtful_at && (!first || *item.doubtful_at < *first)) first = item.doubtful_at;
  };
  if (active_) consider(active_->item);
  for (const Item& item : queue_) consider(item);
  return first;
}

void Outbox::enqueue(Item item) {
  if (!item.errand.urgent) {
    queue_.push_back(std::move(item));
    return;
  }
  const auto first_question =
      std::find_if(queue_.begin(), queue_.end(), [](const Item& other) { return !other.errand.urgent; });
  queue_.insert(first_question, std::move(item));
}

void Outbox::remove(signal::client::SendId id, coap::Endpoint& endpoint, base::SteadyTime now, coap::Effects& out) {
  std::erase_if(queue_, [&](const Item& item) { return item.errand.id == id; });
  if (active_ && active_->item.errand.id == id) {
    endpoint.cancel(active_->request);
    active_.reset();
  }
  for (auto it = observing_.begin(); it != observing_.end();) {
    if (it->second == id) {
      endpoint.stop_observing(it->first, now, out);
      last_send_ = now;
      it = observing_.erase(it);
    } else {
      ++it;
    }
  }
}

std::optional<signal::client::SendId> Outbox::on_response(const coap::IncomingResponse& response,
                                                          base::SteadyTime now) {
  if (response.unambiguous && !response.notification) on_round_trip(response.since_last_send, now);
  if (active_ && active_->request == response.request) {
    const Errand errand = std::move(active_->item.errand);
    if (errand.observe && model::is_success(response.response.code)) observing_[active_->request] = errand.id;
    active_.reset();
    return errand.id;
  }
  const auto it = observing_.find(response.request);
  if (it == observing_.end()) return std::nullopt;
  const signal::client::SendId id = it->second;
  if (!model::is_success(response.response.code)) observing_.erase(it);
  return id;
}

void Outbox::on_round_trip(base::Duration sample, base::SteadyTime now) {
  round_trip_.on_sample(sample, now);
  for (Item& item : queue_) item.fast_tries = 0;  // the link works again
}

void Outbox::on_failure(coap::RequestId request) {
  if (active_ && active_->request == request) {
    put_back(std::move(*active_), active_->since + active_->interval * kFastTries);
    active_.reset();
    return;
  }
  // Rejected by a Reset: the observation is gone, and polling takes its place.
  observing_.erase(request);
}

void Outbox::put_back(Active active, base::SteadyTime now) {
  if (active.fast && active.interval > base::Duration::zero()) {
    active.item.fast_tries +=
        static_cast<int>(std::min<std::int64_t>((now - active.since) / active.interval + 1, kFastTries));
  }
  const bool urgent = active.item.errand.urgent;
  // Behind the others of its kind.
  auto at = queue_.end();
  if (urgent) at = std::find_if(queue_.begin(), queue_.end(), [](const Item& item) { return !item.errand.urgent; });
  queue_.insert(at, std::move(active.item));
}

bool Outbox::has_urgent() const { return !queue_.empty() && queue_.front().errand.urgent; }

base::SteadyTime Outbox::turn_end() const {
  return active_->since + active_->interval * (reliable_ ? 1 : kTriesPerTurn);
}

base::SteadyTime Outbox::earliest(base::SteadyTime now) const {
  if (reliable_) return now;
  return last_send_ ? std::max(now, *last_send_ + round_trip_.spacing(now)) : now;
}

void Outbox::pump(coap::Endpoint& endpoint, std::size_t max_datagram, base::SteadyTime now, coap::Effects& out,
                  std::deque<signal::client::SendId>& too_large) {
  if (queue_.empty()) return;
  if (active_) {
    const bool preempted = has_urgent() && !active_->item.errand.urgent;
    const bool turn_over = now >= turn_end() && (has_urgent() || !active_->item.errand.urgent);
    if (!preempted && !turn_over) return;
    if (earliest(now) > now) return;
    endpoint.cancel(active_->request);
    put_back(std::move(*active_), now);
    active_.reset();
  }
  while (!active_ && !queue_.empty() && earliest(now) <= now) {
    Item item = std::move(queue_.front());
    queue_.pop_front();
    coap::Repetition repetition;
    const auto timeout = round_trip_.timeout(now);
    const bool fast = !reliable_ && timeout && item.fast_tries < kFastTries;
    repetition.rtt_known = fast;
    repetition.interval = fast ? *timeout : kSpacingWithoutEstimate;
    repetition.tries = fast ? kFastTries - item.fast_tries : kSlowTries;
    repetition.patience = repetition.interval;
    if (reliable_) {
      repetition.tries = 1;
      repetition.interval = repetition.patience = kReliablePatience;
    }
    const std::size_t before = out.send.size();
    const auto request = endpoint.send(item.errand.request, repetition, now, out);
    if (!request) {
      queue_.push_front(std::move(item));
      last_send_ = now;  // the endpoint is full: again after the spacing
      return;
    }
    if (out.send.size() > before && out.send.back().size() > max_datagram) {
      out.send.pop_back();
      endpoint.cancel(*request);
      too_large.push_back(item.errand.id);
      continue;
    }
    last_send_ = now;
    if (!item.doubtful_at) {
      item.doubtful_at = now + std::min<base::Duration>(kDoubtfulAfter, repetition.interval * kDoubtfulTries);
    }
    active_ = Active{std::move(item), *request, now, repetition.interval, fast};
  }
}

std::optional<base::SteadyTime> Outbox::next_deadline(base::SteadyTime now) const {
  if (queue_.empty()) return std::nullopt;
  if (!active_) return earliest(now);
  if (has_urgent() && !active_->item.errand.urgent) return earliest(now);
  if (has_urgent() || !active_->item.errand.urgent) return std::max(turn_end(), earliest(now));
  return std::nullopt;
}

}  // namespace dots::agent::client
