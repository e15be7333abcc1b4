// Random wishes, refusals, losses and restarts; whatever happened, at rest the back end holds what is wanted and no
// more.
#include <gtest/gtest.h>

#include <map>
#include <random>
#include <set>

#include "mitigation/reconcile.h"

namespace dots::mitigation {
namespace {

using namespace std::chrono_literals;

using model::Rule;
using model::RuleAction;
using model::RuleMatch;
using model::RuleOwner;

class World {
 public:
  explicit World(std::uint32_t seed) : random_(seed) { restart(); }

  void step() {
    now_ = now_ + std::chrono::milliseconds(below(3000));
    switch (below(12)) {
      case 0:
      case 1:
      case 2:
      case 3:
        wish();
        break;
      case 4:
        withdraw();
        break;
      case 5:
        bad_ = random_match();
        break;
      case 6:
        bad_.reset();
        break;
      case 7:
        lose();
        break;
      case 8:
        restart();
        break;
      case 9:
        count();
        break;
      default:
        turn();
        break;
    }
    ASSERT_NO_FATAL_FAILURE(check_counters());
  }

  void settle() {
    bad_.reset();
    if (!knows_) learn();
    for (int i = 0; i < 1000 && !reconciler_.quiescent(); ++i) {
      now_ = now_ + 6s;
      reconciler_.wake(now_);
      turn();
    }
    ASSERT_TRUE(reconciler_.quiescent());
    std::set<Rule> desired;
    std::map<RuleMatch, Rule> strictest;
    for (const auto& [owner, rules] : wishes_) {
      for (const Rule& rule : rules) {
        const auto [it, fresh] = strictest.emplace(rule.match, rule);
        if (!fresh && rank(rule) < rank(it->second)) it->second = rule;
      }
    }
    for (const auto& [match, rule] : strictest) desired.insert(rule);
    std::set<Rule> there;
    for (const auto& [match, rule] : backend_) there.insert(rule);
    ASSERT_EQ(there, desired);
    for (const auto& story : reconciler_.stories()) ASSERT_FALSE(story.owners.empty());
    for (const auto& report : reconciler_.reports()) reported_[report.owner] = report.state;
    for (const auto& [owner, rules] : wishes_) ASSERT_EQ(reported_[owner], RuleState::installed);
  }

 private:
  static std::pair<int, std::uint64_t> rank(const Rule& rule) {
    return {rule.action == RuleAction::blackhole ? 0 : rule.action == RuleAction::drop ? 1 : 2, rule.rate_limit_bps};
  }
  int below(int n) { return std::uniform_int_distribution<int>(0, n - 1)(random_); }
  RuleMatch random_match() {
    RuleMatch match{model::parse_prefix("198.51.100.0/32").value(), {}, {}};
    match.target.address.bytes[3] = static_cast<std::uint8_t>(below(12));
    if (below(2) != 0) match.protocol = std::uint8_t{17};
    return match;
  }
  RuleOwner random_owner() {
    return {base::DomainId("d"), base::Cuid("c"), base::Mid(static_cast<std::uint32_t>(below(8)))};
  }
  Reconciler::Want random_want() {
    Reconciler::Want want{random_owner(), {}, "test", std::nullopt};
    for (int i = below(5) + 1; i > 0; --i) {
      Rule rule{random_match(), RuleAction::drop, 0};
      if (below(3) == 0) rule.action = RuleAction::blackhole;
      if (below(3) == 0) rule = {rule.match, RuleAction::limit, static_cast<std::uint64_t>(below(3) + 1)};
      want.rules.push_back(rule);
    }
    return want;
  }
  void tell(const Reconciler::Want& want) {
    if (want.rules.empty()) {
      wishes_.erase(want.owner);
      reported_.erase(want.owner);
      floor_.erase(want.owner);
    } else {
      wishes_[want.owner] = want.rules;
    }
    reconciler_.want({want}, now_);
  }
  void wish() { tell(random_want()); }
  void withdraw() { tell({random_owner(), {}, "", std::nullopt}); }

  void lose() {  // the back end dies; perhaps its state does too, perhaps somebody adds a rule of his own
    if (below(2) != 0) backend_.clear();
    if (below(2) != 0) {
      const RuleMatch match = random_match();
      backend_[match] = {match, RuleAction::drop, 0};
    }
    seen_.clear();
    reconciler_.forget_installed();
    knows_ = false;
    if (below(2) != 0) learn();
  }
  void restart() {  // our own: all wishes come back from the store before the back end is read
    reconciler_ = Reconciler();
    reported_.clear();
    floor_.clear();
    for (const auto& [owner, rules] : wishes_) reconciler_.want({{owner, rules, "restored", std::nullopt}}, now_);
    learn();
  }
  void learn() {
    std::vector<Rule> rules;
    for (const auto& [match, rule] : backend_) rules.push_back(rule);
    reconciler_.learned(rules, now_);
    knows_ = true;
  }
  void turn() {
    const auto batch = reconciler_.next(static_cast<std::size_t>(below(4) + 1));
    if (batch.empty()) return;
    if (below(3) == 0) wish();  // while it is out
    bool ok = true;
    for (const Rule& rule : batch.install) ok = ok && (!bad_ || *bad_ != rule.match);
    if (ok) {
      for (const Rule& rule : batch.install) {
        if (backend_[rule.match] != rule) seen_.erase(rule.match);
        backend_[rule.match] = rule;
      }
      for (const Rule& rule : batch.remove) {
        EXPECT_EQ(backend_.erase(rule.match), 1u);
        seen_.erase(rule.match);
      }
    }
    reconciler_.applied(batch.version, ok ? std::nullopt : std::optional(ports::MitigatorFault{"refused"}), now_, 5s);
    for (const auto& report : reconciler_.reports()) reported_[report.owner] = report.state;
  }
  void count() {
    std::vector<std::pair<Rule, model::RuleCounters>> counters;
    for (const auto& [match, rule] : backend_) {
      auto& seen = seen_[match];
      seen.packets += 1;
      seen.bytes += static_cast<std::uint64_t>(below(1500));
      counters.emplace_back(rule, seen);
    }
    reconciler_.counted(counters, reconciler_.version(), now_);
  }
  void check_counters() {
    for (const auto& entry : reconciler_.owner_counters(now_)) {
      auto& floor = floor_[entry.owner];
      ASSERT_GE(entry.counters.bytes_dropped.value_or(0), floor);
      floor = entry.counters.bytes_dropped.value_or(0);
    }
  }

  std::mt19937 random_;
  base::Now now_{base::SteadyTime{1h}, base::from_unix_seconds(1'000'000)};
  Reconciler reconciler_;
  bool knows_ = false;
  std::map<RuleOwner, std::vector<Rule>> wishes_;
  std::map<RuleMatch, Rule> backend_;
  std::map<RuleMatch, model::RuleCounters> seen_;
  std::optional<RuleMatch> bad_;
  std::map<RuleOwner, RuleState> reported_;
  std::map<RuleOwner, std::uint64_t> floor_;
};

TEST(ReconcileProperty, AtRestTheBackEndHoldsWhatIsWantedAndNoMore) {
  for (std::uint32_t seed = 1; seed <= 200; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    World world(seed);
    for (int round = 0; round < 5; ++round) {
      for (int i = 0; i < 40; ++i) ASSERT_NO_FATAL_FAILURE(world.step());
      ASSERT_NO_FATAL_FAILURE(world.settle());
    }
  }
}

}  // namespace
}  // namespace dots::mitigation
