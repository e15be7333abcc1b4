#include "mitigation/filters.h"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <set>

namespace dots::mitigation {
namespace {

using namespace std::chrono_literals;
using Phase = FilterReconciler::Phase;
using model::FilterList;
using model::FilterListKey;

FilterListKey key(const std::string& name, const std::string& cuid = "a", const std::string& domain = "d") {
  return {base::DomainId{domain}, base::Cuid{cuid}, name};
}

std::shared_ptr<const FilterList> list(const FilterListKey& of, std::size_t entries = 1, std::uint32_t place = 0) {
  auto out = std::make_shared<FilterList>(FilterList{of, place, {}});
  for (std::size_t i = 0; i < entries; ++i) {
    model::FilterRule rule;
    rule.entry.name = "e" + std::to_string(i);
    rule.destinations = {*model::parse_prefix("192.0.2.0/24")};
    out->rules.push_back(rule);
  }
  return out;
}

class Filters : public testing::Test {
 protected:
  Filters() { reconciler.learned({}, now); }

  void want(const std::vector<std::shared_ptr<const FilterList>>& lists, bool whole = false) {
    DomainFilters wants{base::DomainId{"d"}, whole, {}};
    for (const auto& one : lists) wants.lists.push_back({one->key, one, "because"});
    reconciler.want(wants, now);
  }
  void forget(const FilterListKey& gone) { reconciler.want({gone.domain, false, {{gone, nullptr, {}}}}, now); }
  // The batch as "+name -name", carried out or refused.
  std::string turn(Phase phase, std::size_t entries = 100, const std::set<std::string>& bad = {}) {
    const auto batch = reconciler.next(phase, entries);
    std::string text;
    bool ok = true;
    for (const auto& change : batch.changes) {
      text += std::string(text.empty() ? "" : " ") + (change.list ? "+" : "-") + change.key.list;
      ok = ok && !bad.contains(change.key.list);
    }
    if (ok) {
      for (const auto& change : batch.changes) {
        if (change.list) {
          there[change.key] = model::digest_of(*change.list);
        } else {
          there.erase(change.key);
        }
      }
    }
    if (!batch.empty()) reconciler.applied(batch.version, ok, ok ? "" : "it cannot match this", now, 10s);
    return text;
  }
  std::vector<ports::InstalledFilterList> installed() const {
    std::vector<ports::InstalledFilterList> out;
    for (const auto& [k, digest] : there) out.push_back({k, digest, {}});
    return out;
  }
  std::map<std::string, FilterReport> reports() {
    std::map<std::string, FilterReport> out;
    for (const auto& one : reconciler.reports()) out[one.key.list] = one;
    return out;
  }
  void count(const std::string& name, std::uint64_t packets, std::uint64_t as_of) {
    auto seen = installed();
    for (auto& one : seen) {
      if (one.key.list == name) one.counters = {{"e0", {packets, packets * 100}}};
    }
    reconciler.counted(seen, as_of);
  }

