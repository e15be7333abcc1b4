#include "apps/runtime/housekeeper.h"

#include <gtest/gtest.h>

#include <future>
#include <vector>

namespace dots::runtime {
namespace {

using namespace std::chrono_literals;

TEST(HousekeeperTest, JobsRunOneAfterTheOtherAndBeforeTheEnd) {
  Housekeeper housekeeper;
  std::vector<int> ran;
  std::promise<void> go;
  housekeeper.start();
  ASSERT_TRUE(housekeeper.post([&] { go.get_future().wait(); }));
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(housekeeper.post([&ran, i] { ran.push_back(i); }));
  go.set_value();
  housekeeper.stop();
  EXPECT_EQ(ran, (std::vector<int>{0, 1, 2, 3, 4}));
  EXPECT_FALSE(housekeeper.post([] {})) << "nobody would run it";
}

TEST(HousekeeperTest, TakesNoMoreThanItCanAnswer) {
  Housekeeper housekeeper;
  int taken = 0;
  while (taken < 1000 && housekeeper.post([] {})) ++taken;
  EXPECT_EQ(taken, 64);
}

TEST(HousekeeperTest, WhatRecursGoesOnBesideWhatIsPosted) {
  Housekeeper housekeeper;
  std::promise<void> three;
  int turns = 0;
  housekeeper.add(1ms, [&] {
    if (++turns == 3) three.set_value();
  });
  housekeeper.start();
  ASSERT_TRUE(housekeeper.post([] {}));
  EXPECT_EQ(three.get_future().wait_for(10s), std::future_status::ready);
}

}  // namespace
}  // namespace dots::runtime
