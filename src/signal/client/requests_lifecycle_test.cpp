#include <gtest/gtest.h>

#include "signal/client/requests.h"
#include "signal/client/requests_harness.h"

namespace dots::signal::client {
namespace {

using model::MitigationStatus;
using model::ResponseCode;

model::ConflictInformation overlap_with(std::uint32_t mid) {
  model::ConflictInformation information;
  information.cause = model::ConflictCause::overlapping_targets;
  information.scope = model::ConflictScope{};
  information.scope->mid = base::Mid{mid};
  return information;
}

// S9132-4.4.1.3-35, S9132-4.4.1.1-46: half of the lifetime is left by default.
TEST(ClientLifecycleTest, RefreshRepeatsEveryParameterUnderTheSameMid) {
  RequestsHarness h;
  Wanted wish = wanted("192.0.2.1/32");
  wish.scope.target_protocol.push_back(17);
  wish.scope.target_port_range.push_back({53, 53});
  wish.scope.target_fqdn.push_back("www.example.net");
  const base::Mid mid = h.mitigate(wish).value().mid;
  h.accept(3600);
  h.advance(1799s);
  EXPECT_EQ(h.puts.size(), 1u);
  h.advance(1s);
  ASSERT_EQ(h.puts.size(), 2u);
  EXPECT_EQ(h.puts[1].mid, mid);
  EXPECT_EQ(h.puts[1].request, h.puts[0].request);
  h.accept(3600, ResponseCode::changed);
  h.advance(1800s);
  EXPECT_EQ(h.puts.size(), 3u);
}

TEST(ClientLifecycleTest, RefreshFollowsTheGrantedLifetime) {
  Settings settings = default_settings();
  settings.refresh_before_percent = 25;
  RequestsHarness h(settings);
  h.mitigate("192.0.2.1/32");
  h.accept(600);
  h.advance(449s);
  EXPECT_EQ(h.puts.size(), 1u);
  h.advance(1s);
  EXPECT_EQ(h.puts.size(), 2u);
}

// S9132-4.4.1.1-43, S8612-SIG-007-06
TEST(ClientLifecycleTest, AFiniteGrantForAnIndefiniteWishIsRefreshed) {
  RequestsHarness h;
  Wanted wish = wanted("192.0.2.1/32");
  wish.lifetime = model::Lifetime{-1};
  ASSERT_TRUE(h.mitigate(wish));
  h.accept(3600);
  h.advance(3599s);
  ASSERT_EQ(h.puts.size(), 2u);
  EXPECT_EQ(h.puts[1].request.lifetime, model::Lifetime{-1});
}

TEST(ClientLifecycleTest, AnIndefiniteGrantNeedsNoRefresh) {
  RequestsHarness h;
  Wanted wish = wanted("192.0.2.1/32");
  wish.lifetime = model::Lifetime{-1};
  const base::Mid mid = h.mitigate(wish).value().mid;
  h.accept(-1);
  h.advance(100h);
  EXPECT_EQ(h.puts.size(), 1u);
  EXPECT_FALSE(h.view(mid).remaining);
}

// S9132-4.4.2.1-02
TEST(ClientLifecycleTest, AnAcceptedRequestIsObserved) {
  RequestsHarness h;
  const base::Mid mid = h.mitigate("192.0.2.1/32");
  EXPECT_TRUE(h.gets.empty());
  h.accept();
  ASSERT_EQ(h.gets.size(), 1u);
  EXPECT_TRUE(h.gets[0].observe);
  EXPECT_EQ(h.gets[0].mid, mid);
  EXPECT_EQ(h.gets[0].cuid, h.settings.cuid);  // S9132-4.4.2-01
  EXPECT_TRUE(h.gets[0].status_only);          // S9132-4.4.2-05
  h.notify(mid, MitigationStatus::successfully_mitigated, 3000);
  EXPECT_EQ(h.view(mid).status, MitigationStatus::successfully_mitigated);
  EXPECT_EQ(h.view(mid).remaining, 3000s);
  h.accept(3600, ResponseCode::changed);
  EXPECT_EQ(h.gets.size(), 1u);  // one observation is enough
}

// S9132-4.4.2.2-01, S9132-4.4.2.2-02
TEST(ClientLifecycleTest, SilenceIsPolledWithoutObserve) {
  Settings settings = default_settings();
  settings.poll = 90s;
  RequestsHarness h(settings);
  const base::Mid mid = h.mitigate("192.0.2.1/32");
  h.accept();
  h.advance(80s);
  h.notify(mid, MitigationStatus::in_progress);
  h.advance(89s);
  EXPECT_EQ(h.gets.size(), 1u);
  h.advance(1s);
  ASSERT_EQ(h.gets.size(), 2u);
  EXPECT_FALSE(h.gets[1].observe);
  h.advance(300s);
  EXPECT_EQ(h.gets.size(), 2u);  // the one on its way is enough
  h.answer(h.gets[1].id, h.status_answer(mid, MitigationStatus::successfully_mitigated));
  EXPECT_EQ(h.view(mid).status, MitigationStatus::successfully_mitigated);
  h.advance(90s);
  EXPECT_EQ(h.gets.size(), 3u);
}

// The answer to a PUT has no status in it, so a short lifetime must not put the poll off for ever.
// S9132-4.4.2.2-02
TEST(ClientLifecycleTest, RefreshesThatComeOftenDoNotPutOffThePoll) {
  RequestsHarness h;
  const base::Mid mid = h.mitigate("192.0.2.1/32");
  h.accept(42);
  h.answer(h.observation(mid), h.code(ResponseCode::service_unavailable));  // the observation is gone
  for (int i = 0; i < 4; ++i) {
    h.advance(21s);
    ASSERT_EQ(h.puts.size(), static_cast<std::size_t>(i) + 2);
    h.accept(42, ResponseCode::changed);
  }
  ASSERT_GE(h.gets.size(), 2u);
  h.answer(h.gets.back().id, h.status_answer(mid, MitigationStatus::successfully_mitigated, 42));
  EXPECT_EQ(h.view(mid).status, MitigationStatus::successfully_mitigated);
}

TEST(ClientLifecycleTest, AServerWithoutFilterIsAskedWithoutOne) {
  RequestsHarness h;
  h.mitigate("192.0.2.1/32");
  h.accept();
  h.answer(h.gets[0].id, h.code(ResponseCode::bad_request));
  ASSERT_EQ(h.gets.size(), 2u);
  EXPECT_FALSE(h.gets[1].status_only);
  EXPECT_TRUE(h.gets[1].observe);
  h.answer(h.gets[1].id, h.code(ResponseCode::bad_request));
  EXPECT_EQ(h.gets.size(), 2u);
}

// S9132-4.4.2.2-04
TEST(ClientLifecycleTest, AttackStoppedWithdraws) {
  RequestsHarness h;
  const base::Mid mid = h.mitigate("192.0.2.1/32");
  h.accept();
  h.notify(mid, MitigationStatus::attack_stopped);
  ASSERT_EQ(h.deletes.size(), 1u);
  EXPECT_EQ(h.deletes[0].mid, mid);
  EXPECT_EQ(h.audit.back().actor, "policy");
  EXPECT_FALSE(h.machine.mitigating());
  h.notify(mid, MitigationStatus::attack_stopped);
  EXPECT_EQ(h.deletes.size(), 1u);
}

// S9132-4.4.2.2-05
TEST(ClientLifecycleTest, NoOtherStatusWithdraws) {
  RequestsHarness h;
  const base::Mid mid = h.mitigate("192.0.2.1/32");
  h.accept();
  for (const auto status : {MitigationStatus::in_progress, MitigationStatus::successfully_mitigated,
                            MitigationStatus::exceeded_capability, static_cast<MitigationStatus>(99)}) {
    h.notify(mid, status);
  }
  EXPECT_TRUE(h.deletes.empty());
  EXPECT_EQ(h.view(mid).status, static_cast<MitigationStatus>(99));
}

TEST(ClientLifecycleTest, APreconfiguredRequestStaysWhenTheAttackStops) {
  RequestsHarness h;
  Wanted wish = wanted("192.0.2.1/32");
  wish.trigger_mitigation = false;
  const base::Mid mid = h.mitigate(wish).value().mid;
  EXPECT_FALSE(h.machine.mitigating());
  h.accept();
  h.notify(mid, MitigationStatus::attack_stopped);
  h.notify(mid, MitigationStatus::withdrawn);
  h.notify(mid, MitigationStatus::signal_loss);
  EXPECT_TRUE(h.deletes.empty());
  EXPECT_EQ(h.view(mid).phase, Phase::active);
}

// S9132-4.4.4-01
TEST(ClientLifecycleTest, WithdrawalEndsWithTheAnswer) {
  RequestsHarness h;
  const base::Mid mid = h.mitigate("192.0.2.1/32");
  h.accept();
  const SendId observation = h.observation(mid);
  h.withdraw(mid);
  ASSERT_EQ(h.deletes.size(), 1u);
  EXPECT_EQ(h.deletes[0].mid, mid);
  EXPECT_EQ(h.deletes[0].cuid, h.settings.cuid);
  EXPECT_EQ(h.store.client_requests.size(), 1u);
  EXPECT_TRUE(h.machine.urgent());
  h.answer(h.deletes[0].id, h.code(ResponseCode::deleted, "some text"));
  EXPECT_TRUE(h.store.client_requests.empty());
  EXPECT_EQ(h.view(mid).phase, Phase::ended);
  EXPECT_FALSE(h.machine.urgent());
  // S9132-4.4.2.1-15
  EXPECT_EQ(h.stopped, std::vector<SendId>{observation});
  EXPECT_FALSE(h.machine.next_deadline());
}

TEST(ClientLifecycleTest, AnErrorToDeleteIsTriedAgain) {
  RequestsHarness h;
  const base::Mid mid = h.mitigate("192.0.2.1/32");
  h.accept();
  h.withdraw(mid);
  Answer busy = h.code(ResponseCode::service_unavailable);
  busy.max_age_s = 20;
  h.answer(h.deletes[0].id, busy);
  h.advance(19s);
  EXPECT_EQ(h.deletes.size(), 1u);
  h.advance(1s);
  EXPECT_EQ(h.deletes.size(), 2u);
}

// S9132-4.4.3-10, S8811-2-01
TEST(ClientLifecycleTest, UnavailableServersAreGivenMaxAge) {
  RequestsHarness h;
  const base::Mid mid = h.mitigate("192.0.2.1/32");
  Answer busy = h.code(ResponseCode::service_unavailable, "too busy");
  busy.max_age_s = 20;
  h.answer(h.puts.back().id, busy);
  EXPECT_EQ(h.view(mid).phase, Phase::waiting);
  EXPECT_TRUE(h.machine.mitigating());
  h.advance(19s);
  EXPECT_EQ(h.puts.size(), 1u);
  h.advance(1s);
  EXPECT_EQ(h.puts.size(), 2u);
  h.answer(h.puts.back().id, h.code(ResponseCode::service_unavailable));
  h.advance(59s);
  EXPECT_EQ(h.puts.size(), 2u);  // Max-Age defaults to 60
  h.advance(1s);
  EXPECT_EQ(h.puts.size(), 3u);
}

// S8811-2-01
TEST(ClientLifecycleTest, OtherErrorsAreFinalAndShown) {
  for (const auto code : {ResponseCode::bad_request, ResponseCode::unauthorized, ResponseCode::forbidden,
                          ResponseCode::unprocessable_entity, ResponseCode::not_implemented}) {
    RequestsHarness h;
    const base::Mid mid = h.mitigate("192.0.2.1/32");
    h.answer(h.puts.back().id, h.code(code, "192.0.2.1/32 is not yours"));
    EXPECT_EQ(h.view(mid).phase, Phase::refused);
    EXPECT_NE(h.view(mid).reason.find("192.0.2.1/32 is not yours"), std::string::npos);
    EXPECT_TRUE(h.told("CLIENT_REQUEST_REFUSED"));
    EXPECT_TRUE(h.store.client_requests.empty());
    h.advance(10h);
    EXPECT_EQ(h.puts.size(), 1u);
    EXPECT_FALSE(h.machine.mitigating());
  }
}

TEST(ClientLifecycleTest, ARefusedRefreshLeavesWhatWasGranted) {
  RequestsHarness h;
  const base::Mid mid = h.mitigate("192.0.2.1/32");
  h.accept(600);
  h.advance(300s);
  h.answer(h.puts.back().id, h.code(ResponseCode::forbidden, "no longer"));
  EXPECT_EQ(h.view(mid).phase, Phase::active);
  EXPECT_EQ(h.view(mid).remaining, 300s);
  h.advance(299s);
  EXPECT_EQ(h.view(mid).phase, Phase::active);
  h.advance(1s);
  EXPECT_EQ(h.view(mid).phase, Phase::ended);
  EXPECT_EQ(h.puts.size(), 2u);
}

// The 4.09 of a request that our lost state knows nothing of names its mid; asking again goes above it.
TEST(ClientLifecycleTest, OverlapWithAnUnknownMidShowsItAndMovesTheSequence) {
  RequestsHarness h;
  const base::Mid mid = h.mitigate("192.0.2.1/32");
  h.answer(h.puts.back().id, h.conflict(overlap_with(4711)));
  EXPECT_EQ(h.view(mid).phase, Phase::refused);
  EXPECT_NE(h.view(mid).reason.find("4711"), std::string::npos);
  EXPECT_EQ(h.mitigate("192.0.2.1/32"), base::Mid{4712});
}

TEST(ClientLifecycleTest, OverlapWithOurNewerRequestSaysSo) {
  RequestsHarness h;
  const base::Mid old = h.mitigate("192.0.2.1/32");
  const SendId old_put = h.puts.back().id;
  const base::Mid newer = h.mitigate("192.0.2.0/24");
  h.answer(old_put, h.conflict(overlap_with(newer.value)));
  EXPECT_EQ(h.view(old).phase, Phase::refused);
  EXPECT_NE(h.view(old).reason.find("newer"), std::string::npos);
}

// S9132-4.4.2.1-11, S9132-4.4.1.3-33, S9132-4.4.2.1-12
TEST(ClientLifecycleTest, ADeactivatedRequestWaitsForTheRetryTimerThenTests) {
  RequestsHarness h;
  const base::Mid mid = h.mitigate("192.0.2.1/32");
  h.accept(100);
  Answer notification = h.status_answer(mid, MitigationStatus::withdrawn, 105);
  notification.entries[0].conflict = model::ConflictInformation{};
  notification.entries[0].conflict->status = model::ConflictStatus::inactive_other_active;
  notification.entries[0].conflict->cause = model::ConflictCause::overlapping_targets;
  notification.entries[0].conflict->retry_timer_s = 60;
  h.answer(h.observation(mid), notification);
  EXPECT_TRUE(h.told("CLIENT_CONFLICT"));
  EXPECT_EQ(h.view(mid).phase, Phase::waiting);
  h.advance(59s);
  h.answer(h.observation(mid), notification);  // repeated notifications do not start the timer again
  EXPECT_EQ(h.puts.size(), 1u);
  h.advance(1s);
  ASSERT_EQ(h.puts.size(), 2u);
  EXPECT_EQ(h.puts[1].mid, mid);
  EXPECT_EQ(h.puts[1].request, h.puts[0].request);
  h.accept(3600, ResponseCode::changed);
  EXPECT_EQ(h.view(mid).phase, Phase::active);
}

// S9132-4.4.2.1-12: once for each conflict, not for each notification.
TEST(ClientLifecycleTest, AConflictIsToldOnce) {
  RequestsHarness h;
  const base::Mid mid = h.mitigate("192.0.2.1/32");
  h.accept();
  Answer notification = h.status_answer(mid, MitigationStatus::in_progress);
  notification.entries[0].conflict = model::ConflictInformation{};
  notification.entries[0].conflict->status = model::ConflictStatus::active;
  notification.entries[0].conflict->cause = model::ConflictCause::overlapping_targets;
  for (int i = 0; i < 5; ++i) h.answer(h.observation(mid), notification);
  EXPECT_EQ(
      std::count_if(h.messages.begin(), h.messages.end(), [](const auto& m) { return m.id == "CLIENT_CONFLICT"; }), 1);
  EXPECT_EQ(h.view(mid).phase, Phase::active);
}

TEST(ClientLifecycleTest, WithdrawnByTheServerEnds) {
  RequestsHarness h;
  const base::Mid mid = h.mitigate("192.0.2.1/32");
  h.accept();
  h.notify(mid, MitigationStatus::withdrawn);
  EXPECT_EQ(h.view(mid).phase, Phase::ended);
  EXPECT_TRUE(h.store.client_requests.empty());
  EXPECT_TRUE(h.told("CLIENT_REQUEST_ENDED"));
}

TEST(ClientLifecycleTest, ARequestThatTheServerLostIsSentAgain) {
  RequestsHarness h;
  const base::Mid mid = h.mitigate("192.0.2.1/32");
  h.accept();
  h.answer(h.observation(mid), h.code(ResponseCode::not_found));
  ASSERT_EQ(h.puts.size(), 2u);
  EXPECT_EQ(h.puts[1].mid, mid);
  EXPECT_TRUE(h.told("CLIENT_REQUEST_LOST"));
  h.accept();
  h.answer(h.observation(mid), h.code(ResponseCode::not_found));
  EXPECT_EQ(h.puts.size(), 2u);  // a server that forgets at once is not flooded
  EXPECT_EQ(h.view(mid).phase, Phase::waiting);
}

TEST(ClientLifecycleTest, ExpiredButTerminatingIsRevived) {
  RequestsHarness h;
  const base::Mid mid = h.mitigate("192.0.2.1/32");
  h.accept();
  h.advance(20s);
  h.notify(mid, MitigationStatus::client_withdrawn, 0);
  EXPECT_EQ(h.puts.size(), 2u);
  h.notify(mid, MitigationStatus::client_withdrawn, 0);
  EXPECT_EQ(h.puts.size(), 2u);
  // A server that says so right after each acceptance is not asked in a loop.
  for (int i = 0; i < 30; ++i) {
    h.accept(3600, ResponseCode::changed);
    h.notify(mid, MitigationStatus::client_withdrawn, 0);
    h.advance(1s);
  }
  EXPECT_LE(h.puts.size(), 5u);
}

TEST(ClientLifecycleTest, NoAnswerOfAServerMakesUsHurry) {
  RequestsHarness h;
  const base::Mid mid = h.mitigate("192.0.2.1/32");
  Answer busy = h.code(ResponseCode::service_unavailable);
  busy.max_age_s = 0;
  model::ConflictInformation now_again = overlap_with(99);
  now_again.retry_timer_s = 0;
  for (int i = 0; i < 30; ++i) {
    h.answer(h.puts.back().id, i % 2 == 0 ? busy : h.conflict(now_again));
    h.advance(1s);
  }
  EXPECT_LE(h.puts.size(), 12u);
  h.withdraw(mid);
  for (int i = 0; i < 30; ++i) {
    h.answer(h.deletes.back().id, busy);
    h.advance(1s);
  }
  EXPECT_LE(h.deletes.size(), 12u);
}

TEST(ClientLifecycleTest, TextsOfTheServerCannotSteerATerminal) {
  RequestsHarness h;
  const base::Mid mid = h.mitigate("192.0.2.1/32");
  model::ConflictInformation information;
  information.cause = model::ConflictCause::conflict_with_acceptlist;
  information.scope = model::ConflictScope{};
  information.scope->acl_names = {"list\x1b[2J"};
  h.answer(h.puts.back().id, h.conflict(information));
  EXPECT_NE(h.view(mid).reason.find("list [2J"), std::string::npos);
}

TEST(ClientLifecycleTest, CountersStayUnknownUntilTold) {
  RequestsHarness h;
  const base::Mid mid = h.mitigate("192.0.2.1/32");
  h.accept();
  h.notify(mid, MitigationStatus::successfully_mitigated);
  EXPECT_FALSE(h.view(mid).counters.bytes_dropped);
  Answer told = h.status_answer(mid, MitigationStatus::successfully_mitigated);
  told.entries[0].counters.pkts_dropped = 0;
  h.answer(h.observation(mid), told);
  EXPECT_EQ(h.view(mid).counters.pkts_dropped, 0u);
  EXPECT_FALSE(h.view(mid).counters.bytes_dropped);
}

TEST(ClientLifecycleTest, AShorterRemainingLifetimeBringsTheRefreshForward) {
  RequestsHarness h;
  const base::Mid mid = h.mitigate("192.0.2.1/32");
  h.accept(3600);
  h.advance(50s);
  h.notify(mid, MitigationStatus::in_progress, 100);
  h.advance(1s);
  EXPECT_EQ(h.puts.size(), 2u);
  // A server that always says so does not get more than one each quarter of a minute.
  for (int i = 0; i < 30; ++i) {
    h.accept(3600, ResponseCode::changed);
    h.notify(mid, MitigationStatus::in_progress, 1);
    h.advance(1s);
  }
  EXPECT_LE(h.puts.size(), 5u);
}

TEST(ClientLifecycleTest, LateAndForeignAnswersChangeNothing) {
  RequestsHarness h;
  const base::Mid mid = h.mitigate("192.0.2.1/32");
  const SendId put = h.puts.back().id;
  h.accept();
  h.answer(put, h.code(ResponseCode::forbidden));
  EXPECT_EQ(h.view(mid).phase, Phase::active);
  h.answer(SendId{999}, h.code(ResponseCode::content));
  EXPECT_EQ(h.stopped.back(), SendId{999});
}

TEST(ClientLifecycleTest, EveryChangeIsAuditedWithItsAuthor) {
  RequestsHarness h;
  const base::Mid mid = h.mitigate("192.0.2.1/32");
  ASSERT_EQ(h.audit.size(), 1u);
  EXPECT_EQ(h.audit[0].actor, "operator alice");
  EXPECT_EQ(h.audit[0].action, "request");
  EXPECT_NE(h.audit[0].subject.find("mid=" + std::to_string(mid.value)), std::string::npos);
  h.accept();
  EXPECT_EQ(h.audit.back().verdict, "accepted");
  h.withdraw(mid);
  EXPECT_EQ(h.audit.back().action, "withdraw");
  EXPECT_EQ(h.audit.back().actor, "operator alice");
}

TEST(ClientLifecycleTest, AWithdrawalByTheServerThatMeetsARefreshLeavesTheWordToItsAnswer) {
  RequestsHarness h;
  const base::Mid mid = h.mitigate("192.0.2.1/32");
  h.accept();
  Effects out;
  ASSERT_TRUE(h.machine.refresh(mid, "alice", h.now, out));
  h.take(out);
  h.notify(mid, MitigationStatus::withdrawn);
  EXPECT_EQ(h.view(mid).phase, Phase::active) << "the refresh may have made it anew at the server";
  h.accept(3600);
  EXPECT_EQ(h.view(mid).phase, Phase::active);
  h.notify(mid, MitigationStatus::withdrawn);
  EXPECT_EQ(h.view(mid).phase, Phase::ended);
}

}  // namespace
}  // namespace dots::signal::client
