// Requests of ours: sending, matching answers, observing.
#include "coap/endpoint_state.h"

namespace dots::coap {

using wire::MessageType;

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
  // A late answer is no harm, but who notifies us of something unknown is to stop (RFC 7641 3.6), and so is who sends
  // or asks for blocks of it (RFC 9177 4.3).
  const bool notification =
      message.type == MessageType::non_confirmable && !read_response(message, q_allowed(), response) &&
      (response.observe || response.q_block2 || response.content_format == kContentFormatMissingBlocks);
  if (confirmable || notification) reset(message.message_id, out);
}

// An answer or notification to a request that we know.
void Endpoint::State::match(const wire::MessageView& message, Outgoing& request, base::SteadyTime now, Effects& out) {
  IncomingResponse incoming;
  incoming.request = request.id;
  if (const auto problem = read_response(message, q_allowed(), incoming.response)) {
    if (message.type != MessageType::acknowledgement) reset(message.message_id, out);
    out.failures.push_back({request.id, "the answer was rejected: " + problem->text});
    forget(request.id);
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
  incoming.notification = request.observing;
  incoming.since_last_send = now - request.last_send;
  incoming.unambiguous = !request.observing && request.sends == 1;
  const QResponse in_blocks = request.family ? q_response(request, incoming, now, out) : QResponse::not_in_blocks;
  if (in_blocks == QResponse::taken) return;
  const bool success = model::is_success(incoming.response.code);
  // RFC 8323 7.1: what arrives later is newer.
  if (!stream && in_blocks == QResponse::not_in_blocks && request.observing && success && incoming.response.observe &&
      !request.freshens(*incoming.response.observe, now)) {
    ++out.counters.duplicates;
    return;
  }
  if (q && in_blocks == QResponse::not_in_blocks) q->drop_partial(request.id);  // this is newer
  if (!request.observe || !success) {
    forget(request.id);
  } else if (!request.observing) {
    // Also without an Observe option: there are servers that leave it out of the first answer and then notify.
    request.observing = true;
    request.held = false;
    if (incoming.response.observe && in_blocks == QResponse::not_in_blocks)
      request.freshens(*incoming.response.observe, now);
  }
  out.responses.push_back(std::move(incoming));
}

std::optional<RequestId> Endpoint::send(const Request& request, const Repetition& repetition, base::SteadyTime now,
                                        Effects& out) {
  State& s = *state_;
  const Framing framing{s, out};
  if (s.is_closed()) return std::nullopt;
  if ((request.q_block1 || !request.q_block2.empty()) && !s.q_allowed()) return std::nullopt;
  bool limited = false;
  Request first_block;
  if (request.q_block1) first_block = s.q_first_block(request);
  const auto id =
      s.outgoing.send(request.q_block1 ? first_block : request, repetition, {s.limits.requests, s.limits.observing},
                      s.ids, s.random, s.stream != nullptr, now, out.send, limited);
  if (limited) ++out.counters.dropped_by_limit;
  if (id && request.q_block1) s.q_start_body(*s.outgoing.find(*id), first_block, request.payload, now, out);
  return id;
}

void Endpoint::cancel(RequestId request) { state_->forget(request); }

void Endpoint::stop_observing(RequestId id, base::SteadyTime now, Effects& out) {
  State& s = *state_;
  const Outgoing* request = s.outgoing.find(id);
  if (request == nullptr) return;
  const Framing framing{s, out};
  if (request->observe) {
    const auto message_id = s.ids.take(now, request->confirmable ? kExchangeLifetime : kNonLifetime);
    if (message_id) {
      out.send.push_back(deregistration(*request, *message_id));
    } else {
      ++out.counters.dropped_by_limit;  // the next notification gets a Reset
    }
  }
  s.forget(id);
}

}  // namespace dots::coap
