#include "coap/endpoint.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "coap/encoding.h"
#include "coap/exchanges.h"
#include "coap/lifetimes.h"
#include "coap/message_ids.h"
#include "coap/observers.h"
#include "coap/options.h"
#include "coap/outgoing.h"
#include "coap/random.h"
#include "coap/separate_answers.h"
#include "wire/coap_view.h"
#include "wire/coap_writer.h"

namespace dots::coap {

namespace {

using wire::MessageType;

base::Bytes copy(base::ByteView bytes) { return {bytes.begin(), bytes.end()}; }

std::uint32_t narrow(std::size_t limit) {
  return static_cast<std::uint32_t>(std::min<std::size_t>(limit, std::numeric_limits<std::uint32_t>::max()));
}

// EndpointLimits in half the room: there is one of it for each session.
struct Limits {
  explicit Limits(const EndpointLimits& limits)
      : message(limits.message),
        exchanges(narrow(limits.exchanges)),
        answered(narrow(limits.answered)),
        answered_bytes(narrow(limits.answered_bytes)),
        requests(narrow(limits.requests)),
        observations(narrow(limits.observations)),
        observing(narrow(limits.observing)),
        explain_bad_option_to_non(limits.explain_bad_option_to_non) {}

  wire::MessageLimits message;
  std::uint32_t exchanges;
  std::uint32_t answered;
  std::uint32_t answered_bytes;
  std::uint32_t requests;
  std::uint32_t observations;
  std::uint32_t observing;
  bool explain_bad_option_to_non;
};

// Until when repeats of a request get this answer (RFC 7252 5.6: a GET's answer is fresh for Max-Age).
base::SteadyTime repeats_until(const Received& request, const Response& response, base::SteadyTime now) {
  base::Duration age = request.confirmable ? kExchangeLifetime : kNonLifetime;
  if (response.max_age_s) {
    age = std::min<base::Duration>(age, std::chrono::seconds{*response.max_age_s});
  } else if (request.safe_method) {
    age = std::min(age, kDefaultMaxAge);
  }
  return now + age;
}

}  // namespace

struct Endpoint::State {
  State(const EndpointLimits& bounds, std::uint64_t seed)
      : limits(bounds), random(seed), hash_key(random.next()), ids(static_cast<std::uint16_t>(random.next())) {}

  void on_empty(const wire::MessageView& message, base::SteadyTime now, Effects& out);
  void on_request(const wire::MessageView& message, base::SteadyTime now, Effects& out);
  void on_response(const wire::MessageView& message, base::SteadyTime now, Effects& out);

  void answer_duplicate(Received& entry, Effects& out);
  void answer_repeat(const wire::MessageView& message, Received& original, base::SteadyTime now, Effects& out);
  void reject(const wire::MessageView& message, const OptionProblem& problem, base::SteadyTime now, Effects& out);
  std::optional<std::uint32_t> accept_observation(const Received& request, const Response& response, bool observe,
                                                  Effects& out);
  void match(const wire::MessageView& message, Outgoing& request, base::SteadyTime now, Effects& out);

  void acknowledge(std::uint16_t message_id, Effects& out) {
    out.send.push_back(wire::empty_message(MessageType::acknowledgement, message_id));
  }
  void reset(std::uint16_t message_id, Effects& out) {
    out.send.push_back(wire::empty_message(MessageType::reset, message_id));
  }
  // Repeats of its registration are registrations of their own from then on.
  bool end_observation(base::ByteView token) {
    const auto ended = observers.remove(token);
    if (ended) exchanges.retire_repeats(ended->registration);
    return ended.has_value();
  }
  void keep(Received entry, Effects& out) {
    exchanges.add(std::move(entry));
    out.counters.evicted += exchanges.trim(limits.answered, limits.answered_bytes);
  }

  Limits limits;
  Random random;
  std::uint64_t hash_key;
  MessageIds ids;
  Exchanges exchanges;
  std::uint64_t last_exchange = 0;
  Observers observers;
  OutgoingRequests outgoing;
  SeparateAnswers separate;
};

Endpoint::Endpoint(const EndpointLimits& limits, std::uint64_t seed) : state_(std::make_unique<State>(limits, seed)) {
  static_assert(sizeof(State) <= 320, "10,000 idle sessions have one each");
}
Endpoint::~Endpoint() = default;
Endpoint::Endpoint(Endpoint&&) noexcept = default;
Endpoint& Endpoint::operator=(Endpoint&&) noexcept = default;

void Endpoint::on_datagram(base::ByteView datagram, base::SteadyTime now, Effects& out) {
  State& s = *state_;
  s.exchanges.expire(now);
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
      if (auto failure = outgoing.on_reset(message.message_id)) {
        out.failures.push_back({failure->id, std::move(failure->reason)});
      } else if (const auto ended = observers.remove_notified(message.message_id)) {
        exchanges.retire_repeats(ended->registration);
        out.ended.push_back({copy(ended->token.view())});
      }
      return;
  }
}

