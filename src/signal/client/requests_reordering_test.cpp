// What the network loses, or brings in another order, must not leave client and server apart.
#include <gtest/gtest.h>

#include "signal/client/requests_harness.h"

namespace dots::signal::client {
namespace {

using namespace std::chrono_literals;

using model::MitigationStatus;
using model::ResponseCode;

// The server had ended the request, and with it the observation; its last word did not arrive.
TEST(ClientReorderingTest, ARequestThatTheServerMakesAnewIsObservedAnew) {
  RequestsHarness h;
  const base::Mid mid = h.mitigate("192.0.2.1/32");
  h.accept(100);
  const SendId first = h.observation(mid);
  h.advance(80s);
  ASSERT_EQ(h.puts.size(), 2u);
  h.accept(100, ResponseCode::created);
  EXPECT_NE(h.observation(mid), first);
  h.notify(mid, MitigationStatus::successfully_mitigated);
  EXPECT_EQ(h.view(mid).status, MitigationStatus::successfully_mitigated);
}

TEST(ClientReorderingTest, ARefreshThatTheWithdrawalOvertookBringsNothingBack) {
  RequestsHarness h;
  const base::Mid mid = h.mitigate("192.0.2.1/32");
  h.accept(100);
  h.advance(80s);
  ASSERT_EQ(h.puts.size(), 2u);
  h.withdraw(mid);
  ASSERT_EQ(h.deletes.size(), 1u);
  h.answer(h.deletes[0].id, h.code(ResponseCode::deleted));
  EXPECT_EQ(h.view(mid).phase, Phase::withdrawing);
  h.advance(5s);
  ASSERT_EQ(h.deletes.size(), 2u);
  h.answer(h.deletes[1].id, h.code(ResponseCode::deleted));
  EXPECT_EQ(h.view(mid).phase, Phase::ended);
}

}  // namespace
}  // namespace dots::signal::client
