#include "coap/q_block/body_sender.h"

#include <gtest/gtest.h>

#include <numeric>

#include "coap/q_block/test_support.h"
#include "coap/random.h"

namespace dots::coap::testing {
namespace {

using namespace std::chrono_literals;
using Numbers = std::vector<std::uint32_t>;

constexpr base::SteadyTime kStart{1000s};

Numbers from(std::uint32_t first, std::uint32_t end) {
  Numbers out(end - first);
  std::iota(out.begin(), out.end(), first);
  return out;
}

// D9362-3-05, R9177-7.2-03, R9177-7.2-05: sets of MAX_PAYLOADS, and the same delay after each of them.
TEST(BodySender, SendsSetsWithTheSameDelayBetweenThem) {
  const auto p = parameters();
  BodySender sender{25, 0.5, kStart};
  EXPECT_EQ(sender.take(p, kStart).fresh, from(0, 10));
  EXPECT_TRUE(sender.take(p, kStart + 2499ms).empty());
  EXPECT_EQ(sender.next_at(), kStart + 2500ms);
  EXPECT_EQ(sender.take(p, kStart + 2500ms).fresh, from(10, 20));
  EXPECT_EQ(sender.next_at(), kStart + 5000ms);
  EXPECT_FALSE(sender.all_sent());
  EXPECT_EQ(sender.take(p, kStart + 5s).fresh, from(20, 25));
  EXPECT_TRUE(sender.all_sent());
  EXPECT_EQ(sender.next_at(), std::nullopt);
}

// D9362-3-08: NON_TIMEOUT_RANDOM lies between non-timeout and non-timeout x ack-random-factor, is no whole number of
// seconds, and differs from body to body.
TEST(BodySender, TheDelayIsRandomBetweenItsBounds) {
  const auto p = parameters({{model::Parameter::non_timeout, 400}, {model::Parameter::ack_random_factor, 200}});
  Random random{7};
  std::set<base::Duration> delays;
  for (int i = 0; i < 200; ++i) {
    BodySender sender{25, random.fraction(), kStart};
    (void)sender.take(p, kStart);
    const base::Duration delay = *sender.next_at() - kStart;
    EXPECT_GE(delay, 4s);
    EXPECT_LE(delay, 8s);
    EXPECT_NE(delay % 1s, 0s);
    delays.insert(delay);
  }
  EXPECT_GT(delays.size(), 190u);
  EXPECT_LT(*delays.begin(), 4200ms);
  EXPECT_GT(*delays.rbegin(), 7800ms);
}

// R9177-7.2-04
TEST(BodySender, ContinueStartsTheNextSetAtOnce) {
  const auto p = parameters();
  BodySender sender{25, 0, kStart};
  (void)sender.take(p, kStart);
  sender.on_continue(20, kStart + 100ms);  // of a set that has not left
  sender.on_continue(5, kStart + 100ms);
  EXPECT_TRUE(sender.take(p, kStart + 100ms).empty());
  sender.on_continue(10, kStart + 100ms);
  EXPECT_EQ(sender.take(p, kStart + 100ms).fresh, from(10, 20));
  sender.on_continue(10, kStart + 200ms);  // late, the set has left
  EXPECT_TRUE(sender.take(p, kStart + 200ms).empty());
}

// R9177-7.2-11: missing blocks first, then another delay, then the next set.
TEST(BodySender, MissingBlocksGoBeforeTheNextSet) {
  const auto p = parameters();
  BodySender sender{25, 0, kStart};
  (void)sender.take(p, kStart);
  const Numbers missing{3, 9};
  sender.on_missing(missing, kStart + 1500ms);
  const auto burst = sender.take(p, kStart + 1500ms);
  EXPECT_EQ(burst.missing, missing);
  EXPECT_TRUE(burst.fresh.empty());
  EXPECT_EQ(sender.next_at(), kStart + 3500ms);
  EXPECT_EQ(sender.take(p, kStart + 3500ms).fresh, from(10, 20));
}

// R9177-7.2-14: one set of missing blocks at a time, whatever is asked for, and however often.
TEST(BodySender, MissingBlocksKeepToSetsAndDelays) {
  const auto p = parameters({{model::Parameter::max_payloads, 5}});
  BodySender sender{12, 0, kStart};
  for (auto now = kStart; !sender.all_sent(); now += 2s) (void)sender.take(p, now);
  const auto now = kStart + 100s;
  const Numbers all = from(0, 12);
  sender.on_missing(all, now);
  EXPECT_EQ(sender.take(p, now).missing, from(0, 5));
  sender.on_missing(all, now + 1ms);
  EXPECT_TRUE(sender.take(p, now + 1999ms).empty());
  EXPECT_EQ(sender.take(p, now + 2s).missing, from(0, 5));
  EXPECT_EQ(sender.take(p, now + 4s).missing, from(5, 10));
  EXPECT_EQ(sender.take(p, now + 6s).missing, from(10, 12));
}

TEST(BodySender, WhoAsksForEverythingForEverGetsEachBlockAFewTimes) {
  const auto p = parameters();
  BodySender sender{4, 0, kStart};
  std::size_t sent = 0;
  const Numbers wild{0, 1, 2, 3, 4, 1u << 19U};
  for (auto now = kStart; now < kStart + 1h; now += 100ms) {
    const auto burst = sender.take(p, now);
    sent += burst.fresh.size() + burst.missing.size();
    sender.on_missing(wild, now);
  }
  EXPECT_EQ(sent, 4u * BodySender::kMostSends);
}

// The sets of a changed MAX_PAYLOADS end where the peer expects them to.
TEST(BodySender, MaxPayloadsMayChangeOnTheWay) {
  BodySender sender{25, 0, kStart};
  EXPECT_EQ(sender.take(parameters(), kStart).fresh, from(0, 10));
  const auto p = parameters({{model::Parameter::max_payloads, 4}});
  EXPECT_EQ(sender.take(p, kStart + 2s).fresh, from(10, 12));
  EXPECT_EQ(sender.take(p, kStart + 4s).fresh, from(12, 16));
}

// RFC 9177 7.2: what is held back because the peer was silent leaves when it speaks; what has begun keeps its pace.
TEST(BodySender, AHeldBodyLeavesWhenThePeerSpeaks) {
  const auto p = parameters();
  BodySender sender{25, 0.5, kStart};
  sender.hold_until(kStart + 247s);
  EXPECT_TRUE(sender.take(p, kStart).empty());
  sender.release(kStart + 2s);
  EXPECT_EQ(sender.take(p, kStart + 2s).fresh, from(0, 10));
  sender.release(kStart + 2s);
  EXPECT_TRUE(sender.take(p, kStart + 2s).empty());
}

}  // namespace
}  // namespace dots::coap::testing