void Endpoint::State::on_request(const wire::MessageView& message, base::SteadyTime now, Effects& out) {
  const std::uint64_t print =
      message.token.empty() ? 0 : fingerprint(hash_key, message.code, message.token, message.content);
  const auto known = exchanges.find(message.message_id, print, false, now);
  if (known.duplicate != nullptr) {
    ++out.counters.duplicates;
    answer_duplicate(*known.duplicate, out);
    return;
  }
  if (known.repeat != nullptr) {
    ++out.counters.repeats;
    answer_repeat(message, *known.repeat, now, out);
    return;
  }

  IncomingRequest incoming;
  if (const auto problem = read_request(message, incoming.request)) {
    reject(message, *problem, now, out);
    return;
  }
  if (exchanges.pending() >= limits.exchanges) {
    ++out.counters.dropped_by_limit;
    return;
  }
  Received entry;
  entry.exchange = ++last_exchange;
  entry.fingerprint = print;
  entry.confirmable = incoming.request.confirmable;
  entry.expires = now + (entry.confirmable ? kExchangeLifetime : kNonLifetime);
  entry.due = now + kAcknowledgeAfter;
  entry.token = Token{message.token};
  entry.message_id = message.message_id;
  entry.safe_method = incoming.request.method == wire::Method::get || incoming.request.method == wire::Method::fetch;
  entry.wants_observation = incoming.request.observe == 0U;
  exchanges.add(std::move(entry));

  incoming.exchange = base::ExchangeId{last_exchange};
  incoming.token = copy(message.token);
  if (incoming.request.observe == 1U && end_observation(message.token)) out.ended.push_back({incoming.token});
  out.requests.push_back(std::move(incoming));
}

void Endpoint::State::answer_duplicate(Received& entry, Effects& out) {
  const bool joined = entry.standing == Standing::joined;
  if (entry.confirmable && (joined || entry.acknowledged || entry.standing != Standing::answered)) {
    exchanges.set_acknowledged(entry);
    acknowledge(entry.message_id, out);
    return;
  }
  const Received* answered = joined ? exchanges.delivered(entry.exchange) : &entry;
  if (answered != nullptr && answered->standing == Standing::answered) out.send.push_back(answered->reply);
}

void Endpoint::State::answer_repeat(const wire::MessageView& message, Received& original, base::SteadyTime now,
                                    Effects& out) {
  Received entry;
  entry.confirmable = message.type == MessageType::confirmable;
  entry.expires = now + (entry.confirmable ? kExchangeLifetime : kNonLifetime);
  entry.message_id = message.message_id;
  if (original.standing == Standing::pending) {
    entry.exchange = original.exchange;
    entry.standing = Standing::joined;
    entry.acknowledged = entry.confirmable;
    if (entry.confirmable) acknowledge(message.message_id, out);
    keep(std::move(entry), out);
    return;
  }
  entry.standing = Standing::answered;
  entry.fingerprint = original.fingerprint;  // the first may be evicted before this one
  entry.due = original.due;
  entry.reply = original.reply;
  if (entry.confirmable) {
    wire::readdress(entry.reply, MessageType::acknowledgement, message.message_id);
  } else {
    const auto message_id = ids.take(now, kNonLifetime);
    if (!message_id) {
      ++out.counters.dropped_by_limit;
      return;
    }
    wire::readdress(entry.reply, MessageType::non_confirmable, *message_id);
    if (Observation* observation = observers.find(message.token)) observers.record(*observation, *message_id);
  }
  out.send.push_back(entry.reply);
  keep(std::move(entry), out);
}

void Endpoint::State::reject(const wire::MessageView& message, const OptionProblem& problem, base::SteadyTime now,
                             Effects& out) {
  ++out.counters.rejected;
  if (message.type == MessageType::confirmable) {
    out.send.push_back(
        write_error({MessageType::acknowledgement, message.message_id}, message.token, problem.code, problem.text));
    return;
  }
  // RFC 7252 5.4.1 and RFC 9132 section 9 disagree about non-confirmable requests; see EndpointLimits.
  if (problem.code == model::ResponseCode::bad_option && !limits.explain_bad_option_to_non) {
    reset(message.message_id, out);
    return;
  }
  const auto message_id = ids.take(now, kNonLifetime);
  if (!message_id) {
    ++out.counters.dropped_by_limit;
    return;
  }
  out.send.push_back(
      write_error({MessageType::non_confirmable, *message_id}, message.token, problem.code, problem.text));
}

