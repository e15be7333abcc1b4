#include "base/request_rate.h"

#include <gtest/gtest.h>

namespace dots::base {
namespace {

using namespace std::chrono_literals;

TEST(RequestBucket, AHeavyRequestCountsAsMany) {
  const RequestRate rate{10, 20};
  const SteadyTime now{1000s};
  RequestBucket bucket;
  EXPECT_TRUE(bucket.take(rate, now, 15));
  EXPECT_FALSE(bucket.take(rate, now, 6));
  EXPECT_TRUE(bucket.take(rate, now, 5));
  EXPECT_FALSE(bucket.take(rate, now));
  EXPECT_TRUE(bucket.take(rate, now + 100ms));
}

TEST(RequestBucket, WhatIsHeavierThanTheBurstNeedsAFullBucketAndIsPaidOff) {
  const RequestRate rate{10, 20};
  SteadyTime now{1000s};
  RequestBucket bucket;
  EXPECT_TRUE(bucket.take(rate, now, 100));
  EXPECT_FALSE(bucket.take(rate, now + 7s)) << "it is paid off in 10 s, of which the burst are 2";
  EXPECT_TRUE(bucket.take(rate, now + 8100ms));
}

TEST(RequestBucket, WhatWasServedCanBeChargedLater) {
  const RequestRate rate{10, 20};
  const SteadyTime now{1000s};
  RequestBucket bucket;
  EXPECT_TRUE(bucket.take(rate, now));
  bucket.charge(rate, now, 40);
  EXPECT_FALSE(bucket.take(rate, now + 2s));
  EXPECT_TRUE(bucket.take(rate, now + 2200ms));
}

}  // namespace
}  // namespace dots::base
