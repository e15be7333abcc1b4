#include "agent/server/loss_guard.h"

#include <gtest/gtest.h>

namespace dots::agent::server {
namespace {

using namespace std::chrono_literals;

constexpr base::SteadyTime kNow{std::chrono::hours{10}};

TEST(LossGuard, HoldsWhenMoreThanTheShareIsQuietOverAllShards) {
  LossGuard guard({50, 3, 450s}, 2);
  EXPECT_FALSE(guard.counted(0, {4, 2}, kNow));
  EXPECT_FALSE(guard.counted(1, {4, 2}, kNow));
  EXPECT_FALSE(guard.held()) << "exactly the share";
  EXPECT_TRUE(guard.counted(1, {4, 3}, kNow));
  EXPECT_TRUE(guard.held());
  EXPECT_EQ(guard.why(), "5 of 8 clients are silent");
}

TEST(LossGuard, FewClientsAreTheirOwnLoss) {
  LossGuard guard({50, 3, 450s}, 1);
  guard.counted(0, {2, 2}, kNow);
  EXPECT_FALSE(guard.held());
  guard.counted(0, {3, 3}, kNow);
  EXPECT_TRUE(guard.held());
}

TEST(LossGuard, LetsGoWhenTheyReturn) {
  LossGuard guard({50, 3, 450s}, 1);
  guard.counted(0, {100, 60}, kNow);
  EXPECT_TRUE(guard.held());
  EXPECT_FALSE(guard.counted(0, {100, 40}, kNow)) << "still on their way";
  EXPECT_TRUE(guard.counted(0, {100, 25}, kNow));
  EXPECT_FALSE(guard.held());
  EXPECT_EQ(guard.no_loss_before(), kNow + 450s) << "the others are on their way";
}

TEST(LossGuard, TheOperatorReleases) {
  LossGuard guard({50, 3, 450s}, 1);
  guard.counted(0, {100, 60}, kNow);
  EXPECT_TRUE(guard.release(kNow));
  EXPECT_LE(guard.no_loss_before(), kNow) << "they are lost, he says";
  EXPECT_FALSE(guard.held());
  EXPECT_FALSE(guard.counted(0, {100, 70}, kNow)) << "said once for this outage";
  guard.counted(0, {100, 10}, kNow);
  EXPECT_TRUE(guard.counted(0, {100, 60}, kNow)) << "another outage";
}

TEST(LossGuard, AStallGivesTwiceTheThreshold) {
  LossGuard guard({50, 3, 450s}, 1);
  guard.stalled(kNow);
  EXPECT_FALSE(guard.held());
  EXPECT_EQ(guard.no_loss_before(), kNow + 900s);
}

TEST(LossGuard, HoldsWithoutAnUplink) {
  LossGuard guard({100, 3, 450s}, 1);
  guard.counted(0, {100, 100}, kNow);
  EXPECT_FALSE(guard.held());
  EXPECT_TRUE(guard.uplink(false, kNow));
  EXPECT_TRUE(guard.held());
  EXPECT_FALSE(guard.release(kNow)) << "nothing can be lost that way";
  EXPECT_TRUE(guard.uplink(true, kNow));
}

}  // namespace
}  // namespace dots::agent::server
