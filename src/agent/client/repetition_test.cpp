// How soon a request is acknowledged when most of the traffic is lost (ARCHITECTURE of the repetition: RFC 9132 4.4
// with a round-trip estimate of RFC 6298): seeded, in virtual time.
#include <algorithm>
#include <random>

#include "agent/client/client_harness.h"

namespace dots::agent::client {
namespace {

struct Times {
  std::vector<base::Duration> put, del;
  std::size_t most_sends = 0;
};

base::Duration p99(std::vector<base::Duration> times) {
  std::sort(times.begin(), times.end());
  return times[times.size() * 99 / 100];
}

// One life: a session stands for a while with nothing lost, then the link fills up and help is asked for.
void live(std::uint64_t seed, Times& times) {
  ClientHarness h;
  h.latency = 25ms;
  std::mt19937_64 random{seed};
  bool lossy = false;
  const auto lost = [&](base::SessionId) { return lossy && std::uniform_int_distribution<int>{0, 9}(random) < 7; };
  h.lose_up = lost;
  h.lose_down = lost;
  h.start();
  h.advance(300s + std::chrono::milliseconds{std::uniform_int_distribution<int>{0, 29999}(random)});
  lossy = true;

  const auto until = [&](const std::function<bool()>& done) {
    const base::SteadyTime begun = h.now.steady;
    while (!done() && h.now.steady - begun < 300s) h.advance(10ms);
    return h.now.steady - begun;
  };
  const auto put = h.call("mitigate", {{"target-prefix", {"192.0.2.1/32"}}});
  h.advance(2 * h.commit_time);
  const base::Mid mid{h.answered(put).body.at("mitigation").at("mid").to_number<std::uint32_t>()};
  times.put.push_back(until([&] { return h.count_told("CLIENT_REQUEST_ACCEPTED") == 1; }));
  times.most_sends = std::max(times.most_sends, h.sends("PUT mitigate").size());
  h.call("withdraw", {{"mid", mid.value}});
  times.del.push_back(until([&] { return h.count_told("CLIENT_REQUEST_ENDED") == 1; }));
}

// S9132-4.4-10 in spirit; the goal of the project: 70 % lost each way, round trip 50 ms and known: 99 of 100 requests
// and withdrawals are acknowledged within 5 s.
TEST(Repetition, NinetyNinePercentWithinFiveSecondsAtSeventyPercentLoss) {
  Times times;
  for (std::uint64_t seed = 1; seed <= 2000; ++seed) live(seed, times);
  RecordProperty("put_p99_ms", static_cast<int>(p99(times.put) / 1ms));
  RecordProperty("delete_p99_ms", static_cast<int>(p99(times.del) / 1ms));
  EXPECT_LE(p99(times.put), 5s);
  EXPECT_LE(p99(times.del), 5s);
  EXPECT_GT(p99(times.put), 1s);  // the loss was there
  EXPECT_GT(times.most_sends, 20u);
}

// Fast repetitions are not closer than the round trip, nor in step; after 64 of them 3 s pass between two.
TEST(Repetition, SixtyFourFastOnesThenEveryThreeSeconds) {
  ClientHarness h;
  h.latency = 25ms;
  h.start();
  h.advance(310s);
  h.lose_up = [](base::SessionId) { return true; };
  h.mitigate("192.0.2.1/32");
  h.advance(60s);
  const auto sends = h.sends("PUT mitigate");
  ASSERT_GT(sends.size(), 70u);
  std::set<base::Duration> gaps;
  for (std::size_t i = 1; i < sends.size(); ++i) {
    const base::Duration gap = sends[i].at - sends[i - 1].at;
    if (i < 64) {
      EXPECT_GE(gap, 50ms) << i;
      EXPECT_LE(gap, 200ms) << i;
      gaps.insert(gap);
    } else if (i > 64) {
      EXPECT_GE(gap, 3s) << i;
    }
  }
  EXPECT_GT(gaps.size(), 30u);  // jitter
}

// A minute after the last sample nothing is known about the link any more.
TEST(Repetition, AnOldEstimateIsNoEstimate) {
  ClientHarness h;
  h.latency = 25ms;
  h.start();
  h.advance(310s);
  h.lose_up = [](base::SessionId) { return true; };
  h.advance(61s);
  h.mitigate("192.0.2.1/32");
  h.advance(30s);
  const auto sends = h.sends("PUT mitigate");
  ASSERT_GE(sends.size(), 9u);
  for (std::size_t i = 1; i < sends.size(); ++i) EXPECT_GE(sends[i].at - sends[i - 1].at, 3s);
}

}  // namespace
}  // namespace dots::agent::client
