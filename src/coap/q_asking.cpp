// Requests of ours in Q-Blocks, and answers to them that come so (RFC 9177), over UDP.
#include "coap/block.h"
#include "coap/encoding.h"
#include "coap/endpoint_state.h"

namespace dots::coap {

using model::ResponseCode;
using wire::MessageType;

namespace {

// Of Q-Block2 options in one request: a set of missing blocks may be larger, a message not.
constexpr std::size_t kMostOptions = 32;

Response failure(std::string_view text) {
  Response response;
  response.code = ResponseCode::internal_server_error;
  response.payload.assign(text.begin(), text.end());
  return response;
}

}  // namespace

Request Endpoint::State::q_first_block(const Request& whole) {
  Request request = whole;
  Block block{0, false, Block::of(*whole.q_block1).size_exponent};
  block.more = whole.payload.size() > block.unit();
  request.payload.resize(std::min(whole.payload.size(), block.unit()));
  request.q_block1 = block.value();
  request.size1 = static_cast<std::uint32_t>(whole.payload.size());
  request.request_tag = {QTransfers::label(q_transfers().next_tag)};
  return request;
}

void Endpoint::State::q_start_body(Outgoing& request, const Request& first, const base::Bytes& payload,
                                   base::SteadyTime now, Effects& out) {
  request.held = true;
  const std::size_t unit = Block::of(*first.q_block1).unit();
  const auto blocks = static_cast<std::uint32_t>(std::max<std::size_t>(1, (payload.size() + unit - 1) / unit));
  BodyGoing& body = q->bodies_going.emplace_back(BodyGoing{.id = request.id,
                                                           .head = first,
                                                           .payload = payload,
                                                           .sender = BodySender{blocks, random.fraction(), now},
                                                           .interval = request.interval,
                                                           .tries = request.tries,
                                                           .patience = request.patience});
  body.head.payload.clear();
  const BodySender::Burst burst = body.sender.take(q->parameters, now);
  for (const std::uint32_t number : burst.fresh) {
    if (number != 0) q_send_block(body, number, now, out);  // block 0 has left
  }
  q_sent(body, now);
}

// When all of it has left, its last block is what is repeated until the answer: the server answers it as the first time
// (RFC 9177 4.3), or finds out what it lacks.
void Endpoint::State::q_sent(BodyGoing& body, base::SteadyTime now) const {
  body.again_at.reset();
  if (body.sender.all_sent()) body.again_at = now + (body.tries > 1 ? body.interval : body.patience);
}

void Endpoint::State::q_pump(BodyGoing& body, base::SteadyTime now, Effects& out) {
  const BodySender::Burst burst = body.sender.take(q->parameters, now);
  for (const std::uint32_t number : burst.missing) q_send_block(body, number, now, out);
  for (const std::uint32_t number : burst.fresh) q_send_block(body, number, now, out);
  if (!burst.empty()) q_sent(body, now);
}

void Endpoint::State::q_send_block(const BodyGoing& body, std::uint32_t number, base::SteadyTime now, Effects& out) {
  Outgoing* request = outgoing.find(body.id);
  const auto message_id = ids.take(now, kNonLifetime);
  if (request == nullptr || !message_id) {
    ++out.counters.dropped_by_limit;
    return;
  }
  auto datagram = write_request({MessageType::non_confirmable, *message_id}, request->next_token(), body.block(number));
  if (!datagram) return;  // what went with block 0 goes with the others
  request->record_send(*message_id, now);
  out.send.push_back(std::move(*datagram));
}

Endpoint::State::QResponse Endpoint::State::q_response(Outgoing& request, IncomingResponse& incoming,
                                                       base::SteadyTime now, Effects& out) {
  const Response& response = incoming.response;
  q_transfers();
  if (BodyGoing* body = QTransfers::find(q->bodies_going, request.id)) {
    if (response.code == ResponseCode::continue_) {
      body->heard = true;
      if (response.q_block1) body->sender.on_continue(Block::of(*response.q_block1).number + 1, now);
      q_pump(*body, now, out);
      return QResponse::taken;
    }
    if (response.code == ResponseCode::request_entity_incomplete &&
        response.content_format == kContentFormatMissingBlocks) {
      const auto missing = read_missing(response.payload);
      if (!missing) return ++out.counters.malformed, QResponse::taken;  // RFC 9177 section 5
      body->heard = true;
      body->sender.on_missing(*missing, now);
      q_pump(*body, now, out);
      return QResponse::taken;
    }
    std::erase_if(q->bodies_going, [&](const BodyGoing& one) { return one.id == request.id; });
  }
  if (!response.q_block2 || !model::is_success(response.code)) return QResponse::not_in_blocks;
  return q_answer_block(request, incoming, now, out);
}

Endpoint::State::QResponse Endpoint::State::q_answer_block(Outgoing& request, IncomingResponse& incoming,
                                                           base::SteadyTime now, Effects& out) {
  Response& response = incoming.response;
  const Block block = Block::of(*response.q_block2);
  AnswerComing* coming = QTransfers::find(q->answers_coming, request.id);
  bool anew = coming == nullptr;
  if (response.observe && (coming == nullptr || coming->observe != response.observe)) {
    if (!request.freshens(*response.observe, now)) return ++out.counters.duplicates, QResponse::taken;
    anew = true;
  }
  if (block.is_bert() || !response.etag || !response.size2) {
    response = failure("a block of the answer is not as RFC 9177 wants it");
    return QResponse::whole;
  }
  if (*response.size2 > q->most_bytes) {
    response = failure("the answer is too large");
    return QResponse::whole;
  }
  if (!anew && *response.etag != coming->etag) {
    // Blocks that were asked for come without Observe: of the body before this one, or of one that has replaced it.
    if (*response.etag == coming->older_etag) return ++out.counters.duplicates, QResponse::taken;
    anew = true;
  }
  if (anew && q->partial_answers(request.id) >= QTransfers::kBodies) {
    return ++out.counters.dropped_by_limit, QResponse::taken;
  }
  if (anew) {
    AnswerComing next{.id = request.id, .first = incoming, .etag = *response.etag, .observe = response.observe};
    next.first.response.payload = {};
    if (coming != nullptr) {
      next.older_etag = coming->etag;
      if (!next.observe) next.observe = coming->observe;
      next.first.notification = incoming.notification;
    }
    next.receiver.emplace(*response.size2, block.size_exponent, now);
    coming = &q->add_coming_answer(std::move(next));
    request.held = true;
  }
  if (!coming->receiver) return ++out.counters.duplicates, QResponse::taken;
  BodyReceiver& receiver = *coming->receiver;
  if (receiver.bytes() != *response.size2 || receiver.objection(block, response.payload.size())) {
    return ++out.counters.malformed, QResponse::taken;
  }
  if (!receiver.take(block, response.payload, now)) return ++out.counters.duplicates, QResponse::taken;
  if (!receiver.is_complete()) {
    q_ask(request, receiver, receiver.after_block(q->parameters, false), now, out);
    return QResponse::taken;
  }
  incoming = std::move(coming->first);
  incoming.response.payload = receiver.release();
  incoming.response.q_block2.reset();
  incoming.response.size2.reset();
  coming->first = {};
  coming->receiver.reset();
  return QResponse::whole;
}

void Endpoint::State::q_ask(Outgoing& request, const BodyReceiver& receiver, const BodyReceiver::Wish& wish,
                            base::SteadyTime now, Effects& out) {
  if (wish.empty()) return;
  const auto message_id = ids.take(now, kNonLifetime);
  if (!message_id) {
    ++out.counters.dropped_by_limit;
    return;
  }
  std::vector<std::uint32_t> options;
  if (wish.go_on) options.push_back(Block{*wish.go_on, true, receiver.size_exponent()}.value());
  for (const std::uint32_t number : wish.missing) {
    if (options.size() == kMostOptions) break;
    options.push_back(Block{number, false, receiver.size_exponent()}.value());
  }
  request.record_send(*message_id, now);
  out.send.push_back(question_about(request, request.next_token(), *message_id, options));
  if (!wish.go_on) q->probing.on_sent(out.send.back().size(), q->parameters, random.fraction(), now);
}

void Endpoint::State::q_asking_timer(base::SteadyTime now, Effects& out) {
  std::vector<RequestFailed> failures;
  for (BodyGoing& body : q->bodies_going) {
    q_pump(body, now, out);
    if (!body.again_at || *body.again_at > now) continue;
    if (body.tries <= 1) {
      failures.push_back({body.id, "no answer to a body in blocks"});
      continue;
    }
    --body.tries;
    q_send_block(body, body.sender.blocks() - 1, now, out);
    q_sent(body, now);
  }
  for (AnswerComing& answer : q->answers_coming) {
    if (!answer.receiver || q->probing.allowed_at() > now || answer.receiver->wish_at(q->parameters) > now) continue;
    const BodyReceiver::Wish wish = answer.receiver->on_timer(q->parameters, now);
    Outgoing* request = outgoing.find(answer.id);
    if (wish.empty() && request != nullptr && request->observing) {
      answer.receiver.reset();  // RFC 9177 4.4: the observation itself goes on
    } else if (wish.empty() || request == nullptr) {
      failures.push_back({answer.id, "blocks of the answer did not come"});
    } else {
      q_ask(*request, *answer.receiver, wish, now, out);
    }
  }
  for (RequestFailed& failed : failures) {
    forget(failed.request);
    out.failures.push_back(std::move(failed));
  }
}

}  // namespace dots::coap
