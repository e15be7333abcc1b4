#include "agent/client/outbox.h"

#include <algorithm>

#include "coap/block.h"
#include "wire/uri_path.h"

namespace dots::agent::client {

namespace {
// How many sends an errand has before another one that waits is tried.
constexpr int kTriesPerTurn = 4;
constexpr int kSlowTries = 100;
constexpr base::Duration kReliablePatience = std::chrono::seconds{30};
// Block1 with its number and Size1, with their headers.
constexpr std::size_t kBlockOptions = 4 + 6;
// Q-Block1 with its number, Size1 and Request-Tag, with their headers.
constexpr std::size_t kQBlockOptions = 5 + 6 + 7;
constexpr std::size_t kSmallestBlock = 16;
constexpr std::uint8_t kLargestExponent = 6;

// What a server that knows no Block1 says, in words (RFC 7959 2.1: it is a critical option).
coap::Response no_blocks() {
  coap::Response response;
  response.code = model::ResponseCode::request_entity_too_large;
  const base::ByteView text =
      base::as_bytes("the request does not fit one message, and the server takes no blocks: make several of it");
  response.payload.assign(text.begin(), text.end());
  return response;
}
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
  // What has had its turns without an answer waits behind what has had none.
  const bool urgent = item.errand.urgent;
  const auto at = std::find_if(urgent ? queue_.begin() : first_question(), queue_.end(),
                               [&](const Item& other) { return urgent != other.errand.urgent || other.doubtful_at; });
  queue_.insert(at, std::move(item));
}

void Outbox::remove(signal::client::SendId id, coap::Endpoint& endpoint, base::SteadyTime now, coap::Effects& out) {
  std::erase_if(queue_, [&](const Item& item) { return item.errand.id == id; });
  if (active_ && active_->item.errand.id == id) {
    endpoint.cancel(active_->request);
    active_.reset();
  }
  for (auto it = observing_.begin(); it != observing_.end();) {
    if (it->second.id == id) {
      endpoint.stop_observing(it->first, now, out);
      last_send_ = now;
      it = observing_.erase(it);
    } else {
      ++it;
    }
  }
}

void Outbox::enqueue_first(Item item) {
  queue_.insert(item.errand.urgent ? queue_.begin() : first_question(), std::move(item));
}

std::deque<Outbox::Item>::iterator Outbox::first_question() {
  return std::find_if(queue_.begin(), queue_.end(), [](const Item& item) { return !item.errand.urgent; });
}

std::optional<Outbox::Delivered> Outbox::on_response(const coap::IncomingResponse& response, base::SteadyTime now) {
  if (response.unambiguous && !response.notification) on_round_trip(response.since_last_send, now);
  if (active_ && active_->request == response.request) {
    Item item = std::move(active_->item);
    const Shape shape = active_->shape;
    active_.reset();
    if (learn(item, shape, response.response)) {
      enqueue_first(std::move(item));
      return std::nullopt;
    }
    if (item.probe) return std::nullopt;
    if (item.blocks && item.blocks->is_split() && response.response.code == model::ResponseCode::bad_option) {
      return Delivered{item.errand.id, no_blocks()};
    }
    const bool whole = !item.blocks && !coap::comes_in_blocks(response.response);
    if (item.errand.observe && model::is_success(response.response.code)) {
      item.errand.observe = false;  // what follows asks for the rest of this answer alone
      observing_[response.request] = item.errand;
    }
    if (whole) return Delivered{item.errand.id, response.response};
    return on_block(std::move(item), response.response);
  }
  const auto it = observing_.find(response.request);
  if (it == observing_.end()) return std::nullopt;
  const signal::client::SendId id = it->second.id;
  if (!model::is_success(response.response.code)) {
    observing_.erase(it);
    return Delivered{id, response.response};
  }
  if (fetch_anew(id)) return std::nullopt;
  if (!coap::comes_in_blocks(response.response)) return Delivered{id, response.response};
  return on_block({it->second}, response.response);
}

// The rest of an older answer is being fetched: now the newest is, from its first block on.
bool Outbox::fetch_anew(signal::client::SendId id) {
  const auto fetches = [&](const Item& item) { return item.errand.id == id && item.blocks; };
  if (active_ && fetches(active_->item)) {
    active_->item.blocks->begin_again(true);
    return true;
  }
  const auto it = std::find_if(queue_.begin(), queue_.end(), fetches);
  if (it == queue_.end()) return false;
  it->blocks->begin_again(false);
  return true;
}

std::optional<Outbox::Delivered> Outbox::on_block(Item item, const coap::Response& response) {
  if (!item.blocks) {
    item.blocks.emplace(item.errand.request);
    if (q_blocks_ == Support::unknown) q_blocks_ = Support::wanted;  // the next one may come faster
  }
  const auto id = item.errand.id;
  auto whole = item.blocks->on_response(response);
  if (whole) return Delivered{id, std::move(*whole)};
  item.fast_tries = 0;
  item.doubtful_at.reset();  // the server answers
  enqueue_first(std::move(item));
  return std::nullopt;
}

void Outbox::on_round_trip(base::Duration sample, base::SteadyTime now) {
  round_trip_.on_sample(sample, now);
  // The link works again.
  for (Item& item : queue_) {
    item.fast_tries = 0;
    item.rests_until.reset();
  }
  if (active_ && active_->slow) active_->item.fast_tries = 0;
}

void Outbox::on_repeated(base::SteadyTime now) {
  last_send_ = now;
  if (!active_) return;
  ++active_->sends;
  if (active_->slow) active_->since = now;
}

std::optional<Outbox::Delivered> Outbox::on_failure(const coap::RequestFailed& failure) {
  if (!active_ || active_->request != failure.request) {
    // Rejected by a Reset: the observation is gone, and polling takes its place.
    observing_.erase(failure.request);
    return std::nullopt;
  }
  Active active = std::move(*active_);
  active_.reset();
  if (active.item.probe) {
    q_blocks_ = Support::no;
    return std::nullopt;
  }
  if (active.shape != Shape::plain) {
    // Rejected by a Reset: unknown after all. Else their waits are too long for this link: in lock-step then.
    if (failure.rejected) q_blocks_ = Support::no;
    active.item.without_q_blocks = true;
    if (failure.rejected) {
      enqueue_first(std::move(active.item));
      return std::nullopt;
    }
  }
  if (failure.rejected && active.item.blocks && active.item.blocks->is_split()) {
    return Delivered{active.item.errand.id, no_blocks()};
  }
  if (active.fast) active.sends = kFastTries;
  put_back(std::move(active));
  return std::nullopt;
}

bool Outbox::learn(Item& item, Shape shape, const coap::Response& response) {
  if (shape == Shape::plain) return false;
  const bool refused = response.code == model::ResponseCode::bad_option;
  if (shape == Shape::probing) {
    q_blocks_ = model::is_success(response.code) ? Support::yes : Support::no;
    return refused && !item.probe;
  }
  if (refused) q_blocks_ = Support::no;
  // RFC 7959 2.9.2: the server has lost the body.
  const bool lost = shape == Shape::q_body && response.code == model::ResponseCode::request_entity_incomplete;
  item.without_q_blocks = item.without_q_blocks || refused || lost;
  return refused || lost;
}

// Behind what waits: nothing is held up by it.
void Outbox::probe() {
  Item item;
  item.probe = true;
  item.errand.request.confirmable = true;
  item.errand.request.method = wire::Method::get;
  item.errand.request.uri_path = wire::to_segments(wire::ConfigPath{});
  enqueue(std::move(item));
  q_blocks_ = Support::no;  // until it is answered
}

std::optional<std::pair<coap::Request, Outbox::Shape>> Outbox::shape(Item& item, const coap::Endpoint& endpoint,
                                                                     std::size_t max_datagram) {
  const coap::Request& request = item.errand.request;
  const std::size_t size = coap::encoded_size(request) + (reliable_ ? 2 : 0);
  const auto answer_in_q_blocks = [&] {
    coap::Request out = request;
    out.q_block2 = {coap::Block{0, true, kLargestExponent}.value()};
    return out;
  };
  if (item.probe) return std::pair{answer_in_q_blocks(), Shape::probing};
  const bool may = !reliable_ && !item.blocks && !item.without_q_blocks;
  const bool question = request.method == wire::Method::get;
  if (may && question && request.confirmable && (q_blocks_ == Support::unknown || q_blocks_ == Support::wanted)) {
    return std::pair{answer_in_q_blocks(), Shape::probing};
  }
  if (may && question && q_blocks_ == Support::yes) return std::pair{answer_in_q_blocks(), Shape::q_answer};
  if (item.blocks) return std::pair{item.blocks->next(), Shape::plain};
  if (size <= max_datagram) return std::pair{request, Shape::plain};

  const std::size_t head = size - request.payload.size();
  if (may && q_blocks_ == Support::yes && !request.confirmable && !request.payload.empty() &&
      max_datagram >= head + kQBlockOptions + kSmallestBlock) {
    coap::Request out = request;
    out.q_block1 = coap::Block{0, false, coap::exponent_for(max_datagram - head - kQBlockOptions)}.value();
    return std::pair{std::move(out), Shape::q_body};
  }
  if (request.payload.empty() || max_datagram < head + kBlockOptions + kSmallestBlock) return std::nullopt;
  if (q_blocks_ == Support::unknown) q_blocks_ = Support::wanted;
  item.blocks.emplace(request);
  item.blocks->split(max_datagram - head - kBlockOptions, endpoint.takes_bert());
  return std::pair{item.blocks->next(), Shape::plain};
}

void Outbox::put_back(Active active) {
  if (active.fast) active.item.fast_tries = std::min(active.item.fast_tries + active.sends, kFastTries);
  active.item.rests_until.reset();
  if (active.item.fast_tries >= kFastTries && last_send_) {
    active.item.rests_until = *last_send_ + kSpacingWithoutEstimate;
  }
  // Behind the others of its kind.
  queue_.insert(active.item.errand.urgent ? first_question() : queue_.end(), std::move(active.item));
}

std::size_t Outbox::due(base::SteadyTime now) const {
  const auto at = std::find_if(queue_.begin(), queue_.end(),
                               [&](const Item& item) { return !item.rests_until || *item.rests_until <= now; });
  return static_cast<std::size_t>(at - queue_.begin());
}

std::optional<base::SteadyTime> Outbox::gives_way_to(const Item& item) const {
  const base::SteadyTime rested = item.rests_until.value_or(base::SteadyTime{});
  const bool active_urgent = active_->item.errand.urgent;
  if (item.errand.urgent && !active_urgent) return rested;
  if (active_urgent && !item.errand.urgent) return std::nullopt;
  return std::max(rested, active_->since + active_->turn);
}

std::optional<base::SteadyTime> Outbox::quickens_at(base::SteadyTime now) const {
  if (!active_ || !active_->slow || active_->item.fast_tries >= kFastTries) return std::nullopt;
  const auto timeout = round_trip_.timeout(now);
  if (!timeout) return std::nullopt;
  return active_->since + *timeout;
}

base::SteadyTime Outbox::earliest(base::SteadyTime now) const {
  if (reliable_) return now;
  return last_send_ ? std::max(now, *last_send_ + round_trip_.spacing(now)) : now;
}

void Outbox::pump(coap::Endpoint& endpoint, std::size_t max_datagram, base::SteadyTime now, coap::Effects& out,
                  std::deque<signal::client::SendId>& too_large) {
  if (q_blocks_ == Support::wanted && !reliable_) probe();
  if (active_) {
    if (earliest(now) > now) return;
    if (const auto at = quickens_at(now); at && *at <= now) {
      endpoint.cancel(active_->request);
      enqueue_first(std::move(active_->item));
      active_.reset();
    }
  }
  if (active_) {
    const std::size_t next = due(now);
    if (next == queue_.size()) return;
    // Its blocks come and go: another turn.
    if (now >= active_->since + active_->turn && endpoint.is_transferring(active_->request)) active_->since = now;
    const auto at = gives_way_to(queue_[next]);
    if (!at || *at > now) return;
    endpoint.cancel(active_->request);
    put_back(std::move(*active_));
    active_.reset();
  }
  while (!active_ && earliest(now) <= now) {
    const std::size_t next = due(now);
    if (next == queue_.size()) return;
    Item item = std::move(queue_[next]);
    queue_.erase(queue_.begin() + static_cast<std::ptrdiff_t>(next));
    coap::Repetition repetition;
    const auto timeout = round_trip_.timeout(now);
    const bool fast = !reliable_ && timeout && item.fast_tries < kFastTries;
    repetition.rtt_known = fast;
    repetition.interval = fast ? *timeout : kSpacingWithoutEstimate;
    repetition.tries = fast ? kFastTries - item.fast_tries : kSlowTries;
    repetition.patience = repetition.interval;
    const bool slow = !reliable_ && !fast && !item.errand.request.confirmable;
    if (reliable_) {
      repetition.tries = 1;
      repetition.interval = repetition.patience = kReliablePatience;
    } else if (item.errand.request.confirmable) {
      repetition = transmission_;
      repetition.interval = transmission_.ack_timeout;
    }
    auto shaped = shape(item, endpoint, max_datagram);
    if (!shaped) {
      too_large.push_back(item.errand.id);
      continue;
    }
    const auto request = endpoint.send(shaped->first, repetition, now, out);
    if (!request) {
      queue_.push_front(std::move(item));
      last_send_ = now;  // the endpoint is full: again after the spacing
      return;
    }
    last_send_ = now;
    if (!item.doubtful_at) {
      item.doubtful_at = now + std::min<base::Duration>(kDoubtfulAfter, repetition.interval * kDoubtfulTries);
    }
    const bool counted = fast && !item.errand.request.confirmable;
    const base::Duration turn = slow        ? timeout.value_or(repetition.interval)
                                : reliable_ ? repetition.interval
                                            : repetition.interval * kTriesPerTurn;
    active_ = Active{std::move(item), *request, now, turn, 1, counted, slow, shaped->second};
  }
}

std::optional<base::SteadyTime> Outbox::next_deadline(base::SteadyTime now) const {
  std::optional<base::SteadyTime> next;
  const auto consider = [&](std::optional<base::SteadyTime> at) {
    if (at && (!next || *at < *next)) next = at;
  };
  consider(quickens_at(now));
  for (const Item& item : queue_) {
    consider(active_ ? gives_way_to(item) : item.rests_until.value_or(now));
  }
  if (next) next = std::max(*next, earliest(now));
  return next;
}

}  // namespace dots::agent::client