  FilterReconciler reconciler;
  std::map<FilterListKey, std::string> there;
  base::Now now{base::SteadyTime{1000s}, base::WallTime{2000s}};
};

TEST_F(Filters, WhatIsWantedIsInstalledOnceAndRemovedWhenItIsNot) {
  want({list(key("x"))});
  EXPECT_FALSE(reconciler.quiescent());
  EXPECT_EQ(turn(Phase::remove), "");
  EXPECT_EQ(turn(Phase::install), "+x");
  EXPECT_EQ(turn(Phase::install), "");
  want({list(key("x"))});
  EXPECT_EQ(turn(Phase::install), "") << "the same again";
  want({list(key("x"), 2)});
  EXPECT_EQ(turn(Phase::install), "+x");
  forget(key("x"));
  EXPECT_EQ(turn(Phase::install), "");
  EXPECT_EQ(turn(Phase::remove), "-x");
  EXPECT_TRUE(reconciler.quiescent());
  EXPECT_EQ(reconciler.lists(), 0u);
}

// D8783-7.4-02: lists of two clients are two lists, however much alike
TEST_F(Filters, TheSameListOfTwoClientsStaysUntilBothAreGone) {
  want({list(key("x", "a")), list(key("x", "b"))});
  EXPECT_EQ(turn(Phase::install), "+x +x");
  forget(key("x", "a"));
  EXPECT_EQ(turn(Phase::remove), "-x");
  EXPECT_EQ(there.count(key("x", "b")), 1u);
  EXPECT_EQ(there.size(), 1u);
}

TEST_F(Filters, ADomainThatSaysAllTakesTheRestBack) {
  want({list(key("x")), list(key("y"))});
  reconciler.want({base::DomainId{"e"}, false, {{key("z", "a", "e"), list(key("z", "a", "e")), ""}}}, now);
  turn(Phase::install);
  want({list(key("y"))}, true);
  EXPECT_EQ(turn(Phase::install), "");
  EXPECT_EQ(turn(Phase::remove), "-x") << "and nothing of the other domain";
}

TEST_F(Filters, BatchesAreBoundByEntriesAndKeepTheOrderOfTheWishes) {
  want({list(key("z"), 3), list(key("a"), 2), list(key("big"), 50), list(key("b"))});
  EXPECT_EQ(turn(Phase::install, 5), "+z +a");
  EXPECT_EQ(turn(Phase::install, 5), "+big");
  EXPECT_EQ(turn(Phase::install, 5), "+b");
}

TEST_F(Filters, ABadListIsFoundByHalvesAndTriedAgain) {
  want({list(key("a")), list(key("b")), list(key("c")), list(key("d"))});
  EXPECT_EQ(turn(Phase::install, 100, {"c"}), "+a +b +c +d");
  EXPECT_EQ(turn(Phase::install, 100, {"c"}), "+a +b");
  EXPECT_EQ(turn(Phase::install, 100, {"c"}), "+c +d");
  EXPECT_EQ(turn(Phase::install, 100, {"c"}), "+c");
  EXPECT_EQ(turn(Phase::install, 100, {"c"}), "+d");
  EXPECT_EQ(turn(Phase::install, 100, {"c"}), "");
  const auto told = reports();
  EXPECT_EQ(told.at("c").state, RuleState::failed);
  EXPECT_EQ(told.at("c").reason, "it cannot match this");
  EXPECT_EQ(told.at("d").state, RuleState::installed);
  want({list(key("c"))}, false);
  reconciler.learned(installed(), now);
  EXPECT_EQ(turn(Phase::install), "") << "nothing is new about it";
  EXPECT_FALSE(reconciler.quiescent());
  EXPECT_EQ(reconciler.next_deadline(), now.steady + 10s);
  now = now + 10s;
  reconciler.wake(now);
  EXPECT_EQ(turn(Phase::install), "+c");
  EXPECT_EQ(reports().at("c").state, RuleState::installed);
  EXPECT_TRUE(reconciler.quiescent());
}

TEST_F(Filters, AChangedListIsTriedAtOnceAfterAFailure) {
  want({list(key("c"))});
  turn(Phase::install, 100, {"c"});
  want({list(key("c"), 2)});
  EXPECT_EQ(turn(Phase::install), "+c");
}

// A list that the back end cannot take must not keep it busy.
TEST_F(Filters, EachRefusalInARowDoublesThePause) {
  want({list(key("c"))});
  for (const auto pause : {10s, 20s, 40s, 80s, 160s, 320s, 640s, 640s}) {
    EXPECT_EQ(turn(Phase::install, 100, {"c"}), "+c");
    EXPECT_EQ(reconciler.next_deadline(), now.steady + pause);
    now = now + pause;
    reconciler.wake(now);
  }
  EXPECT_EQ(turn(Phase::install), "+c");
  want({list(key("c"), 2)});
  turn(Phase::install, 100, {"c"});
  EXPECT_EQ(reconciler.next_deadline(), now.steady + 10s) << "it had been taken";
}

TEST_F(Filters, AfterAStartOnlyWhatDiffersIsChangedAndStrangersStayForAWhile) {
  want({list(key("x")), list(key("y"))});
  turn(Phase::install);
  there[key("old")] = "digest of something";
  there[key("y")] = "digest of another y";
  reconciler = FilterReconciler{};
  reconciler.keep_unexplained(true);
  reconciler.learned(installed(), now);
  want({list(key("x")), list(key("y"))});
  EXPECT_EQ(turn(Phase::install), "+y");
  EXPECT_EQ(turn(Phase::remove), "");
  EXPECT_TRUE(reconciler.quiescent());
  reconciler.keep_unexplained(false);
  EXPECT_EQ(turn(Phase::remove), "-old");
}

TEST_F(Filters, WhatTheBackEndLostIsInstalledAgain) {
  want({list(key("x"))});
  turn(Phase::install);
  EXPECT_TRUE(reconciler.agrees_with(installed()));
  there.clear();
  EXPECT_FALSE(reconciler.agrees_with(installed()));
  reconciler.forget_installed();
  EXPECT_EQ(turn(Phase::install), "") << "nothing is known";
  reconciler.learned(installed(), now);
  EXPECT_EQ(turn(Phase::install), "+x");
}

TEST_F(Filters, AWishThatChangesWhileTheBatchIsOut) {
  want({list(key("x"))});
  const auto batch = reconciler.next(Phase::install, 100);
  forget(key("x"));
  EXPECT_TRUE(reconciler.next(Phase::remove, 100).empty()) << "one batch at a time";
  reconciler.applied(batch.version, true, "", now, 10s);
  there[key("x")] = model::digest_of(*list(key("x")));
  EXPECT_EQ(turn(Phase::remove), "-x");
  EXPECT_EQ(reconciler.lists(), 0u);
}

// D8783-7.3-03
TEST_F(Filters, CountersGoOnWhenAListIsReplaced) {
  want({list(key("x"))});
  turn(Phase::install);
  count("x", 0, reconciler.version());
  auto fresh = reconciler.fresh_counts();
  ASSERT_EQ(fresh.size(), 1u) << "that it counts is told, with zeros";
  EXPECT_EQ(fresh[0].counters.at(0).counters.packets, 0u);
  count("x", 7, reconciler.version());
  fresh = reconciler.fresh_counts();
  ASSERT_EQ(fresh.size(), 1u);
  EXPECT_EQ(fresh[0].counters, (std::vector<model::FilterRuleCounters>{{"e0", {7, 700}}}));
  EXPECT_TRUE(reconciler.fresh_counts().empty());

  const auto before = reconciler.version();
  want({list(key("x"), 2)});
  turn(Phase::install);
  count("x", 9, before);
  EXPECT_TRUE(reconciler.fresh_counts().empty()) << "that may have been its predecessor's";
  count("x", 8, reconciler.version());
  fresh = reconciler.fresh_counts();
  ASSERT_EQ(fresh.size(), 1u);
  EXPECT_EQ(fresh[0].counters.at(0).counters.packets, 8u);
  const auto stories = reconciler.stories();
  ASSERT_EQ(stories.size(), 1u);
  EXPECT_EQ(stories[0].counters.at(0).counters.packets, 15u);
  EXPECT_EQ(stories[0].reason, "because");
  EXPECT_EQ(stories[0].since, now.wall);
}

// What lists drop is dropped by the back end: what an entry lets through is not, and what is gone stays counted.
TEST_F(Filters, WhatTheyDropIsAddedUp) {
  const auto of = [](const std::string& name, model::Forwarding forwarding, std::optional<std::uint64_t> limit) {
    auto out = std::make_shared<FilterList>(*list(key(name)));
    out->rules[0].entry.forwarding = forwarding;
    out->rules[0].entry.rate_limit_hundredths = limit;
    return out;
  };
  want({of("drops", model::Forwarding::drop, {}), of("limits", model::Forwarding::accept, 2000),
        of("passes", model::Forwarding::accept, {})});
  turn(Phase::install);
  count("drops", 5, reconciler.version());
  count("limits", 30, reconciler.version());
  count("passes", 700, reconciler.version());
  EXPECT_EQ(reconciler.dropped(), (model::RuleCounters{35, 3500}));
  count("drops", 9, reconciler.version());
  EXPECT_EQ(reconciler.dropped(), (model::RuleCounters{39, 3900}));
  forget(key("drops"));
  turn(Phase::remove);
  EXPECT_EQ(reconciler.dropped(), (model::RuleCounters{39, 3900}));
}

// A back end that confirms has the last word, as with rules.
TEST_F(Filters, WhatIsTakenIsNotInForceBeforeItIsConfirmed) {
  reconciler.expect_confirmation(true);
  want({list(key("x"))});
  const auto before = reconciler.version();
  turn(Phase::install);
  const auto state = [&] { return reconciler.stories().at(0).state; };
  const auto confirm = [&](const std::string& missing, std::uint64_t as_of) {
    auto seen = installed();
    for (auto& one : seen) one.not_in_force = missing;
    reconciler.confirmed(seen, as_of);
  };
  EXPECT_EQ(state(), RuleState::taken);
  confirm("", before);
  EXPECT_EQ(state(), RuleState::taken) << "that listing is from before";
  reports();
  confirm("BGP peer 192.0.2.1 is not established", reconciler.version());
  EXPECT_EQ(reports().at("x").reason, "BGP peer 192.0.2.1 is not established");
  EXPECT_TRUE(reconciler.quiescent());
  confirm("", reconciler.version());
  EXPECT_EQ(state(), RuleState::installed);
  EXPECT_EQ(reports().at("x").state, RuleState::installed);
}

// Whatever is wished, refused, lost and restarted: at rest the back end has what is wanted, and nothing else.
TEST(FiltersProperty, AtRestTheBackEndHasWhatIsWanted) {
  for (std::uint32_t seed = 1; seed <= 150; ++seed) {
    std::mt19937 random(seed);
    const auto below = [&](std::uint32_t n) { return static_cast<std::uint32_t>(random() % n); };
    std::map<FilterListKey, std::shared_ptr<const FilterList>> wanted;
    std::map<FilterListKey, std::string> there;
    there[key("stranger")] = "x";
    std::set<std::string> bad;
    FilterReconciler reconciler;
    base::Now now{base::SteadyTime{1000s}, base::WallTime{2000s}};
    const auto learn = [&] {
      std::vector<ports::InstalledFilterList> seen;
      for (const auto& [k, digest] : there) seen.push_back({k, digest, {}});
      reconciler.learned(seen, now);
    };
    const auto turn = [&] {
      const auto batch = reconciler.next(below(2) == 0 ? Phase::install : Phase::remove, 1 + below(6));
      bool ok = true;
      for (const auto& change : batch.changes) ok = ok && !(change.list && bad.contains(change.key.list));
      for (const auto& change : batch.changes) {
        if (!ok) break;
        if (change.list) {
          there[change.key] = model::digest_of(*change.list);
        } else {
          there.erase(change.key);
        }
      }
      if (!batch.empty() && below(10) > 0) reconciler.applied(batch.version, ok, "no", now, 5s);
      if (!batch.empty() && below(20) == 0) {
        reconciler.forget_installed();
        learn();
      }
    };
    learn();
    for (int i = 0; i < 200; ++i) {
      now = now + std::chrono::milliseconds(below(2000));
      reconciler.wake(now);
      const auto k = key(std::string(1, static_cast<char>('a' + below(5))), below(2) == 0 ? "a" : "b");
      switch (below(8)) {
        case 0:
          wanted[k] = list(k, 1 + below(3));
          reconciler.want({k.domain, false, {{k, wanted[k], ""}}}, now);
          break;
        case 1:
          wanted.erase(k);
          reconciler.want({k.domain, false, {{k, nullptr, ""}}}, now);
          break;
        case 2: {
          wanted.erase(k);
          DomainFilters all{k.domain, true, {}};
          for (const auto& [one, content] : wanted) all.lists.push_back({one, content, ""});
          reconciler.want(all, now);
          break;
        }
        case 3:
          bad = {k.list};
          break;
        case 4:
          there.erase(k);
          reconciler.forget_installed();
          learn();
          break;
        default:
          turn();
      }
    }
    bad.clear();
    reconciler.forget_installed();
    learn();
    for (int i = 0; i < 500 && !reconciler.quiescent(); ++i) {
      now = now + 1s;
      reconciler.wake(now);
      turn();
      if (i % 50 == 49) learn();
    }
    ASSERT_TRUE(reconciler.quiescent()) << "seed " << seed;
    std::map<FilterListKey, std::string> expected;
    for (const auto& [k, content] : wanted) expected[k] = model::digest_of(*content);
    ASSERT_EQ(there, expected) << "seed " << seed;
    ASSERT_EQ(reconciler.lists(), expected.size()) << "seed " << seed;
  }
}

}  // namespace
}  // namespace dots::mitigation
