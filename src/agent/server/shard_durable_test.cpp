// Durable before visible (RFC 8811 2.2.2): what a shard answers while its store thinks, refuses or is read again.
#include "tests/support/shard_fixture.h"

namespace dots::agent::server {
namespace {

TEST_F(ShardTest, NothingIsVisibleBeforeItIsDurable) {
  Peer& peer = connect("acme.example", 1000);
  send(peer, put(1, "192.0.2.1/32"));
  EXPECT_EQ(codes(peer), "");
  EXPECT_TRUE(wants.empty());
  settle();
  EXPECT_EQ(codes(peer), "2.01 ");
  ASSERT_EQ(wants.size(), 1u);
  EXPECT_EQ(wants[0].wants.at(0).owner.mid.value, 1u);
}

TEST_F(ShardTest, AGetSeesNothingThatIsNotDurable) {
  Peer& peer = connect("acme.example", 1000);
  send(peer, put(1, "192.0.2.1/32"));
  send(peer, bare(wire::Method::get, 1));
  EXPECT_EQ(codes(peer), "");
  settle_all();
  EXPECT_EQ(codes(peer), "2.01 2.05 ");
}

TEST_F(ShardTest, ARefusedCommitUndoesTheStepAndSaysSo) {
  Peer& peer = connect("acme.example", 1000);
  send(peer, put(1, "192.0.2.1/32"));
  send(peer, bare(wire::Method::get, 1));
  settle(ports::CommitOutcome::refused);
  EXPECT_EQ(codes(peer), "5.03 5.03 ");
  EXPECT_GT(*peer.responses[0].response.max_age_s, 0u);
  EXPECT_TRUE(wants.empty());
  ASSERT_EQ(reloads, std::vector<base::DomainId>{base::DomainId{"acme"}});
  // Until the truth is read, nothing of the domain is answered from memory.
  send(peer, bare(wire::Method::get, 1));
  EXPECT_EQ(codes(peer), "5.03 5.03 5.03 ");
  read_back("acme");
  settle_all();
  send(peer, bare(wire::Method::get, 1));
  settle_all();
  EXPECT_EQ(codes(peer), "5.03 5.03 5.03 4.04 ");
}

// The timer of what is being read is set again when it has been read, not before.
TEST_F(ShardTest, ADeadlineThatPassesWhileReloadingDoesNotSpin) {
  Peer& peer = connect("acme.example", 1000);
  send(peer, put(1, "192.0.2.1/32"));
  settle_all();
  send(peer, put(2, "192.0.2.2/32"));
  settle(ports::CommitOutcome::refused);
  now = now + 700s;  // past the lifetime of the first
  ShardOutput late;
  shards[0]->on_timer(now, late);
  finish(0, late);
  read_back("acme");
  settle_all();
  ASSERT_TRUE(shards[0]->next_deadline());
  EXPECT_GE(*shards[0]->next_deadline(), now.steady);
}

TEST_F(ShardTest, AReportThatComesWhileReloadingIsNotLost) {
  Peer& peer = connect("acme.example", 1000);
  send(peer, put(1, "192.0.2.1/32"));
  settle_all();
  send(peer, put(2, "192.0.2.2/32"));
  settle(ports::CommitOutcome::refused);
  using signal::server::RulesReport;
  ShardOutput out;
  shards[0]->on_message(ToDomain{base::DomainId{"acme"}, RulesReport{base::Cuid{"abcdefghijklmnopqrstuv"}, base::Mid{1},
                                                                     RulesReport::State::installed, ""}},
                        now, out);
  finish(0, out);
  read_back("acme");
  settle_all();
  ASSERT_EQ(shards[0]->mitigations(now).size(), 1u);
  EXPECT_EQ(shards[0]->mitigations(now)[0].rules, RulesReport::State::installed);
}

// The end of a mitigation went into the store, but nobody could say so: neither memory nor store knows it any more, and
// its rules have to go all the same.
TEST_F(ShardTest, RulesGoWhoseEndIsInTheStoreAfterAll) {
  Peer& peer = connect("acme.example", 1000);
  send(peer, put(1, "192.0.2.1/32"));
  settle_all();
  send(peer, put(2, "192.0.2.2/32"));
  settle_all();
  send(peer, bare(wire::Method::del, 1));
  settle_all();
  now = now + policies.front().terminating_period;
  ShardOutput ends;
  shards[0]->on_timer(now, ends);
  finish(0, ends);
  wants.clear();
  settle(ports::CommitOutcome::unknown, true);
  EXPECT_TRUE(wants.empty());
  ASSERT_EQ(stored.mitigations.size(), 1u);
  read_back("acme");
  std::map<std::uint32_t, bool> wanted;
  for (const auto& rules : wants) {
    for (const auto& want : rules.wants) wanted[want.owner.mid.value] = !want.parts.empty();
  }
  EXPECT_EQ(wanted, (std::map<std::uint32_t, bool>{{1, false}, {2, true}}));
}

TEST_F(ShardTest, WhileTheStoreIsFullOnlyWithdrawalsAreTried) {
  Peer& peer = connect("acme.example", 1000);
  send(peer, put(1, "192.0.2.1/32"));
  settle_all();
  send(peer, put(2, "192.0.2.2/32"));
  settle(ports::CommitOutcome::refused);
  read_back("acme");
  settle_all();
  send(peer, put(3, "192.0.2.3/32"));
  EXPECT_TRUE(store.empty());
  send(peer, bare(wire::Method::del, 1));
  settle_all();
  EXPECT_EQ(codes(peer), "2.01 5.03 5.03 2.02 ");
  now = now + 6s;
  send(peer, put(3, "192.0.2.3/32"));
  settle_all();
  EXPECT_EQ(codes(peer), "2.01 5.03 5.03 2.02 2.01 ");
}

// The disk runs full while a new request and withdrawals are in the same batch, and behind it.
TEST_F(ShardTest, AWithdrawalBesideANewRequestSurvivesTheRefusedBatch) {
  Peer& peer = connect("acme.example", 1000);
  for (std::uint32_t mid = 1; mid <= 3; ++mid) send(peer, put(mid, "192.0.2." + std::to_string(mid) + "/32"));
  settle_all();
  ASSERT_EQ(stored.mitigations.size(), 3u);
  peer.responses.clear();
  wants.clear();
  send_in_one_round(peer, {put(4, "192.0.2.4/32"), bare(wire::Method::del, 1)});
  ShardOutput asked;  // an operator, while the batch is out
  shards[0]->on_message(
      ToDomain{base::DomainId{"acme"},
               signal::server::OperatorWithdraw{9, base::Cuid{"abcdefghijklmnopqrstuv"}, base::Mid{2}, "root", ""}},
      now, asked);
  finish(0, asked);
  settle(ports::CommitOutcome::refused);
  EXPECT_EQ(codes(peer), "5.03 ");  // the new request alone
  EXPECT_TRUE(operator_answers.empty());
  send(peer, bare(wire::Method::del, 3));  // before the domain is read back
  EXPECT_EQ(codes(peer), "5.03 ");
  read_back("acme");
  ASSERT_EQ(store.size(), 1u);
  ports::Batch alone;
  alone.changes = store.front().second;
  EXPECT_TRUE(ports::is_release(alone));  // it may use the reserve
  settle_all();
  EXPECT_EQ(codes(peer), "5.03 2.02 2.02 ");
  ASSERT_EQ(operator_answers.size(), 1u);
  EXPECT_TRUE(operator_answers[0].ok);
}

TEST_F(ShardTest, AWithdrawalThatTheStoreRefusesByItselfIsToldToComeAgain) {
  Peer& peer = connect("acme.example", 1000);
  send(peer, put(1, "192.0.2.1/32"));
  settle_all();
  peer.responses.clear();
  send_in_one_round(peer, {put(2, "192.0.2.2/32"), bare(wire::Method::del, 1)});
  settle(ports::CommitOutcome::refused);
  read_back("acme");
  settle(ports::CommitOutcome::refused);
  EXPECT_EQ(codes(peer), "5.03 5.03 ");
  EXPECT_EQ(stored.mitigations.size(), 1u);
}

// S8811-2.2.2-01
TEST_F(ShardTest, ARestartKnowsWhatWasAcknowledged) {
  Peer& peer = connect("acme.example", 1000);
  send(peer, put(1, "192.0.2.1/32"));
  settle_all();
  send(peer, put(2, "192.0.2.2/32"));  // never settled: lost in the crash, and never shown
  EXPECT_EQ(codes(peer), "2.01 ");
  std::vector<std::shared_ptr<const policy::DomainRules>> rules;
  for (const auto& policy : policies) rules.push_back(std::make_shared<policy::DomainRules>(policy));
  ShardSettings settings;
  settings.session = std::make_shared<SessionSettings>();
  Shard again(settings, std::make_shared<policy::Identities>(*policy::Identities::build(policies)), rules,
              std::make_shared<MitigationPlanner>(std::vector<PlannedBackEnd>{{"back end"}}), 5);
  now = now + 100s;
  ShardOutput out;
  again.load(stored, now, out);
  again.end_of_round(now, out);
  const auto views = again.mitigations(now);
  ASSERT_EQ(views.size(), 1u);
  EXPECT_EQ(views[0].record.mid.value, 1u);
  EXPECT_EQ(base::whole_seconds(*views[0].remaining), 500u);
}

// Stored deadlines are wall time: a restart right after the step would end everything otherwise.
TEST_F(ShardTest, AStepOfTheClockMovesStoredDeadlinesOfAnIdleDomain) {
  Peer& peer = connect("acme.example", 1000);
  send(peer, put(1, "192.0.2.1/32"));
  settle_all();
  ASSERT_EQ(stored.mitigations.size(), 1u);
  const auto before = *stored.mitigations[0].deadline;
  now.wall += 24h;
  now.steady += 1s;
  ShardOutput out;
  shards[0]->on_clock_step(now, out);
  finish(0, out);
  settle_all();
  EXPECT_EQ(*stored.mitigations[0].deadline, before + 24h - 1s);
}

}  // namespace
}  // namespace dots::agent::server
