#include "apps/runtime/mitigator_runner.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <condition_variable>
#include <map>
#include <mutex>

#include "adapters/mitigators/dry_run.h"
#include "agent/server/render.h"
#include "tests/support/faulty_mitigator.h"
#include "tests/support/recording_sink.h"
#include "tests/support/rules.h"

namespace dots::runtime {
namespace {

using namespace std::chrono_literals;
using mitigation::OwnerReport;
using mitigation::RuleState;
using model::Rule;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using tests::rule_of;

model::RuleOwner owner(std::uint32_t mid) { return {base::DomainId("d"), base::Cuid("c"), base::Mid(mid)}; }
mitigation::Reconciler::Want want(std::uint32_t mid, std::vector<Rule> rules) {
  return {owner(mid), std::move(rules), "test", std::nullopt};
}

// What the callbacks said, and waiting for it.
class Heard {
 public:
  RunnerCallbacks callbacks() {
    return {[this](const std::vector<OwnerReport>& reports) {
              const std::lock_guard lock(mutex_);
              for (const auto& one : reports) states_[one.owner] = one;
              changed_.notify_all();
            },
            [this](const std::vector<mitigation::OwnerCounters>& counters) {
              const std::lock_guard lock(mutex_);
              for (const auto& one : counters) counters_[one.owner] = one.counters;
              changed_.notify_all();
            },
            [this](bool able, const std::string& reason) {
              const std::lock_guard lock(mutex_);
              able_.push_back(able ? "able" : reason);
              changed_.notify_all();
            }};
  }
  bool await_state(std::uint32_t mid, RuleState state) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, 5s, [&] {
      const auto it = states_.find(owner(mid));
      return it != states_.end() && it->second.state == state;
    });
  }
  bool await_bytes(std::uint32_t mid, std::uint64_t bytes) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, 5s, [&] { return counters_[owner(mid)].bytes_dropped == bytes; });
  }
  std::string reason(std::uint32_t mid) {
    const std::lock_guard lock(mutex_);
    return states_[owner(mid)].reason;
  }
  std::vector<std::string> await_able(std::size_t times) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, 5s, [&] { return able_.size() >= times; });
    return able_;
  }
  bool heard_counters() {
    const std::lock_guard lock(mutex_);
    return !counters_.empty();
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<model::RuleOwner, OwnerReport> states_;
  std::map<model::RuleOwner, model::DropCounters> counters_;
  std::vector<std::string> able_;
};

class RunnerTest : public testing::TestWithParam<bool> {
 protected:
  RunnerOptions options() {
    RunnerOptions options;
    options.name = "edge";
    options.counters_every = 5ms;
    options.retry_after = 20ms;
    options.back_off = 2ms;
    options.back_off_most = 20ms;
    options.grace = 0ms;
    return options;
  }
  void make(RunnerOptions with) {
    runner.reset();
    runner =
        std::make_unique<MitigatorRunner>(std::make_unique<tests::FaultyMitigator>(back_end),
                                          GetParam() ? std::make_unique<tests::FaultyMitigator>(back_end) : nullptr,
                                          std::move(with), heard.callbacks(), sink);
  }
  void start() {
    make(options());
    runner->start();
  }
  bool await_rules(const std::vector<Rule>& rules) {
    return back_end.await([&] { return back_end.rules() == rules; });
  }

  tests::FaultyBackEnd back_end;
  tests::RecordingSink sink;
  Heard heard;
  std::unique_ptr<MitigatorRunner> runner;
  Rule dns = rule_of("192.0.2.1/32", 17, {{53, 53}});
  Rule ntp = rule_of("192.0.2.2/32", 17, {{123, 123}});
  Rule web = rule_of("192.0.2.3/32", 6, {{80, 80}});
};
INSTANTIATE_TEST_SUITE_P(ReadingInBetweenAndBeside, RunnerTest, testing::Bool());

