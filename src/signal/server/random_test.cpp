// Random histories against invariants, with restarts and failed commits in between.
#include <random>

#include "signal/server/domain_fixture.h"
#include "signal/server/timers.h"

namespace dots::signal::server {
namespace {

using namespace std::chrono_literals;

class Random : public DomainTest {
 protected:
  unsigned pick(unsigned n) { return static_cast<unsigned>(random_() % n); }
  std::string client() { return pick(3) == 0 ? "b" : "a"; }
  base::Cuid cuid() { return base::Cuid{std::string{"cuid-"} + static_cast<char>('a' + pick(4))}; }
  base::Mid mid() { return base::Mid{pick(6)}; }
  std::string name() { return std::string{static_cast<char>('m' + pick(3))} + ".example.net"; }

  model::MitigationRequest request() {
    model::MitigationRequest request = request_for("", 1 + pick(400));
    request.trigger_mitigation = pick(4) != 0;
    if (pick(4) == 0) {
      request.scope.target_fqdn = {name()};
    } else {
      const std::vector<std::string> targets{"192.0.2.0/28",    "192.0.2.1/32",    "192.0.2.2/32",
                                             "198.51.100.0/24", "198.51.100.7/32", "203.0.113.1/32"};
      request.scope.target_prefix = {prefix(targets[pick(6)])};
    }
    if (pick(20) == 0) request.scope.target_uri = {"https://" + name() + "/"};
    if (pick(50) == 0) request.lifetime = model::Lifetime{0};
    if (pick(40) == 0) request.lifetime.reset();
    return request;
  }

  // One random request; remembers that it is owed an answer.
  void random_request() {
    const std::string who = client();
    switch (pick(5)) {
      case 0: {
        DeleteMitigation del{origin(who), cuid(), mid()};
        owe(del.origin, del);
        break;
      }
      case 1: {
        GetMitigation get;
        get.origin = origin(who, static_cast<std::uint8_t>(1 + pick(5)));
        get.cuid = cuid();
        if (pick(2) == 0) get.mid = mid();
        if (pick(2) == 0) get.observe = pick(2);
        owe(get.origin, get);
        break;
      }
      default: {
        PutMitigation put = put_event(mid().value, request(), who, cuid().value);
        if (pick(6) == 0) {
          put.if_match = pick(4) == 0 ? PutMitigation::IfMatch::other : PutMitigation::IfMatch::empty;
          put.request.attack_status = model::AttackStatus::under_attack;
        }
        if (pick(3) == 0) {
          // A repeat of what is there.
          const auto views = domain_->view(now);
          if (!views.empty()) {
            const auto& record = views[pick(static_cast<unsigned>(views.size()))].record;
            put.cuid = record.cuid;
            put.mid = record.mid;
            put.origin = origin(record.client.value);
            put.request.scope = record.request.scope;
            put.request.trigger_mitigation = record.request.trigger_mitigation;
          }
        }
        owe(put.origin, put);
        break;
      }
    }
  }
  void owe(const Origin& to, const Event& event) {
    owed_.insert(to.exchange.value);
    step(event);
  }

  // After every take(): answers go to who is owed one, once.
  void settle() {
    for (const Reply& reply : replies) {
      ASSERT_EQ(owed_.erase(reply.exchange.value), 1U) << "answered twice, or never asked";
      seen_.insert(model::to_string(reply.answer.code));
      if (!model::is_success(reply.answer.code)) {
        ASSERT_TRUE(!reply.answer.diagnostic.empty() || !reply.answer.entries.empty());
      }
    }
    for (const NoReply& ignored_one : ignored) ASSERT_EQ(owed_.erase(ignored_one.exchange.value), 1U);
    replies.clear();
    ignored.clear();
  }

  // What is stored of a mitigation, without what only memory has.
  static std::map<Key, ports::MitigationRecord> records(const std::vector<MitigationView>& views) {
    std::map<Key, ports::MitigationRecord> all;
    for (const MitigationView& view : views) {
      ports::MitigationRecord record = view.record;
      const bool ends = record.status == model::MitigationStatus::attack_stopped ||
                        record.status == model::MitigationStatus::withdrawn;
      if (ends && !record.request.trigger_mitigation) {
        record.status = model::MitigationStatus::signal_loss;
      } else if (record.status == model::MitigationStatus::successfully_mitigated ||
                 record.status == model::MitigationStatus::attack_stopped) {
        record.status = model::MitigationStatus::in_progress;
      }
      all[{record.cuid, record.mid}] = record;
    }
    return all;
  }

