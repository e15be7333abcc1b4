// Lists of filters in a runner: beside the rules of mitigations, before them and after them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <condition_variable>
#include <map>
#include <mutex>

#include "agent/server/render.h"
#include "apps/runtime/mitigator_runner.h"
#include "tests/support/faulty_mitigator.h"
#include "tests/support/recording_sink.h"
#include "tests/support/rules.h"

namespace dots::runtime {
namespace {

using namespace std::chrono_literals;
using mitigation::RuleState;
using testing::ElementsAre;
using testing::IsEmpty;

const base::DomainId kDomain{"d"};

model::FilterListKey key(const std::string& name) { return {kDomain, base::Cuid{"c"}, name}; }
model::FilterList list(const std::string& name, std::size_t entries = 1) {
  model::FilterList out{key(name), 0, {}};
  for (std::size_t i = 0; i < entries; ++i) {
    model::FilterRule rule;
    rule.entry.name = "e" + std::to_string(i);
    rule.destinations = {*model::parse_prefix("192.0.2.0/24")};
    out.rules.push_back(rule);
  }
  return out;
}
mitigation::DomainFilters wanted(const std::vector<model::FilterList>& lists, bool whole = false) {
  mitigation::DomainFilters out{kDomain, whole, {}};
  for (const auto& one : lists) out.lists.push_back({one.key, std::make_shared<const model::FilterList>(one), "test"});
  return out;
}
mitigation::DomainFilters unwanted(const std::string& name) { return {kDomain, false, {{key(name), nullptr, {}}}}; }
mitigation::Reconciler::Want rules(std::vector<model::Rule> rules) {
  return {{kDomain, base::Cuid{"c"}, base::Mid{1}}, std::move(rules), "test", std::nullopt};
}

class RunnerFilters : public testing::TestWithParam<bool> {
 protected:
  void make(base::Duration grace = 0ms) {
    runner.reset();
    RunnerOptions options;
    options.name = "edge";
    options.counters_every = 5ms;
    options.retry_after = 20ms;
    options.back_off = 2ms;
    options.back_off_most = 20ms;
    options.grace = grace;
    RunnerCallbacks callbacks;
    callbacks.filters_counted = [this](const std::vector<mitigation::FilterCounts>& counts) {
      const std::lock_guard lock(mutex);
      for (const auto& one : counts) {
        for (const auto& [entry, more] : one.counters) packets[one.key.list + "/" + entry] += more.packets;
      }
      changed.notify_all();
    };
    runner = std::make_unique<MitigatorRunner>(
        std::make_unique<tests::FaultyMitigator>(back_end),
        GetParam() ? std::make_unique<tests::FaultyMitigator>(back_end) : nullptr, options, callbacks, sink);
  }
  void start() {
    make();
    runner->start();
  }
  bool await_lists(const std::vector<std::string>& names) {
    return back_end.await([&] { return back_end.lists() == names; });
  }
  bool await_packets(const std::string& name, std::uint64_t number) {
    std::unique_lock lock(mutex);
    return changed.wait_for(lock, 5s, [&] { return packets.contains(name) && packets[name] == number; });
  }
  mitigation::FilterStory story(const std::string& name) {
    for (const auto& one : runner->view().filters) {
      if (one.key.list == name) return one;
    }
    return {};
  }