// S8811-2.2.2-08
TEST_P(RunnerTest, InstallsWhatIsWantedAndRemovesWhatIsNot) {
  start();
  runner->want({want(1, {dns}), want(2, {dns, ntp})});
  EXPECT_TRUE(heard.await_state(1, RuleState::installed));
  EXPECT_TRUE(heard.await_state(2, RuleState::installed));
  EXPECT_THAT(back_end.rules(), ElementsAre(dns, ntp));
  runner->want({want(2, {})});
  EXPECT_TRUE(await_rules({dns}));
  runner->want({want(1, {})});
  EXPECT_TRUE(await_rules({}));
  const auto view = runner->view();
  EXPECT_EQ(view.name, "edge");
  EXPECT_EQ(view.state, "ready");
}

TEST_P(RunnerTest, ExemptionsAreInBeforeTheFirstRule) {
  make(options());
  const ports::SignalExemption peer{model::parse_ip_address("192.0.2.1").value(), 4646,
                                    model::parse_prefix("198.51.100.1/32").value()};
  bool early = false;
  runner->want({want(1, {dns})});
  runner->exempt({peer});
  runner->start();
  EXPECT_TRUE(back_end.await([&] {
    early = early || (!back_end.rules().empty() && back_end.exemptions().empty());
    return back_end.rules().size() == 1;
  }));
  EXPECT_FALSE(early);
  EXPECT_THAT(back_end.exemptions(), ElementsAre(peer));
  runner->exempt({});
  EXPECT_TRUE(back_end.await([&] { return back_end.exemptions().empty(); }));
}

TEST_P(RunnerTest, AfterARestartTheRulesAreReconciled) {
  back_end.add_rule(dns);
  back_end.add_rule(ntp);
  make(options());
  runner->want({want(1, {dns})});
  runner->start();
  EXPECT_TRUE(heard.await_state(1, RuleState::installed));
  EXPECT_TRUE(await_rules({dns}));
  EXPECT_THAT(back_end.batches(), testing::SizeIs(1));  // the removal of ntp; dns was never touched
}

// Docs/decisions/back-end-down.md: away for a moment is nothing to speak of; away for long is told once, and so is the
// end.
TEST_P(RunnerTest, ABackEndThatStaysAwayIsToldOnce) {
  RunnerOptions with = options();
  with.patience = 100ms;
  make(with);
  runner->start();
  back_end.set_down(true);
  runner->want({want(1, {dns})});
  EXPECT_TRUE(heard.await_state(1, RuleState::failed));
  EXPECT_THAT(heard.await_able(1), ElementsAre(HasSubstr("edge is unavailable: it is down")));
  back_end.set_down(false);
  EXPECT_THAT(heard.await_able(2), ElementsAre(testing::_, "able"));
  EXPECT_TRUE(heard.await_state(1, RuleState::installed));
}

TEST_P(RunnerTest, ABackEndThatComesBackInTimeIsNotTold) {
  RunnerOptions with = options();
  with.patience = 1h;
  make(with);
  runner->start();
  back_end.set_down(true);
  runner->want({want(1, {dns})});
  EXPECT_TRUE(heard.await_state(1, RuleState::failed));
  back_end.set_down(false);
  EXPECT_TRUE(heard.await_state(1, RuleState::installed));
  EXPECT_THAT(heard.await_able(0), IsEmpty());
}

TEST_P(RunnerTest, UnexplainedRulesWaitForTheirOwnersAfterAStart) {
  back_end.add_rule(dns);
  RunnerOptions with = options();
  with.grace = 1h;
  make(with);
  runner->start();
  runner->want({want(2, {ntp})});
  EXPECT_TRUE(heard.await_state(2, RuleState::installed));
  runner->want({want(1, {dns})});
  EXPECT_TRUE(heard.await_state(1, RuleState::installed));
  EXPECT_THAT(back_end.batches(), testing::SizeIs(1));
}

