// Filters that a client switches over the signal channel (RFC 9133 3.2.1).
#include "signal/client/requests_harness.h"

namespace dots::signal::client {
namespace {

using model::MitigationStatus;
using model::ResponseCode;
using Acls = std::vector<model::AclActivation>;
using Type = model::ActivationType;

const Acls kOff{{"accept", Type::deactivate}};

struct Filters : ::testing::Test {
  std::optional<base::Mid> control(base::Mid of, Acls acl_list) {
    Effects out;
    const auto created = h.machine.control_filters(of, std::move(acl_list), "alice", "", h.now, out);
    h.take(out);
    if (!created) return std::nullopt;
    return created->mid;
  }
  base::Mid ask(Acls acl_list) {
    Wanted wish = wanted("192.0.2.1/32");
    wish.acl_list = std::move(acl_list);
    return h.mitigate(wish).value().mid;
  }
  // 5.03 to the last PUT, as RFC 9133 has it.
  void fail(std::uint32_t max_age_s) {
    Answer answer = RequestsHarness::code(ResponseCode::service_unavailable);
    answer.max_age_s = max_age_s;
    model::MitigationEntry entry;
    entry.mid = h.puts.back().mid;
    entry.acl_list = h.puts.back().request.acl_list;
    answer.entries.push_back(entry);
    h.answer(h.puts.back().id, answer);
  }
  RequestsHarness h;
};

// S9133-3.2.1-12, S9133-3.2.1-13, S9133-3.2.1-10: the first request is without; each change is a new mid with the
// scope.
TEST_F(Filters, EachChangeIsANewMidWithTheSameScope) {
  const base::Mid first = h.mitigate("192.0.2.1/32");
  h.accept();
  EXPECT_TRUE(h.puts[0].request.acl_list.empty());
  const auto second = control(first, kOff);
  ASSERT_TRUE(second);
  h.accept();
  const auto third = control(*second, {{"accept", Type::immediate}, {"drop", Type::immediate}});
  ASSERT_TRUE(third);
  h.accept(3600, ResponseCode::changed);  // the RFC's examples have 2.04 here
  ASSERT_EQ(h.puts.size(), 3u);
  EXPECT_GT(*second, first);
  EXPECT_GT(*third, *second);
  for (const SendPut& put : h.puts) EXPECT_EQ(put.request.scope, h.puts[0].request.scope);
  EXPECT_EQ(h.puts[1].request.acl_list, kOff);
  EXPECT_EQ(h.puts[2].request.acl_list.size(), 2u);
  EXPECT_EQ(h.view(*third).phase, Phase::active);
  EXPECT_EQ(h.view(*second).phase, Phase::ended) << "replaced";
  EXPECT_EQ(h.observation(*third), h.gets.back().id) << "observed like any other";
}

// S9133-3.2.1-14, S9133-3.2.1-15: a request with filters is observed; without news it is asked for.
TEST_F(Filters, IsObservedAndAskedFor) {
  const base::Mid mid = ask(kOff);
  h.accept();
  const SendId observation = h.observation(mid);
  h.answer(observation, RequestsHarness::code(ResponseCode::method_not_allowed));
  h.gets.clear();
  h.advance(60s);
  ASSERT_FALSE(h.gets.empty());
  EXPECT_EQ(h.gets[0].mid, mid);
}

// S9133-3.2.1-08: in idle time it is refused here.
TEST_F(Filters, InIdleTimeNothingIsSent) {
  EXPECT_FALSE(control(base::Mid{1}, kOff));
  const base::Mid mid = h.mitigate("192.0.2.1/32");
  EXPECT_FALSE(control(mid, kOff)) << "not accepted yet";
  h.accept();
  EXPECT_FALSE(control(mid, {})) << "nothing to switch";
  EXPECT_FALSE(control(mid, {{"x", Type::deactivate}, {"x", Type::immediate}}));
  h.withdraw(mid);
  EXPECT_FALSE(control(mid, kOff));
  Wanted armed = wanted("192.0.2.2/32");
  armed.trigger_mitigation = false;
  armed.acl_list = kOff;
  EXPECT_FALSE(h.mitigate(armed));
  armed.acl_list.clear();
  const base::Mid waits = h.mitigate(armed).value().mid;
  h.accept();
  h.notify(waits, MitigationStatus::signal_loss);
  EXPECT_FALSE(control(waits, kOff));
  EXPECT_EQ(h.puts.size(), 2u);
}

// S9133-3.2.1-30
TEST_F(Filters, AnEfficacyUpdateIsWithoutThem) {
  const base::Mid mid = ask(kOff);
  h.accept();
  Effects out;
  ASSERT_TRUE(h.machine.efficacy(mid, model::AttackStatus::under_attack, "alice", h.now, out));
  h.take(out);
  ASSERT_EQ(h.puts.size(), 2u);
  EXPECT_TRUE(h.puts[1].request.acl_list.empty());
}

// S9133-3.2.1-27, S9133-3.2.1-28: at once without them, and after Max-Age again with them, each time with a higher mid.
TEST_F(Filters, AFailureDoesNotHoldTheMitigationUp) {
  const base::Mid first = ask(kOff);
  fail(20);
  ASSERT_EQ(h.puts.size(), 2u) << "at once";
  EXPECT_TRUE(h.puts[1].request.acl_list.empty());
  EXPECT_GT(h.puts[1].mid, first);
  EXPECT_EQ(h.puts[1].request.scope, h.puts[0].request.scope);
  EXPECT_EQ(h.puts[1].request.lifetime, h.puts[0].request.lifetime);
  h.accept();
  h.advance(19s);
  EXPECT_EQ(h.puts.size(), 2u);
  h.advance(1s);
  ASSERT_EQ(h.puts.size(), 3u);
  EXPECT_EQ(h.puts[2].request.acl_list, kOff);
  EXPECT_GT(h.puts[2].mid, h.puts[1].mid);
  fail(20);
  EXPECT_EQ(h.puts.size(), 3u) << "the mitigation runs without them already";
  h.advance(20s);
  ASSERT_EQ(h.puts.size(), 4u);
  h.accept();
  EXPECT_EQ(h.view(h.puts[3].mid).phase, Phase::active);
  EXPECT_EQ(h.view(h.puts[1].mid).phase, Phase::ended);
  h.advance(60s);
  EXPECT_EQ(h.puts.size(), 4u);
  EXPECT_TRUE(h.told("CLIENT_FILTERS_REFUSED"));
}

// Without Max-Age it is 60 s, and a server may say in words what should be a body.
TEST_F(Filters, AFailureInWords) {
  ask(kOff);
  h.answer(h.puts.back().id, RequestsHarness::code(ResponseCode::service_unavailable, "no such filter now"));
  ASSERT_EQ(h.puts.size(), 2u);
  EXPECT_TRUE(h.puts[1].request.acl_list.empty());
  h.accept();
  h.advance(59s);
  EXPECT_EQ(h.puts.size(), 2u);
  h.advance(1s);
  EXPECT_EQ(h.puts.size(), 3u);
}

// S9133-3.2.1-18: a server without the extension, or without this filter: mitigation all the same, and no second try.
TEST_F(Filters, AServerThatKnowsNoFiltersMitigatesWithout) {
  for (const ResponseCode code : {ResponseCode::bad_request, ResponseCode::not_found}) {
    RequestsHarness fresh;
    std::swap(h.machine, fresh.machine);
    h.puts.clear();
    const base::Mid mid = ask(kOff);
    h.answer(h.puts.back().id, RequestsHarness::code(code, "attribute 53"));
    ASSERT_EQ(h.puts.size(), 2u);
    EXPECT_TRUE(h.puts[1].request.acl_list.empty());
    EXPECT_EQ(h.view(mid).phase, Phase::refused);
    h.accept();
    h.advance(300s);
    EXPECT_EQ(h.puts.size(), 2u);
  }
}

// What runs goes on when its filters cannot be switched.
TEST_F(Filters, ARefusalLeavesTheMitigationAlone) {
  const base::Mid mid = h.mitigate("192.0.2.1/32");
  h.accept();
  const auto refused = control(mid, kOff);
  h.answer(h.puts.back().id, RequestsHarness::code(ResponseCode::not_found));
  EXPECT_EQ(h.puts.size(), 2u);
  EXPECT_EQ(h.view(mid).phase, Phase::active);
  EXPECT_EQ(h.view(*refused).phase, Phase::refused);
}

// Nobody asks for filters of a mitigation that is over.
TEST_F(Filters, AWithdrawalEndsTheWait) {
  const base::Mid first = ask(kOff);
  fail(20);
  h.accept();
  h.withdraw(h.puts[1].mid);
  EXPECT_EQ(h.view(first).phase, Phase::ended);
  h.advance(60s);
  EXPECT_EQ(h.puts.size(), 2u);
  EXPECT_TRUE(std::none_of(h.store.client_requests.begin(), h.store.client_requests.end(),
                           [&](const auto& record) { return record.mid == first; }));
}

TEST_F(Filters, TheWaitSurvivesARestart) {
  ask(kOff);
  fail(20);
  h.accept();
  h.restart();
  ASSERT_EQ(h.puts.size(), 1u) << "with a new mid";
  EXPECT_EQ(h.puts[0].request.acl_list, kOff);
  EXPECT_EQ(h.puts[0].mid.value, 3u);
}

TEST_F(Filters, ARequestThatWasNotAnsweredIsSentAfterARestart) {
  const base::Mid mid = ask(kOff);
  h.restart();
  ASSERT_EQ(h.puts.size(), 1u);
  EXPECT_EQ(h.puts[0].mid, mid);
  EXPECT_EQ(h.puts[0].request.acl_list, kOff);
}

// S9133-3.2.1-29: what the server switched is told.
TEST_F(Filters, TheServersChangesAreTold) {
  const base::Mid mid = h.mitigate("192.0.2.1/32");
  h.accept();
  Answer answer = RequestsHarness::status_answer(mid, MitigationStatus::in_progress);
  answer.entries[0].acl_list = kOff;
  h.answer(h.observation(mid), answer);
  EXPECT_TRUE(h.told("CLIENT_FILTERS_SWITCHED"));
  EXPECT_EQ(h.view(mid).switched, kOff);
}

}  // namespace
}  // namespace dots::signal::client
