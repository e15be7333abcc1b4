// Requests of the peer: delivery, answers, duplicates, repeats, notifications.
#include "coap/encoding.h"
#include "coap/endpoint_state.h"

namespace dots::coap {

using wire::MessageType;

namespace {

base::Bytes copy(base::ByteView bytes) { return {bytes.begin(), bytes.end()}; }

bool is_question(std::uint8_t code) {
  return code == static_cast<std::uint8_t>(wire::Method::get) || code == static_cast<std::uint8_t>(wire::Method::fetch);
}

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

void Endpoint::State::on_request(const wire::MessageView& message, base::SteadyTime now, Effects& out) {
  // Over TCP nothing is lost on the way, so a question that comes again is asked again.
  const bool asked_anew = stream && is_question(message.code);
  const std::uint64_t print =
      message.token.empty() || asked_anew ? 0 : fingerprint(hash_key, message.code, message.token, message.content);
  const auto known = exchanges.find(stream ? std::nullopt : std::optional{message.message_id}, print, false, now);
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
  if (const auto problem = read_request(message, q_allowed(), incoming.request)) {
    reject(message, *problem, now, out);
    return;
  }
  if (exchanges.pending() >= limits.exchanges) {
    ++out.counters.dropped_by_limit;
    // Nobody repeats over TCP by himself.
    if (stream) {
      out.send.push_back(
          write_error({}, message.token, model::ResponseCode::service_unavailable, "too many requests at a time"));
    }
    return;
  }
  const bool in_q_blocks = incoming.request.q_block1 || !incoming.request.q_block2.empty();
  const bool body_in_q_blocks = incoming.request.q_block1.has_value();
  if (in_q_blocks && !q_request(message, incoming.request, now, out)) return;
  Received entry;
  entry.exchange = ++last_exchange;
  entry.fingerprint = body_in_q_blocks ? 0 : print;  // its last block is not the whole request
  entry.confirmable = incoming.request.confirmable;
  entry.expires = now + (entry.confirmable ? kExchangeLifetime : kNonLifetime);
  entry.due = now + kAcknowledgeAfter;
  entry.token = Token{message.token};
  entry.message_id = message.message_id;
  entry.safe_method = is_question(message.code);
  entry.wants_observation = incoming.request.observe == 0U;
  exchanges.add(std::move(entry));

  if (in_q_blocks) q_delivered(message, last_exchange, incoming.request);
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
  if (!stream && problem.code == model::ResponseCode::bad_option && !problem.understood &&
      !limits.explain_bad_option_to_non) {
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
  const Framing framing{s, out};

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
      if (s.q) s.q_answered(exchange.value, nullptr, now);
      if (request->wants_observation && observe) out.ended.push_back({copy(request->token.view())});
      return;
    }
    header.message_id = *message_id;
  }
  auto sequence = s.accept_observation(*request, response, observe, out);
  AnswerGoing* going = nullptr;
  if (s.q) {
    if (const auto asked = s.q->asked.find(exchange.value); asked != s.q->asked.end()) {
      going = s.q_start_answer(asked->second, *request, response, sequence, now);
      if (Observation* observation = sequence ? s.observers.find(request->token.view()) : nullptr) {
        observation->q_block_exponent = asked->second.wanted.blocks.front().size_exponent;
        observation->resource = asked->second.resource;
      }
    }
    s.q_answered(exchange.value, going == nullptr ? &response : nullptr, now);
  }
  if (sequence && header.type != MessageType::acknowledgement) {
    s.observers.record(*s.observers.find(request->token.view()), header.message_id);
  }
  BodySender::Burst burst;
  Response first;
  if (going != nullptr) {
    burst = going->sender.take(s.q->parameters, now);
    std::vector<std::uint32_t>& numbers = burst.fresh.empty() ? burst.missing : burst.fresh;
    if (burst.fresh.empty()) sequence.reset();  // RFC 9177 4.5: not with blocks that are sent again
    first = State::q_block_of(*going, numbers.front());
    numbers.erase(numbers.begin());
    going->sent.record(header.message_id);
  }
  base::Bytes datagram = write_response(header, request->token, going != nullptr ? first : response, sequence);
  request->due = repeats_until(*request, response, now);
  if (header.type == MessageType::confirmable) {
    if (s.separate.size() < s.limits.exchanges) {
      s.separate.add(header.message_id, datagram, s.random, now);
    } else {
      ++out.counters.dropped_by_limit;  // sent once, never again
    }
  }
  out.send.push_back(datagram);
  for (const std::uint32_t number : burst.fresh) s.q_send_block(*going, number, false, now, out);
  for (const std::uint32_t number : burst.missing) s.q_send_block(*going, number, true, now, out);
  s.exchanges.settle(*request, Standing::answered, std::move(datagram));
  out.counters.evicted += s.exchanges.trim(s.limits.answered, s.limits.answered_bytes);
}

void Endpoint::ignore(base::ExchangeId exchange, base::SteadyTime now, Effects& out) {
  State& s = *state_;
  Received* request = s.exchanges.delivered(exchange.value);
  if (request == nullptr || request->standing != Standing::pending) return;
  const Framing framing{s, out};
  if (request->confirmable && !request->acknowledged) s.acknowledge(request->message_id, out);
  request->fingerprint = 0;
  s.exchanges.settle(*request, Standing::silent, {});
  if (s.q) s.q_answered(exchange.value, nullptr, now);
  out.counters.evicted += s.exchanges.trim(s.limits.answered, s.limits.answered_bytes);
}

bool Endpoint::end_observation(base::ByteView token) { return state_->end_observation(token); }

bool Endpoint::notify(base::ByteView token, const Response& response, base::SteadyTime now, Effects& out) {
  State& s = *state_;
  Observation* observation = s.observers.find(token);
  if (observation == nullptr) return false;
  const Framing framing{s, out};
  s.exchanges.retire_repeats(observation->registration);
  const bool goes_on = model::is_success(response.code);
  const Token to = observation->token;
  if (goes_on && observation->q_block_exponent) {
    if (AnswerGoing* going = s.q_start_notification(*observation, response, now)) {
      s.q_pump(*going, now, out);
      return true;
    }
  }
  if (s.q) s.q->stop_answers(to);  // of an older state
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

}  // namespace dots::coap