// The sequence number of the first answer when the observation is accepted.
std::optional<std::uint32_t> Endpoint::State::accept_observation(const Received& request, const Response& response,
                                                                 bool observe, Effects& out) {
  if (!request.wants_observation) return std::nullopt;
  if (!observe || !model::is_success(response.code)) {
    end_observation(request.token.view());  // registered again and refused this time
    return std::nullopt;
  }
  if (observers.add(request.token, request.fingerprint, limits.observations) == nullptr) {
    ++out.counters.dropped_by_limit;
    out.ended.push_back({copy(request.token.view())});
    return std::nullopt;
  }
  return observers.next_sequence();
}

void Endpoint::respond(base::ExchangeId exchange, const Response& response, bool observe, base::SteadyTime now,
                       Effects& out) {
  State& s = *state_;
  Received* request = s.exchanges.delivered(exchange.value);
  if (request == nullptr || request->standing != Standing::pending) return;

  Header header{MessageType::non_confirmable, request->message_id};
  if (request->confirmable)
    header.type = request->acknowledged ? MessageType::confirmable : MessageType::acknowledgement;
  if (header.type != MessageType::acknowledgement) {
    const auto message_id = s.ids.take(
        now, header.type == MessageType::confirmable ? s.separate.transmission().exchange_lifetime() : kNonLifetime);
    if (!message_id) {  // unanswered; a repeat of the peer is delivered again
      ++out.counters.dropped_by_limit;
      request->fingerprint = 0;
      s.exchanges.settle(*request, Standing::silent, {});
      if (request->wants_observation && observe) out.ended.push_back({copy(request->token.view())});
      return;
    }
    header.message_id = *message_id;
  }
  const auto sequence = s.accept_observation(*request, response, observe, out);
  if (sequence && header.type != MessageType::acknowledgement) {
    s.observers.record(*s.observers.find(request->token.view()), header.message_id);
  }
  base::Bytes datagram = write_response(header, request->token, response, sequence);
  request->due = repeats_until(*request, response, now);
  if (header.type == MessageType::confirmable) {
    if (s.separate.size() < s.limits.exchanges) {
      s.separate.add(header.message_id, datagram, s.random, now);
    } else {
      ++out.counters.dropped_by_limit;  // sent once, never again
    }
  }
  out.send.push_back(datagram);
  s.exchanges.settle(*request, Standing::answered, std::move(datagram));
  out.counters.evicted += s.exchanges.trim(s.limits.answered, s.limits.answered_bytes);
}

void Endpoint::ignore(base::ExchangeId exchange, base::SteadyTime /*now*/, Effects& out) {
  State& s = *state_;
  Received* request = s.exchanges.delivered(exchange.value);
  if (request == nullptr || request->standing != Standing::pending) return;
  if (request->confirmable && !request->acknowledged) s.acknowledge(request->message_id, out);
  request->fingerprint = 0;
  s.exchanges.settle(*request, Standing::silent, {});
  out.counters.evicted += s.exchanges.trim(s.limits.answered, s.limits.answered_bytes);
}

bool Endpoint::notify(base::ByteView token, const Response& response, base::SteadyTime now, Effects& out) {
  State& s = *state_;
  Observation* observation = s.observers.find(token);
  if (observation == nullptr) return false;
  s.exchanges.retire_repeats(observation->registration);
  const bool goes_on = model::is_success(response.code);
  const Token to = observation->token;
  const auto message_id = s.ids.take(now, kNonLifetime);
  if (!message_id) {
    ++out.counters.dropped_by_limit;
  } else {
    std::optional<std::uint32_t> sequence;
    if (goes_on) {
      sequence = s.observers.next_sequence();
      s.observers.record(*observation, *message_id);
    }
    out.send.push_back(write_response({MessageType::non_confirmable, *message_id}, to, response, sequence));
  }
  if (!goes_on) s.end_observation(to.view());
  return true;
}