TEST_P(RunnerTest, ARefusedRuleFailsAloneAndIsTriedAgain) {
  back_end.refuse(ntp.match);
  start();
  runner->want({want(1, {dns}), want(2, {ntp}), want(3, {web})});
  EXPECT_TRUE(heard.await_state(1, RuleState::installed));
  EXPECT_TRUE(heard.await_state(3, RuleState::installed));
  EXPECT_TRUE(heard.await_state(2, RuleState::failed));
  EXPECT_THAT(heard.reason(2), HasSubstr("refused on demand"));
  EXPECT_GE(sink.messages("RULE_REFUSED"), 1u);
  EXPECT_TRUE(sink.unwell("MITIGATOR_REFUSES", "edge"));
  EXPECT_EQ(sink.messages("MITIGATOR_UNAVAILABLE"), 0u);
  back_end.refuse(std::nullopt);
  EXPECT_TRUE(heard.await_state(2, RuleState::installed));
  EXPECT_FALSE(sink.unwell("MITIGATOR_REFUSES", "edge"));
}

TEST_P(RunnerTest, AnUnavailableBackEndIsToldOnceAndCaughtUpWithLater) {
  back_end.set_down(true);
  start();
  runner->want({want(1, {dns})});
  EXPECT_TRUE(heard.await_state(1, RuleState::failed));
  EXPECT_THAT(heard.reason(1), HasSubstr("it is down"));
  EXPECT_TRUE(sink.unwell("MITIGATOR_DOWN", "edge"));
  EXPECT_THAT(runner->view().state, HasSubstr("it is down"));
  back_end.set_down(false);
  EXPECT_TRUE(heard.await_state(1, RuleState::installed));
  EXPECT_EQ(sink.messages("MITIGATOR_UNAVAILABLE"), 1u);
  EXPECT_EQ(sink.messages("MITIGATOR_RECOVERED"), 1u);
  EXPECT_EQ(sink.messages("RULE_REFUSED"), 0u);
  EXPECT_FALSE(sink.unwell("MITIGATOR_DOWN", "edge"));
}

TEST_P(RunnerTest, ABackEndThatDiesInAChangeIsReadAgainAndNoRuleIsBlamed) {
  start();
  for (const bool carried_out : {false, true}) {
    back_end.die_in_next_apply(carried_out);
    runner->want({want(carried_out ? 2 : 1, {carried_out ? ntp : dns})});
    EXPECT_TRUE(heard.await_state(carried_out ? 2 : 1, RuleState::installed));
  }
  EXPECT_THAT(back_end.rules(), ElementsAre(dns, ntp));
  EXPECT_EQ(sink.messages("RULE_REFUSED"), 0u);
}

TEST_P(RunnerTest, WhatOthersRemovedComesBackAndWhatTheyAddedGoes) {
  start();
  runner->want({want(1, {dns})});
  EXPECT_TRUE(heard.await_state(1, RuleState::installed));
  back_end.lose_everything();
  EXPECT_TRUE(await_rules({dns}));
  EXPECT_GE(sink.messages("RULES_CHANGED_OUTSIDE"), 1u);
  back_end.add_rule(web);
  EXPECT_TRUE(await_rules({dns}));
  back_end.add_foreign("chain stray");
  EXPECT_TRUE(back_end.await([&] { return sink.messages("FOREIGN_RULE_REMOVED") == 1; }) ||
              sink.messages("FOREIGN_RULE_REMOVED") == 1);
}

// S8612-SIG-006-06, S8811-2.2.2-10
TEST_P(RunnerTest, CountersReachTheirOwners) {
  start();
  runner->want({want(1, {dns}), want(2, {dns, ntp})});
  EXPECT_TRUE(heard.await_state(2, RuleState::installed));
  back_end.drop_traffic(dns.match, {10, 1000});
  back_end.drop_traffic(ntp.match, {1, 50});
  EXPECT_TRUE(heard.await_bytes(1, 1000));
  EXPECT_TRUE(heard.await_bytes(2, 1050));
  EXPECT_TRUE(back_end.await([&] { return sink.counted("dots_dropped_bytes_total", "edge") == 1050; }));
}

