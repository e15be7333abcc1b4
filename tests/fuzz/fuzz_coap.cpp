// CoAP: the message reader on the raw input, then an endpoint that the input drives as a script - foreign datagrams,
// answers to our own messages, time, and the agent's calls.
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <vector>

#include "coap/endpoint.h"
#include "model/session_config.h"
#include "wire/coap_message.h"
#include "wire/coap_writer.h"

namespace {

using namespace dots;

#define REQUIRE(condition)                                                 \
  do {                                                                     \
    if (!(condition)) {                                                    \
      std::fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
      std::abort();                                                        \
    }                                                                      \
  } while (false)

class Input {
 public:
  explicit Input(base::ByteView bytes) : rest_(bytes) {}
  bool done() const { return rest_.empty(); }
  std::uint8_t byte() {
    if (rest_.empty()) return 0;
    const std::uint8_t value = rest_[0];
    rest_ = rest_.subspan(1);
    return value;
  }
  base::ByteView bytes(std::size_t count) {
    const base::ByteView taken = rest_.first(std::min(count, rest_.size()));
    rest_ = rest_.subspan(taken.size());
    return taken;
  }

 private:
  base::ByteView rest_;
};

void read_and_write_back(base::ByteView datagram) {
  const auto message = wire::parse(datagram);
  if (!message) {
    REQUIRE(!message.error().reason.empty());
    return;
  }
  const auto again = wire::parse(wire::serialise(*message));
  REQUIRE(again.ok());
  REQUIRE(*again == *message);
}

coap::EndpointLimits small() {
  coap::EndpointLimits limits;
  limits.exchanges = 4;
  limits.answered = 6;
  limits.answered_bytes = 600;
  limits.requests = 3;
  limits.observations = 3;
  limits.observing = 2;
  return limits;
}

class Script {
 public:
  explicit Script(base::ByteView bytes) : input_(bytes), endpoint_(small(), 1) {}

  void run() {
    for (int steps = 0; steps < 400 && !input_.done(); ++steps) step();
    // Left alone, an endpoint comes to rest.
    for (int i = 0; i < 1000; ++i) {
      const auto next = endpoint_.next_deadline();
      if (!next) return;
      now_ = std::max(now_, *next);
      timer();
    }
    REQUIRE(false);
  }

 private:
  void step() {
    coap::Effects out;
    switch (input_.byte() % 10) {
      case 0: {
        const base::ByteView datagram = input_.bytes(input_.byte());
        last_heard_.assign(datagram.begin(), datagram.end());
        hear(last_heard_);
        return;
      }
      case 1:
        now_ += std::chrono::milliseconds{input_.byte() * 100};
        timer();
        return;
      case 2:
      case 3:
        answer(out);
        break;
      case 4:
        if (!tokens_.empty()) {
          endpoint_.notify(tokens_[input_.byte() % tokens_.size()], response(), now_, out);
        }
        break;
      case 5:
        ask(out);
        break;
      case 6:
        if (!asked_.empty()) {
          const auto id = asked_[input_.byte() % asked_.size()];
          if (input_.byte() % 2 == 0) {
            endpoint_.cancel(id);
          } else {
            endpoint_.stop_observing(id, now_, out);
          }
        }
        break;
      case 7:
        hear(reply_to_ours());
        return;
      case 8:
        if (last_heard_.size() >= 4) {  // a repeat, or a duplicate
          wire::readdress(last_heard_, static_cast<wire::MessageType>(input_.byte() % 4), input_.byte());
          hear(last_heard_);
        }
        return;
      case 9:  // from now on in Q-Blocks (RFC 9177)
        in_q_blocks_ = true;
        endpoint_.allow_q_blocks(std::make_shared<const model::ParameterSet>(model::in_force({}, {})), 200, 4000);
        return;
      default:
        return;
    }
    take(out);
  }

  void hear(const base::Bytes& datagram) {
    coap::Effects out;
    endpoint_.on_datagram(datagram, now_, out);
    REQUIRE(out.send.size() <= (in_q_blocks_ ? 11 : 1));  // no amplification, or an acknowledgement and one set
    REQUIRE(out.requests.size() <= 1);
    take(out);
  }

