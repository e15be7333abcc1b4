#include "agent/server/loss_guard.h"

#include <gtest/gtest.h>

namespace dots::agent::server {
namespace {

TEST(LossGuard, HoldsWhenMoreThanTheShareIsQuietOverAllShards) {
  LossGuard guard({50, 3}, 2);
  EXPECT_FALSE(guard.counted(0, {4, 2}));
  EXPECT_FALSE(guard.counted(1, {4, 2}));
  EXPECT_FALSE(guard.held()) << "exactly the share";
  EXPECT_TRUE(guard.counted(1, {4, 3}));
  EXPECT_TRUE(guard.held());
  EXPECT_EQ(guard.why(), "5 of 8 clients are silent");
}

TEST(LossGuard, FewClientsAreTheirOwnLoss) {
  LossGuard guard({50, 3}, 1);
  guard.counted(0, {2, 2});
  EXPECT_FALSE(guard.held());
  guard.counted(0, {3, 3});
  EXPECT_TRUE(guard.held());
}

TEST(LossGuard, LetsGoWhenTheyReturn) {
  LossGuard guard({50, 3}, 1);
  guard.counted(0, {100, 60});
  EXPECT_TRUE(guard.held());
  EXPECT_FALSE(guard.counted(0, {100, 40})) << "still on their way";
  EXPECT_TRUE(guard.counted(0, {100, 25}));
  EXPECT_FALSE(guard.held());
}

TEST(LossGuard, TheOperatorReleases) {
  LossGuard guard({50, 3}, 1);
  guard.counted(0, {100, 60});
  EXPECT_TRUE(guard.release());
  EXPECT_FALSE(guard.held());
  EXPECT_FALSE(guard.counted(0, {100, 70})) << "said once for this outage";
  guard.counted(0, {100, 10});
  EXPECT_TRUE(guard.counted(0, {100, 60})) << "another outage";
}

TEST(LossGuard, HoldsWithoutAnUplink) {
  LossGuard guard({100, 3}, 1);
  guard.counted(0, {100, 100});
  EXPECT_FALSE(guard.held());
  EXPECT_TRUE(guard.uplink(false));
  EXPECT_TRUE(guard.held());
  EXPECT_FALSE(guard.release()) << "nothing can be lost that way";
  EXPECT_TRUE(guard.uplink(true));
}

}  // namespace
}  // namespace dots::agent::server
