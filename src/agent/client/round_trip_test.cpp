#include "agent/client/round_trip.h"

#include <gtest/gtest.h>

namespace dots::agent::client {
namespace {

using namespace std::chrono_literals;

constexpr base::SteadyTime kStart{100s};

// S9132-4.4-05
TEST(RoundTripTest, WithoutASampleOneRequestEach3Seconds) {
  const RoundTrip round_trip;
  EXPECT_EQ(round_trip.spacing(kStart), 3s);
  EXPECT_FALSE(round_trip.timeout(kStart));
}

// S9132-4.4-05: an old estimate is none.
TEST(RoundTripTest, TheEstimateAgesOutAfter60Seconds) {
  RoundTrip round_trip;
  round_trip.on_sample(80ms, kStart);
  EXPECT_EQ(round_trip.spacing(kStart + 60s), 80ms);
  EXPECT_EQ(round_trip.spacing(kStart + 61s), 3s);
  EXPECT_FALSE(round_trip.timeout(kStart + 61s));
}

TEST(RoundTripTest, TheTimeOutFollowsTheVariationWithinItsBounds) {
  RoundTrip round_trip;
  round_trip.on_sample(100ms, kStart);
  EXPECT_EQ(round_trip.timeout(kStart), 300ms);
  for (int i = 0; i < 100; ++i) round_trip.on_sample(1ms, kStart);
  EXPECT_EQ(round_trip.timeout(kStart), 50ms);
  EXPECT_EQ(round_trip.spacing(kStart), 50ms);
  for (int i = 0; i < 100; ++i) round_trip.on_sample(30s, kStart);
  EXPECT_EQ(round_trip.timeout(kStart), 3s);
}

}  // namespace
}  // namespace dots::agent::client
