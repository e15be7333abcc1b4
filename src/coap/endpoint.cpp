#include "coap/endpoint.h"

#include "coap/endpoint_state.h"

namespace dots::coap {

Counters& Counters::operator+=(const Counters& more) {
  // Named one by one, so that a new counter cannot be forgotten here.
  auto& [malformed_, duplicates_, repeats_, rejected_, dropped_, evicted_, unmatched_] = *this;
  malformed_ += more.malformed;
  duplicates_ += more.duplicates;
  repeats_ += more.repeats;
  rejected_ += more.rejected;
  dropped_ += more.dropped_by_limit;
  evicted_ += more.evicted;
  unmatched_ += more.unmatched;
  return *this;
}

using wire::MessageType;

namespace {

base::Bytes copy(base::ByteView bytes) { return {bytes.begin(), bytes.end()}; }

}  // namespace

Endpoint::Endpoint(const EndpointLimits& limits, std::uint64_t seed, model::Transport transport)
    : state_(std::make_unique<State>(limits, seed, transport == model::Transport::tcp)) {
  static_assert(sizeof(State) <= 376, "10,000 idle sessions have one each");
}
Endpoint::~Endpoint() = default;
Endpoint::Endpoint(Endpoint&&) noexcept = default;
Endpoint& Endpoint::operator=(Endpoint&&) noexcept = default;

void Endpoint::on_datagram(base::ByteView datagram, base::SteadyTime now, Effects& out) {
  State& s = *state_;
  s.exchanges.expire(now);
  if (s.stream) {
    const Framing framing{s, out};
    return s.on_stream(datagram, now, out);
  }
  if (s.q) s.q->on_heard(now);
  const auto message = wire::view(datagram, s.limits.message);
  if (!message) {
    ++out.counters.malformed;
    if (message.error().answer_reset) s.reset(message.error().message_id, out);
    return;
  }
  const bool is_reset = message->type == MessageType::reset;
  if (message->is_empty()) {
    s.on_empty(*message, now, out);
  } else if (message->is_request() && !is_reset && message->type != MessageType::acknowledgement) {
    s.on_request(*message, now, out);
  } else if (message->is_response() && !is_reset) {
    s.on_response(*message, now, out);
  } else {
    ++out.counters.malformed;  // RFC 7252 table 1: such a Reset or Acknowledgement is ignored
  }
}

void Endpoint::State::on_empty(const wire::MessageView& message, base::SteadyTime now, Effects& out) {
  switch (message.type) {
    case MessageType::confirmable:  // ping (RFC 7252 4.3)
      reset(message.message_id, out);
      return;
    case MessageType::non_confirmable:
      ++out.counters.malformed;
      return;
    case MessageType::acknowledgement:
      if (!separate.settle(message.message_id)) outgoing.on_acknowledgement(message.message_id, now);
      return;
    case MessageType::reset:
      separate.settle(message.message_id);  // its observation, if any, ends below
      if (q) q->on_reset(message.message_id);
      if (auto failure = outgoing.on_reset(message.message_id)) {
        forget(failure->id);
        out.failures.push_back({failure->id, std::move(failure->reason), true});
      } else if (const auto ended = observers.remove_notified(message.message_id)) {
        exchanges.retire_repeats(ended->registration);
        out.ended.push_back({copy(ended->token.view())});
      }
      return;
  }
}

void Endpoint::set_transmission(const Repetition& parameters) {
  state_->separate.set_transmission(Transmission{parameters});
}

void Endpoint::ping(base::SteadyTime now, Effects& out) {
  State& s = *state_;
  if (s.stream) {
    const Framing framing{s, out};
    s.signal(wire::Signal::ping, {}, out);
  } else if (const auto message_id = s.ids.take(now, kExchangeLifetime)) {
    out.send.push_back(wire::empty_message(MessageType::confirmable, *message_id));
  } else {
    ++out.counters.dropped_by_limit;
  }
}

void Endpoint::allow_q_blocks(std::shared_ptr<const model::ParameterSet> parameters, std::size_t max_datagram,
                              std::size_t body_bytes) {
  State& s = *state_;
  if (s.stream) return;
  s.q_parameters = std::move(parameters);
  s.q_datagram_bytes = narrow(max_datagram);
  s.q_body_bytes = narrow(body_bytes);
  if (!s.q_parameters) s.q.reset();
  if (s.q) s.q->parameters = q_block_parameters(*s.q_parameters);
}

bool Endpoint::takes_q_blocks(const Request& request) const { return state_->q_allowed() && !request.q_block2.empty(); }

bool Endpoint::is_transferring(RequestId request) const {
  if (!state_->q) return false;
  const BodyGoing* body = QTransfers::find(state_->q->bodies_going, request);
  const AnswerComing* answer = QTransfers::find(state_->q->answers_coming, request);
  return (body != nullptr && body->heard && !body->sender.all_sent()) || (answer != nullptr && answer->receiver);
}

QTransfers& Endpoint::State::q_transfers() {
  if (!q) {
    q = std::make_unique<QTransfers>();
    q->parameters = q_block_parameters(*q_parameters);
    q->most_bytes = q_body_bytes;
    q->next_etag = static_cast<std::uint32_t>(random.next());
    q->next_tag = static_cast<std::uint32_t>(random.next());
  }
  return *q;
}

void Endpoint::State::q_timer(base::SteadyTime now, Effects& out) {
  q_serving_timer(now, out);
  q_asking_timer(now, out);
}

void Endpoint::on_timer(base::SteadyTime now, Effects& out) {
  State& s = *state_;
  const Framing framing{s, out};
  if (s.stream) s.stream_timer(now, out);
  s.exchanges.for_each_unacknowledged(now, [&](Received& entry) {
    s.exchanges.set_acknowledged(entry);
    s.acknowledge(entry.message_id, out);
  });
  s.exchanges.expire(now);
  s.separate.on_timer(now, out.send);
  std::vector<OutgoingRequests::Failure> failures;
  s.outgoing.on_timer(s.ids, s.random, now, out.send, failures);
  for (auto& failure : failures) out.failures.push_back({failure.id, std::move(failure.reason)});
  if (s.q) s.q_timer(now, out);
}

std::optional<base::SteadyTime> Endpoint::next_deadline() const {
  std::optional<base::SteadyTime> next;
  for (const auto& deadline :
       {state_->exchanges.next_deadline(), state_->separate.next_deadline(), state_->outgoing.next_deadline(),
        state_->q ? state_->q_next_deadline() : std::nullopt}) {
    if (deadline && (!next || *deadline < *next)) next = deadline;
  }
  if (state_->stream && state_->stream->due && (!next || *state_->stream->due < *next)) next = state_->stream->due;
  return next;
}

}  // namespace dots::coap
