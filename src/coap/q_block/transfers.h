// The Q-Block transfers of one endpoint (RFC 9177), both ways; endpoint_q_serving.cpp and endpoint_q_asking.cpp move
// them. A session that has had none has no such object.
//
// Bounds, for each peer: kBodies of each kind; a body and an answer have at most `most_bytes`, partial bodies that come
// as much together, answers that go twice that. The oldest gives way; of answers that come the newest is not taken.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "base/bytes.h"
#include "coap/endpoint.h"
#include "coap/q_block/body_receiver.h"
#include "coap/q_block/body_sender.h"
#include "coap/q_block/missing_blocks.h"
#include "coap/q_block/probing.h"
#include "coap/random.h"
#include "coap/token.h"

namespace dots::coap {

// Message ids of the latest messages of a transfer: a Reset to one of them ends it.
class LatestIds {
 public:
  void record(std::uint16_t id) { ids_[count_++ % ids_.size()] = id; }
  bool contains(std::uint16_t id) const {
    const auto known = std::min<std::size_t>(count_, ids_.size());
    return std::find(ids_.begin(), ids_.begin() + static_cast<std::ptrdiff_t>(known), id) !=
           ids_.begin() + static_cast<std::ptrdiff_t>(known);
  }

 private:
  std::array<std::uint16_t, 12> ids_{};
  std::size_t count_ = 0;
};

// The body of a request of the peer.
struct BodyComing {
  Request head;                          // without payload
  Token token;                           // of the latest block
  bool confirmable = false;              // nothing is asked for: its sender notices a loss (RFC 9177 section 5)
  std::optional<BodyReceiver> receiver;  // while blocks are missing
  std::uint64_t exchange = 0;            // of the whole request
  std::optional<Response> answer;        // to it, for its last block coming again
  LatestIds asked;                       // requests for missing blocks
  base::SteadyTime until;                // once it is whole
};

// An answer or notification to the peer; kept for a while after its last block.
struct AnswerGoing {
  std::uint64_t resource = 0;  // method, path and query of its request
  Token token = {};
  Token asked_by = {};  // the latest request for missing blocks
  bool confirmable = false;
  std::optional<std::uint32_t> observe = {};
  Response whole;
  std::uint8_t size_exponent = 6;
  BodySender sender;
  LatestIds sent = {};
  base::SteadyTime until;
};

// The body of a request of ours.
struct BodyGoing {
  RequestId id;
  Request head;  // without payload; block 0
  base::Bytes payload;
  BodySender sender;
  bool heard = false;  // the server has some of it
  // Once all of it was sent: its last block again, until the answer.
  base::Duration interval{};
  int tries = 1;
  base::Duration patience{};
  std::optional<base::SteadyTime> again_at = {};

  Request block(std::uint32_t number) const;
};

// An answer or notification of the peer.
struct AnswerComing {
  RequestId id;
  IncomingResponse first;  // as its first block came
  base::Bytes etag;
  base::Bytes older_etag = {};
  std::optional<std::uint32_t> observe = {};
  std::optional<BodyReceiver> receiver = {};  // while blocks are missing
};

struct QTransfers {
  static constexpr std::size_t kBodies = 8;

  QBlockParameters parameters;
  std::size_t most_bytes = 65536;
  std::uint32_t next_etag = 0;
  std::uint32_t next_tag = 0;
  ProbingRate probing;

  std::vector<BodyComing> bodies_coming;
  std::vector<AnswerGoing> answers_going;
  std::vector<BodyGoing> bodies_going;
  std::vector<AnswerComing> answers_coming;
  // Requests that wait for their answer and take it in Q-Blocks; bounded by the exchanges of the endpoint.
  struct Asked {
    Wanted wanted;
    std::uint64_t resource = 0;
  };
  std::map<std::uint64_t, Asked> asked;  // by exchange

  BodyComing* find_coming(const Request& head);
  BodyComing& add_coming(const Request& head, std::size_t bytes, std::uint8_t size_exponent, base::SteadyTime now);
  AnswerGoing* find_going(std::uint64_t resource);  // the newest of it
  AnswerGoing& add_going(AnswerGoing answer);
  AnswerComing& add_coming_answer(AnswerComing answer);
  std::size_t partial_answers(RequestId beside) const;
  template <class List>
  static auto* find(List& list, RequestId id) {
    const auto it = std::find_if(list.begin(), list.end(), [&](const auto& one) { return one.id == id; });
    return it == list.end() ? nullptr : &*it;
  }
  // The peer speaks: nothing is held back any more.
  void on_heard(base::SteadyTime now) {
    probing.on_heard();
    for (AnswerGoing& answer : answers_going) answer.sender.release(now);
  }
  void forget(RequestId id);
  void drop_partial(RequestId id);
  // What goes under this token is not wanted any more.
  void stop_answers(const Token& token) {
    std::erase_if(answers_going, [&](const AnswerGoing& one) { return one.token == token; });
  }
  void on_reset(std::uint16_t message_id);
  // Four bytes that no other body of this session has had for a long while.
  static base::Bytes label(std::uint32_t& next);
};

}  // namespace dots::coap
