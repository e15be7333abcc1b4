// Restarts, failed commits, clocks that cannot be trusted, new policies (docs/decisions/lifetimes.md).
#include "signal/server/domain_fixture.h"

namespace dots::signal::server {
namespace {

using model::ResponseCode;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using namespace std::chrono_literals;

class Load : public DomainTest {};

TEST_F(Load, ARestartLosesNothing) {
  put(1, "192.0.2.1/32", 1000);
  armed(2, "192.0.2.2/32");
  put(3, "192.0.2.3/32", 1000);
  del(3);
  put(4, "198.51.100.0/24", 5000, "b");
  now = now + 50s;
  restart();
  EXPECT_EQ(lifetime(1), 950);
  EXPECT_EQ(status(2), 8);
  EXPECT_EQ(status(3), 5);
  EXPECT_THAT(rules_of(1), ElementsAre("192.0.2.1/32"));
  EXPECT_THAT(rules_of(2), IsEmpty());
  EXPECT_THAT(rules_of(3), ElementsAre("192.0.2.3/32"));
  EXPECT_THAT(rules_of(4, "cuid-b"), ElementsAre("198.51.100.0/24"));
  EXPECT_TRUE(mitigating["a"]);
  EXPECT_TRUE(mitigating["b"]);
  EXPECT_EQ(put(9, request_for("192.0.2.9/32"), "b", "cuid-a").code, ResponseCode::conflict) << "cuids stay owned";
  pass(70s);
  EXPECT_EQ(get(3).code, ResponseCode::not_found);
  pass(880s);
  EXPECT_EQ(status(1), 5);
}

TEST_F(Load, WritesNothing) {
  put(1, "192.0.2.1/32", 100);
  now = now + 24h;
  const ModelStore before = store;
  restart();
  EXPECT_EQ(store.mitigations, before.mitigations);
  EXPECT_EQ(store.audit.size(), before.audit.size());
}

// What expired while the server was down has had its period as well.
TEST_F(Load, ExpiredInTheDowntime) {
  put(1, "192.0.2.1/32", 100);
  put(2, "192.0.2.2/32", 1000);
  now = now + 1060s;
  restart();
  EXPECT_THAT(rules_of(1), IsEmpty()) << "nothing is installed for a moment only";
  EXPECT_THAT(rules_of(2), ElementsAre("192.0.2.2/32")) << "its rules stay while the store is asked";
  EXPECT_EQ(domain_->next_deadline(), now.steady);
  step(TimerFired{});
  EXPECT_EQ(get(1).code, ResponseCode::not_found);
  EXPECT_THAT(rules_of(1), IsEmpty());
  EXPECT_EQ(status(2), 5) << "60 of its 120 s are left";
  EXPECT_THAT(rules_of(2), ElementsAre("192.0.2.2/32"));
  pass(59s);
  EXPECT_EQ(status(2), 5);
  pass(1s);
  EXPECT_EQ(get(2).code, ResponseCode::not_found);
  EXPECT_TRUE(store.mitigations.empty());
}

// The clock of the new start is in 1970: nothing expires, and nothing lives longer than its own span.
TEST_F(Load, TheWallClockIsBehindTheStore) {
  put(1, "192.0.2.1/32", 1000);
  put(2, "192.0.2.2/32", 1000);
  del(2);
  now.steady += 900s;
  now.wall = base::from_unix_seconds(5);
  restart();
  EXPECT_EQ(lifetime(1), 1000);
  EXPECT_EQ(status(2), 5);
  pass(120s);
  EXPECT_EQ(get(2).code, ResponseCode::not_found);
  pass(880s);
  EXPECT_EQ(status(1), 5);
}

// Past its deadline by a clock that is behind all the same: a little time, for somebody to set the clock.
TEST_F(Load, NothingExpiresByAClockThatIsBehind) {
  put(1, "192.0.2.1/32", 100);
  put(2, "192.0.2.2/32", 7200);
  const base::Now then = now;
  now = now + 3600s;
  ModelStore stale = store;
  stale.last_commit = now.wall;
  store = stale;
  now = then + 1800s;
  restart();
  step(TimerFired{});
  EXPECT_EQ(status(1), 1);
  EXPECT_THAT(rules_of(1), ElementsAre("192.0.2.1/32"));
}

// A failed commit: memory goes back to what the store has, and so do the rules.
TEST_F(Load, AFailedCommitIsUndone) {
  put(1, "192.0.2.1/32");
  put(2, "192.0.2.2/32");
  report(1, RulesReport::State::installed);
  step(CountersReport{base::Cuid{"cuid-a"}, base::Mid{1}, {1, 2, 3, 4}});
  observe(1, 42);
  const ModelStore kept = store;
  put(3, "192.0.2.3/32");
  del(1);
  step(OperatorWithdraw{1, base::Cuid{"cuid-a"}, base::Mid{2}, "root", ""});
  reload(kept);
  EXPECT_EQ(get(3).code, ResponseCode::not_found);
  EXPECT_THAT(rules_of(3), IsEmpty());
  EXPECT_THAT(rules_of(2), ElementsAre("192.0.2.2/32"));
  EXPECT_EQ(status(1), 2) << "the back end does not say again what has not changed";
  EXPECT_EQ(entry(1).counters.bytes_dropped, 1U);
  pass(3s);
  ASSERT_EQ(all_notified.size(), 1U) << "observers hear how it is";
  EXPECT_EQ(all_notified[0].second.answer.entries.front().status, model::MitigationStatus::successfully_mitigated);
}

TEST_F(Load, AFailedCommitOfTheFirstRequest) {
  const ModelStore kept = store;
  put(1, "192.0.2.1/32");
  EXPECT_TRUE(mitigating["a"]);
  reload(kept);
  EXPECT_FALSE(mitigating["a"]);
  EXPECT_EQ(put(1, request_for("192.0.2.1/32"), "b", "cuid-a").code, ResponseCode::created);
}

// Requests that wait for a name have nothing in the store: they go on waiting.
TEST_F(Load, HeldRequestsOutliveAFailedCommit) {
  model::MitigationRequest request = request_for("");
  request.scope.target_fqdn = {"www.example.net"};
  const PutMitigation waiting = put_event(1, request);
  step(waiting);
  reload({});
  EXPECT_THAT(asked_names, ElementsAre("www.example.net"));
  resolved("www.example.net", {"192.0.2.1"});
  EXPECT_EQ(last_reply(waiting.origin).answer.code, ResponseCode::created);
}

// A store that refuses everything must not turn a deadline into a tight loop.
TEST_F(Load, AReloadPausesBeforeItsDeadlines) {
  put(1, "192.0.2.1/32", 100);
  const ModelStore kept = store;
  now = now + 500s;
  reload(kept);
  EXPECT_EQ(domain_->next_deadline(), now.steady + 1s);
}

TEST_F(Load, NamesAreAskedForAgain) {
  model::MitigationRequest request = request_for("");
  request.scope.target_fqdn = {"www.example.net"};
  step(put_event(1, request));
  resolved("www.example.net", {"192.0.2.1"}, 60s);
  restart();
  EXPECT_THAT(asked_names, ElementsAre("www.example.net"));
  EXPECT_THAT(rules_of(1), ElementsAre("192.0.2.1/32"));
}

TEST_F(Load, OtherDomainsAreNotOurs) {
  put(1, "192.0.2.1/32");
  auto node = store.mitigations.extract(store.mitigations.begin());
  node.mapped().domain = base::DomainId{"other"};
  store.mitigations.insert(std::move(node));
  restart();
  EXPECT_TRUE(rules.empty());
  EXPECT_TRUE(domain_->view(now).empty());
}

// S9132-11-05: what the domain has lost is not mitigated any longer.
TEST_F(Load, ANewPolicyTakesPrefixesAway) {
  put(1, "192.0.2.1/32");
  put(2, "198.51.100.1/32");
  observe(1, 42);
  pass(10s);
  policy::DomainPolicy policy = test_policy();
  policy.prefixes = {prefix("198.51.100.0/24")};
  change_policy(policy);
  EXPECT_THAT(rules_of(1), IsEmpty());
  EXPECT_THAT(rules_of(2), ElementsAre("198.51.100.1/32"));
  EXPECT_EQ(store.mitigations.size(), 1U);
  EXPECT_THAT(audited("withdraw"), ElementsAre(HasSubstr("192.0.2.1/32")));
  pass(0s);
  ASSERT_EQ(all_notified.size(), 1U);
  EXPECT_EQ(all_notified[0].second.answer.entries.front().status, model::MitigationStatus::withdrawn);
}

TEST_F(Load, ANewPolicyTakesAddressesOfNamesAway) {
  model::MitigationRequest request = request_for("");
  request.scope.target_fqdn = {"www.example.net"};
  step(put_event(1, request));
  resolved("www.example.net", {"192.0.2.1", "198.51.100.1"});
  policy::DomainPolicy policy = test_policy();
  policy.prefixes = {prefix("198.51.100.0/24")};
  change_policy(policy);
  EXPECT_THAT(rules_of(1), ElementsAre("198.51.100.1/32"));
}

// A smaller quota refuses what comes; it does not end what runs.
TEST_F(Load, ANewPolicyWithSmallerQuotas) {
  put(1, "192.0.2.1/32");
  put(2, "192.0.2.2/32");
  policy::DomainPolicy policy = test_policy();
  policy.max_mitigations = 1;
  policy.max_targets_per_request = 0;
  change_policy(policy);
  EXPECT_EQ(store.mitigations.size(), 2U);
  EXPECT_EQ(status(1), 1);
}

}  // namespace
}  // namespace dots::signal::server
