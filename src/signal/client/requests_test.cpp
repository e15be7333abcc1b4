#include "signal/client/requests.h"

#include <gtest/gtest.h>

#include <functional>

#include "signal/client/requests_harness.h"

namespace dots::signal::client {
namespace {

using model::MitigationStatus;
using model::ResponseCode;

// S9132-4.4.1.1-03, S9132-4.4.1.1-25, S9132-4.4.1.1-39, S8612-SIG-007-04, S8811-3.3.3-02
TEST(ClientRequestsTest, AWishBecomesAPutWithCuidMidAndDefaultLifetime) {
  RequestsHarness h;
  const base::Mid mid = h.mitigate("192.0.2.1/32");
  ASSERT_EQ(h.puts.size(), 1u);
  EXPECT_EQ(h.puts[0].cuid, h.settings.cuid);
  EXPECT_EQ(h.puts[0].mid, mid);
  EXPECT_EQ(h.puts[0].request.lifetime, model::Lifetime{3600});
  EXPECT_TRUE(h.puts[0].request.trigger_mitigation);
  EXPECT_TRUE(h.machine.mitigating());
}

// S9132-4.4.1.1-15, S9132-4.4.1.1-16
TEST(ClientRequestsTest, MidsOnlyGrowAlsoOverARestart) {
  RequestsHarness h;
  base::Mid last = h.mitigate("192.0.2.1/32");
  for (int i = 2; i < 6; ++i) {
    const base::Mid mid = h.mitigate("192.0.2." + std::to_string(i) + "/32");
    EXPECT_GT(mid, last);
    last = mid;
  }
  h.withdraw(last);
  h.answer(h.deletes.back().id, h.code(ResponseCode::deleted));
  h.restart();
  EXPECT_GT(h.mitigate("192.0.2.9/32"), last);
}

// The counter is durable before the PUT leaves: both are effects of one step, the record first.
TEST(ClientRequestsTest, RecordAndCounterPrecedeNothingThatIsSent) {
  Requests machine(default_settings(), 1);
  Effects out;
  machine.load({}, {}, out);
  ASSERT_TRUE(machine.mitigate(wanted("192.0.2.1/32"), {}, out));
  bool record = false, counter = false;
  for (const Effect& effect : out) {
    const auto* persist = std::get_if<Persist>(&effect);
    if (persist == nullptr) continue;
    record = record || std::holds_alternative<ports::PutClientRequest>(persist->change);
    counter = counter || std::holds_alternative<ports::PutCounter>(persist->change);
  }
  EXPECT_TRUE(record);
  EXPECT_TRUE(counter);
}

// S9132-4.4.1.1-17
TEST(ClientRequestsTest, MidStartsAgainAtZeroWhenIdle) {
  RequestsHarness h;
  h.store.counters["client/upstream/next-mid"] = 3221225471;
  h.restart();
  EXPECT_EQ(h.mitigate("192.0.2.1/32"), base::Mid{0});
  EXPECT_TRUE(h.told("CLIENT_MID_ROLLOVER"));
  EXPECT_EQ(h.mitigate("192.0.2.2/32"), base::Mid{1});
  EXPECT_EQ(h.store.counters["client/upstream/next-mid"], 2u);
}

// S9132-4.4.1.1-17: one below the limit is still used.
TEST(ClientRequestsTest, NoRolloverBeforeTheLimit) {
  RequestsHarness h;
  h.store.counters["client/upstream/next-mid"] = 3221225470;
  h.restart();
  EXPECT_EQ(h.mitigate("192.0.2.1/32"), base::Mid{3221225470u});
}

// S9132-4.4.1.1-19
TEST(ClientRequestsTest, RolloverWaitsForTheEndOfTheAttack) {
  RequestsHarness h;
  h.store.counters["client/upstream/next-mid"] = 3221225470;
  h.restart();
  const base::Mid first = h.mitigate("192.0.2.1/32");
  h.accept();
  EXPECT_EQ(h.mitigate("192.0.2.2/32"), base::Mid{3221225471u});
  h.accept();
  EXPECT_EQ(h.mitigate("192.0.2.3/32"), base::Mid{3221225472u});
  h.accept();
  for (const base::Mid mid : {first, base::Mid{3221225471u}, base::Mid{3221225472u}}) {
    h.withdraw(mid);
    h.answer(h.deletes.back().id, h.code(ResponseCode::deleted));
  }
  EXPECT_EQ(h.mitigate("192.0.2.4/32"), base::Mid{0});
}

// S9132-4.4.1.1-18: the old ones are withdrawn first, else the lower mid would be a conflict.
TEST(ClientRequestsTest, RolloverRecreatesPreconfiguredRequests) {
  RequestsHarness h;
  h.store.counters["client/upstream/next-mid"] = 3221225470;
  h.restart();
  Wanted armed = wanted("192.0.2.0/24");
  armed.trigger_mitigation = false;
  const base::Mid old = h.mitigate(armed).value().mid;
  h.accept();
  EXPECT_EQ(h.mitigate("198.51.100.1/32"), base::Mid{0});
  ASSERT_EQ(h.deletes.size(), 1u);
  EXPECT_EQ(h.deletes[0].mid, old);
  EXPECT_EQ(h.puts.back().mid, base::Mid{0});
  EXPECT_EQ(h.view(base::Mid{1}).phase, Phase::requesting);

  h.restart();  // nothing is forgotten in between, and the order stays
  EXPECT_EQ(h.puts.size(), 1u);
  h.answer(h.deletes.back().id, h.code(ResponseCode::deleted));
  EXPECT_EQ(h.puts.back().mid, base::Mid{1});
  EXPECT_FALSE(h.puts.back().request.trigger_mitigation);
  EXPECT_EQ(h.puts.back().request.scope, armed.scope);
}

// S9132-4.4.1.1-05
TEST(ClientRequestsTest, CuidStaysOverRestarts) {
  RequestsHarness h;
  h.mitigate("192.0.2.1/32");
  h.restart();
  h.mitigate("192.0.2.2/32");
  EXPECT_EQ(h.puts.back().cuid, h.settings.cuid);
}

// S9132-4.4.1.1-07: a new cuid in the configuration waits until nothing is active under the old one.
TEST(ClientRequestsTest, CuidIsNotChangedUnderActiveMitigations) {
  RequestsHarness h;
  const base::Mid first = h.mitigate("192.0.2.1/32");
  h.accept();
  const base::Cuid old = h.settings.cuid;
  h.settings.cuid = base::Cuid{"another"};
  h.restart();
  h.mitigate("192.0.2.2/32");
  EXPECT_EQ(h.puts.back().cuid, old);
  h.answer(h.puts.back().id, h.code(ResponseCode::forbidden));
  h.withdraw(first);
  h.answer(h.deletes.back().id, h.code(ResponseCode::deleted));
  h.mitigate("192.0.2.3/32");
  EXPECT_EQ(h.puts.back().cuid, base::Cuid{"another"});
}

// S9132-4.4.1.1-11, S9132-4.4.1.1-08
TEST(ClientRequestsTest, CollisionMakesANewCuidThatStays) {
  RequestsHarness h;
  const base::Mid mid = h.mitigate("192.0.2.1/32");
  h.answer(h.puts.back().id, h.collision());
  ASSERT_EQ(h.puts.size(), 2u);
  EXPECT_NE(h.puts[1].cuid, h.puts[0].cuid);
  EXPECT_EQ(h.puts[1].cuid.value.size(), 22u);
  EXPECT_EQ(h.puts[1].mid, mid);
  EXPECT_EQ(h.puts[1].request.scope, h.puts[0].request.scope);
  EXPECT_TRUE(h.told("CLIENT_CUID_CHANGED"));
  const base::Cuid cuid = h.puts[1].cuid;
  h.accept();
  h.withdraw(mid);
  h.answer(h.deletes.back().id, h.code(ResponseCode::deleted));
  h.restart();
  h.mitigate("192.0.2.2/32");
  EXPECT_EQ(h.puts.back().cuid, cuid);
}

TEST(ClientRequestsTest, CollisionsEndAfterAFewTries) {
  RequestsHarness h;
  const base::Mid mid = h.mitigate("192.0.2.1/32");
  for (int i = 0; i < 4; ++i) h.answer(h.puts.back().id, h.collision());
  EXPECT_EQ(h.puts.size(), 4u);
  EXPECT_EQ(h.view(mid).phase, Phase::refused);
}

TEST(ClientRequestsTest, TheDataChannelMakesAFewNewCuidsAndTakesNoTryFromThisChannel) {
  RequestsHarness h;
  std::set<base::Cuid> seen = {h.machine.cuid()};
  for (int i = 0; i < 5; ++i) {
    Effects effects;
    h.machine.on_cuid_taken(h.machine.cuid(), effects);
    EXPECT_EQ(effects.empty(), i >= 3) << i;
    seen.insert(h.machine.cuid());
  }
  EXPECT_EQ(seen.size(), 4u);
  const base::Mid mid = h.mitigate("192.0.2.1/32");
  for (int i = 0; i < 4; ++i) h.answer(h.puts.back().id, h.collision());
  EXPECT_EQ(h.puts.size(), 4u);
  EXPECT_EQ(h.view(mid).phase, Phase::refused);
}

// S9132-4.4.1.1-07
TEST(ClientRequestsTest, CollisionWithActiveRequestsWaits) {
  RequestsHarness h;
  h.mitigate("192.0.2.1/32");
  h.accept();
  const base::Mid second = h.mitigate("192.0.2.2/32");
  h.answer(h.puts.back().id, h.collision());
  EXPECT_EQ(h.view(second).phase, Phase::waiting);
  EXPECT_EQ(h.puts.size(), 2u);
  h.advance(60s);
  EXPECT_EQ(h.puts.back().mid, second);
  EXPECT_EQ(h.puts.back().cuid, h.settings.cuid);
}

// S9132-4.4.1.1-24, S9132-4.4.1.1-26, S9132-4.4.1.1-28, S9132-4.4.1.1-31, S9132-4.4.1.1-32, S9132-4.4.1.1-41,
// S8612-SIG-008-01, S8811-2.2.1-02
TEST(ClientRequestsTest, WishesThatNoServerMayAcceptAreRefusedAtOnce) {
  RequestsHarness h;
  const auto refused = [&](const std::function<void(Wanted&)>& change) {
    Wanted wish = wanted("192.0.2.1/32");
    change(wish);
    const bool ok = h.mitigate(wish).ok();
    return !ok && h.puts.empty() && h.store.client_requests.empty();
  };
  EXPECT_TRUE(refused([](Wanted& w) { w.scope = {}; }));
  EXPECT_TRUE(refused([](Wanted& w) {
    w.scope = {};
    w.scope.target_protocol.push_back(17);
  }));
  EXPECT_TRUE(refused([](Wanted& w) { w.scope.alias_name.push_back(""); }));
  EXPECT_TRUE(refused([](Wanted& w) { w.scope.target_fqdn.push_back("www example"); }));
  for (const char* prefix : {"127.0.0.1/32", "::1/128", "224.0.0.1/32", "ff02::1/128", "255.255.255.255/32"}) {
    EXPECT_TRUE(refused([&](Wanted& w) { w.scope = scope_of(prefix); })) << prefix;
  }
  EXPECT_TRUE(refused([](Wanted& w) { w.scope.target_port_range.push_back({90, 80}); }));
  EXPECT_TRUE(refused([](Wanted& w) { w.scope.target_port_range = {{80, 80}, {80, 90}}; }));
  EXPECT_TRUE(refused([](Wanted& w) { w.lifetime = model::Lifetime{0}; }));
  EXPECT_TRUE(refused([](Wanted& w) { w.lifetime = model::Lifetime{-2}; }));
  EXPECT_TRUE(refused([](Wanted& w) { w.lifetime = model::Lifetime{4294967296}; }));
  EXPECT_TRUE(refused([](Wanted& w) { w.scope.target_prefix.resize(257, w.scope.target_prefix[0]); }));
  EXPECT_FALSE(refused([](Wanted& w) { w.lifetime = model::Lifetime{-1}; }));
}

TEST(ClientRequestsTest, TheNumberOfRequestsIsBounded) {
  Settings settings = default_settings();
  settings.max_requests = 2;
  RequestsHarness h(settings);
  h.mitigate("192.0.2.1/32");
  h.mitigate("192.0.2.2/32");
  EXPECT_FALSE(h.mitigate(wanted("192.0.2.3/32")).ok());
}

TEST(ClientRequestsTest, TheSameWishAgainIsTheSameRequest) {
  RequestsHarness h;
  const base::Mid mid = h.mitigate("192.0.2.1/24");
  const auto again = h.mitigate(wanted("192.0.2.0/24"));
  EXPECT_EQ(again.value().mid, mid);
  EXPECT_TRUE(again.value().existed);
  EXPECT_EQ(h.puts.size(), 1u);
}

// S9132-4.4.1.3-34, S8612-SIG-008-09, S8811-2.2.1-03
TEST(ClientRequestsTest, AnotherScopeGetsANewHigherMidThatReplacesTheOldOne) {
  RequestsHarness h;
  const base::Mid old = h.mitigate("192.0.2.1/32");
  h.accept();
  Wanted wider = wanted("192.0.2.1/32");
  wider.scope.target_prefix.push_back(model::parse_prefix("192.0.2.7/32").value());
  const base::Mid mid = h.mitigate(wider).value().mid;
  EXPECT_GT(mid, old);
  EXPECT_EQ(h.view(old).phase, Phase::active);  // until the server has the new one
  h.accept();
  EXPECT_EQ(h.view(old).phase, Phase::ended);
  EXPECT_EQ(h.view(old).reason, "replaced by mid " + std::to_string(mid.value));
  EXPECT_EQ(h.store.client_requests.size(), 1u);
  h.advance(3h);
  for (const SendPut& put : h.puts) EXPECT_TRUE(put.mid == mid || put.id.value < 3);
  EXPECT_TRUE(h.deletes.empty());
}

TEST(ClientRequestsTest, OtherTriggerTypeOrOtherTargetsAreNotReplaced) {
  RequestsHarness h;
  Wanted armed = wanted("192.0.2.0/24");
  armed.trigger_mitigation = false;
  const base::Mid a = h.mitigate(armed).value().mid;
  h.accept();
  const base::Mid b = h.mitigate("198.51.100.1/32");
  h.accept();
  h.mitigate("192.0.2.5/32");
  h.accept();
  EXPECT_EQ(h.view(a).phase, Phase::active);
  EXPECT_EQ(h.view(b).phase, Phase::active);
}

}  // namespace
}  // namespace dots::signal::client
