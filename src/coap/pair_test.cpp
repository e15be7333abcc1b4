// Two endpoints over a link that loses, doubles, delays and reorders.
#include <queue>
#include <set>

#include "coap/endpoint_test_support.h"
#include "coap/random.h"

namespace dots::coap::testing {
namespace {

class Link {
 public:
  Link(std::uint64_t seed, double loss) : random_(seed), loss_(loss), ends_{Bench{{}, seed + 1}, Bench{{}, seed + 2}} {}

  base::SteadyTime now{1000s};

  Endpoint& endpoint(int side) { return ends_[side].endpoint; }
  void deliver(int from, const Effects& effects) {
    for (const auto& datagram : effects.send) {
      const int copies = random_.fraction() < 0.2 ? 2 : 1;
      for (int i = 0; i < copies; ++i) {
        if (random_.fraction() < loss_) continue;
        const auto delay = std::chrono::milliseconds{static_cast<int>(random_.fraction() * 400)};
        under_way_.push({now + delay, ++sequence_, 1 - from, datagram});
      }
    }
  }
  // Runs until `end`; on_effects(side, effects) is the agent of that side.
  template <class Agent>
  void run(base::SteadyTime end, Agent agent) {
    while (now < end) {
      std::optional<base::SteadyTime> next;
      if (!under_way_.empty()) next = under_way_.top().at;
      for (auto& side : ends_) {
        const auto deadline = side.endpoint.next_deadline();
        if (deadline && (!next || *deadline < *next)) next = deadline;
      }
      if (!next || *next > end) break;
      now = std::max(now, *next);
      for (int side = 0; side < 2; ++side) {
        Effects effects;
        endpoint(side).on_timer(now, effects);
        agent(side, effects);
        deliver(side, effects);
      }
      while (!under_way_.empty() && under_way_.top().at <= now) {
        const Datagram datagram = under_way_.top();
        under_way_.pop();
        Effects effects;
        endpoint(datagram.to).on_datagram(datagram.bytes, now, effects);
        agent(datagram.to, effects);
        deliver(datagram.to, effects);
      }
    }
    now = end;
  }

 private:
  struct Datagram {
    base::SteadyTime at;
    int sequence;
    int to;
    base::Bytes bytes;
    bool operator<(const Datagram& other) const { return std::tie(other.at, other.sequence) < std::tie(at, sequence); }
  };
  Random random_;
  double loss_;
  std::array<Bench, 2> ends_;
  std::priority_queue<Datagram> under_way_;
  int sequence_ = 0;
};

// S8612-GEN-002-01, S8612-SEC-004-03, S8811-1.3-01: Every request is executed at most once and, with enough tries,
// answered with its own answer; also both ways at once.
TEST(Pair, RequestsSurviveABadLinkAndAreExecutedOnce) {
  for (const bool confirmable : {false, true}) {
    for (std::uint64_t seed = 1; seed <= 20; ++seed) {
      Link link{seed, 0.5};
      std::array<std::map<std::uint64_t, std::string>, 2> asked;
      std::array<std::multiset<std::string>, 2> executed;
      int answered = 0;
      int failed = 0;
      const auto agent = [&](int side, Effects& effects) {
        for (const auto& incoming : effects.requests) {
          const std::string payload = as_string(incoming.request.payload);
          executed[static_cast<std::size_t>(side)].insert(payload);
          link.endpoint(side).respond(incoming.exchange, content("to " + payload), false, link.now, effects);
        }
        for (const auto& response : effects.responses) {
          auto& mine = asked[static_cast<std::size_t>(side)];
          ASSERT_TRUE(mine.contains(response.request.value));
          EXPECT_EQ(as_string(response.response.payload), "to " + mine[response.request.value]);
          mine.erase(response.request.value);
          ++answered;
        }
        failed += static_cast<int>(effects.failures.size());
      };
      for (int i = 0; i < 20; ++i) {
        for (int side = 0; side < 2; ++side) {
          Request put;
          put.confirmable = confirmable;
          put.method = Method::put;
          const std::string name = std::to_string(side) + "/" + std::to_string(i);
          put.payload = text(name);
          Repetition repetition;
          repetition.tries = 40;
          repetition.max_retransmit = 6;
          Effects effects;
          const auto id = link.endpoint(side).send(put, repetition, link.now, effects);
          ASSERT_TRUE(id.has_value());
          asked[static_cast<std::size_t>(side)][id->value] = name;
          link.deliver(side, effects);
        }
        link.run(link.now + 700ms, agent);
      }
      link.run(link.now + 600s, agent);
      for (const auto& side : executed) {
        for (const auto& name : side) EXPECT_EQ(side.count(name), 1U) << name;
      }
      EXPECT_EQ(answered + failed, 40);
      if (!confirmable) {
        EXPECT_EQ(failed, 0);
      }
      EXPECT_GT(answered, 30);
    }
  }
}

// The client ends with the last state, whatever was lost or overtaken on the way.
TEST(Pair, AnObserverEndsWithTheLastState) {
  for (std::uint64_t seed = 1; seed <= 30; ++seed) {
    Link link{seed, 0.3};
    base::Bytes token;
    std::string known;
    int last_seen = -1;
    const auto agent = [&](int side, Effects& effects) {
      for (const auto& incoming : effects.requests) {
        token = incoming.token;
        link.endpoint(side).respond(incoming.exchange, content("0"), true, link.now, effects);
      }
      for (const auto& response : effects.responses) {
        known = as_string(response.response.payload);
        EXPECT_GE(std::stoi(known), last_seen);
        last_seen = std::stoi(known);
      }
      EXPECT_TRUE(effects.ended.empty());
    };
    Request get;
    get.observe = 0U;
    Repetition repetition;
    repetition.tries = 20;
    Effects effects;
    link.endpoint(0).send(get, repetition, link.now, effects);
    link.deliver(0, effects);
    link.run(link.now + 60s, agent);
    ASSERT_EQ(known, "0");
    for (int i = 1; i <= 50; ++i) {
      Effects out;
      link.endpoint(1).notify(token, content(std::to_string(std::min(i, 30))), link.now, out);
      link.deliver(1, out);
      link.run(link.now + 100ms, agent);
    }
    link.run(link.now + 10s, agent);
    EXPECT_EQ(known, "30");
  }
}

}  // namespace
}  // namespace dots::coap::testing
