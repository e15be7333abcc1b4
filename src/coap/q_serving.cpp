// The peer's requests in Q-Blocks, and answers and notifications to it in them (RFC 9177), over UDP.
#include "coap/block.h"
#include "coap/encoding.h"
#include "coap/endpoint_state.h"

namespace dots::coap {

using model::ResponseCode;
using wire::MessageType;

namespace {

// What a block of an answer needs beside its payload: header, token, and every option that answers of ours can carry.
constexpr std::size_t kAnswerOverhead = 4 + 8 + 9 + 4 + 3 + 5 + 5 + 6 + 5 + 1;
constexpr std::size_t kSmallestBlock = 16;

OptionProblem bad_request(std::string text) { return {ResponseCode::bad_request, std::move(text)}; }

// Requests for blocks are about the same answer when method, path and query are the same.
std::uint64_t resource_of(std::uint64_t key, const wire::MessageView& message) {
  base::Bytes parts;
  wire::OptionCursor cursor{message.options};
  while (const auto option = cursor.next()) {
    const auto number = static_cast<wire::OptionNumber>(option->number);
    if (number != wire::OptionNumber::uri_path && number != wire::OptionNumber::uri_query) continue;
    parts.push_back(static_cast<std::uint8_t>(option->number));
    parts.push_back(static_cast<std::uint8_t>(option->value.size()));
    parts.insert(parts.end(), option->value.begin(), option->value.end());
  }
  return fingerprint(key, message.code, {}, parts);
}

}  // namespace

bool Endpoint::State::q_request(const wire::MessageView& message, Request& request, base::SteadyTime now,
                                Effects& out) {
  q_transfers();
  if (!request.q_block1) return q_question(message, request, now, out);
  if (!request.q_block2.empty() && std::holds_alternative<std::string>(read_wanted(request.q_block2))) {
    reject(message, bad_request("Q-Block2 beside Q-Block1 says how the answer may come"), now, out);
    return false;
  }
  return q_take_block(message, request, now, out);
}

bool Endpoint::State::q_take_block(const wire::MessageView& message, Request& request, base::SteadyTime now,
                                   Effects& out) {
  const Block block = Block::of(*request.q_block1);
  const auto refuse = [&](OptionProblem problem) {
    reject(message, problem, now, out);
    return false;
  };
  if (request.request_tag.empty() || !request.size1) {  // RFC 9177 4.3
    return refuse(bad_request("Q-Block1 goes with Request-Tag and Size1"));
  }
  if (block.is_bert()) return refuse(bad_request("SZX 7 of Q-Block1 is reserved"));
  BodyComing* body = q->find_coming(request);
  if (body == nullptr) {
    if (*request.size1 > q->most_bytes) {
      return refuse({ResponseCode::request_entity_too_large,
                     "the body is too large: at most " + std::to_string(q->most_bytes) + " bytes"});
    }
    if (auto objection = BodyReceiver::objection(*request.size1, block, request.payload.size())) {
      return refuse(bad_request(*objection));
    }
    body = &q->add_coming(request, *request.size1, block.size_exponent, now);
  } else if (body->head.size1 != request.size1) {
    return refuse(bad_request("Size1 is the same in all blocks of a body"));
  }
  const bool confirmable = message.type == MessageType::confirmable;
  body->token = Token{message.token};
  if (!body->receiver) {  // RFC 9177 4.3: a repeated block is answered as the first time
    if (body->answer) {
      Header header{MessageType::acknowledgement, message.message_id};
      if (!confirmable) {
        const auto message_id = ids.take(now, kNonLifetime);
        if (!message_id) return ++out.counters.dropped_by_limit, false;
        header = {MessageType::non_confirmable, *message_id};
      }
      ++out.counters.repeats;
      out.send.push_back(write_response(header, body->token, *body->answer, std::nullopt));
    } else if (confirmable) {
      acknowledge(message.message_id, out);
    }
    return false;
  }
  if (auto objection = body->receiver->objection(block, request.payload.size())) {
    return refuse(bad_request(*objection));
  }
  body->confirmable = confirmable;
  const bool added = body->receiver->take(block, request.payload, now);
  if (!added) ++out.counters.duplicates;
  if (body->receiver->is_complete()) {
    request.payload = body->receiver->release();
    body->receiver.reset();
    body->until = now + std::max(kNonLifetime, q->parameters.non_partial_timeout);
    return true;
  }
  if (confirmable) {
    acknowledge(message.message_id, out);
  } else {
    q_tell(*body, body->receiver->after_block(q->parameters, !added), now, out);
  }
  return false;
}

void Endpoint::State::q_tell(BodyComing& body, const BodyReceiver::Wish& wish, base::SteadyTime now, Effects& out) {
  if (wish.empty()) return;
  const auto message_id = ids.take(now, kNonLifetime);
  if (!message_id) {
    ++out.counters.dropped_by_limit;
    return;
  }
  Response response;
  if (wish.go_on) {
    response.code = ResponseCode::continue_;
    response.q_block1 = Block{*wish.go_on - 1, true, body.receiver->size_exponent()}.value();
  } else {
    response.code = ResponseCode::request_entity_incomplete;
    response.content_format = kContentFormatMissingBlocks;
    response.payload =
        write_missing(wish.missing, q_datagram_bytes - std::min<std::size_t>(q_datagram_bytes, kAnswerOverhead));
    body.asked.record(*message_id);
  }
  out.send.push_back(write_response({MessageType::non_confirmable, *message_id}, body.token, response, std::nullopt));
  if (!wish.missing.empty()) q->probing.on_sent(out.send.back().size(), q->parameters, random.fraction(), now);
}

bool Endpoint::State::q_question(const wire::MessageView& message, Request& request, base::SteadyTime now,
                                 Effects& out) {
  const auto read = read_wanted(request.q_block2);
  if (const auto* wrong = std::get_if<std::string>(&read)) {
    reject(message, bad_request(*wrong), now, out);
    return false;
  }
  const auto& wanted = std::get<Wanted>(read);
  if (wanted.is_whole() || (wanted.begins() && request.observe)) return true;
  AnswerGoing* going = q->find_going(resource_of(hash_key, message));
  if (going == nullptr) {
    // RFC 9177 4.4: from the answer of today, whose ETag tells that it is another one.
    request.observe.reset();
    return true;
  }
  const std::uint32_t most = q->parameters.max_payloads;
  const auto numbers = wanted.numbers(most, going->sender.blocks());
  if (wanted.blocks[0].size_exponent != going->size_exponent || numbers.empty()) {
    reject(message, bad_request("there is no such block"), now, out);
    return false;
  }
  if (message.type == MessageType::confirmable) acknowledge(message.message_id, out);
  if (const auto next = wanted.go_on(most)) {
    going->sender.on_continue(*next, now);
  } else {
    going->asked_by = Token{message.token};
    going->sender.on_missing(numbers, now);
  }
  going->until = now + q->parameters.longest_wait();
  q_pump(*going, now, out);
  return false;
}

void Endpoint::State::q_delivered(const wire::MessageView& message, std::uint64_t exchange, Request& request) {
  if (request.q_block1) {
    if (BodyComing* body = q->find_coming(request)) body->exchange = exchange;
    request.q_block1.reset();
  }
  if (request.q_block2.empty()) return;
  if (q->asked.size() >= std::max<std::size_t>(limits.exchanges, 1)) q->asked.erase(q->asked.begin());
  auto wanted = std::get<Wanted>(read_wanted(request.q_block2));
  q->asked[exchange] = {std::move(wanted), resource_of(hash_key, message)};
}

void Endpoint::State::q_answered(std::uint64_t exchange, const Response* response, base::SteadyTime now) {
  q->asked.erase(exchange);
  for (BodyComing& body : q->bodies_coming) {
    const bool fits = response != nullptr && response->payload.size() <= q_datagram_bytes;
    if (body.exchange != exchange || !fits) continue;
    body.answer = *response;
    if (response->max_age_s) body.until = std::min(body.until, now + std::chrono::seconds{*response->max_age_s});
  }
}

AnswerGoing* Endpoint::State::q_start_answer(const QTransfers::Asked& asked, const Received& request,
                                             const Response& response, std::optional<std::uint32_t> sequence,
                                             base::SteadyTime now) {
  auto answer = q_in_blocks(response, asked.wanted.blocks.front().size_exponent, now);
  if (!answer) return nullptr;
  answer->resource = asked.resource;
  answer->token = answer->asked_by = request.token;
  answer->confirmable = request.confirmable;
  answer->observe = sequence;
  if (!asked.wanted.is_whole()) {
    auto numbers = asked.wanted.numbers(q->parameters.max_payloads, answer->sender.blocks());
    if (numbers.empty()) numbers = {0};  // of a body that is larger than today's: its beginning tells
    answer->sender.only_when_asked();
    answer->sender.on_missing(numbers, now);
  }
  return &q->add_going(std::move(*answer));
}

AnswerGoing* Endpoint::State::q_start_notification(const Observation& observation, const Response& response,
                                                   base::SteadyTime now) {
  const base::SteadyTime allowed = q->probing.allowed_at();
  auto answer = q_in_blocks(response, *observation.q_block_exponent, now);
  if (!answer) return nullptr;
  answer->resource = observation.resource;
  answer->token = answer->asked_by = observation.token;
  answer->observe = observers.next_sequence();
  answer->sender.hold_until(allowed);
  return &q->add_going(std::move(*answer));
}

// Nothing when it fits one message.
std::optional<AnswerGoing> Endpoint::State::q_in_blocks(const Response& response, std::uint8_t most_exponent,
                                                        base::SteadyTime now) {
  if (!model::is_success(response.code) || q_datagram_bytes < kAnswerOverhead + kSmallestBlock) return std::nullopt;
  const Block block{0, false, std::min(most_exponent, exponent_for(q_datagram_bytes - kAnswerOverhead))};
  const std::size_t bytes = response.payload.size();
  if (bytes <= block.unit()) return std::nullopt;
  AnswerGoing answer{.whole = response,
                     .size_exponent = block.size_exponent,
                     .sender = BodySender{static_cast<std::uint32_t>((bytes + block.unit() - 1) / block.unit()),
                                          random.fraction(), now},
                     .until = now + q->parameters.longest_wait()};
  answer.whole.etag = QTransfers::label(q->next_etag);
  answer.whole.size2 = static_cast<std::uint32_t>(bytes);
  // RFC 9177 7.2: the whole body counts, not each message.
  q->probing.on_sent(bytes, q->parameters, random.fraction(), now);
  return answer;
}

Response Endpoint::State::q_block_of(const AnswerGoing& answer, std::uint32_t number) {
  const base::Bytes& all = answer.whole.payload;
  Block block{number, number + 1 < answer.sender.blocks(), answer.size_exponent};
  const std::size_t end = std::min(block.offset() + block.unit(), all.size());
  Response part;
  part.code = answer.whole.code;
  part.content_format = answer.whole.content_format;
  part.max_age_s = answer.whole.max_age_s;
  part.etag = answer.whole.etag;
  part.size2 = answer.whole.size2;
  part.q_block2 = block.value();
  part.payload.assign(all.begin() + static_cast<std::ptrdiff_t>(block.offset()),
                      all.begin() + static_cast<std::ptrdiff_t>(end));
  return part;
}

void Endpoint::State::q_pump(AnswerGoing& answer, base::SteadyTime now, Effects& out) {
  const BodySender::Burst burst = answer.sender.take(q->parameters, now);
  for (const std::uint32_t number : burst.fresh) q_send_block(answer, number, false, now, out);
  for (const std::uint32_t number : burst.missing) q_send_block(answer, number, true, now, out);
  if (!burst.empty()) answer.until = now + q->parameters.longest_wait();
}

void Endpoint::State::q_send_block(AnswerGoing& answer, std::uint32_t number, bool missing, base::SteadyTime now,
                                   Effects& out) {
  const bool reliably = answer.confirmable && separate.size() < limits.exchanges;
  const auto type = reliably ? MessageType::confirmable : MessageType::non_confirmable;
  const auto message_id = ids.take(now, reliably ? separate.transmission().exchange_lifetime() : kNonLifetime);
  if (!message_id) {
    ++out.counters.dropped_by_limit;
    return;
  }
  answer.sent.record(*message_id);
  // RFC 9177 4.5: blocks that are sent again go without Observe, under the token that asked for them.
  const auto observe = missing ? std::nullopt : answer.observe;
  const Token& token = missing ? answer.asked_by : answer.token;
  if (observe) {
    if (Observation* observation = observers.find(answer.token.view())) observers.record(*observation, *message_id);
  }
  out.send.push_back(write_response({type, *message_id}, token, q_block_of(answer, number), observe));
  if (reliably) separate.add(*message_id, out.send.back(), random, now);
}

void Endpoint::State::q_serving_timer(base::SteadyTime now, Effects& out) {
  for (AnswerGoing& answer : q->answers_going) q_pump(answer, now, out);
  std::erase_if(q->answers_going,
                [&](const AnswerGoing& answer) { return answer.sender.all_sent() && answer.until <= now; });
  std::erase_if(q->bodies_coming, [&](BodyComing& body) {
    if (!body.receiver) return body.until <= now;
    if (body.receiver->expires_at(q->parameters) <= now) return true;
    if (body.confirmable || body.receiver->wish_at(q->parameters) > now || q->probing.allowed_at() > now) return false;
    const BodyReceiver::Wish wish = body.receiver->on_timer(q->parameters, now);
    q_tell(body, wish, now, out);
    return wish.empty();
  });
}

std::optional<base::SteadyTime> Endpoint::State::q_next_deadline() const {
  std::optional<base::SteadyTime> next;
  const auto consider = [&](std::optional<base::SteadyTime> at) {
    if (at && (!next || *at < *next)) next = at;
  };
  for (const AnswerGoing& answer : q->answers_going) {
    const auto at = answer.sender.next_at();
    consider(at ? at : answer.until);
  }
  const auto asks_at = [&](const BodyReceiver& receiver) {
    return std::max(receiver.wish_at(q->parameters), q->probing.allowed_at());
  };
  for (const BodyComing& body : q->bodies_coming) {
    consider(body.receiver ? body.receiver->expires_at(q->parameters) : body.until);
    if (body.receiver && !body.confirmable) consider(asks_at(*body.receiver));
  }
  for (const BodyGoing& body : q->bodies_going) {
    const auto at = body.sender.next_at();
    consider(at ? at : body.again_at);
  }
  for (const AnswerComing& answer : q->answers_coming) {
    if (answer.receiver) consider(asks_at(*answer.receiver));
  }
  return next;
}

}  // namespace dots::coap
