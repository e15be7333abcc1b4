// The requests that one session has to bring to its server, one at a time, pure.
//
// RFC 9132 4.4: non-confirmable, repeated at a regular interval until answered, on average one datagram per round trip,
// and without a round-trip estimate never more than one in 3 s. One request is on its way at a time, so that many
// waiting ones keep to that rate together; a request for help goes before a question, and one that finds no answer lets
// the others have their turn: after some sends while it may be sent fast, after each send when it may not, so that a
// request which has used up its fast tries holds up no other one. What does not fit one message goes and comes in
// blocks: in Q-Blocks (RFC 9177) when the server is known to take them, all in one turn; else as RFC 7959 says, each
// block in its own.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <utility>

#include "agent/client/round_trip.h"
#include "base/time.h"
#include "coap/block_transfer.h"
#include "coap/endpoint.h"
#include "signal/client/events.h"

namespace dots::agent::client {

// What is wanted, until it is answered; shared by all sessions with the server.
struct Errand {
  signal::client::SendId id;
  coap::Request request;
  bool urgent = false;   // PUT and DELETE
  bool observe = false;  // stays after its first answer
};

class Outbox {
 public:
  // Over TCP (`reliable`) the rate is TCP's own: nothing waits for a turn of its spacing, and a request is only sent
  // again when its answer has not come for kReliablePatience.
  explicit Outbox(bool reliable = false) : reliable_(reliable) {}

  // Sends faster than 3 s apart at most so often for one errand; then a lost link is taken for granted.
  static constexpr int kFastTries = 64;
  static constexpr int kDoubtfulTries = 8;
  static constexpr base::Duration kDoubtfulAfter = std::chrono::seconds{3};

  void add(const Errand& errand);
  // Answered elsewhere, or not wanted any more. An observation is deregistered at the server.
  void remove(signal::client::SendId id, coap::Endpoint& endpoint, base::SteadyTime now, coap::Effects& out);

  struct Delivered {
    signal::client::SendId id;
    coap::Response response;  // whole
  };
  // What a response brings for which errand; nothing while blocks are missing.
  std::optional<Delivered> on_response(const coap::IncomingResponse& response, base::SteadyTime now);
  std::optional<Delivered> on_failure(const coap::RequestFailed& failure);
  // Something non-confirmable of ours was sent by the endpoint itself: a repetition.
  void on_repeated(base::SteadyTime now);

  // Sends what may be sent now. `too_large` receives errands that do not fit `max_datagram` and
  // cannot go in blocks; they are removed.
  void pump(coap::Endpoint& endpoint, std::size_t max_datagram, base::SteadyTime now, coap::Effects& out,
            std::deque<signal::client::SendId>& too_large);
  std::optional<base::SteadyTime> next_deadline(base::SteadyTime now) const;

  // When the first request for help or its withdrawal that has been sent goes too long without an answer: after 3 s, or
  // kDoubtfulTries sends when the round trip is known.
  std::optional<base::SteadyTime> doubtful_at() const;

  void on_round_trip(base::Duration sample, base::SteadyTime now);
  // How confirmable requests are repeated: the session configuration.
  void set_transmission(const coap::Repetition& transmission) { transmission_ = transmission; }
  // Another session over the same way has measured it already.
  void inherit(const RoundTrip& round_trip) { round_trip_ = round_trip; }
  const RoundTrip& round_trip() const { return round_trip_; }
  std::size_t waiting() const { return queue_.size() + (active_ ? 1 : 0); }

 private:
  struct Item {
    Errand errand;
    int fast_tries = 0;
    std::optional<base::SteadyTime> rests_until = {};  // its fast tries are used up, and others have their turn
    std::optional<base::SteadyTime> doubtful_at = {};  // once it was sent
    std::optional<coap::BlockTransfer> blocks = {};
    bool without_q_blocks = false;  // they have failed for this errand
    bool probe = false;             // nobody's errand: only to learn what the server takes
  };
  // Of Q-Blocks by this server (RFC 9177 4.1): a confirmable question shows it.
  enum class Support : std::uint8_t { unknown, wanted, no, yes };
  // How a request leaves; what of it is in Q-Blocks.
  enum class Shape : std::uint8_t { plain, probing, q_answer, q_body };
  struct Active {
    Item item;
    coap::RequestId request;
    base::SteadyTime since;  // its turn
    base::Duration turn{};   // others may follow after it
    int sends = 1;
    bool fast = false;  // each send counts against kFastTries
    bool slow = false;  // each 3 s, for want of an estimate or of fast tries
    Shape shape = Shape::plain;
  };
  // Nothing when the errand is too large even for blocks.
  std::optional<std::pair<coap::Request, Shape>> shape(Item& item, const coap::Endpoint& endpoint,
                                                       std::size_t max_datagram);
  // What an answer tells about Q-Blocks; true when the request has to go again without them.
  bool learn(Item& item, Shape shape, const coap::Response& response);
  void probe();
  // Sends the next block in its turn, or gives what all of them have brought.
  std::optional<Delivered> on_block(Item item, const coap::Response& response);
  bool fetch_anew(signal::client::SendId id);
  // Before the others of its kind.
  void enqueue_first(Item item);
  void put_back(Active active);
  void enqueue(Item item);
  std::deque<Item>::iterator first_question();
  // The first that may be sent, or else queue_.size().
  std::size_t due(base::SteadyTime now) const;
  // When what is under way gives way to the item; not before its turn is over, if it is of the same kind.
  std::optional<base::SteadyTime> gives_way_to(const Item& item) const;
  // When what is under way may be sent fast: an estimate has come, or come again.
  std::optional<base::SteadyTime> quickens_at(base::SteadyTime now) const;
  base::SteadyTime earliest(base::SteadyTime now) const;

  bool reliable_;
  Support q_blocks_ = Support::unknown;
  RoundTrip round_trip_;
  coap::Repetition transmission_;
  std::deque<Item> queue_;  // urgent ones first, otherwise in order
  std::optional<Active> active_;
  std::map<coap::RequestId, Errand> observing_;  // bounded by the endpoint's limit
  std::optional<base::SteadyTime> last_send_;
};

}  // namespace dots::agent::client