  void timer() {
    coap::Effects out;
    endpoint_.on_timer(now_, out);
    const auto next = endpoint_.next_deadline();
    REQUIRE(!next || *next > now_);
    take(out);
  }

  void take(const coap::Effects& out) {
    for (const auto& datagram : out.send) {
      const auto message = wire::parse(datagram);
      REQUIRE(message.ok());
      if (sent_.size() >= 16) sent_.pop_front();
      sent_.push_back(*message);
    }
    for (const auto& request : out.requests) {
      pending_.push_back(request.exchange);
      REQUIRE(request.token.size() <= 8);
      if (tokens_.size() < 8) tokens_.push_back(request.token);
    }
  }

  coap::Response response() {
    coap::Response made;
    static constexpr std::uint8_t kCodes[] = {0x44, 0x45, 0x84, 0xa3};
    made.code = static_cast<model::ResponseCode>(kCodes[input_.byte() % 4]);
    if (made.code == model::ResponseCode::service_unavailable) made.max_age_s = input_.byte();
    made.payload = base::Bytes(input_.byte() % 250 * (in_q_blocks_ ? 16U : 1U), 0x61);
    return made;
  }

  void answer(coap::Effects& out) {
    if (pending_.empty()) return;
    const auto at = static_cast<std::ptrdiff_t>(input_.byte() % pending_.size());
    const auto exchange = pending_[static_cast<std::size_t>(at)];
    if (input_.byte() % 4 == 0) {
      endpoint_.ignore(exchange, now_, out);
    } else {
      endpoint_.respond(exchange, response(), input_.byte() % 2 == 0, now_, out);
    }
    // Now and then the same exchange is answered twice.
    if (input_.byte() % 8 != 0) pending_.erase(pending_.begin() + at);
    if (pending_.size() > 64) pending_.erase(pending_.begin());
  }

  void ask(coap::Effects& out) {
    coap::Request request;
    const std::uint8_t flags = input_.byte();
    request.confirmable = (flags & 1U) != 0;
    if ((flags & 2U) != 0) request.observe = 0U;
    request.uri_path = {"a", "b"};
    if (in_q_blocks_ && (flags & 8U) != 0) request.q_block2 = {2};
    if (in_q_blocks_ && (flags & 16U) != 0 && !request.confirmable) {
      request.method = wire::Method::put;
      request.payload = base::Bytes(input_.byte() * 16U, 0x62);
      request.q_block1 = 2;
    }
    coap::Repetition repetition;
    repetition.tries = flags >> 5U;
    repetition.rtt_known = (flags & 4U) != 0;
    if (const auto id = endpoint_.send(request, repetition, now_, out)) {
      if (asked_.size() >= 16) asked_.erase(asked_.begin());
      asked_.push_back(*id);
    }
  }

  // A message that fits one of ours in token and message id, otherwise of the input's making.
  base::Bytes reply_to_ours() {
    if (sent_.empty()) return {};
    wire::Message reply = sent_[input_.byte() % sent_.size()];
    reply.type = static_cast<wire::MessageType>(input_.byte() % 4);
    static constexpr std::uint8_t kCodes[] = {0, 0x44, 0x45, 0x84, 0x41, 0x01};
    reply.code = kCodes[input_.byte() % 6];
    const std::uint8_t flags = input_.byte();
    if ((flags & 1U) != 0) reply.message_id = static_cast<std::uint16_t>(flags * 257U);
    reply.options.clear();
    reply.payload.clear();
    if (reply.code == 0) reply.token.clear();
    if (reply.code != 0 && (flags & 2U) != 0) reply.options.push_back({6, wire::uint_value(input_.byte())});
    if (reply.code != 0 && (flags & 4U) != 0) reply.options.push_back({input_.byte(), {}});
    return wire::serialise(reply);
  }

  Input input_;
  coap::Endpoint endpoint_;
  bool in_q_blocks_ = false;
  base::SteadyTime now_{std::chrono::seconds{1000}};
  base::Bytes last_heard_;
  std::deque<wire::Message> sent_;
  std::vector<base::ExchangeId> pending_;
  std::vector<base::Bytes> tokens_;
  std::vector<coap::RequestId> asked_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  read_and_write_back({data, size});
  Script{{data, size}}.run();
  return 0;
}
