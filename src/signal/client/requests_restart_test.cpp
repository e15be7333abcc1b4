#include <gtest/gtest.h>

#include "signal/client/requests.h"
#include "signal/client/requests_harness.h"

namespace dots::signal::client {
namespace {

using model::MitigationStatus;
using model::ResponseCode;

TEST(ClientRestartTest, AnUnansweredRequestIsSentAgain) {
  RequestsHarness h;
  const base::Mid mid = h.mitigate("192.0.2.1/32");
  const model::MitigationRequest request = h.puts.back().request;
  h.restart();
  ASSERT_EQ(h.puts.size(), 1u);
  EXPECT_EQ(h.puts[0].mid, mid);
  EXPECT_EQ(h.puts[0].request, request);
}

TEST(ClientRestartTest, AnAcceptedRequestIsObservedAgainAndRefreshedInTime) {
  RequestsHarness h;
  const base::Mid mid = h.mitigate("192.0.2.1/32");
  h.accept(3600);
  h.advance(1000s);
  h.restart();
  EXPECT_TRUE(h.puts.empty());
  ASSERT_EQ(h.gets.size(), 1u);
  EXPECT_TRUE(h.gets[0].observe);
  EXPECT_EQ(h.view(mid).remaining, 2600s);
  h.advance(799s);
  EXPECT_TRUE(h.puts.empty());
  h.advance(1s);
  ASSERT_EQ(h.puts.size(), 1u);
  EXPECT_EQ(h.puts[0].mid, mid);
}

TEST(ClientRestartTest, ARefreshThatCameDueMeanwhileGoesOutAtOnce) {
  RequestsHarness h;
  h.mitigate("192.0.2.1/32");
  h.accept(3600);
  h.now = h.now + base::Duration{2h};
  h.restart();
  EXPECT_EQ(h.puts.size(), 1u);
}

TEST(ClientRestartTest, AWallClockThatWentBackDoesNotProlongTheLifetime) {
  RequestsHarness h;
  const base::Mid mid = h.mitigate("192.0.2.1/32");
  h.accept(3600);
  h.now.wall -= 24h;
  h.restart();
  EXPECT_EQ(h.view(mid).remaining, 3600s);
}

TEST(ClientRestartTest, AWithdrawalGoesOn) {
  RequestsHarness h;
  const base::Mid mid = h.mitigate("192.0.2.1/32");
  h.accept();
  h.withdraw(mid);
  h.restart();
  ASSERT_EQ(h.deletes.size(), 1u);
  EXPECT_EQ(h.deletes[0].mid, mid);
  EXPECT_TRUE(h.puts.empty());
  h.answer(h.deletes[0].id, h.code(ResponseCode::deleted));
  h.restart();
  EXPECT_TRUE(h.deletes.empty());
}

TEST(ClientRestartTest, AWithdrawalThatOutlastsItsRefreshTimeBringsNothingBack) {
  RequestsHarness h;
  const base::Mid mid = h.mitigate("192.0.2.1/32");
  h.accept(3600);
  h.withdraw(mid);
  h.now = h.now + base::Duration{2h};
  h.restart();
  EXPECT_EQ(h.deletes.size(), 1u);
  h.advance(2h);
  EXPECT_TRUE(h.puts.empty());
}

TEST(ClientRestartTest, RecordsOfOtherServersAreNotOurs) {
  RequestsHarness h;
  h.mitigate("192.0.2.1/32");
  h.store.client_requests[0].server = "another";
  h.restart();
  EXPECT_TRUE(h.puts.empty());
  EXPECT_TRUE(h.machine.view(h.now).empty());
}

// A commit was refused: the wish is forgotten, as its caller is told, and what the server has said stays.
TEST(ClientReloadTest, AWishThatWasNotStoredIsForgotten) {
  RequestsHarness h;
  const base::Mid kept = h.mitigate("192.0.2.1/32");
  Effects lost;
  ASSERT_TRUE(h.machine.mitigate(wanted("192.0.2.2/32"), h.now, lost));
  Effects out;
  h.machine.load(h.store, h.now, out);
  h.take(out);
  EXPECT_EQ(h.machine.view(h.now).size(), 1u);
  EXPECT_EQ(h.puts.back().mid, kept);  // told again: it may have been held back
  EXPECT_GT(h.mitigate("192.0.2.3/32").value, kept.value + 1);
}

TEST(ClientReloadTest, AnAnswerThatWasNotStoredIsWrittenAgain) {
  RequestsHarness h;
  const base::Mid mid = h.mitigate("192.0.2.1/32");
  const ports::Snapshot before = h.store;
  h.accept();
  h.store = before;
  Effects out;
  h.machine.load(h.store, h.now, out);
  h.take(out);
  EXPECT_TRUE(h.store.client_requests.at(0).acknowledged);
  EXPECT_EQ(h.view(mid).phase, Phase::active);
  EXPECT_EQ(h.puts.size(), 1u);
}

TEST(ClientReloadTest, AWithdrawalThatWasNotStoredIsTakenBack) {
  RequestsHarness h;
  const base::Mid mid = h.mitigate("192.0.2.1/32");
  h.accept();
  Effects lost;
  ASSERT_TRUE(h.machine.withdraw(mid, "alice", "", h.now, lost));
  Effects out;
  h.machine.load(h.store, h.now, out);
  h.take(out);
  EXPECT_EQ(h.view(mid).phase, Phase::active);
  EXPECT_TRUE(h.deletes.empty());
  EXPECT_TRUE(h.machine.mitigating());
}

TEST(ClientReloadTest, AnEndThatWasNotStoredIsWrittenAgain) {
  RequestsHarness h;
  const base::Mid mid = h.mitigate("192.0.2.1/32");
  h.accept();
  h.withdraw(mid);
  const ports::Snapshot before = h.store;
  h.answer(h.deletes.back().id, h.code(ResponseCode::deleted));
  h.store = before;
  Effects out;
  h.machine.load(h.store, h.now, out);
  h.take(out);
  EXPECT_TRUE(h.store.client_requests.empty());
  EXPECT_EQ(h.deletes.size(), 1u);
}

}  // namespace
}  // namespace dots::signal::client
