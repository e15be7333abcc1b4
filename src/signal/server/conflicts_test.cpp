// Conflicts between clients of one domain (RFC 9132 4.4.1.3, 4.4.2.1; docs/decisions/conflicts.md).
#include "signal/server/domain_fixture.h"

namespace dots::signal::server {
namespace {

using model::ConflictCause;
using model::ConflictInformation;
using model::ConflictStatus;
using model::ResponseCode;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using namespace std::chrono_literals;

class Conflicts : public DomainTest {
 protected:
  void decide(policy::ConflictWinner winner, std::uint32_t priority_of_b = 100) {
    policy::DomainPolicy policy = test_policy();
    policy.conflict_winner = winner;
    policy.clients[1].priority = priority_of_b;
    start(policy);
  }
  static ConflictInformation conflict(const Answer& answer) {
    EXPECT_FALSE(answer.entries.empty());
    if (answer.entries.empty() || !answer.entries.front().conflict) {
      ADD_FAILURE() << "no conflict-information";
      return {};
    }
    return *answer.entries.front().conflict;
  }
  static std::vector<std::string> targets(const ConflictInformation& told) {
    std::vector<std::string> texts;
    if (!told.scope) return texts;
    for (const model::Prefix& one : told.scope->targets.target_prefix) texts.push_back(model::to_string(one));
    return texts;
  }
  model::MitigationEntry entry_of(std::uint32_t mid, const std::string& client) {
    const Answer answer = get(mid, GetMitigation::Filter::all, client);
    EXPECT_EQ(answer.code, ResponseCode::content);
    return answer.entries.empty() ? model::MitigationEntry{} : answer.entries.front();
  }
  int status_of(std::uint32_t mid, const std::string& client) {
    return static_cast<int>(entry_of(mid, client).status.value_or(model::MitigationStatus{}));
  }
};

// S9132-4.4.1.3-25, S9132-4.4.1.3-26, S9132-4.4.1.3-27, S9132-4.4.1.3-31, S8612-SIG-010-01, S8612-SIG-010-02,
// S8612-SIG-010-03, S8612-SEC-003-02: the first stays; the second gets 4.09 and no state.
TEST_F(Conflicts, TheFirstWins) {
  put(1, "192.0.2.0/24", 1000, "a");
  const Answer answer = put(7, "192.0.2.1/32", 3600, "b");
  EXPECT_EQ(answer.code, ResponseCode::conflict);
  EXPECT_THAT(notes, ElementsAre("CONFLICT"));
  const ConflictInformation told = conflict(answer);
  EXPECT_EQ(told.status, ConflictStatus::inactive_other_active);
  EXPECT_EQ(told.cause, ConflictCause::overlapping_targets);
  EXPECT_EQ(told.retry_timer_s, 1000U);
  EXPECT_THAT(targets(told), ElementsAre("192.0.2.1/32"));
  EXPECT_FALSE(told.scope->mid) << "the mid of another client means nothing to this one";
  EXPECT_EQ(get(7, GetMitigation::Filter::all, "b").code, ResponseCode::not_found);
  EXPECT_THAT(rules_of(1), ElementsAre("192.0.2.0/24"));
  EXPECT_THAT(audited("refuse"), ElementsAre(HasSubstr("client a, mid=1, running")));
}

// S9132-3-16, S9132-4.4.2.1-08, S9132-4.4.2.1-10, S9132-4.4.1.3-30, S8612-SIG-010-02, S8612-SIG-010-03: who was there
// first is told as well, without a retry-timer.
TEST_F(Conflicts, TheWinnerLearnsOfTheRefusedRequest) {
  put(1, "192.0.2.0/24", 1000, "a");
  observe(1, 1);
  pass(5s);
  put(7, "192.0.2.1/32", 3600, "b");
  ASSERT_EQ(notified.size(), 1U);
  EXPECT_EQ(notified[0].answer.entries[0].status, model::MitigationStatus::in_progress);
  const ConflictInformation told = conflict(notified[0].answer);
  EXPECT_EQ(told.status, ConflictStatus::active);
  EXPECT_EQ(told.cause, ConflictCause::overlapping_targets);
  EXPECT_FALSE(told.retry_timer_s);
  EXPECT_THAT(targets(told), ElementsAre("192.0.2.1/32"));
  // The same request again is no news.
  pass(4s);
  put(7, "192.0.2.1/32", 3600, "b");
  EXPECT_THAT(notified, IsEmpty());
  EXPECT_THAT(notes, IsEmpty());
  EXPECT_THAT(domain_->view(now)[0].conflict_with, ElementsAre("client b, mid=7, refused"));
  // Forgotten when the other was told to wait no longer.
  put(1, "192.0.2.0/24", 5000, "a");
  pass(1000s);
  EXPECT_FALSE(entry_of(1, "a").conflict);
}

// S9132-4.4.1.3-25, S9132-4.4.1.3-27, S9132-4.4.1.3-32, S9132-4.4.2.1-09: the last wins; the first is deactivated, kept
// for the retry-timer and 45 s, and told.
TEST_F(Conflicts, TheLastWins) {
  decide(policy::ConflictWinner::last);
  put(1, "192.0.2.0/24", 3600, "a");
  observe(1, 1);
  pass(5s);
  const Answer answer = put(7, "192.0.2.1/32", 1000, "b");
  EXPECT_EQ(answer.code, ResponseCode::created);
  EXPECT_EQ(conflict(answer).status, ConflictStatus::active);
  EXPECT_EQ(conflict(answer).cause, ConflictCause::overlapping_targets);
  EXPECT_FALSE(conflict(answer).retry_timer_s);
  ASSERT_EQ(notified.size(), 1U);
  EXPECT_EQ(notified[0].answer.entries[0].status, model::MitigationStatus::withdrawn);
  EXPECT_EQ(conflict(notified[0].answer).status, ConflictStatus::inactive_other_active);
  EXPECT_EQ(conflict(notified[0].answer).retry_timer_s, 1000U);
  pass(10s);
  const model::MitigationEntry kept = entry_of(1, "a");
  EXPECT_EQ(kept.conflict->retry_timer_s, 990U);
  EXPECT_EQ(kept.lifetime->seconds, 990 + 45);
  EXPECT_FALSE(kept.mitigation_start_s);
  EXPECT_THAT(rules_of(1), IsEmpty());
  EXPECT_THAT(rules_of(7, "cuid-b"), ElementsAre("192.0.2.1/32"));
  EXPECT_FALSE(mitigating["a"]);
  EXPECT_THAT(audited("deactivate"), ElementsAre(HasSubstr("client b, mid=7")));
}

// The rules of the winner are in the same change as the end of the loser's: new before old is the reconciler's.
TEST_F(Conflicts, RulesMoveTogether) {
  decide(policy::ConflictWinner::last);
  put(1, "192.0.2.0/24", 3600, "a");
  put(7, "192.0.2.1/32", 1000, "b");
  ASSERT_EQ(desired.size(), 1U);
  EXPECT_EQ(desired[0].wants.size(), 2U);
}

// S9132-4.4.1.3-27: status 3. Neither runs until one is withdrawn.
TEST_F(Conflicts, NobodyWins) {
  decide(policy::ConflictWinner::nobody);
  put(1, "192.0.2.0/24", 3600, "a");
  const Answer answer = put(7, "192.0.2.1/32", 1000, "b");
  EXPECT_EQ(answer.code, ResponseCode::created);
  EXPECT_EQ(conflict(answer).status, ConflictStatus::all_inactive);
  EXPECT_EQ(conflict(answer).retry_timer_s, 3600U);
  EXPECT_EQ(answer.entries[0].lifetime->seconds, 3645);
  EXPECT_EQ(status_of(7, "b"), 7);
  const model::MitigationEntry first = entry_of(1, "a");
  EXPECT_EQ(first.status, model::MitigationStatus::withdrawn);
  EXPECT_EQ(first.conflict->status, ConflictStatus::all_inactive);
  EXPECT_EQ(first.conflict->retry_timer_s, 1000U);
  EXPECT_THAT(rules, IsEmpty());
  // A third one is drawn in as well.
  EXPECT_EQ(conflict(put(3, "192.0.2.1/32", 100, "c")).status, ConflictStatus::all_inactive);
  del(1, "a");
  EXPECT_EQ(status_of(7, "b"), 7);
  del(3, "c");
  EXPECT_EQ(status_of(7, "b"), 1);
  EXPECT_THAT(rules_of(7, "cuid-b"), ElementsAre("192.0.2.1/32"));
  EXPECT_FALSE(entry_of(7, "b").conflict);
}

TEST_F(Conflicts, EverybodyWinsAndAllAreTold) {
  decide(policy::ConflictWinner::everybody, 200);
  put(1, "192.0.2.0/24", 3600, "a");
  const Answer answer = put(7, "192.0.2.1/32", 1000, "b");
  EXPECT_EQ(answer.code, ResponseCode::created);
  EXPECT_EQ(conflict(answer).status, ConflictStatus::active);
  EXPECT_EQ(entry_of(1, "a").conflict->status, ConflictStatus::active);
  EXPECT_EQ(rules.size(), 2U);
}

TEST_F(Conflicts, PriorityGoesBeforeTheOrder) {
  decide(policy::ConflictWinner::first, 200);
  put(1, "192.0.2.0/24", 3600, "a");
  EXPECT_EQ(put(7, "192.0.2.1/32", 1000, "b").code, ResponseCode::created);
  EXPECT_EQ(status_of(1, "a"), 7);
  decide(policy::ConflictWinner::last, 200);
  put(7, "192.0.2.1/32", 1000, "b");
  EXPECT_EQ(put(1, "192.0.2.0/24", 3600, "a").code, ResponseCode::conflict);
}

// A request that loses against one of several changes nothing for the others.
TEST_F(Conflicts, ARefusedRequestDeactivatesNobody) {
  policy::DomainPolicy policy = test_policy();
  policy.clients[0].priority = 50;
  start(policy);
  put(1, "192.0.2.1/32", 3600, "a");
  put(2, "192.0.2.2/32", 3600, "c");
  EXPECT_EQ(put(7, "192.0.2.0/24", 1000, "b").code, ResponseCode::conflict);
  EXPECT_EQ(status_of(1, "a"), 1);
}

// When the winner ends, whatever way, the loser is active again.
TEST_F(Conflicts, TheLoserComesBack) {
  decide(policy::ConflictWinner::last);
  put(1, "192.0.2.0/24", 3600, "a");
  put(7, "192.0.2.1/32", 1000, "b");
  observe(1, 1);
  pass(5s);
  del(7, "b");
  ASSERT_EQ(notified.size(), 1U);
  EXPECT_EQ(notified[0].answer.entries[0].status, model::MitigationStatus::in_progress);
  EXPECT_FALSE(notified[0].answer.entries[0].conflict);
  EXPECT_TRUE(notified[0].answer.entries[0].mitigation_start_s);
  EXPECT_THAT(rules_of(1), ElementsAre("192.0.2.0/24"));
  EXPECT_TRUE(mitigating["a"]);
  EXPECT_EQ(notes, std::vector<std::string>{"CONFLICT_OVER"});
  // By expiry, long before the loser's own end.
  put(8, "192.0.2.1/32", 10, "b");
  EXPECT_EQ(status_of(1, "a"), 7);
  pass(10s);
  EXPECT_EQ(status_of(1, "a"), 1);
  EXPECT_EQ(lifetime(1), 45);
}

TEST_F(Conflicts, OneOfSeveralLosersComesBack) {
  policy::DomainPolicy policy = test_policy();
  policy.conflict_winner = policy::ConflictWinner::last;
  start(policy);
  put(1, "192.0.2.0/24", 3600, "a");
  pass(1s);
  put(2, "192.0.2.0/25", 3600, "b");
  pass(1s);
  put(3, "192.0.2.0/26", 3600, "c");
  EXPECT_EQ(status_of(2, "b"), 7);
  del(3, "c");
  EXPECT_EQ(status_of(2, "b"), 1) << "the newest of those that wait";
  EXPECT_EQ(status_of(1, "a"), 7);
  del(2, "b");
  EXPECT_EQ(status_of(1, "a"), 1);
}

// S9132-4.4.1.3-33: before the retry-timer is over a refresh is refused with what is left of it; after that it is put
// to the test, and waits again when the conflict goes on.
TEST_F(Conflicts, TheRetryTimerIsEnforced) {
  decide(policy::ConflictWinner::last);
  put(1, "192.0.2.0/24", 3600, "a");
  put(7, "192.0.2.1/32", 100, "b");
  pass(40s);
  const Answer early = put(1, "192.0.2.0/24", 3600, "a");
  EXPECT_EQ(early.code, ResponseCode::conflict);
  EXPECT_EQ(conflict(early).retry_timer_s, 60U);
  EXPECT_EQ(lifetime(1), 105);
  put(7, "192.0.2.1/32", 500, "b");
  pass(61s);
  const Answer late = put(1, "192.0.2.0/24", 3600, "a");
  EXPECT_EQ(late.code, ResponseCode::conflict);
  EXPECT_EQ(conflict(late).retry_timer_s, 439U);
  EXPECT_EQ(lifetime(1), 439 + 45);
  // Parameters are compared all the same.
  EXPECT_EQ(put(1, "192.0.2.0/25", 3600, "a").code, ResponseCode::bad_request);
}

TEST_F(Conflicts, ADeactivatedRequestEndsQuietly) {
  decide(policy::ConflictWinner::last);
  put(1, "192.0.2.0/24", 3600, "a");
  put(7, "192.0.2.1/32", 100, "b");
  put(7, "192.0.2.1/32", 1000, "b");
  pass(145s);
  EXPECT_EQ(get(1, GetMitigation::Filter::all, "a").code, ResponseCode::not_found) << "no terminating period";
  EXPECT_FALSE(entry_of(7, "b").conflict);
  put(2, "198.51.100.0/24", 3600, "a");
  put(8, "198.51.100.0/24", 3600, "b");
  EXPECT_EQ(del(2, "a").code, ResponseCode::deleted);
  EXPECT_EQ(get(2, GetMitigation::Filter::all, "a").code, ResponseCode::not_found);
}

// S9132-4.4.1.3-34: a narrower request with a higher mid leaves the conflict.
TEST_F(Conflicts, ANewScopeLeavesTheConflict) {
  decide(policy::ConflictWinner::last);
  put(1, "192.0.2.0/24", 3600, "a");
  put(7, "192.0.2.0/25", 3600, "b");
  const Answer answer = put(2, "192.0.2.128/25", 3600, "a");
  EXPECT_EQ(answer.code, ResponseCode::created);
  EXPECT_FALSE(answer.entries[0].conflict);
  EXPECT_THAT(mids(get()), ElementsAre(2U));
  EXPECT_FALSE(entry_of(7, "b").conflict);
}

// A winner that replaces its own request keeps the loser out.
TEST_F(Conflicts, TheLoserDoesNotFlapBetweenTwoMids) {
  decide(policy::ConflictWinner::last);
  put(1, "192.0.2.0/24", 3600, "a");
  put(7, "192.0.2.1/32", 3600, "b");
  put(8, "192.0.2.0/31", 3600, "b");
  EXPECT_EQ(status_of(1, "a"), 7);
  EXPECT_THAT(audited("activate"), IsEmpty());
}

// What only terminates is in nobody's way; reviving it is a request like any other.
TEST_F(Conflicts, TerminatingRequestsDoNotContend) {
  put(1, "192.0.2.0/24", 3600, "a");
  del(1, "a");
  const Answer answer = put(7, "192.0.2.1/32", 3600, "b");
  EXPECT_EQ(answer.code, ResponseCode::created);
  EXPECT_FALSE(answer.entries[0].conflict);
  const Answer revive = put(1, "192.0.2.0/24", 3600, "a");
  EXPECT_EQ(revive.code, ResponseCode::conflict);
  EXPECT_EQ(status_of(1, "a"), 5);
}

// One client with two cuids is no conflict; common ports alone are none either.
TEST_F(Conflicts, WhatIsNoConflict) {
  put(1, "192.0.2.1/32", 3600, "a");
  EXPECT_FALSE(put(1, request_for("192.0.2.1/32"), "a", "second").entries[0].conflict);
  EXPECT_FALSE(put(7, "192.0.2.2/32", 3600, "b").entries[0].conflict);
}

// S9132-4.4.1.3-18: names and URIs are told as such, and never ports.
TEST_F(Conflicts, TheScopeNamesWhatIsCommon) {
  model::MitigationRequest request = request_for("192.0.2.0/28");
  request.scope.target_fqdn = {"WWW.example.net"};
  request.scope.target_uri = {"https://198.51.100.7/x"};
  request.scope.target_port_range = {{443, 443}};
  step(put_event(1, request));
  resolved("www.example.net", {"192.0.2.200"});
  request.scope.target_prefix = {prefix("192.0.2.1/32"), prefix("192.0.2.77/32")};
  request.scope.target_fqdn = {"www.example.net"};
  const ConflictInformation told = conflict(put(7, request, "b"));
  EXPECT_THAT(targets(told), ElementsAre("192.0.2.1/32", "192.0.2.200/32", "198.51.100.7/32"));
  EXPECT_THAT(told.scope->targets.target_fqdn, ElementsAre("www.example.net"));
  EXPECT_THAT(told.scope->targets.target_uri, ElementsAre("https://198.51.100.7/x"));
  EXPECT_THAT(told.scope->targets.target_port_range, IsEmpty());
}

// A restart keeps who was deactivated, until when, and why.
TEST_F(Conflicts, ARestartKeepsThem) {
  decide(policy::ConflictWinner::last);
  put(1, "192.0.2.0/24", 3600, "a");
  put(7, "192.0.2.1/32", 1000, "b");
  pass(10s);
  restart();
  EXPECT_EQ(status_of(1, "a"), 7);
  EXPECT_EQ(entry_of(1, "a").conflict->retry_timer_s, 990U);
  EXPECT_EQ(entry_of(7, "b").conflict->status, ConflictStatus::active);
  EXPECT_THAT(rules_of(1), IsEmpty());
  del(7, "b");
  EXPECT_EQ(status_of(1, "a"), 1);
}

TEST_F(Conflicts, ALostCommitIsUndone) {
  decide(policy::ConflictWinner::last);
  put(1, "192.0.2.0/24", 3600, "a");
  const ModelStore kept = store;
  put(7, "192.0.2.1/32", 1000, "b");
  EXPECT_THAT(rules_of(1), IsEmpty());
  reload(kept);
  EXPECT_EQ(status_of(1, "a"), 1);
  EXPECT_THAT(rules_of(1), ElementsAre("192.0.2.0/24"));
  EXPECT_THAT(rules_of(7, "cuid-b"), IsEmpty());
}

TEST_F(Conflicts, ANewPolicyLetsWaitingRequestsIn) {
  decide(policy::ConflictWinner::nobody);
  put(1, "192.0.2.0/24", 3600, "a");
  put(7, "192.0.2.1/32", 1000, "b");
  policy::DomainPolicy policy = policy_;
  policy.conflict_winner = policy::ConflictWinner::first;
  change_policy(policy);
  EXPECT_EQ(status_of(1, "a"), 1);
  EXPECT_EQ(status_of(7, "b"), 7);
}

// S9132-4.4.1.3-28, S9132-5.3-06: what the data channel says about accept-lists, without targets; gone when it is over.
TEST_F(Conflicts, AcceptListsThatTheAttackUses) {
  put(1, "192.0.2.0/24", 1000, "a");
  observe(1, 1);
  pass(5s);
  step(AcceptListReport{base::Cuid{"cuid-a"}, base::Mid{1}, {"partners"}});
  ASSERT_EQ(notified.size(), 1U);
  const ConflictInformation told = conflict(notified[0].answer);
  EXPECT_EQ(told.cause, ConflictCause::conflict_with_acceptlist);
  EXPECT_EQ(told.status, ConflictStatus::active);
  EXPECT_THAT(told.scope->acl_names, ElementsAre("partners"));
  EXPECT_EQ(told.scope->targets, model::MitigationScope{});
  // Two entries with different causes in one answer.
  put(2, "198.51.100.0/24", 1000, "a");
  put(9, "198.51.100.1/32", 1000, "b");
  const Answer both = get();
  ASSERT_EQ(both.entries.size(), 2U);
  EXPECT_EQ(both.entries[0].conflict->cause, ConflictCause::conflict_with_acceptlist);
  EXPECT_EQ(both.entries[1].conflict->cause, ConflictCause::overlapping_targets);
  EXPECT_THAT(both.entries[1].conflict->scope->acl_names, IsEmpty());
  step(AcceptListReport{base::Cuid{"cuid-a"}, base::Mid{1}, {}});
  EXPECT_FALSE(entry_of(1, "a").conflict);
}

TEST_F(Conflicts, AnAcceptListIsForgottenWhenTheMitigationStopsToRun) {
  put(1, "192.0.2.0/24", 1000, "a");
  step(AcceptListReport{base::Cuid{"cuid-a"}, base::Mid{1}, {"partners"}});
  ASSERT_TRUE(entry_of(1, "a").conflict);
  del(1, "a");
  step(AcceptListReport{base::Cuid{"cuid-a"}, base::Mid{1}, {}});
  put(1, "192.0.2.0/24", 1000, "a");
  EXPECT_EQ(status_of(1, "a"), 1);
  EXPECT_FALSE(entry_of(1, "a").conflict);
}

// Sub-linear over the domain: 2,000 disjoint requests of other clients do not make a conflict look-up longer.
TEST_F(Conflicts, ManyDisjointRequestsOfOthers) {
  policy::DomainPolicy policy = test_policy();
  policy.max_mitigations = 4000;
  policy.prefixes = {prefix("10.0.0.0/8")};
  start(policy);
  for (std::uint32_t i = 0; i < 2000; ++i) {
    const std::string target = "10.1." + std::to_string(i / 256) + "." + std::to_string(i % 256) + "/32";
    ASSERT_EQ(put(i, target, 3600, i % 2 == 0 ? "a" : "b").code, ResponseCode::created);
  }
  EXPECT_EQ(put(1, "10.1.3.4/32", 3600, "c").code, ResponseCode::conflict);
  EXPECT_EQ(put(1, "10.2.0.0/16", 3600, "c").code, ResponseCode::created);
}

// The cuid of another client, and the hash of another's credential, collide; with cause 3 alone.
// S9132-4.4.1.1-10, S9132-4.4.1.3-29
TEST_F(Conflicts, CuidsOfOthers) {
  step(SessionEdge{SessionEdge::Kind::opened, base::SessionId{1}, base::ClientId{"a"}, {}, base::Cuid{"hash-of-a"}});
  const Answer hashed = put(1, request_for("198.51.100.1/32"), "b", "hash-of-a");
  EXPECT_EQ(hashed.code, ResponseCode::conflict);
  ConflictInformation only_cause;
  only_cause.cause = ConflictCause::cuid_collision;
  EXPECT_EQ(conflict(hashed), only_cause);
  EXPECT_FALSE(hashed.entries[0].mid);
  // Any credential of the client is the client: the hash of one may be used over another.
  EXPECT_EQ(put(1, request_for("198.51.100.1/32"), "a", "hash-of-a").code, ResponseCode::created);
}

TEST_F(Conflicts, TheOperatorReleasesACuid) {
  put(1, request_for("192.0.2.1/32"), "a", "shared");
  step(OperatorReleaseCuid{5, base::Cuid{"shared"}, "root", ""});
  ASSERT_EQ(operator_answers.size(), 1U);
  EXPECT_FALSE(operator_answers[0].ok);
  EXPECT_THAT(operator_answers[0].text, HasSubstr("withdraw them first"));
  EXPECT_EQ(put(1, request_for("198.51.100.1/32"), "b", "shared").code, ResponseCode::conflict);
  step(OperatorWithdraw{6, base::Cuid{"shared"}, base::Mid{1}, "root", ""});
  step(OperatorReleaseCuid{7, base::Cuid{"shared"}, "root", "moved"});
  EXPECT_TRUE(operator_answers[0].ok);
  EXPECT_EQ(store.cuids.size(), 0U);
  EXPECT_THAT(audited("release-cuid"), ElementsAre("it belonged to client a: moved"));
  EXPECT_EQ(put(1, request_for("198.51.100.1/32"), "b", "shared").code, ResponseCode::created);
  step(OperatorReleaseCuid{8, base::Cuid{"nobody"}, "root", ""});
  EXPECT_FALSE(operator_answers[0].ok);
}

// D8783-5.1-13: a cuid belongs to one client on both channels.
TEST_F(Conflicts, ACuidOfTheDataChannelBelongsToItsClient) {
  registered["shared"] = "a";
  EXPECT_EQ(put(1, request_for("192.0.2.1/32"), "b", "shared").code, ResponseCode::conflict);
  EXPECT_EQ(put(1, request_for("192.0.2.1/32"), "a", "shared").code, ResponseCode::created);
  step(OperatorWithdraw{6, base::Cuid{"shared"}, base::Mid{1}, "root", ""});
  step(OperatorReleaseCuid{7, base::Cuid{"shared"}, "root", ""});
  EXPECT_TRUE(operator_answers[0].ok);
  EXPECT_TRUE(registered.empty());
  EXPECT_EQ(put(1, request_for("198.51.100.1/32"), "b", "shared").code, ResponseCode::created);
}

// Also one that nobody uses on the signal channel.
TEST_F(Conflicts, TheOperatorReleasesARegistration) {
  registered["shared"] = "a";
  step(OperatorReleaseCuid{7, base::Cuid{"shared"}, "root", ""});
  EXPECT_TRUE(operator_answers[0].ok) << operator_answers[0].text;
  EXPECT_THAT(audited("release-cuid"),
              ElementsAre("it belonged to client a; registered on the data channel its registration"));
  EXPECT_EQ(put(1, request_for("198.51.100.1/32"), "b", "shared").code, ResponseCode::created);
}

}  // namespace
}  // namespace dots::signal::server
