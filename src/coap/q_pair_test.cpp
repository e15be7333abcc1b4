// Two endpoints that send large bodies and answers in Q-Blocks (RFC 9177) over a link that loses and delays.
#include <queue>
#include <tuple>

#include "coap/block.h"
#include "coap/block_transfer.h"
#include "coap/endpoint_test_support.h"
#include "coap/q_block/test_support.h"
#include "coap/random.h"

namespace dots::coap::testing {
namespace {

constexpr base::Duration kOneWay = 50ms;

// Client at 0, server at 1; 50 ms each way.
struct Link {
  Link(std::uint64_t seed, double loss_) : random(seed), loss(loss_), ends{Bench{{}, seed + 1}, Bench{{}, seed + 2}} {
    for (Bench& end : ends) end.endpoint.allow_q_blocks(parameter_set(), 1200);
  }

  void deliver(int from, const Effects& effects) {
    for (const auto& datagram : effects.send) {
      EXPECT_LE(datagram.size(), 1200u);
      ++sent[static_cast<std::size_t>(from)];
      if (random.fraction() < loss) continue;
      under_way.push({now + kOneWay, ++sequence, 1 - from, datagram});
    }
  }
  template <class Agent>
  void run(base::SteadyTime end, Agent agent, const bool& done) {
    while (now < end && !done) {
      std::optional<base::SteadyTime> next;
      if (!under_way.empty()) next = under_way.top().at;
      for (auto& side : ends) {
        const auto deadline = side.endpoint.next_deadline();
        if (deadline && (!next || *deadline < *next)) next = deadline;
      }
      if (!next || *next > end) break;
      ASSERT_LT(++steps, 100000) << "time stands still";
      now = std::max(now, *next);
      for (int side = 0; side < 2; ++side) {
        Effects effects;
        ends[static_cast<std::size_t>(side)].endpoint.on_timer(now, effects);
        agent(side, effects);
        deliver(side, effects);
      }
      while (!under_way.empty() && under_way.top().at <= now) {
        const Datagram datagram = under_way.top();
        under_way.pop();
        Effects effects;
        ends[static_cast<std::size_t>(datagram.to)].endpoint.on_datagram(datagram.bytes, now, effects);
        agent(datagram.to, effects);
        deliver(datagram.to, effects);
      }
    }
    if (!done) now = end;
  }
  Endpoint& client() { return ends[0].endpoint; }
  Endpoint& server() { return ends[1].endpoint; }

  struct Datagram {
    base::SteadyTime at;
    int sequence;
    int to;
    base::Bytes bytes;
    bool operator<(const Datagram& other) const { return std::tie(other.at, other.sequence) < std::tie(at, sequence); }
  };
  base::SteadyTime now{1000s};
  Random random;
  double loss;
  std::array<Bench, 2> ends;
  std::array<int, 2> sent{};
  std::priority_queue<Datagram> under_way;
  int sequence = 0;
  int steps = 0;
};

// The client repeats after 200 ms, as with a known round trip of 100 ms.
Repetition fast() {
  Repetition repetition;
  repetition.rtt_known = true;
  repetition.interval = 200ms;
  repetition.tries = 64;
  return repetition;
}

struct Outcome {
  bool whole = false;
  base::Duration time{};
  int requests = 0;
  int answers = 0;
};

// A status answer of `bytes` to a GET; in lock-step with Block2 or with Q-Block2.
Outcome fetch(std::size_t bytes, double loss, std::uint64_t seed, bool q_block) {
  Link link{seed, loss};
  const base::Bytes body = body_of(bytes);
  Request get;
  get.uri_path = {"mitigate"};
  if (q_block) get.q_block2 = {Block{0, true, 6}.value()};
  BlockTransfer blocks{get};
  Outcome outcome;
  bool done = false;
  const base::SteadyTime begin = link.now;
  std::optional<RequestId> current;
  const auto send = [&](const Request& request) {
    Effects effects;
    current = link.client().send(request, fast(), link.now, effects);
    link.deliver(0, effects);
  };
  const auto agent = [&](int side, Effects& effects) {
    for (const auto& incoming : effects.requests) {
      Response response;
      response.payload = body;
      if (!link.server().takes_q_blocks(incoming.request)) {
        const Block wanted = Block::of(incoming.request.block2.value_or(6));
        const std::size_t end = std::min(wanted.offset() + 1024, bytes);
        response.payload.assign(body.begin() + static_cast<std::ptrdiff_t>(wanted.offset()),
                                body.begin() + static_cast<std::ptrdiff_t>(end));
        response.block2 = Block{wanted.number, end < bytes, 6}.value();
        response.etag = base::Bytes{1};
      }
      link.server().respond(incoming.exchange, response, false, link.now, effects);
    }
    for (const auto& response : effects.responses) {
      EXPECT_EQ(side, 0);
      const auto whole = q_block ? response.response : blocks.on_response(response.response);
      if (whole) {
        EXPECT_EQ(whole->payload, body);
        outcome.whole = done = true;
      } else {
        send(blocks.next());
      }
    }
    if (!effects.failures.empty()) send(q_block ? get : blocks.next());
  };
  send(get);
  link.run(begin + 1200s, agent, done);
  outcome.time = link.now - begin;
  outcome.requests = link.sent[0];
  outcome.answers = link.sent[1];
  return outcome;
}

TEST(QBlockPair, ALargeAnswerComesInFarFewerRoundTripsThanWithBlock2) {
  for (const double loss : {0.0, 0.1, 0.3, 0.5}) {
    for (const bool q_block : {false, true}) {
      std::vector<double> seconds;
      double requests = 0;
      double answers = 0;
      for (std::uint64_t seed = 1; seed <= 60; ++seed) {
        const Outcome outcome = fetch(30000, loss, seed, q_block);
        EXPECT_TRUE(outcome.whole) << loss << " " << seed << " " << q_block;
        seconds.push_back(std::chrono::duration<double>(outcome.time).count());
        requests += outcome.requests / 60.0;
        answers += outcome.answers / 60.0;
      }
      std::sort(seconds.begin(), seconds.end());
      printf("loss %.1f %s median %.2f s p95 %.2f s requests %.1f answers %.1f\n", loss, q_block ? "Q-Block2" : "Block2  ",
             seconds[30], seconds[57], requests, answers);
    }
  }
}

}  // namespace
}  // namespace dots::coap::testing
