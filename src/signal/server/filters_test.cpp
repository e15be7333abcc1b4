// Filter control (RFC 9133 3.2.1).
#include "signal/server/domain_fixture.h"

namespace dots::signal::server {
namespace {

using namespace std::chrono_literals;
using model::ResponseCode;
using Type = model::ActivationType;
using Acls = std::vector<model::AclActivation>;

class Filters : public DomainTest {
 protected:
  Filters() {
    filters[{"cuid-a", "accept"}] = Type::immediate;
    filters[{"cuid-a", "drop"}] = Type::deactivate;
    filters[{"cuid-b", "accept"}] = Type::immediate;
    filters[{"cuid-b", "of-b"}] = Type::immediate;
  }
  static model::MitigationRequest with(Acls acl_list, const std::string& target = "192.0.2.1/32") {
    model::MitigationRequest request = request_for(target);
    request.acl_list = std::move(acl_list);
    return request;
  }
  Type type(const std::string& name, const std::string& cuid = "cuid-a") { return filters.at({cuid, name}); }
  void changed(Acls acl_list) { step(FiltersChanged{base::Cuid{"cuid-a"}, std::move(acl_list)}); }
};

// S9133-4.2-01, S9133-3.2.1-10, S9133-3.2.1-26: the first request for a scope may switch filters; it is a new
// mid: 2.01.
TEST_F(Filters, TheFirstRequestMaySwitch) {
  EXPECT_EQ(put(1, with({{"accept", Type::deactivate}, {"drop", Type::immediate}})).code, ResponseCode::created);
  EXPECT_EQ(type("accept"), Type::deactivate);
  EXPECT_EQ(type("drop"), Type::immediate);
  EXPECT_EQ(switched_why, std::vector<std::string>{"with mid=1"});
}

// S9133-3.2.1-10, S9133-3.2.1-11, S9133-3.2.1-13: a new mid with the same scope overrides the old one.
TEST_F(Filters, ANewMidSwitchesAgain) {
  ASSERT_EQ(put(1, "192.0.2.1/32").code, ResponseCode::created);
  EXPECT_EQ(put(2, with({{"accept", Type::deactivate}})).code, ResponseCode::created);
  EXPECT_EQ(put(3, with({{"accept", Type::immediate}})).code, ResponseCode::created);
  EXPECT_EQ(type("accept"), Type::immediate);
  EXPECT_EQ(mids(get()), Ids{3});
}

// S9133-3.2.1-11, S9133-3.2.1-20: a repetition that meets the first one waiting for its name is no way around the mid.
TEST_F(Filters, ARepetitionThatSwitchesElseDoesNotJoinARequestThatWaits) {
  model::MitigationRequest named = with({{"accept", Type::deactivate}});
  named.scope.target_prefix.clear();
  named.scope.target_fqdn = {"www.example.net"};
  const PutMitigation asked = put_event(1, named), again = put_event(1, named);
  step(asked);
  step(again);
  named.acl_list = {{"drop", Type::immediate}};
  EXPECT_EQ(put(1, named).code, ResponseCode::bad_request);
  resolved("www.example.net", {"192.0.2.1"});
  EXPECT_EQ(last_reply(asked.origin).answer.code, ResponseCode::created);
  EXPECT_EQ(last_reply(again.origin).answer.code, ResponseCode::created);
  EXPECT_EQ(type("accept"), Type::deactivate);
  EXPECT_EQ(type("drop"), Type::deactivate);
}

// What depends on whether a client mitigates is not looked at again when one request takes the place of another.
TEST_F(Filters, AReplacementIsNoChangeOfWhetherAClientMitigates) {
  put(1, "192.0.2.1/32");
  const auto before = domain_->mitigating_version();
  put(2, "192.0.2.1/32");
  EXPECT_EQ(domain_->mitigating_version(), before);
  put(7, "192.0.2.9/32", 3600, "b");
  EXPECT_NE(domain_->mitigating_version(), before);
}

// S9133-3.2.1-09: nothing is mitigated, and the request does not change that.
TEST_F(Filters, InIdleTimeTheRequestIsRefused) {
  model::MitigationRequest armed = with({{"accept", Type::deactivate}});
  armed.trigger_mitigation = false;
  EXPECT_EQ(put(1, armed).code, ResponseCode::bad_request);
  EXPECT_EQ(type("accept"), Type::immediate);
  EXPECT_EQ(get(1).code, ResponseCode::not_found);
  ASSERT_EQ(put(1, "192.0.2.9/32", 3600, "b").code, ResponseCode::created);
  EXPECT_EQ(put(2, armed).code, ResponseCode::bad_request) << "what another client has running is not its own";
  ASSERT_EQ(put(3, "192.0.2.2/32").code, ResponseCode::created);
  EXPECT_EQ(put(4, armed).code, ResponseCode::created) << "attack time";
  EXPECT_EQ(type("accept"), Type::deactivate);
}

// S9133-3.2.1-09: strict, as the operator may want it: only while a mitigation runs already.
TEST_F(Filters, StrictIdleTime) {
  DomainLimits strict;
  strict.filters_only_when_mitigating = true;
  start(test_policy(), strict);
  EXPECT_EQ(put(1, with({{"accept", Type::deactivate}})).code, ResponseCode::bad_request);
  EXPECT_EQ(type("accept"), Type::immediate);
  ASSERT_EQ(put(2, "192.0.2.1/32").code, ResponseCode::created);
  EXPECT_EQ(put(3, with({{"accept", Type::deactivate}})).code, ResponseCode::created);
  EXPECT_EQ(type("accept"), Type::deactivate);
}

// S9133-3.2.1-19, S9133-3.2.1-33, S9133-3.1-02, S9133-6-02: unknown, or another client's; nothing of the request is
// done.
TEST_F(Filters, AnUnknownNameIsNotFound) {
  ASSERT_EQ(put(1, "192.0.2.1/32").code, ResponseCode::created);
  for (const char* name : {"none", "of-b"}) {
    const Answer answer = put(2, with({{"accept", Type::deactivate}, {name, Type::deactivate}}));
    EXPECT_EQ(answer.code, ResponseCode::not_found);
    EXPECT_NE(answer.diagnostic.find(name), std::string::npos) << answer.diagnostic;
  }
  EXPECT_EQ(type("accept"), Type::immediate);
  EXPECT_EQ(type("of-b", "cuid-b"), Type::immediate);
  EXPECT_EQ(mids(get()), Ids{1}) << "what ran goes on";
}

// S9133-3.1-03: equal names of two clients.
TEST_F(Filters, ANameIsTheClientsOwn) {
  ASSERT_EQ(put(1, with({{"accept", Type::deactivate}})).code, ResponseCode::created);
  EXPECT_EQ(type("accept"), Type::deactivate);
  EXPECT_EQ(type("accept", "cuid-b"), Type::immediate);
}

// S9133-3.2.1-32: what RFC 9132 refuses switches nothing.
TEST_F(Filters, TheRequestIsValidatedFirst) {
  EXPECT_EQ(put(1, with({{"accept", Type::deactivate}}, "203.0.113.1/32")).code, ResponseCode::bad_request);
  ASSERT_EQ(put(5, "192.0.2.1/32").code, ResponseCode::created);
  EXPECT_EQ(put(4, with({{"accept", Type::deactivate}})).code, ResponseCode::conflict) << "a lower mid";
  EXPECT_EQ(put(4, with({{"none", Type::deactivate}}, "203.0.113.1/32")).code, ResponseCode::bad_request);
  EXPECT_EQ(type("accept"), Type::immediate);
}

// S9133-3.2.1-24, S9133-3.2.1-25: 5.03 with Max-Age and the update that failed; no mitigation is begun.
TEST_F(Filters, WhatCannotBeSwitchedFailsTheRequest) {
  ASSERT_EQ(put(1, "192.0.2.1/32").code, ResponseCode::created);
  stuck = {"drop"};
  const Answer answer = put(2, with({{"accept", Type::deactivate}, {"drop", Type::immediate}}));
  EXPECT_EQ(answer.code, ResponseCode::service_unavailable);
  EXPECT_EQ(answer.max_age_s, 30U);
  ASSERT_EQ(answer.entries.size(), 1U);
  EXPECT_EQ(answer.entries[0].mid, base::Mid{2});
  EXPECT_EQ(answer.entries[0].acl_list, (Acls{{"drop", Type::immediate}}));
  EXPECT_EQ(type("accept"), Type::immediate);
  EXPECT_EQ(mids(get()), Ids{1});
  EXPECT_EQ(audited("refuse").size(), 1U);
}

// S9133-3.2.1-11: with a known mid only what is the same is taken, which has no effect, or nothing.
TEST_F(Filters, AKnownMidSwitchesNothing) {
  ASSERT_EQ(put(1, with({{"accept", Type::deactivate}, {"drop", Type::immediate}})).code, ResponseCode::created);
  filters[{"cuid-a", "accept"}] = Type::immediate;  // by the data channel
  EXPECT_EQ(put(1, with({{"drop", Type::immediate}, {"accept", Type::deactivate}})).code, ResponseCode::changed);
  EXPECT_EQ(type("accept"), Type::immediate) << "a repetition is no new wish";
  EXPECT_EQ(put(1, with({})).code, ResponseCode::changed);
  EXPECT_EQ(put(1, with({{"accept", Type::immediate}})).code, ResponseCode::bad_request);
  EXPECT_EQ(put(1, with({{"accept", Type::deactivate}, {"drop", Type::deactivate}})).code, ResponseCode::bad_request);
  ASSERT_EQ(put(7, "192.0.2.7/32").code, ResponseCode::created);
  EXPECT_EQ(put(7, with({{"accept", Type::immediate}}, "192.0.2.7/32")).code, ResponseCode::bad_request);
}

// The same after a restart.
TEST_F(Filters, AKnownMidIsComparedAfterARestart) {
  ASSERT_EQ(put(1, with({{"accept", Type::deactivate}})).code, ResponseCode::created);
  restart();
  EXPECT_EQ(put(1, with({{"accept", Type::deactivate}})).code, ResponseCode::changed);
  EXPECT_EQ(put(1, with({{"accept", Type::immediate}})).code, ResponseCode::bad_request);
}

// S9133-3.2.1-31: an efficacy update says nothing of filters.
TEST_F(Filters, AnEfficacyUpdateMatchesWithoutThem) {
  ASSERT_EQ(put(1, with({{"accept", Type::deactivate}})).code, ResponseCode::created);
  PutMitigation update = put_event(1, with({}));
  update.if_match = PutMitigation::IfMatch::empty;
  update.request.attack_status = model::AttackStatus::under_attack;
  EXPECT_EQ(ask(update).code, ResponseCode::changed);
}

// S9133-3.2.1-22, S9133-4.1-04: what was switched stays so when the mitigation ends.
TEST_F(Filters, StayWhenTheMitigationEnds) {
  ASSERT_EQ(put(1, with({{"accept", Type::deactivate}})).code, ResponseCode::created);
  ASSERT_EQ(del(1).code, ResponseCode::deleted);
  pass(1h);
  EXPECT_EQ(type("accept"), Type::deactivate);
  EXPECT_EQ(switched_why.size(), 1U);
}

// S9133-3.2.1-29, S9133-3.2.1-07: a change by somebody else is told to each observer and to who asks, once.
TEST_F(Filters, ObserversHearOfChanges) {
  ASSERT_EQ(put(1, "192.0.2.1/32").code, ResponseCode::created);
  ASSERT_TRUE(observe(1, 7).observe);
  pass(10s);
  changed({{"accept", Type::deactivate}});
  pass(10s);
  ASSERT_EQ(all_notified.size() + notified.size(), 1U);
  const Notify told = notified.empty() ? all_notified[0].second : notified[0];
  ASSERT_EQ(told.answer.entries.size(), 1U);
  EXPECT_EQ(told.answer.entries[0].acl_list, (Acls{{"accept", Type::deactivate}}));
  EXPECT_EQ(entry(1).acl_list, (Acls{{"accept", Type::deactivate}})) << "who polls hears of it as well";
  EXPECT_TRUE(entry(1).acl_list.empty()) << "once";
  report(1, RulesReport::State::installed);
  pass(10s);
  for (const auto& [at, notify] : all_notified) EXPECT_TRUE(notify.answer.entries[0].acl_list.empty()) << "once";
  changed({{"drop", Type::immediate}});
  pass(10s);
  EXPECT_EQ(entry(1).acl_list, (Acls{{"drop", Type::immediate}})) << "and the next one";
}

TEST_F(Filters, OneOfSeveralEntriesTellsIt) {
  ASSERT_EQ(put(1, "192.0.2.1/32").code, ResponseCode::created);
  ASSERT_EQ(put(2, "192.0.2.2/32").code, ResponseCode::created);
  ASSERT_EQ(armed(3, "192.0.2.3/32").code, ResponseCode::created);
  changed({{"accept", Type::deactivate}});
  const Answer all = get();
  ASSERT_EQ(all.entries.size(), 3U);
  std::size_t with_filters = 0;
  for (const auto& one : all.entries) with_filters += one.acl_list.empty() ? 0 : 1;
  EXPECT_EQ(with_filters, 1U);
  EXPECT_TRUE(all.entries.back().acl_list.empty()) << "not the one that waits";
}

// Without a mitigation nobody waits for it, and a later attack does not begin with old news.
TEST_F(Filters, ChangesInIdleTimeAreNoNews) {
  ASSERT_EQ(put(1, "192.0.2.1/32").code, ResponseCode::created);
  changed({{"accept", Type::deactivate}});
  ASSERT_EQ(del(1).code, ResponseCode::deleted);
  pass(1h);
  changed({{"drop", Type::immediate}});
  ASSERT_EQ(put(2, "192.0.2.1/32").code, ResponseCode::created);
  EXPECT_TRUE(entry(2).acl_list.empty());
}

// What the client itself says last counts, and is no news.
TEST_F(Filters, TheClientsOwnWordIsNoNews) {
  ASSERT_EQ(put(1, "192.0.2.1/32").code, ResponseCode::created);
  changed({{"accept", Type::deactivate}});
  ASSERT_EQ(put(2, with({{"accept", Type::immediate}})).code, ResponseCode::created);
  EXPECT_TRUE(entry(2).acl_list.empty());
}

}  // namespace
}  // namespace dots::signal::server