void Endpoint::State::on_response(const wire::MessageView& message, base::SteadyTime now, Effects& out) {
  const bool confirmable = message.type == MessageType::confirmable;
  if (confirmable) {
    if (exchanges.find(message.message_id, 0, true, now).duplicate != nullptr) {
      ++out.counters.duplicates;
      acknowledge(message.message_id, out);
      return;
    }
  }
  Outgoing* request = outgoing.find(message.token);
  if (request != nullptr && message.type == MessageType::acknowledgement &&
      (!request->confirmable || !request->sent_as(message.message_id))) {
    request = nullptr;  // RFC 7252 5.3.2: a piggybacked answer matches in both token and message id
  }
  if (request != nullptr) {
    match(message, *request, now, out);
    return;
  }
  ++out.counters.unmatched;
  Response response;
  // A late answer is no harm, but who notifies us of something unknown is to stop (RFC 7641 3.6).
  const bool notification =
      message.type == MessageType::non_confirmable && !read_response(message, response) && response.observe.has_value();
  if (confirmable || notification) reset(message.message_id, out);
}

// An answer or notification to a request that we know.
void Endpoint::State::match(const wire::MessageView& message, Outgoing& request, base::SteadyTime now, Effects& out) {
  IncomingResponse incoming;
  incoming.request = request.id;
  if (const auto problem = read_response(message, incoming.response)) {
    if (message.type != MessageType::acknowledgement) reset(message.message_id, out);
    out.failures.push_back({request.id, "the answer was rejected: " + problem->text});
    outgoing.forget(request.id);
    return;
  }
  if (message.type == MessageType::confirmable) {
    acknowledge(message.message_id, out);
    Received entry;
    entry.is_response = true;
    entry.confirmable = true;
    entry.acknowledged = true;
    entry.standing = Standing::answered;
    entry.message_id = message.message_id;
    entry.expires = now + kExchangeLifetime;
    keep(std::move(entry), out);
  }
  const bool success = model::is_success(incoming.response.code);
  if (request.observing && success && incoming.response.observe && !request.freshens(*incoming.response.observe, now)) {
    ++out.counters.duplicates;
    return;
  }
  incoming.notification = request.observing;
  incoming.since_last_send = now - request.last_send;
  incoming.unambiguous = !request.observing && request.sends == 1;
  if (!request.observe || !success) {
    outgoing.forget(request.id);
  } else if (!request.observing) {
    // Also without an Observe option: there are servers that leave it out of the first answer and then notify.
    request.observing = true;
    if (incoming.response.observe) request.freshens(*incoming.response.observe, now);
  }
  out.responses.push_back(std::move(incoming));
}

std::optional<RequestId> Endpoint::send(const Request& request, const Repetition& repetition, base::SteadyTime now,
                                        Effects& out) {
  State& s = *state_;
  bool limited = false;
  const auto id = s.outgoing.send(request, repetition, {s.limits.requests, s.limits.observing}, s.ids, s.random, now,
                                  out.send, limited);
  if (limited) ++out.counters.dropped_by_limit;
  return id;
}

void Endpoint::cancel(RequestId request) { state_->outgoing.forget(request); }

void Endpoint::stop_observing(RequestId id, base::SteadyTime now, Effects& out) {
  State& s = *state_;
  const Outgoing* request = s.outgoing.find(id);
  if (request == nullptr) return;
  if (request->observe) {
    const auto message_id = s.ids.take(now, request->confirmable ? kExchangeLifetime : kNonLifetime);
    if (message_id) {
      out.send.push_back(deregistration(*request, *message_id));
    } else {
      ++out.counters.dropped_by_limit;  // the next notification gets a Reset
    }
  }
  s.outgoing.forget(id);
}

void Endpoint::set_transmission(const Repetition& parameters) {
  state_->separate.set_transmission(Transmission{parameters});
}

void Endpoint::ping(base::SteadyTime now, Effects& out) {
  State& s = *state_;
  if (const auto message_id = s.ids.take(now, kExchangeLifetime)) {
    out.send.push_back(wire::empty_message(MessageType::confirmable, *message_id));
  } else {
    ++out.counters.dropped_by_limit;
  }
}

void Endpoint::on_timer(base::SteadyTime now, Effects& out) {
  State& s = *state_;
  s.exchanges.for_each_unacknowledged(now, [&](Received& entry) {
    s.exchanges.set_acknowledged(entry);
    s.acknowledge(entry.message_id, out);
  });
  s.exchanges.expire(now);
  s.separate.on_timer(now, out.send);
  std::vector<OutgoingRequests::Failure> failures;
  s.outgoing.on_timer(s.ids, now, out.send, failures);
  for (auto& failure : failures) out.failures.push_back({failure.id, std::move(failure.reason)});
}

std::optional<base::SteadyTime> Endpoint::next_deadline() const {
  std::optional<base::SteadyTime> next;
  for (const auto& deadline :
       {state_->exchanges.next_deadline(), state_->separate.next_deadline(), state_->outgoing.next_deadline()}) {
    if (deadline && (!next || *deadline < *next)) next = deadline;
  }
  return next;
}

}  // namespace dots::coap
