// What an Endpoint holds. serving.cpp answers the peer, asking.cpp sends requests of ours, stream.cpp is what differs
// over TCP, endpoint.cpp is the door.
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
