#include "model/session_config.h"

#include <gtest/gtest.h>

namespace dots::model {
namespace {

using enum Parameter;

// S9132-4.5.2-01, S9132-4.5.2-02, S9132-4.5.2-05, S9132-C-01, D9362-3-05, D9362-3-06, D9362-3-07, D9362-3-09,
// D9362-3-11, D9362-5-03
TEST(SessionConfig, Defaults) {
  const ParameterSet set = in_force({}, {});
  EXPECT_EQ(set.at(heartbeat_interval), 30u);
  EXPECT_EQ(set.at(missing_hb_allowed), 15u);
  EXPECT_EQ(set.at(probing_rate), 5u);
  EXPECT_EQ(set.at(max_retransmit), 3u);
  EXPECT_EQ(set.at(ack_timeout), 200u);
  EXPECT_EQ(set.at(ack_random_factor), 150u);
  EXPECT_EQ(set.at(max_payloads), 10u);
  EXPECT_EQ(set.at(non_max_retransmit), 3u);
  EXPECT_EQ(set.at(non_timeout), 200u);
  EXPECT_EQ(set.at(non_receive_timeout), 400u);
  EXPECT_EQ(set.at(non_probing_wait), 22300u);  // without jitter
  EXPECT_EQ(set.at(non_partial_timeout), 24700u);
}

// D9362-3-10, D9362-3-13: 1 s * (2^4 - 1) * 2.0 + 200 s + 1 s.
TEST(SessionConfig, WhatFollowsIsComputedAnew) {
  ParameterSet given;
  given.set(ack_timeout, 100);
  given.set(max_retransmit, 4);
  given.set(ack_random_factor, 200);
  ParameterSet set = in_force(given, {});
  EXPECT_EQ(set.at(non_timeout), 100u);
  EXPECT_EQ(set.at(non_max_retransmit), 4u);
  EXPECT_EQ(set.at(non_probing_wait), 23100u);
  EXPECT_EQ(set.at(non_partial_timeout), 23100u);
  // R9177-7.2-02: at least a second above NON_TIMEOUT_RANDOM, which reaches 2 s here.
  EXPECT_EQ(set.at(non_receive_timeout), 300u);

  // D9362-3-14: what was given explicitly is not computed.
  given.set(non_probing_wait, 1000);
  given.set(non_partial_timeout, 2000);
  set = in_force(given, {});
  EXPECT_EQ(set.at(non_probing_wait), 1000u);
  EXPECT_EQ(set.at(non_partial_timeout), 2000u);
}

// D9362-3-09
TEST(SessionConfig, TheReceiveTimeoutFollowsTheTimeout) {
  ParameterSet given;
  given.set(non_timeout, 300);
  EXPECT_EQ(in_force(given, {}).at(non_receive_timeout), 600u);
}

TEST(SessionConfig, GivenBeforeConfiguredBeforeTheRfc) {
  ParameterSet configured;
  configured.set(heartbeat_interval, 60);
  configured.set(max_retransmit, 5);
  ParameterSet given;
  given.set(heartbeat_interval, 90);
  const ParameterSet set = in_force(given, configured);
  EXPECT_EQ(set.at(heartbeat_interval), 90u);
  EXPECT_EQ(set.at(max_retransmit), 5u);
  EXPECT_EQ(set.at(ack_timeout), 200u);
}

TEST(SessionConfig, EveryParameterIsInTheTable) {
  ASSERT_EQ(parameters().size(), kParameters);
  for (std::size_t i = 0; i < kParameters; ++i) {
    EXPECT_EQ(static_cast<std::size_t>(parameters()[i].parameter), i);
    EXPECT_TRUE(attribute(parameters()[i].key).is_container());
    EXPECT_EQ(parameters()[i].of_rfc9132, attribute(parameters()[i].key).rfc == 9132);
  }
}

TEST(SessionConfig, Texts) {
  EXPECT_EQ(value_text(ack_timeout, 205), "ack-timeout 2.05");
  EXPECT_EQ(value_text(max_payloads, 10), "max-payloads 10");
  EXPECT_EQ(duration_of(in_force({}, {}), ack_timeout), std::chrono::seconds{2});
  EXPECT_EQ(duration_of(in_force({}, {}), heartbeat_interval), std::chrono::seconds{30});
}

}  // namespace
}  // namespace dots::model
