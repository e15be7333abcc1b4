// The CoAP endpoint of one session as a pure machine (RFC 7252 section 4, 5; RFC 7641; RFC 8323; RFC 9132 4.4).
//
// Both roles run on one session (RFC 9132 section 3): the endpoint answers the peer's requests and sends our own.
// Datagrams and time go in, Effects come out; it opens no socket and reads no clock. It knows message types, message
// ids, tokens, duplicates, repetition and observation, and nothing of DOTS.
//
// Over TCP (RFC 8323) it takes pieces of the byte stream and gives messages with their length in front. There are no
// types and no message ids: nothing is acknowledged, reset or repeated, notifications count in the order of their
// arrival, and a connection that breaks a rule is aborted. A repeat by token and content still gets the first answer.
//
// Ownership: one endpoint for each open session, owned by the session's machine. Threads: none of its own.
// Bounds: EndpointLimits; whatever would exceed one is dropped and counted in Effects::counters.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/time.h"
#include "coap/request.h"
#include "model/peer.h"
#include "wire/coap_message.h"

namespace dots::model {
class ParameterSet;
}

namespace dots::coap {

struct EndpointLimits {
  std::size_t exchanges = 64;          // requests of the peer being answered
  std::size_t answered = 64;           // cached answers for duplicates and repeats
  std::size_t answered_bytes = 65536;  // and their size
  std::size_t requests = 64;           // requests of ours in flight
  std::size_t observations = 64;       // observations by the peer
  std::size_t observing = 64;          // our own observations at the peer
  // A non-confirmable request with a critical option that we do not understand is rejected with Reset (RFC 7252 5.4.1);
  // true answers it with 4.02 as RFC 9132 section 9 reads, for peers that expect it.
  bool explain_bad_option_to_non = false;
  wire::MessageLimits message;
  // Over TCP alone: our Max-Message-Size, and how long the peer may take for its first message, which must be a CSM.
  std::size_t message_bytes = 65536;
  base::Duration csm_time = std::chrono::seconds{15};
};

// A request of the peer, delivered once. Answer with respond() or ignore(), exactly once each.
struct IncomingRequest {
  base::ExchangeId exchange;
  base::Bytes token;
  Request request;
};
struct IncomingResponse {
  RequestId request;
  Response response;
  bool notification = false;         // a later answer to an observation
  base::Duration since_last_send{};  // a round-trip sample when `unambiguous`
  bool unambiguous = false;          // only one send: Karn's rule
};
struct RequestFailed {
  RequestId request;
  std::string reason;     // "no answer after 4 sends", "rejected by reset"
  bool rejected = false;  // by a Reset: the peer understands no such request
};
// The peer ended an observation: Reset to a notification, or GET with Observe 1 (RFC 7641 3.6). Also when respond() was
// asked to accept one and EndpointLimits::observations did not allow it.
struct ObservationEnded {
  base::Bytes token;
};

struct Counters {
  std::uint64_t malformed = 0;   // not CoAP; reset where RFC 7252 wants it
  std::uint64_t duplicates = 0;  // same message id
  std::uint64_t repeats = 0;     // new message id, same token and content
  std::uint64_t rejected = 0;    // requests refused here: 4.00, 4.02, 5.05 or Reset
  std::uint64_t dropped_by_limit = 0;
  std::uint64_t evicted = 0;    // cached answers that gave way inside their lifetime
  std::uint64_t unmatched = 0;  // responses that answer nothing

  Counters& operator+=(const Counters& more);
};

struct Effects {
  std::vector<base::Bytes> send;
  std::vector<IncomingRequest> requests;
  std::vector<IncomingResponse> responses;
  std::vector<RequestFailed> failures;
  std::vector<ObservationEnded> ended;
  // Over TCP alone, and not empty: close the connection when `send` is out. The endpoint takes and gives no more.
  std::string close_reason;
  Counters counters;  // increments of this call
};

class Endpoint {
 public:
  // `seed` makes message ids, tokens and jitter reproducible in simulations; the shell passes real randomness.
  Endpoint(const EndpointLimits& limits, std::uint64_t seed, model::Transport transport = model::Transport::udp);
  ~Endpoint();
  Endpoint(Endpoint&&) noexcept;
  Endpoint& operator=(Endpoint&&) noexcept;

