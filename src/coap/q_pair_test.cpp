// Two endpoints that send large bodies and answers in Q-Blocks (RFC 9177) over a link that loses and delays.
#include <functional>
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
  Link(std::uint64_t seed, double up, double down)
      : random(seed), loss{up, down}, ends{Bench{{}, seed + 1}, Bench{{}, seed + 2}} {
    for (Bench& end : ends) end.endpoint.allow_q_blocks(parameter_set(), 1200);
  }

  void deliver(int from, const Effects& effects) {
    for (const auto& datagram : effects.send) {
      EXPECT_LE(datagram.size(), 1200u);
      ++sent[static_cast<std::size_t>(from)];
      if (random.fraction() < loss[static_cast<std::size_t>(from)]) continue;
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
      if (wake && (!next || *wake < *next)) next = wake;
      if (!next || *next > end) break;
      ASSERT_LT(++steps, 100000) << "time stands still";
      now = std::max(now, *next);
      if (wake && *wake <= now) {
        wake.reset();
        on_wake();
      }
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
  std::array<double, 2> loss;  // of what each end sends
  // The client sends something at this time.
  std::optional<base::SteadyTime> wake;
  std::function<void()> on_wake;
  std::array<Bench, 2> ends;
  std::array<int, 2> sent{};
  std::priority_queue<Datagram> under_way;
  int sequence = 0;
  int steps = 0;
};

// As the client repeats (docs/decisions/client-sessions.md): after 200 ms when it knows the round trip of 100 ms, else
// and between two requests never more than once in 3 s.
Repetition repetition(bool rtt_known) {
  Repetition out;
  out.rtt_known = rtt_known;
  out.interval = rtt_known ? base::Duration{200ms} : base::Duration{3s};
  out.tries = 64;
  return out;
}
constexpr base::Duration kBlindly = 3s;

struct Outcome {
  bool whole = false;
  base::Duration time{};
  int requests = 0;
  int answers = 0;
};

struct Way {
  const char* name;
  double up = 0;
  double down = 0;
  bool rtt_known = true;
};

constexpr std::size_t kAnswerBytes = 30000;

// A large status answer to a GET: with Block2 in lock-step, or with Q-Block2, and with Block2 when that has failed.
Outcome fetch(const Way& way, std::uint64_t seed, bool q_block) {
  Link link{seed, way.up, way.down};
  const base::Bytes body = body_of(kAnswerBytes);
  Request get;
  get.uri_path = {"mitigate"};
  BlockTransfer blocks{get};
  get.q_block2 = {Block{0, true, 6}.value()};
  Outcome outcome;
  bool done = false;
  const base::SteadyTime begin = link.now;
  base::SteadyTime last_send{};
  const auto send = [&] {
    Effects effects;
    last_send = link.now;
    link.client().send(q_block ? get : blocks.next(), repetition(way.rtt_known), link.now, effects);
    link.deliver(0, effects);
  };
  const auto send_in_turn = [&] { link.wake = way.rtt_known ? link.now : std::max(link.now, last_send + kBlindly); };
  link.on_wake = send;
  const auto agent = [&](int side, Effects& effects) {
    for (const auto& incoming : effects.requests) {
      Response response;
      response.payload = body;
      if (!link.server().takes_q_blocks(incoming.request)) {
        const Block wanted = Block::of(incoming.request.block2.value_or(6));
        response.payload = part_of(body, wanted.number);
        response.block2 = Block{wanted.number, wanted.offset() + 1024 < body.size(), 6}.value();
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
        send_in_turn();
      }
    }
    if (!effects.failures.empty()) {
      q_block = false;
      send_in_turn();
    }
  };
  send();
  link.run(begin + 3600s, agent, done);
  outcome.time = link.now - begin;
  outcome.requests = link.sent[0];
  outcome.answers = link.sent[1];
  return outcome;
}

struct Figures {
  double median_s = 0;
  double p95_s = 0;
  double requests = 0;
  double answers = 0;
};
Figures figures(const Way& way, bool q_block) {
  constexpr int kRuns = 100;
  Figures out;
  std::vector<double> seconds;
  for (std::uint64_t seed = 1; seed <= kRuns; ++seed) {
    const Outcome outcome = fetch(way, seed, q_block);
    EXPECT_TRUE(outcome.whole) << way.name << " " << seed << " " << q_block;
    seconds.push_back(std::chrono::duration<double>(outcome.time).count());
    out.requests += static_cast<double>(outcome.requests) / kRuns;
    out.answers += static_cast<double>(outcome.answers) / kRuns;
  }
  std::sort(seconds.begin(), seconds.end());
  out.median_s = seconds[kRuns / 2];
  out.p95_s = seconds[kRuns * 95 / 100];
  return out;
}

// The figures of docs/decisions/block-wise.md: 30,000 bytes, 50 ms each way.
TEST(QBlockPair, ALargeAnswerTakesFarFewerRoundTripsThanWithBlock2) {
  const std::array ways{
      Way{"no loss", 0, 0},
      Way{"10 % each way", 0.1, 0.1},
      Way{"30 % each way", 0.3, 0.3},
      Way{"30 % of what comes", 0, 0.3},
      Way{"50 % of what comes", 0, 0.5},
      Way{"no loss, no estimate", 0, 0, false},
      Way{"10 % each way, no estimate", 0.1, 0.1, false},
      Way{"30 % each way, no estimate", 0.3, 0.3, false},
      Way{"30 % of what comes, no estimate", 0, 0.3, false},
      Way{"50 % of what comes, no estimate", 0, 0.5, false},
  };
  for (const Way& way : ways) {
    const Figures block = figures(way, false);
    const Figures q_block = figures(way, true);
    EXPECT_LT(q_block.requests * 3, block.requests) << way.name;
    if (way.up == 0) {
      EXPECT_LT(q_block.requests * 4, block.requests) << way.name;
    }
    if (!way.rtt_known) {
      EXPECT_LT(q_block.median_s * 3, block.median_s) << way.name;
    }
    for (const auto& [name, value] : {std::pair{"Block2", block}, {"Q-Block2", q_block}}) {
      RecordProperty(std::string(way.name) + " " + name + " median s", std::to_string(value.median_s));
      RecordProperty(std::string(way.name) + " " + name + " p95 s", std::to_string(value.p95_s));
      RecordProperty(std::string(way.name) + " " + name + " requests", std::to_string(value.requests));
      RecordProperty(std::string(way.name) + " " + name + " answers", std::to_string(value.answers));
    }
  }
}

// S8612-GEN-002-01: whatever is lost, a body is executed once, and its answer comes.
TEST(QBlockPair, LargeBodiesSurviveABadLinkAndAreExecutedOnce) {
  int answered = 0;
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    Link link{seed, 0.3, 0.3};
    const base::Bytes body = body_of(25000, static_cast<std::uint8_t>(seed));
    Request put;
    put.method = Method::put;
    put.uri_path = {"mitigate"};
    put.payload = body;
    put.q_block1 = 6;
    int executed = 0;
    bool done = false;
    const auto agent = [&](int side, Effects& effects) {
      for (const auto& incoming : effects.requests) {
        EXPECT_EQ(side, 1);
        EXPECT_EQ(incoming.request.payload, body);
        ++executed;
        link.server().respond(incoming.exchange, changed(), false, link.now, effects);
      }
      for (const auto& response : effects.responses) {
        EXPECT_EQ(response.response.code, model::ResponseCode::changed);
        done = true;
      }
      done = done || !effects.failures.empty();
      answered += static_cast<int>(effects.responses.size());
    };
    Effects effects;
    ASSERT_TRUE(link.client().send(put, repetition(false), link.now, effects));
    link.deliver(0, effects);
    link.run(link.now + 1200s, agent, done);
    EXPECT_LE(executed, 1) << seed;
  }
  EXPECT_GE(answered, 55);
}

}  // namespace
}  // namespace dots::coap::testing