TEST_P(RunnerTest, OnHoldNothingIsInstalledAndOwnersAreTold) {
  back_end.add_rule(web);
  RunnerOptions with = options();
  with.hold = true;
  make(with);
  runner->start();
  runner->want({want(1, {dns})});
  EXPECT_TRUE(heard.await_state(1, RuleState::failed));
  EXPECT_THAT(heard.reason(1), HasSubstr("emergency marker"));
  EXPECT_THAT(back_end.batches(), IsEmpty());
  EXPECT_THAT(back_end.rules(), ElementsAre(web));
  EXPECT_EQ(sink.messages("RULE_REFUSED"), 0u);
  runner->hold(false);
  EXPECT_TRUE(heard.await_state(1, RuleState::installed));
  EXPECT_TRUE(await_rules({dns}));
}

TEST_P(RunnerTest, AFreezeInstallsNothingNewAndRemovesNothing) {
  RunnerOptions with = options();
  with.remove_on_stop = true;
  make(with);
  runner->start();
  runner->want({want(1, {dns})});
  ASSERT_TRUE(heard.await_state(1, RuleState::installed));
  runner->freeze(true);
  runner->want({want(1, {}), want(2, {ntp})});
  ASSERT_TRUE(heard.await_state(2, RuleState::pending));
  EXPECT_THAT(runner->view().state, HasSubstr("frozen"));
  EXPECT_THAT(back_end.rules(), ElementsAre(dns));
  back_end.lose_everything();
  runner->want({want(3, {web})});
  ASSERT_TRUE(heard.await_state(3, RuleState::pending));
  EXPECT_THAT(back_end.rules(), IsEmpty());  // what is lost is not put back
  runner->want({want(3, {})});
  runner->freeze(false);
  EXPECT_TRUE(heard.await_state(2, RuleState::installed));
  EXPECT_TRUE(await_rules({ntp}));
  runner->freeze(true);
  runner->stop();
  EXPECT_THAT(back_end.rules(), ElementsAre(ntp));
  EXPECT_EQ(sink.messages("RULES_FROZEN"), 1u);
}

TEST_P(RunnerTest, AFreezeIsInForceWhenNoChangeThatBeganBeforeIsLeft) {
  start();
  EXPECT_TRUE(runner->await_freeze(5s));
  back_end.hold_changes(true);
  runner->want({want(1, {dns})});
  ASSERT_TRUE(back_end.await([&] { return back_end.waiting(); }));
  runner->freeze(true);
  EXPECT_FALSE(runner->await_freeze(20ms)) << "a change is under way";
  back_end.hold_changes(false);
  EXPECT_TRUE(runner->await_freeze(5s));
  EXPECT_THAT(back_end.rules(), ElementsAre(dns));
  runner->want({want(2, {ntp})});
  ASSERT_TRUE(heard.await_state(2, RuleState::pending));
  EXPECT_THAT(back_end.rules(), ElementsAre(dns));
}

// A list of all rules after each of many batches would take longer than the batches.
TEST_P(RunnerTest, WhatWasTakenIsAskedForWhenAllBatchesAreIn) {
  back_end.set_confirms(true);
  RunnerOptions with = options();
  with.batch = 10;
  if (!GetParam()) with.counters_every = 1h;
  make(with);
  std::vector<mitigation::Reconciler::Want> wants;
  for (std::uint32_t i = 0; i < 200; ++i)
    wants.push_back(want(i, {rule_of(("10.0." + std::to_string(i) + ".0/24").c_str(), 17, {{53, 53}})}));
  runner->want(std::move(wants));
  runner->start();
  for (std::uint32_t i = 0; i < 200; ++i) ASSERT_TRUE(heard.await_state(i, RuleState::installed)) << i;
  EXPECT_EQ(back_end.batches().size(), 20U);
  // Who reads beside does so all the time.
  if (!GetParam()) {
    EXPECT_LE(back_end.listed(), 8U);
  }
}

