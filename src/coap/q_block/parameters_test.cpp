#include "coap/q_block/parameters.h"

#include <gtest/gtest.h>

#include "coap/q_block/probing.h"
#include "coap/q_block/test_support.h"

namespace dots::coap::testing {
namespace {

using namespace std::chrono_literals;
using model::Parameter;

constexpr base::SteadyTime kStart{1000s};

base::Duration wait_after(std::size_t bytes, const QBlockParameters& p, double fraction) {
  ProbingRate probing;
  probing.on_sent(bytes, p, fraction, kStart);
  return probing.allowed_at() - kStart;
}

// D9362-3-16, D9362-3-15: the bytes of a body at probing-rate, but never longer than NON_PROBING_WAIT.
TEST(ProbingRate, IsOfWholeBodiesAndCapped) {
  const auto p = parameters({{Parameter::probing_rate, 100}});
  EXPECT_EQ(wait_after(10 * 1024, p, 0), 102400ms);
  EXPECT_EQ(wait_after(60000, p, 0), 223s);
  ProbingRate probing;
  probing.on_sent(1000, p, 0, kStart);
  probing.on_sent(1000, p, 0, kStart);
  EXPECT_EQ(probing.allowed_at(), kStart + 20s) << "they add up";
  probing.on_heard();
  EXPECT_LE(probing.allowed_at(), kStart) << "it is about a peer that does not answer";
}

// D9362-3-10, D9362-3-12, D9362-3-13: what follows from the others has NON_TIMEOUT as its base and the jitter of
// ack-random-factor, drawn each time. D9362-3-14: what was configured has none.
TEST(ProbingRate, AComputedWaitHasJitterAndAConfiguredOneHasNot) {
  const auto computed = parameters({{Parameter::ack_timeout, 400}});
  ASSERT_EQ(computed.non_timeout, 4s);
  const base::Duration base = 4s * 7 * 3 / 2 + 200s + 4s;
  EXPECT_EQ(wait_after(60000, computed, 0), base);
  EXPECT_EQ(wait_after(60000, computed, 0.5), base + 1s);
  EXPECT_EQ(wait_after(60000, computed, 0.25), base + 500ms);
  const auto configured = parameters({{Parameter::non_probing_wait, 30000}});
  EXPECT_EQ(wait_after(60000, configured, 0), 300s);
  EXPECT_EQ(wait_after(60000, configured, 0.9), 300s);
}

// R9177-7.2-02: whatever non-timeout and the factor are, the receiver waits a second longer than the sender may.
TEST(QBlockParameters, TheReceiverIsMorePatientThanTheSender) {
  for (const std::uint64_t timeout : {100u, 200u, 1000u}) {
    for (const std::uint64_t factor : {100u, 150u, 400u}) {
      const auto p = parameters({{Parameter::non_timeout, timeout}, {Parameter::ack_random_factor, factor}});
      EXPECT_GE(p.non_receive_timeout, p.between_sets(1) + 1s) << timeout << " " << factor;
    }
  }
}

}  // namespace
}  // namespace dots::coap::testing