  static bool has_rules(const ports::MitigationRecord& record) {
    return record.status == model::MitigationStatus::in_progress ||
           record.status == model::MitigationStatus::client_withdrawn;
  }
  // Requests of two clients that share a prefix do not run together, as long as names stand still; and what is kept out
  // has somebody in its way.
  void check_conflicts(const std::map<Key, ports::MitigationRecord>& stored) {
    const auto by_prefix = [](const ports::MitigationRecord& record) {
      return record.request.scope.target_fqdn.empty() && record.request.scope.target_uri.empty();
    };
    for (const auto& [one, r1] : stored) {
      if (r1.status != model::MitigationStatus::in_progress || !by_prefix(r1)) continue;
      for (const auto& [two, r2] : stored) {
        if (r2.client == r1.client || r2.status != model::MitigationStatus::in_progress || !by_prefix(r2)) continue;
        if (!r1.expanded.front().overlaps(r2.expanded.front())) continue;
        ASSERT_EQ(policy_.conflict_winner, policy::ConflictWinner::everybody);
      }
    }
    for (const MitigationView& view : domain_->view(now)) {
      const bool deactivated = view.record.status == model::MitigationStatus::withdrawn;
      if (deactivated && view.record.request.trigger_mitigation && by_prefix(view.record)) {
        ASSERT_TRUE(view.conflict) << "kept out by nobody";
        ++kept_out_;
      }
    }
  }

  void check() {
    const auto views = domain_->view(now);
    // The store and the memory are one.
    std::map<Key, ports::MitigationRecord> stored;
    for (const auto& [key, record] : store.mitigations) stored[{record.cuid, record.mid}] = record;
    ASSERT_EQ(stored, records(views));
    // Every mitigation has a cuid of its client; every rule a mitigation that is not armed, and the reverse.
    std::set<model::RuleOwner> owners;
    for (const auto& [owner, list] : rules) {
      ASSERT_EQ(stored.count({owner.cuid, owner.mid}), 1U) << "a rule without a mitigation";
      ASSERT_TRUE(has_rules(stored.at({owner.cuid, owner.mid})));
    }
    std::map<std::string, bool> active;
    for (const auto& [key, record] : stored) {
      ASSERT_EQ(store.cuids.at(key.cuid).client, record.client);
      active[record.client.value] = active[record.client.value] || has_rules(record);
      if (!has_rules(record)) continue;
      const model::RuleOwner owner{policy_.id, key.cuid, key.mid};
      ASSERT_EQ(rules.count(owner), record.expanded.empty() ? 0U : 1U);
      if (!record.expanded.empty()) {
        ASSERT_EQ(rules.at(owner).size(), record.expanded.size());
      }
    }
    ASSERT_NO_FATAL_FAILURE(check_conflicts(stored));
    for (const auto& [who, is] : mitigating) ASSERT_EQ(is, active[who]) << who;
    ASSERT_LE(stored.size(), policy_.max_mitigations);
    for (const std::string who : {"a", "b"}) {
      std::size_t cuids = 0;
      for (const auto& [c, record] : store.cuids) cuids += record.client.value == who ? 1 : 0;
      ASSERT_LE(cuids, policy_.max_cuids_per_client);
    }
    // Two running requests of one cuid and type share no prefix, as long as names stand still.
    for (const auto& [one, r1] : stored) {
      for (const auto& [two, r2] : stored) {
        if (one.cuid != two.cuid || one.mid >= two.mid || !r1.request.scope.target_fqdn.empty() ||
            !r2.request.scope.target_fqdn.empty() || !r1.request.scope.target_uri.empty() ||
            !r2.request.scope.target_uri.empty() || r1.request.trigger_mitigation != r2.request.trigger_mitigation) {
          continue;
        }
        ASSERT_FALSE(r1.expanded.front().overlaps(r2.expanded.front()));
      }
    }
  }

  // A fresh machine over the store sees what this one sees.
  void check_replay() {
    Domain other{std::make_shared<policy::DomainRules>(policy_), planner_, limits_};
    other.load(store.snapshot(), now, false);
    const auto mine = domain_->view(now);
    const auto theirs = other.view(now);
    ASSERT_EQ(records(mine), records(theirs));
    for (std::size_t i = 0; i < mine.size(); ++i) ASSERT_EQ(mine[i].remaining, theirs[i].remaining);
  }

