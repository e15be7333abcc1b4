// Efficacy updates of a client (RFC 9132 4.4.3), and the end of a conflict before its retry-timer.
#include "signal/client/requests_harness.h"

namespace dots::signal::client {
namespace {

using model::AttackStatus;
using model::MitigationStatus;
using model::ResponseCode;

struct Efficacy : ::testing::Test {
  bool tell(AttackStatus status) {
    Effects out;
    const bool sent = h.machine.efficacy(mid, status, "alice", h.now, out).ok();
    h.take(out);
    return sent;
  }
  RequestsHarness h;
  base::Mid mid = h.mitigate("192.0.2.1/32");
};

// S9132-4.4.3-01, S9132-4.4.3-02, S9132-4.4.3-03, S8612-SIG-009-01, S8811-2-05: everything of the request, and the
// attack-status.
TEST_F(Efficacy, RepeatsTheRequestWithTheAttackStatus) {
  h.accept(1000);
  EXPECT_TRUE(tell(AttackStatus::under_attack));
  ASSERT_EQ(h.puts.size(), 2u);
  EXPECT_EQ(h.puts[1].mid, mid);
  EXPECT_EQ(h.puts[1].request.attack_status, AttackStatus::under_attack);
  model::MitigationRequest rest = h.puts[1].request;
  rest.attack_status.reset();
  EXPECT_EQ(rest, h.puts[0].request);
  EXPECT_FALSE(h.view(mid).attack_status) << "not taken yet";
}

// S9132-4.4.3-05: what the server takes is a refresh as well.
TEST_F(Efficacy, IsARefresh) {
  h.accept(1000);
  h.advance(400s);
  tell(AttackStatus::successfully_mitigated);
  h.accept(1000, ResponseCode::changed);
  EXPECT_EQ(h.view(mid).remaining, 1000s);
  EXPECT_EQ(h.view(mid).attack_status, AttackStatus::successfully_mitigated);
  // The next plain refresh says nothing of it.
  h.advance(600s);
  ASSERT_EQ(h.puts.size(), 3u);
  EXPECT_FALSE(h.puts[2].request.attack_status);
}

// Decision on A-27: no answer is an answer; it is given up, and what was granted stays.
TEST_F(Efficacy, IsGivenUpWithoutAnAnswer) {
  h.accept(1000);
  tell(AttackStatus::under_attack);
  const SendId sent = h.puts.back().id;
  h.advance(60s);
  EXPECT_EQ(h.cancelled.back(), sent);
  EXPECT_EQ(h.view(mid).phase, Phase::active);
  EXPECT_EQ(h.audit.back().verdict, "unanswered");
}

// S9132-4.4.3-10
TEST_F(Efficacy, WaitsMaxAgeAfter503) {
  h.accept(1000);
  tell(AttackStatus::under_attack);
  Answer busy = h.code(ResponseCode::service_unavailable);
  busy.max_age_s = 20;
  h.answer(h.puts.back().id, busy);
  EXPECT_EQ(h.view(mid).phase, Phase::active);
  EXPECT_FALSE(tell(AttackStatus::under_attack));
  h.advance(19s);
  EXPECT_FALSE(tell(AttackStatus::under_attack));
  EXPECT_EQ(h.puts.size(), 2u);
  h.advance(1s);
  EXPECT_TRUE(tell(AttackStatus::under_attack));
}

TEST_F(Efficacy, OnlyOfWhatIsMitigated) {
  EXPECT_FALSE(tell(AttackStatus::under_attack)) << "not accepted yet";
  h.accept(1000);
  h.withdraw(mid);
  EXPECT_FALSE(tell(AttackStatus::under_attack));
  EXPECT_TRUE(h.cancelled.empty());
}

TEST_F(Efficacy, ARefusalLeavesTheMitigation) {
  h.accept(1000);
  tell(AttackStatus::under_attack);
  h.answer(h.puts.back().id, h.code(ResponseCode::bad_request, "no"));
  EXPECT_EQ(h.view(mid).phase, Phase::active);
  EXPECT_FALSE(h.view(mid).attack_status);
}

TEST_F(Efficacy, AWithdrawalOvertakesIt) {
  h.accept(1000);
  tell(AttackStatus::under_attack);
  const SendId sent = h.puts.back().id;
  h.withdraw(mid);
  EXPECT_EQ(h.cancelled.back(), sent);
}

// S9132-4.4.2.1-12: the request is accepted without effect (2.01 with a conflict); each notification has less of the
// retry-timer; then it runs, before the timer is over.
TEST_F(Efficacy, ARequestThatIsKeptWithoutEffectRunsWhenTheServerSaysSo) {
  model::ConflictInformation conflict;
  conflict.status = model::ConflictStatus::all_inactive;
  conflict.cause = model::ConflictCause::overlapping_targets;
  conflict.retry_timer_s = 600;
  Answer created;
  created.code = ResponseCode::created;
  created.entries.resize(1);
  created.entries[0].mid = mid;
  created.entries[0].lifetime = model::Lifetime{645};
  created.entries[0].conflict = conflict;
  h.answer(h.puts.back().id, created);
  EXPECT_EQ(h.view(mid).phase, Phase::waiting);
  for (int i = 1; i <= 5; ++i) {
    h.advance(30s);
    Answer told = h.status_answer(mid, MitigationStatus::withdrawn, 645 - 30 * i);
    told.entries[0].conflict = conflict;
    told.entries[0].conflict->retry_timer_s = 600 - 30 * i;
    h.answer(h.observation(mid), told);
  }
  EXPECT_EQ(h.view(mid).phase, Phase::waiting);
  EXPECT_EQ(
      std::count_if(h.messages.begin(), h.messages.end(), [](const auto& m) { return m.id == "CLIENT_CONFLICT"; }), 1);
  h.notify(mid, MitigationStatus::successfully_mitigated, 490);
  EXPECT_EQ(h.view(mid).phase, Phase::active);
}

// RFC 9132 4.4.1.3: the winner went before the retry-timer was over, and the server says that the request runs again.
TEST_F(Efficacy, ADeactivatedRequestThatRunsAgainIsRefreshed) {
  h.accept(1000);
  Answer told = h.status_answer(mid, MitigationStatus::withdrawn, 645);
  told.entries[0].conflict = model::ConflictInformation{};
  told.entries[0].conflict->status = model::ConflictStatus::inactive_other_active;
  told.entries[0].conflict->cause = model::ConflictCause::overlapping_targets;
  told.entries[0].conflict->retry_timer_s = 600;
  h.answer(h.observation(mid), told);
  EXPECT_EQ(h.view(mid).phase, Phase::waiting);
  h.advance(500s);
  EXPECT_EQ(h.puts.size(), 1u);
  h.notify(mid, MitigationStatus::in_progress, 145);
  EXPECT_EQ(h.view(mid).phase, Phase::active);
  EXPECT_FALSE(h.view(mid).conflict);
  h.advance(5s);
  EXPECT_EQ(h.puts.size(), 2u);
}

}  // namespace
}  // namespace dots::signal::client
