#include "coap/message_ids.h"

#include <gtest/gtest.h>

#include <vector>

#include "coap/lifetimes.h"

namespace dots::coap {
namespace {

using namespace std::chrono_literals;

TEST(MessageIds, AscendAndWrap) {
  MessageIds ids{65535};
  const base::SteadyTime now{1h};
  EXPECT_EQ(ids.take(now, kNonLifetime), 65535);
  EXPECT_EQ(ids.take(now, kNonLifetime), 0);
  EXPECT_EQ(ids.take(now, kNonLifetime), 1);
}

TEST(MessageIds, StopWhenAllAreInUseAndGoOnAfterTheLifetime) {
  MessageIds ids{100};
  const base::SteadyTime start{1h};
  int taken = 0;
  while (ids.take(start, kNonLifetime)) ++taken;
  EXPECT_GE(taken, 65536 - 4096);
  EXPECT_LE(taken, 65536);
  EXPECT_FALSE(ids.take(start + kNonLifetime - 1ns, kNonLifetime));
  EXPECT_TRUE(ids.take(start + kNonLifetime + 1s, kNonLifetime));
}

// The rule itself, at a rate above what the space allows: no id comes back within its lifetime.
TEST(MessageIds, NoneComesBackWithinItsLifetime) {
  MessageIds ids{40000};
  std::vector<std::optional<base::SteadyTime>> free_at(65536);
  base::SteadyTime now{1h};
  int refused = 0;
  for (int i = 0; i < 400000; ++i) {
    now += 2ms;
    const base::Duration lifetime = i % 7 == 0 ? kExchangeLifetime : kNonLifetime;
    const auto id = ids.take(now, lifetime);
    if (!id) {
      ++refused;
      continue;
    }
    ASSERT_TRUE(!free_at[*id] || *free_at[*id] <= now) << *id;
    free_at[*id] = now + lifetime;
  }
  EXPECT_GT(refused, 0);
}

// Non-confirmable traffic of 400 messages a second is never held up.
TEST(MessageIds, CarryFourHundredMessagesASecond) {
  MessageIds ids{0};
  base::SteadyTime now{1h};
  for (int i = 0; i < 400000; ++i) {
    now += 2500us;
    ASSERT_TRUE(ids.take(now, kNonLifetime)) << i;
  }
}

}  // namespace
}  // namespace dots::coap