// After a start nothing is counted or removed until everybody has said what is wanted; what is in force is in force.
TEST_P(RunnerTest, AConfirmationNeedsNoPatience) {
  back_end.set_confirms(true);
  RunnerOptions with = options();
  with.grace = 1h;
  with.counters_every = 10ms;
  make(with);
  runner->start();
  runner->want({want(1, {dns})});
  EXPECT_TRUE(heard.await_state(1, RuleState::installed));
}

TEST_P(RunnerTest, AStopEndsAlsoWhenMuchIsLeftToDo) {
  RunnerOptions with = options();
  with.batch = 1;
  with.finish = 0ms;
  make(with);
  runner->start();
  back_end.hold_changes(true);
  std::vector<mitigation::Reconciler::Want> wants;
  for (std::uint32_t i = 0; i < 200; ++i)
    wants.push_back(want(i, {rule_of(("10.0." + std::to_string(i) + ".0/24").c_str(), 17, {{53, 53}})}));
  runner->want(std::move(wants));
  ASSERT_TRUE(back_end.await([&] { return back_end.waiting(); }));
  runner->begin_stop();
  back_end.hold_changes(false);
  runner->stop();
  EXPECT_LT(back_end.rules().size(), 200U);
  EXPECT_EQ(sink.messages("RULES_UNFINISHED"), 1U);
}

TEST_P(RunnerTest, AStopKeepsOrRemovesTheRulesAsConfigured) {
  start();
  runner->want({want(1, {dns})});
  runner->stop();  // what was wanted before is carried out
  EXPECT_THAT(back_end.rules(), ElementsAre(dns));
  RunnerOptions with = options();
  with.remove_on_stop = true;
  make(with);
  runner->want({want(1, {dns})});
  runner->start();
  EXPECT_TRUE(heard.await_state(1, RuleState::installed));
  runner->stop();
  EXPECT_THAT(back_end.rules(), IsEmpty());
  back_end.set_down(true);
  make(with);
  runner->start();
  runner->stop();
  EXPECT_EQ(sink.messages("RULES_LEFT"), 1u);
}

TEST_P(RunnerTest, ManyMitigationsGoInInBatches) {
  RunnerOptions with = options();
  with.batch = 100;
  make(with);
  std::vector<mitigation::Reconciler::Want> wants;
  for (std::uint32_t i = 0; i < 1000; ++i) {
    const std::string target = "10.0." + std::to_string(i / 250) + "." + std::to_string(i % 250) + "/32";
    wants.push_back(want(i, {rule_of(target.c_str(), 17, {{53, 53}})}));
  }
  runner->want(std::move(wants));
  runner->start();
  EXPECT_TRUE(back_end.await([&] { return back_end.rules().size() == 1000; }));
  EXPECT_EQ(back_end.batches().size(), 10u);
}

TEST(RunnerDryRunTest, WorksWithoutCounters) {
  tests::RecordingSink sink;
  Heard heard;
  RunnerOptions options;
  options.name = "dry";
  options.counters_every = 1ms;
  options.grace = 0ms;
  MitigatorRunner runner(std::make_unique<adapters::mitigators::DryRunMitigator>(), nullptr, options, heard.callbacks(),
                         sink);
  runner.start();
  runner.want({want(1, {rule_of("192.0.2.1/32")})});
  EXPECT_TRUE(heard.await_state(1, RuleState::installed));
  EXPECT_FALSE(runner.view().drops_really);
  EXPECT_THAT(runner.view().stories, testing::SizeIs(1));
  runner.stop();
  EXPECT_FALSE(heard.heard_counters());
}

}  // namespace
}  // namespace dots::runtime