  // Once, when the connection stands: sends our CSM (RFC 8323 3.3). Nothing over UDP.
  void start(base::SteadyTime now, Effects& out);
  // Over TCP any piece of the stream.
  void on_datagram(base::ByteView datagram, base::SteadyTime now, Effects& out);
  void on_timer(base::SteadyTime now, Effects& out);
  // When on_timer wants to be called next.
  std::optional<base::SteadyTime> next_deadline() const;

  // Answers a request of the peer: in kind (NON to NON, piggybacked or separate to CON; RFC 9132 4.4, 4.5). The answer
  // is kept for duplicates (same message id, within EXCHANGE_LIFETIME / NON_LIFETIME) and for repeats (new message id,
  // same token and same request content), which get it again and are not delivered. `observe` true accepts the
  // observation that the request asked for: the answer carries a sequence number and notify() works from then on.
  // A GET is answered from the cache only while its answer is fresh (Max-Age, 60 s without it) and no notification has
  // overtaken it; an answer with Max-Age (5.03) likewise. Repeats of ignored requests and repeats with an empty token
  // are delivered. A confirmable request that is not answered within 500 ms gets an empty acknowledgement first.
  void respond(base::ExchangeId exchange, const Response& response, bool observe, base::SteadyTime now, Effects& out);
  // No answer by design (RFC 9132 4.4.3: If-Match without a match); duplicates stay unanswered too. A confirmable
  // request still gets its empty acknowledgement.
  void ignore(base::ExchangeId exchange, base::SteadyTime now, Effects& out);

  // Sends a notification of an accepted observation: always non-confirmable (RFC 9132 4.4.2.1). An error response ends
  // the observation. Unknown tokens are ignored (false).
  bool notify(base::ByteView token, const Response& response, base::SteadyTime now, Effects& out);

  // Ends an observation of the peer without a word to it. False: there is none.
  bool end_observation(base::ByteView token);

  // Sends a request of ours. With request.observe == 0 later answers keep coming under the same RequestId until
  // stop_observing: each 2.xx answer and notification newer than the last (RFC 7641 3.4); an error answer ends it.
  // Returns nothing when EndpointLimits::requests are in flight, message ids ran out, or an option value is too long
  // for CoAP.
  std::optional<RequestId> send(const Request& request, const Repetition& repetition, base::SteadyTime now,
                                Effects& out);
  // Forgets a request; a late answer counts as unmatched (a notification is then rejected with Reset, RFC 7641 3.6).
  void cancel(RequestId request);
  // GET with the same token and Observe 1 (preferred by RFC 9132 4.4.2.1), then forgets it.
  void stop_observing(RequestId request, base::SteadyTime now, Effects& out);
  // How separate confirmable answers are retransmitted: the session's transmission parameters.
  void set_transmission(const Repetition& parameters);
  // From now on bodies and answers may go and come in Q-Blocks (RFC 9177), with these parameters, in messages of at
  // most `max_datagram` bytes; until then, and over TCP always, their options are unrecognised critical ones. A request
  // is delivered and an answer comes as a whole; respond() and notify() take one that fits no datagram when
  // takes_q_blocks says so. `body_bytes` bounds a body, and what is kept of partial ones. REQUIRES: a set with every
  // parameter.
  void allow_q_blocks(std::shared_ptr<const model::ParameterSet> parameters, std::size_t max_datagram,
                      std::size_t body_bytes = 65536);
  bool takes_q_blocks(const Request& request) const;
  // The server has some blocks of this request of ours, or we have some of its answer.
  bool is_transferring(RequestId request) const;
  // CoAP ping: an empty confirmable message (RFC 7252 4.3), or a Ping (RFC 8323 5.4).
  void ping(base::SteadyTime now, Effects& out);
  // Over TCP: asks the peer to close the connection (RFC 8323 5.5). Nothing over UDP.
  void release(std::string_view why, Effects& out);
  // Over TCP: the peer's CSM has come, so that its side of the handshake is known to stand. Always over UDP.
  bool peer_ready() const;
  // The largest message that the peer takes, header included: its Max-Message-Size over TCP, SIZE_MAX over UDP.
  std::size_t max_message() const;
  // Over TCP: the peer's CSM allows blocks with SZX 7 (RFC 8323 section 6).
  bool takes_bert() const;
  bool reliable() const;  // over TCP

  struct State;  // for this room alone

 private:
  std::unique_ptr<State> state_;
};

}  // namespace dots::coap