  tests::FaultyBackEnd back_end;
  tests::RecordingSink sink;
  std::mutex mutex;
  std::condition_variable changed;
  std::map<std::string, std::uint64_t> packets;
  model::Rule dns = tests::rule_of("192.0.2.1/32", 17, {{53, 53}});
  std::unique_ptr<MitigatorRunner> runner;
};
INSTANTIATE_TEST_SUITE_P(ReadingInBetweenAndBeside, RunnerFilters, testing::Bool());

// What an accept-list saves is never dropped in between (RFC 8783 7.2): it is in before the rules and goes after them.
TEST_P(RunnerFilters, ListsComeBeforeTheRulesOfTheirMitigationAndGoAfterThem) {
  make();
  runner->want({rules({dns})}, {wanted({list("friends")})});
  runner->start();
  EXPECT_TRUE(back_end.await([&] { return back_end.history().size() == 2; }));
  EXPECT_THAT(back_end.history(), ElementsAre("+friends", "+rule"));
  runner->want({rules({})}, {unwanted("friends")});
  EXPECT_TRUE(await_lists({}));
  EXPECT_THAT(back_end.history(), ElementsAre("+friends", "+rule", "-rule", "-friends"));
  EXPECT_TRUE(back_end.await([&] { return runner->quiescent(); }));
}

TEST_P(RunnerFilters, ARefusedListIsToldAndTriedAgainAndHoldsNobodyUp) {
  back_end.refuse_list("bad");
  start();
  runner->want({rules({dns})}, {wanted({list("a"), list("bad"), list("z")})});
  EXPECT_TRUE(await_lists({"a", "z"}));
  EXPECT_TRUE(back_end.await([&] { return back_end.rules().size() == 1; }));
  EXPECT_TRUE(back_end.await([&] { return story("bad").state == RuleState::failed; }));
  EXPECT_EQ(story("bad").failure, "it cannot match this");
  EXPECT_FALSE(runner->quiescent());
  EXPECT_TRUE(back_end.await([&] { return sink.messages("FILTER_REFUSED") > 0; }));
  back_end.refuse_list(std::nullopt);
  EXPECT_TRUE(await_lists({"a", "bad", "z"}));
  EXPECT_TRUE(back_end.await([&] { return story("bad").state == RuleState::installed; }));
}

TEST_P(RunnerFilters, AfterARestartListsAreReconciled) {
  back_end.add_list(list("same"));
  back_end.add_list(list("other", 2));
  back_end.add_list(list("nobody's"));
  make(50ms);
  runner->want({}, {wanted({list("same"), list("other", 3)}, true)});
  runner->start();
  EXPECT_TRUE(await_lists({"other", "same"}));
  EXPECT_THAT(back_end.history(), ElementsAre("+other", "-nobody's"));
}

TEST_P(RunnerFilters, WhatTheBackEndLostComesBackAndADeadOneIsWaitedFor) {
  start();
  runner->want({}, {wanted({list("x")})});
  EXPECT_TRUE(await_lists({"x"}));
  back_end.lose_everything();
  EXPECT_TRUE(await_lists({"x"})) << "counters are read, and something is missing";
  back_end.set_down(true);
  runner->want({}, {unwanted("x")});
  runner->want({}, {wanted({list("y")})});
  back_end.set_down(false);
  EXPECT_TRUE(await_lists({"y"}));
  back_end.die_in_next_apply(true);
  runner->want({}, {unwanted("y")});
  EXPECT_TRUE(await_lists({}));
  EXPECT_TRUE(back_end.await([&] { return runner->quiescent(); }));
}

TEST_P(RunnerFilters, NothingIsInstalledWhileItIsHeld) {
  make();
  runner->hold(true);
  runner->want({}, {wanted({list("x")})});
  runner->start();
  std::this_thread::sleep_for(30ms);
  EXPECT_THAT(back_end.lists(), IsEmpty());
  runner->hold(false);
  EXPECT_TRUE(await_lists({"x"}));
}

TEST_P(RunnerFilters, WhatEntriesCountIsToldOnce) {
  start();
  runner->want({}, {wanted({list("x")})});
  EXPECT_TRUE(await_packets("x/e0", 0));
  back_end.count(key("x"), "e0", {5, 500});
  EXPECT_TRUE(await_packets("x/e0", 5));
  runner->want({}, {wanted({list("x", 2)})});
  EXPECT_TRUE(await_packets("x/e1", 0));
  back_end.count(key("x"), "e0", {2, 200});
  EXPECT_TRUE(await_packets("x/e0", 7)) << "the back end began at zero again";
  EXPECT_EQ(story("x").counters.at(0).counters.packets, 7u);
}

TEST_P(RunnerFilters, ABackEndWithoutFiltersSaysSoOnce) {
  back_end.set_takes_filters(false);
  start();
  runner->want({rules({dns})}, {wanted({list("x")})});
  runner->want({}, {wanted({list("y")})});
  EXPECT_TRUE(back_end.await([&] { return back_end.rules().size() == 1; }));
  EXPECT_TRUE(back_end.await([&] { return sink.messages("FILTERS_UNSUPPORTED") == 1; }));
  EXPECT_TRUE(back_end.await([&] { return runner->view().filters.size() == 2; }));
  EXPECT_EQ(story("x").state, RuleState::failed);
  EXPECT_TRUE(back_end.await([&] { return runner->quiescent(); }));
  EXPECT_THAT(back_end.lists(), IsEmpty());
}

}  // namespace
}  // namespace dots::runtime
