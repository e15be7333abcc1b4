#include "mitigation/reconcile.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>

namespace dots::mitigation {
namespace {

using namespace std::chrono_literals;

using model::Rule;
using model::RuleAction;
using model::RuleOwner;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

Rule udp(int host) {
  auto prefix = model::parse_prefix("192.0.2.0/32").value();
  prefix.address.bytes[2] = static_cast<std::uint8_t>(host >> 8);
  prefix.address.bytes[3] = static_cast<std::uint8_t>(host);
  return {{prefix, std::uint8_t{17}, {}}, RuleAction::drop, 0};
}
Rule with(Rule rule, RuleAction action, std::uint64_t bps = 0) {
  rule.action = action;
  rule.rate_limit_bps = bps;
  return rule;
}
RuleOwner owner(std::uint32_t mid) { return {base::DomainId("d"), base::Cuid("c"), base::Mid(mid)}; }

class ReconcileTest : public testing::Test {
 protected:
  Reconciler reconciler;
  base::Now now{base::SteadyTime{1h}, base::from_unix_seconds(1'000'000)};

  void want(std::uint32_t mid, std::vector<Rule> rules) {
    reconciler.want({{owner(mid), std::move(rules), "requested by client c", std::nullopt}}, now);
  }
  Reconciler::Difference take(std::size_t limit = 1000) { return reconciler.next(limit); }
  void done(const Reconciler::Difference& batch) { reconciler.applied(batch.version, std::nullopt, now, 5s); }
  void refused(const Reconciler::Difference& batch) {
    reconciler.applied(batch.version, ports::MitigatorFault{"no room"}, now, 5s);
  }
  model::DropCounters counters(std::uint32_t mid) {
    for (const auto& entry : reconciler.owner_counters(now)) {
      if (entry.owner == owner(mid)) return entry.counters;
    }
    ADD_FAILURE() << "no such owner";
    return {};
  }
};

TEST_F(ReconcileTest, NothingIsChangedBeforeTheBackEndIsKnown) {
  want(1, {udp(1)});
  EXPECT_TRUE(take().empty());
  reconciler.learned({}, now);
  EXPECT_THAT(take().install, ElementsAre(udp(1)));
}

// How long it took is told once, when all of it is in force.
TEST_F(ReconcileTest, TheTimeOfARequestComesBackWhenItIsInForce) {
  reconciler.learned({}, now);
  const auto asked = now.steady - 3s;
  reconciler.want({{owner(1), {udp(1), udp(2)}, "requested by client c", std::nullopt, asked}}, now);
  for (const OwnerReport& report : reconciler.reports()) EXPECT_FALSE(report.asked_at) << "pending";
  done(take());
  const auto in_force = reconciler.reports();
  ASSERT_EQ(in_force.size(), 1U);
  EXPECT_EQ(in_force[0].asked_at, asked);
  want(1, {udp(1), udp(3)});
  done(take());
  reconciler.report_all();
  for (const OwnerReport& report : reconciler.reports()) EXPECT_FALSE(report.asked_at) << "a change is no request";
}

TEST_F(ReconcileTest, OneBatchIsOutAtATime) {
  reconciler.learned({}, now);
  want(1, {udp(1)});
  const auto batch = take();
  want(2, {udp(2)});
  EXPECT_TRUE(take().empty());
  done(batch);
  EXPECT_THAT(take().install, ElementsAre(udp(2)));
}

TEST_F(ReconcileTest, WhatIsTakenIsInForceWhenTheBackEndConfirmsIt) {
  reconciler.expect_confirmation(true);
  reconciler.learned({}, now);
  want(1, {udp(1), udp(2)});
  done(take());
  const auto only = [&] {
    const auto reports = reconciler.reports();
    EXPECT_EQ(reports.size(), 1u);
    return reports.empty() ? OwnerReport{} : reports.front();
  };
  EXPECT_EQ(only().state, RuleState::taken);
  EXPECT_TRUE(reconciler.quiescent()) << "nothing more can be done for it";
  const std::string waits = "BGP peer 192.0.2.1 is not established";
  const auto as_of = reconciler.version();
  reconciler.confirmed({{udp(1), {}, ""}, {udp(2), {}, waits}}, as_of);
  EXPECT_EQ(only().reason, waits);
  EXPECT_EQ(reconciler.stories().at(1).failure, waits);
  reconciler.confirmed({{udp(1), {}, ""}, {udp(2), {}, ""}}, as_of);
  EXPECT_EQ(only().state, RuleState::installed);
  // The peer goes away again.
  reconciler.confirmed({{udp(1), {}, waits}}, as_of);
  EXPECT_EQ(only().state, RuleState::taken);
}

TEST_F(ReconcileTest, WhoMayHaveForgottenAReportIsToldAgain) {
  reconciler.learned({}, now);
  want(1, {udp(1)});
  done(take());
  reconciler.reports();
  want(1, {udp(1)});
  EXPECT_TRUE(reconciler.reports().empty());
  reconciler.report_again(owner(1));
  reconciler.report_again(owner(9));
  EXPECT_EQ(reconciler.reports().size(), 1u);
}

TEST_F(ReconcileTest, AConfirmationFromBeforeTheInstallationIsNone) {
  reconciler.expect_confirmation(true);
  reconciler.learned({}, now);
  const auto as_of = reconciler.version();
  want(1, {udp(1)});
  done(take());
  reconciler.confirmed({{udp(1), {}, ""}}, as_of);
  EXPECT_EQ(reconciler.stories().at(0).state, RuleState::taken);
}

TEST_F(ReconcileTest, ARefusalKeepsItsReasonAndARuleKnowsWhoWantsIt) {
  reconciler.learned({}, now);
  want(1, {udp(1)});
  want(2, {udp(1)});
  EXPECT_EQ(reconciler.notes(udp(1).match).size(), 2u);
  EXPECT_EQ(reconciler.notes(udp(1).match).front().reason, "requested by client c");
  EXPECT_TRUE(reconciler.notes(udp(9).match).empty());
  reconciler.applied(take().version, ports::MitigatorFault{"table is full", model::RefusalReason::capacity}, now, 5s);
  for (const auto& report : reconciler.reports()) EXPECT_EQ(report.why, model::RefusalReason::capacity);
}

TEST_F(ReconcileTest, ARuleThatNobodyCanExplainIsRemovedAndAKnownOneKept) {
  want(1, {udp(1)});
  reconciler.learned({udp(1), udp(2)}, now);
  const auto batch = take();
  EXPECT_THAT(batch.install, IsEmpty());
  EXPECT_THAT(batch.remove, ElementsAre(udp(2)));
  done(batch);
  EXPECT_TRUE(reconciler.quiescent());
}

TEST_F(ReconcileTest, ASharedRuleStaysUntilTheLastOwnerEnds) {
  reconciler.learned({}, now);
  want(1, {udp(1)});
  want(2, {udp(1)});
  done(take());
  want(1, {});
  EXPECT_TRUE(reconciler.quiescent());
  want(2, {});
  EXPECT_THAT(take().remove, ElementsAre(udp(1)));
}

TEST_F(ReconcileTest, TheStrictestActionWinsAndTheNextOneFollowsIt) {
  reconciler.learned({}, now);
  want(1, {with(udp(1), RuleAction::limit, 900)});
  want(2, {with(udp(1), RuleAction::limit, 400)});
  auto batch = take();
  EXPECT_THAT(batch.install, ElementsAre(with(udp(1), RuleAction::limit, 400)));
  done(batch);
  want(3, {udp(1)});
  batch = take();
  EXPECT_THAT(batch.install, ElementsAre(udp(1)));
  EXPECT_THAT(batch.remove, IsEmpty());
  done(batch);
  want(4, {with(udp(1), RuleAction::blackhole)});
  done(take());
  want(4, {});
  want(3, {});
  want(2, {});
  EXPECT_THAT(take().install, ElementsAre(with(udp(1), RuleAction::limit, 900)));
}

TEST_F(ReconcileTest, InAReplacementNewRulesAreInBeforeOldOnesGo) {
  reconciler.learned({}, now);
  want(1, {udp(1), udp(2)});
  done(take());
  reconciler.want({{owner(1), {}, "", std::nullopt}, {owner(2), {udp(3), udp(4)}, "replaces 1", std::nullopt}}, now);
  const auto whole = take();
  EXPECT_THAT(whole.install, ElementsAre(udp(3), udp(4)));
  EXPECT_THAT(whole.remove, ElementsAre(udp(1), udp(2)));
  reconciler.forget_installed();
  reconciler.learned({udp(1), udp(2)}, now);
  // Also when the batch is too small for both.
  const auto first = take(2);
  EXPECT_THAT(first.install, ElementsAre(udp(3), udp(4)));
  EXPECT_THAT(first.remove, IsEmpty());
  done(first);
  EXPECT_THAT(take(2).remove, ElementsAre(udp(1), udp(2)));
}

TEST_F(ReconcileTest, TheRulesOfOneMitigationShareABatchWhenTheyFit) {
  reconciler.learned({}, now);
  want(1, {udp(1), udp(5)});
  want(2, {udp(2), udp(3), udp(4)});
  const auto batch = take(3);
  EXPECT_THAT(batch.install, ElementsAre(udp(1), udp(5)));
  done(batch);
  EXPECT_THAT(take(3).install, ElementsAre(udp(2), udp(3), udp(4)));
}

TEST_F(ReconcileTest, RemovalsWaitWhileInstallsAreLeftForALaterBatch) {
  reconciler.learned({udp(9)}, now);
  want(1, {udp(1), udp(2)});
  want(2, {udp(3), udp(4)});
  const auto first = take(3);  // there is room for one more change, but not for all of mitigation 2
  EXPECT_THAT(first.install, ElementsAre(udp(1), udp(2)));
  EXPECT_THAT(first.remove, IsEmpty());
  done(first);
  const auto second = take(3);
  EXPECT_THAT(second.install, ElementsAre(udp(3), udp(4)));
  EXPECT_THAT(second.remove, ElementsAre(udp(9)));
}

TEST_F(ReconcileTest, AfterAStartUnexplainedRulesStayUntilTheirOwnersHadTimeToCome) {
  reconciler.keep_unexplained(true);
  reconciler.learned({udp(1), udp(2)}, now);
  want(1, {udp(3)});
  const auto batch = take();
  EXPECT_THAT(batch.install, ElementsAre(udp(3)));
  EXPECT_THAT(batch.remove, IsEmpty());
  done(batch);
  EXPECT_TRUE(reconciler.quiescent());
  want(2, {udp(2)});
  reconciler.keep_unexplained(false);
  EXPECT_THAT(take().remove, ElementsAre(udp(1)));
}

TEST_F(ReconcileTest, ItNoticesWhenTheBackEndHasSomethingElse) {
  reconciler.learned({}, now);
  EXPECT_TRUE(reconciler.agrees_with({}));
  want(1, {udp(1), udp(2)});
  EXPECT_TRUE(reconciler.agrees_with({}));
  done(take());
  EXPECT_TRUE(reconciler.agrees_with({udp(1), udp(2)}));
  EXPECT_FALSE(reconciler.agrees_with({udp(1)}));
  EXPECT_FALSE(reconciler.agrees_with({udp(1), udp(3)}));
  EXPECT_FALSE(reconciler.agrees_with({udp(1), udp(2), udp(3)}));
  EXPECT_FALSE(reconciler.agrees_with({udp(1), with(udp(2), RuleAction::blackhole)}));
  want(1, {});
  done(take());
  EXPECT_TRUE(reconciler.agrees_with({}));
}

TEST_F(ReconcileTest, AFailedBatchIsSplitUntilTheBadRuleIsAlone) {
  reconciler.learned({}, now);
  want(1, {udp(1), udp(2), udp(3)});
  want(2, {udp(4), udp(5)});
  int tries = 0;
  for (auto batch = take(); !batch.empty(); batch = take()) {
    ASSERT_LT(++tries, 20);
    std::count(batch.install.begin(), batch.install.end(), udp(2)) != 0 ? refused(batch) : done(batch);
  }
  EXPECT_THAT(
      reconciler.reports(),
      UnorderedElementsAre(testing::AllOf(testing::Field(&OwnerReport::owner, owner(1)),
                                          testing::Field(&OwnerReport::state, RuleState::failed),
                                          testing::Field(&OwnerReport::reason, testing::HasSubstr("192.0.0.2/32"))),
                           testing::AllOf(testing::Field(&OwnerReport::owner, owner(2)),
                                          testing::Field(&OwnerReport::state, RuleState::installed))));
  EXPECT_FALSE(reconciler.quiescent());
  ASSERT_TRUE(reconciler.next_deadline());
  EXPECT_EQ(*reconciler.next_deadline(), now.steady + 5s);

  now = now + 5s;
  reconciler.wake(now);
  const auto again = take();
  EXPECT_THAT(again.install, ElementsAre(udp(2)));
  done(again);
  EXPECT_TRUE(reconciler.quiescent());
  EXPECT_THAT(reconciler.reports(), ElementsAre(testing::Field(&OwnerReport::state, RuleState::installed)));
}

TEST_F(ReconcileTest, AFailedRuleThatNobodyWantsAnyMoreIsForgotten) {
  reconciler.learned({}, now);
  want(1, {udp(1)});
  refused(take());
  want(1, {});
  EXPECT_TRUE(reconciler.quiescent());
  EXPECT_FALSE(reconciler.next_deadline());
  EXPECT_EQ(reconciler.rules(), 0u);
}

TEST_F(ReconcileTest, ARemovalThatFailsIsTriedAgain) {
  reconciler.learned({udp(9)}, now);
  refused(take());
  EXPECT_TRUE(take().empty());
  now = now + 6s;
  reconciler.wake(now);
  EXPECT_THAT(take().remove, ElementsAre(udp(9)));
}

TEST_F(ReconcileTest, AWithdrawalWhileTheBatchIsOutIsCarriedOutAfterIt) {
  reconciler.learned({}, now);
  want(1, {udp(1)});
  const auto batch = take();
  want(1, {});
  done(batch);
  EXPECT_THAT(take().remove, ElementsAre(udp(1)));
}

TEST_F(ReconcileTest, AnAnswerToABatchFromBeforeTheLossIsIgnored) {
  reconciler.learned({}, now);
  want(1, {udp(1)});
  const auto batch = take();
  reconciler.forget_installed();
  done(batch);
  EXPECT_FALSE(reconciler.quiescent());
  EXPECT_TRUE(take().empty());
  reconciler.learned({}, now);
  EXPECT_THAT(take().install, ElementsAre(udp(1)));
}

// S9132-4.4.2-20, S9132-5.3-08
TEST_F(ReconcileTest, AnAnswerToABatchFromBeforeTheLossDoesNotEndTheBatchThatIsOut) {
  want(1, {udp(1)});
  reconciler.learned({}, now);
  const auto old = take();
  reconciler.forget_installed();
  reconciler.learned({}, now);
  const auto batch = take();
  ASSERT_THAT(batch.install, ElementsAre(udp(1)));
  done(old);
  EXPECT_FALSE(reconciler.quiescent());
  EXPECT_TRUE(take().empty());
  refused(batch);
  EXPECT_EQ(reconciler.stories().at(0).state, RuleState::failed);
}

TEST_F(ReconcileTest, CountersAreUnknownUntilCountedAndThenSumTheRules) {
  reconciler.learned({}, now);
  want(1, {udp(1), udp(2)});
  done(take());
  EXPECT_EQ(counters(1), model::DropCounters{});
  now = now + 10s;
  reconciler.counted({{udp(1), {10, 1000}}, {udp(2), {5, 500}}}, reconciler.version(), now);
  EXPECT_EQ(counters(1), (model::DropCounters{1500, 150, 15, 1}));
}

TEST_F(ReconcileTest, CountersStartWhenTheOwnerBeginsToWantAndNeverFall) {
  reconciler.learned({}, now);
  want(1, {udp(1)});
  done(take());
  reconciler.counted({{udp(1), {10, 1000}}}, reconciler.version(), now);
  want(2, {udp(1)});
  reconciler.counted({{udp(1), {12, 1200}}}, reconciler.version(), now);
  EXPECT_EQ(counters(1).bytes_dropped, 1200u);
  EXPECT_EQ(counters(2).bytes_dropped, 200u);
  EXPECT_EQ(reconciler.dropped(), (model::RuleCounters{12, 1200}));

  // The back end lost the rule and has it again: it starts at zero, the mitigation does not.
  reconciler.forget_installed();
  reconciler.learned({}, now);
  done(take());
  reconciler.counted({{udp(1), {3, 300}}}, reconciler.version(), now);
  EXPECT_EQ(counters(1).bytes_dropped, 1500u);
  // Somebody put it in anew behind our back.
  reconciler.counted({{udp(1), {1, 100}}}, reconciler.version(), now);
  EXPECT_EQ(counters(1).bytes_dropped, 1600u);
  // A changed scope keeps what was dropped.
  want(1, {udp(7)});
  done(take());
  EXPECT_EQ(counters(1).bytes_dropped, 1600u);
  reconciler.counted({{udp(7), {1, 50}}}, reconciler.version(), now);
  EXPECT_EQ(counters(1).bytes_dropped, 1650u);
}

TEST_F(ReconcileTest, AListFromBeforeAReinstallationIsNotCountedForTheNewRule) {
  reconciler.learned({}, now);
  want(1, {udp(1), udp(2)});
  done(take());
  reconciler.counted({{udp(1), {10, 1000}}, {udp(2), {1, 100}}}, reconciler.version(), now);
  const std::uint64_t before = reconciler.version();
  want(1, {udp(2)});
  done(take());
  want(1, {udp(1), udp(2)});
  done(take());
  reconciler.counted({{udp(1), {11, 1100}}, {udp(2), {2, 200}}}, before, now);
  EXPECT_EQ(counters(1).bytes_dropped, 1200u);
  reconciler.counted({{udp(1), {1, 100}}, {udp(2), {2, 200}}}, reconciler.version(), now);
  EXPECT_EQ(counters(1).bytes_dropped, 1300u);
}

TEST_F(ReconcileTest, ARestartOfTheDaemonKeepsWhatTheKernelCounted) {
  want(1, {udp(1)});  // restored from the store before the back end is read
  reconciler.learned({udp(1)}, now);
  reconciler.counted({{udp(1), {70, 7000}}}, reconciler.version(), now);
  EXPECT_EQ(counters(1).bytes_dropped, 7000u);
}

// S9132-4.4.2-20, S9132-4.4.2-21: RFC 9132 4.4.2, bps-dropped and pps-dropped
TEST_F(ReconcileTest, RatesAverageFullFiveMinuteBucketsOverTheTimeSinceTheTrigger) {
  reconciler.learned({}, now);
  want(1, {udp(1)});
  done(take());
  now = now + 100s;
  reconciler.counted({{udp(1), {100, 100'000}}}, reconciler.version(), now);
  EXPECT_EQ(counters(1).bps_dropped, 1000u);
  now = now + 200s;
  reconciler.counted({{udp(1), {600, 600'000}}}, reconciler.version(), now);
  EXPECT_EQ(counters(1).bps_dropped, 2000u);
  EXPECT_EQ(counters(1).pps_dropped, 2u);
  // Inside the second bucket the first one speaks.
  now = now + 150s;
  reconciler.counted({{udp(1), {600, 60'000'000}}}, reconciler.version(), now);
  EXPECT_EQ(counters(1).bps_dropped, 2000u);
  EXPECT_EQ(counters(1).bytes_dropped, 60'000'000u);
  now = now + 150s;
  reconciler.counted({{udp(1), {600, 60'000'000}}}, reconciler.version(), now);
  EXPECT_EQ(counters(1).bps_dropped, 100'000u);
}

TEST_F(ReconcileTest, AStoryTellsWhoWantsARuleAndWhy) {
  reconciler.learned({}, now);
  reconciler.want({{owner(7), {udp(1)}, "requested by client c", now.wall + 60s}}, now);
  done(take());
  const auto stories = reconciler.stories();
  ASSERT_EQ(stories.size(), 1u);
  EXPECT_EQ(stories[0].rule, udp(1));
  EXPECT_EQ(stories[0].state, RuleState::installed);
  EXPECT_EQ(stories[0].installed_at, now.wall);
  ASSERT_EQ(stories[0].owners.size(), 1u);
  EXPECT_EQ(stories[0].owners[0].owner, owner(7));
  EXPECT_EQ(stories[0].owners[0].reason, "requested by client c");
  EXPECT_EQ(stories[0].owners[0].until, now.wall + 60s);
}

TEST_F(ReconcileTest, AReportIsMadeOnceForEachChange) {
  reconciler.learned({}, now);
  want(1, {udp(1)});
  EXPECT_THAT(reconciler.reports(), ElementsAre(testing::Field(&OwnerReport::state, RuleState::pending)));
  EXPECT_THAT(reconciler.reports(), IsEmpty());
  done(take());
  EXPECT_THAT(reconciler.reports(), ElementsAre(testing::Field(&OwnerReport::state, RuleState::installed)));
  want(1, {udp(1)});
  EXPECT_THAT(reconciler.reports(), IsEmpty());
}

TEST_F(ReconcileTest, NeverMoreRulesThanTheLimitAndWholeMitigationsOnly) {
  reconciler.limit_rules(3);
  reconciler.learned({}, now);
  want(1, {udp(1), udp(2)});
  want(2, {udp(3), udp(4)});
  want(3, {udp(5)});
  const auto batch = take();
  EXPECT_THAT(batch.install, UnorderedElementsAre(udp(1), udp(2), udp(5)));
  done(batch);
  EXPECT_TRUE(take().empty());
  EXPECT_FALSE(reconciler.quiescent());
  std::map<std::uint32_t, OwnerReport> reports;
  for (auto& one : reconciler.reports()) reports[one.owner.mid.value] = one;
  EXPECT_EQ(reports.at(1).state, RuleState::installed);
  EXPECT_EQ(reports.at(2).state, RuleState::failed);
  EXPECT_EQ(reports.at(2).why, model::RefusalReason::capacity);
  EXPECT_EQ(reports.at(3).state, RuleState::installed);

  // A rule that is replaced needs no room of its own.
  want(3, {with(udp(5), RuleAction::limit, 1000)});
  const auto replaced = take();
  EXPECT_THAT(replaced.install, ElementsAre(with(udp(5), RuleAction::limit, 1000)));
  done(replaced);

  // Removals are not held up by those that wait for room, and make it.
  want(1, {});
  const auto removal = take();
  EXPECT_THAT(removal.install, IsEmpty());
  EXPECT_THAT(removal.remove, UnorderedElementsAre(udp(1), udp(2)));
  done(removal);
  const auto last = take();
  EXPECT_THAT(last.install, UnorderedElementsAre(udp(3), udp(4)));
  done(last);
  const auto after = reconciler.reports();
  ASSERT_EQ(after.size(), 1U);
  EXPECT_EQ(after[0].state, RuleState::installed);
  EXPECT_TRUE(reconciler.quiescent());
}

}  // namespace
}  // namespace dots::mitigation
