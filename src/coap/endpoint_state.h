// What an Endpoint holds. serving.cpp answers the peer, asking.cpp sends requests of ours, q_serving.cpp and
// q_asking.cpp do so in Q-Blocks, stream.cpp is what differs over TCP, endpoint.cpp is the door.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <optional>
#include <utility>

#include "coap/endpoint.h"
#include "coap/exchanges.h"
#include "coap/lifetimes.h"
#include "coap/message_ids.h"
#include "coap/observers.h"
#include "coap/options.h"
#include "coap/outgoing.h"
#include "coap/q_block/transfers.h"
#include "coap/random.h"
#include "coap/separate_answers.h"
#include "coap/stream.h"
#include "wire/coap_view.h"
#include "wire/coap_writer.h"

namespace dots::coap {

inline std::uint32_t narrow(std::size_t limit) {
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

struct Endpoint::State {
  State(const EndpointLimits& bounds, std::uint64_t seed, bool reliable)
      : limits(bounds),
        random(seed),
        hash_key(random.next()),
        ids(static_cast<std::uint16_t>(random.next()), reliable),
        stream(reliable ? std::make_unique<Stream>(bounds) : nullptr) {}

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
    out.send.push_back(wire::empty_message(wire::MessageType::acknowledgement, message_id));
  }
  void reset(std::uint16_t message_id, Effects& out) {
    if (stream) return;  // RFC 8323 has none: what cannot be used is ignored
    out.send.push_back(wire::empty_message(wire::MessageType::reset, message_id));
  }
  // Repeats of its registration are registrations of their own from then on.
  bool end_observation(base::ByteView token) {
    const auto ended = observers.remove(token);
    if (ended && q) q->stop_answers(ended->token);
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
  std::unique_ptr<Stream> stream;  // over TCP

  // Q-Blocks (RFC 9177): null while they are not allowed, and while there were none.
  std::shared_ptr<const model::ParameterSet> q_parameters;
  std::unique_ptr<QTransfers> q;
  std::uint32_t q_datagram_bytes = 0;
  std::uint32_t q_body_bytes = 0;

  bool q_allowed() const { return q_parameters != nullptr; }
  QTransfers& q_transfers();
  void q_timer(base::SteadyTime now, Effects& out);
  std::optional<base::SteadyTime> q_next_deadline() const;

  // q_serving.cpp. False: the request needs nothing more.
  bool q_request(const wire::MessageView& message, Request& request, base::SteadyTime now, Effects& out);
  bool q_take_block(const wire::MessageView& message, Request& request, base::SteadyTime now, Effects& out);
  bool q_question(const wire::MessageView& message, Request& request, base::SteadyTime now, Effects& out);
  void q_delivered(const wire::MessageView& message, std::uint64_t exchange, Request& request);
  void q_tell(BodyComing& body, const BodyReceiver::Wish& wish, base::SteadyTime now, Effects& out);
  // What an answer is sent in, when it is too large for one message; null otherwise.
  AnswerGoing* q_start_answer(const QTransfers::Asked& asked, const Received& request, const Response& response,
                              std::optional<std::uint32_t> sequence, base::SteadyTime now);
  AnswerGoing* q_start_notification(const Observation& observation, const Response& response, base::SteadyTime now);
  std::optional<AnswerGoing> q_in_blocks(const Response& response, std::uint8_t most_exponent, base::SteadyTime now);
  static Response q_block_of(const AnswerGoing& answer, std::uint32_t number);
  void q_pump(AnswerGoing& answer, base::SteadyTime now, Effects& out);
  void q_send_block(AnswerGoing& answer, std::uint32_t number, bool missing, base::SteadyTime now, Effects& out);
  void q_answered(std::uint64_t exchange, const Response* response, base::SteadyTime now);
  void q_serving_timer(base::SteadyTime now, Effects& out);

  // q_asking.cpp
  enum class QResponse : std::uint8_t { not_in_blocks, taken, whole };
  QResponse q_response(Outgoing& request, IncomingResponse& incoming, base::SteadyTime now, Effects& out);
  QResponse q_answer_block(Outgoing& request, IncomingResponse& incoming, base::SteadyTime now, Effects& out);
  void q_ask(Outgoing& request, const BodyReceiver& receiver, const BodyReceiver::Wish& wish, base::SteadyTime now,
             Effects& out);
  Request q_first_block(const Request& whole);
  void q_start_body(Outgoing& request, const Request& first, const base::Bytes& payload, base::SteadyTime now,
                    Effects& out);
  void q_sent(BodyGoing& body, base::SteadyTime now) const;
  void q_pump(BodyGoing& body, base::SteadyTime now, Effects& out);
  void q_send_block(const BodyGoing& body, std::uint32_t number, base::SteadyTime now, Effects& out);
  void q_asking_timer(base::SteadyTime now, Effects& out);
  void forget(RequestId id) {
    outgoing.forget(id);
    if (q) q->forget(id);
  }

  // stream.cpp
  void on_stream(base::ByteView bytes, base::SteadyTime now, Effects& out);
  void on_signal(const wire::MessageView& message, base::SteadyTime now, Effects& out);
  void stream_timer(base::SteadyTime now, Effects& out);
  void on_csm(const wire::MessageView& message, Effects& out);
  void signal(wire::Signal code, base::ByteView token, Effects& out);
  // REQUIRES: stream.
  void abort(const std::string& why, std::optional<std::uint16_t> bad_csm_option, Effects& out);
  void close(std::string reason, Effects& out);
  bool is_closed() const { return stream && stream->closed; }
};

// Over TCP, the end of a call: what the call sends gets its length in front instead of type and message id; what waited
// for the last answer goes out.
class Framing {
 public:
  Framing(Endpoint::State& state, Effects& out) : state_(state), out_(out), from_(out.send.size()) {}
  ~Framing() {
    if (state_.stream) finish();
  }
  Framing(const Framing&) = delete;
  Framing& operator=(const Framing&) = delete;

 private:
  void finish() const;

  Endpoint::State& state_;
  Effects& out_;
  std::size_t from_;
};

}  // namespace dots::coap