  void history(unsigned seed, int steps) {
    random_.seed(seed);
    policy::DomainPolicy policy = test_policy();
    policy.max_mitigations = 12;
    policy.max_cuids_per_client = 2;
    policy.terminate_after_expiry = seed % 2 == 0;
    policy.conflict_winner = static_cast<policy::ConflictWinner>(seed % 4);
    policy.clients[1].priority = seed % 3 == 0 ? 200 : 100;
    DomainLimits limits;
    limits.held_requests = 4;
    limits.observers_per_session = 3;
    start(policy, limits);
    owed_.clear();
    for (int i = 0; i < steps && !HasFatalFailure(); ++i) {
      const ModelStore before = store;
      switch (pick(16)) {
        case 0:
        case 1:
        case 2: {
          // Time, with its timers; and sometimes a clock that somebody sets.
          const base::Duration span = pick(4) == 0 ? base::Duration{std::chrono::seconds{pick(400)}}
                                                   : base::Duration{std::chrono::milliseconds{pick(3000)}};
          const base::Now end = now + span;
          while (domain_->next_deadline() && *domain_->next_deadline() <= end.steady) {
            now = now + (std::max(now.steady, *domain_->next_deadline()) - now.steady);
            step(TimerFired{});
            settle();
          }
          now = end;
          // Steps under 5 s are drift, and nobody follows them.
          if (pick(30) == 0) now.wall += (pick(2) == 0 ? 1 : -1) * std::chrono::seconds{6 + pick(1000)};
          step(TimerFired{});
          break;
        }
        case 3:
        case 4: {
          const std::string text = name();
          if (pick(3) == 0) {
            not_resolved(text,
                         pick(2) == 0 ? ports::Resolution::Outcome::failed : ports::Resolution::Outcome::no_such_name);
          } else {
            const std::vector<std::string> addresses{"192.0.2.1", "192.0.2.77", "198.51.100.7", "203.0.113.1"};
            resolved(text, {addresses[pick(4)], addresses[pick(3)]}, std::chrono::seconds{pick(100)});
          }
          break;
        }
        case 5:
          step(RulesReport{cuid(), mid(), static_cast<RulesReport::State>(pick(3)), "reason"});
          break;
        case 6:
          if (pick(8) == 0) {
            step(AttackReport{cuid(), mid(), pick(2) == 0});
          } else if (pick(8) == 0) {
            step(OperatorReleaseCuid{1, cuid(), "root", ""});
          } else if (pick(8) == 0) {
            step(OperatorWithdraw{1, cuid(), mid(), "root", ""});
          } else {
            step(CountersReport{cuid(), mid(), {pick(10), pick(10), pick(10), pick(10)}});
          }
          break;
        case 7:
          if (pick(10) == 0) {
            step(SignalGuard{pick(2) == 0, std::chrono::seconds{pick(100)}});
          } else {
            step(SessionEdge{static_cast<SessionEdge::Kind>(pick(5)),
                             base::SessionId{1 + pick(2)},
                             base::ClientId{"a"},
                             std::chrono::seconds{pick(100)},
                             {}});
          }
          break;
        case 8:
          if (pick(10) == 0) {
            ASSERT_NO_FATAL_FAILURE(settle());
            restart();
            owed_.clear();  // the sessions are gone
            step(TimerFired{});
          } else if (pick(4) == 0) {
            check_replay();
          }
          break;
        case 9:
          if (pick(4) == 0) {
            // The next request is answered, but its commit fails: the shell says 5.03 and reloads.
            random_request();
            ASSERT_NO_FATAL_FAILURE(settle());
            reload(before);
          }
          break;
        default:
          random_request();
          break;
      }
      ASSERT_NO_FATAL_FAILURE(settle()) << "seed " << seed << " step " << i;
      ASSERT_NO_FATAL_FAILURE(check()) << "seed " << seed << " step " << i;
    }
    // Nobody is left without an answer.
    now = now + 10s;
    step(TimerFired{});
    settle();
    EXPECT_TRUE(owed_.empty()) << "seed " << seed;
  }

  std::mt19937 random_;
  std::set<std::uint64_t> owed_;
  std::size_t kept_out_ = 0;
  std::set<std::string> seen_;  // codes, so that the histories are known to reach everything
};

TEST_F(Random, HistoriesKeepTheInvariants) {
  for (unsigned seed = 1; seed <= 40 && !HasFatalFailure(); ++seed) history(seed, 400);
  for (const char* code : {"2.01", "2.02", "2.04", "2.05", "4.00", "4.04", "4.09", "4.12", "5.03"}) {
    EXPECT_EQ(seen_.count(code), 1U) << code;
  }
  EXPECT_GT(kept_out_, 0U);
}

}  // namespace
}  // namespace dots::signal::server
