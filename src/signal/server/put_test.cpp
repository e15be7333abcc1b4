// New requests, refreshes and efficacy updates (RFC 9132 4.4.1, 4.4.3).
#include "signal/server/domain_fixture.h"

namespace dots::signal::server {
namespace {

using model::ResponseCode;
using IfMatch = PutMitigation::IfMatch;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class Put : public DomainTest {};

// S9132-4.4.1.3-07, S9132-4.4.1.3-11, S9132-4.4.1.1-44, S9132-4.4.1.3-06, S8612-SIG-006-01, S8811-2-04, S8811-2.2.2-01
TEST_F(Put, ANewMidIsCreatedWithMidAndLifetimeOnly) {
  const Answer answer = put(7, "192.0.2.1/32");
  EXPECT_EQ(answer.code, ResponseCode::created);
  model::MitigationEntry expected;
  expected.mid = base::Mid{7};
  expected.lifetime = model::Lifetime{3600};
  EXPECT_THAT(answer.entries, ElementsAre(expected));
  EXPECT_THAT(rules_of(7), ElementsAre("192.0.2.1/32"));
}

// S9132-4.4.1.1-47
TEST_F(Put, MitigationStartsAtOnce) {
  put(7, "192.0.2.1/32");
  EXPECT_EQ(status(7), 1);
  EXPECT_TRUE(mitigating["a"]);
}

TEST_F(Put, IsStoredInTheStepThatAnswers) {
  put(7, "192.0.2.1/32");
  ASSERT_EQ(store.mitigations.size(), 1U);
  const ports::MitigationRecord& record = store.mitigations.begin()->second;
  EXPECT_EQ(record.client.value, "a");
  EXPECT_EQ(record.author, "client a");
  EXPECT_EQ(record.deadline, now.wall + std::chrono::hours{1});
  EXPECT_EQ(record.span, std::chrono::hours{1});
  EXPECT_EQ(store.cuids.at(base::Cuid{"cuid-a"}).client.value, "a");
  EXPECT_THAT(audited("request"), ElementsAre(HasSubstr("3600 s: 192.0.2.1/32")));
}

// S9132-4.4.1.1-29, S9132-4.4-10, S9132-11-04, S9132-3-15, S8612-SIG-006-03, S8612-SEC-005-02, S8612-4-01,
// S8811-2.1-03, S8811-2.2.2-07, S8811-5-04
TEST_F(Put, AForeignPrefixIsRefusedWithoutATrace) {
  const Answer answer = put(7, "203.0.113.1/32");
  EXPECT_EQ(answer.code, ResponseCode::bad_request);
  EXPECT_THAT(answer.diagnostic, HasSubstr("203.0.113.1/32"));
  EXPECT_TRUE(rules.empty());
  EXPECT_TRUE(store.mitigations.empty());
  EXPECT_TRUE(store.cuids.empty());
  EXPECT_THAT(audited("refuse"), ElementsAre(HasSubstr("203.0.113.1/32")));
  EXPECT_EQ(get(7).code, ResponseCode::not_found);
}

// S9132-4.4.1.1-28
TEST_F(Put, ForbiddenSpaceIsRefused) {
  policy::DomainPolicy all = test_policy();
  all.prefixes = {prefix("0.0.0.0/0"), prefix("::/0")};
  start(all);
  for (const char* text : {"127.0.0.1/32", "::1/128", "224.0.0.1/32", "ff02::1/128", "255.255.255.255/32", "::/0"}) {
    EXPECT_EQ(put(1, text).code, ResponseCode::bad_request) << text;
  }
}

// S9132-4.4.1.1-24, S8612-SIG-008-01, S8811-2.2.1-02
TEST_F(Put, AScopeNamesATarget) { EXPECT_EQ(put(1, "").code, ResponseCode::bad_request); }

// S9132-4.4.1.1-40, S9132-4.4.1.1-41, S9132-4.4.1.1-25
TEST_F(Put, LifetimesThatAreNone) {
  EXPECT_EQ(put(1, "192.0.2.1/32", 0).code, ResponseCode::bad_request);
  EXPECT_EQ(put(1, "192.0.2.1/32", -2).code, ResponseCode::bad_request);
  EXPECT_EQ(put(1, "192.0.2.1/32", INT64_C(4294967296)).code, ResponseCode::bad_request);
  model::MitigationRequest request = request_for("192.0.2.1/32");
  request.lifetime.reset();
  EXPECT_EQ(put(1, request).code, ResponseCode::bad_request);
  EXPECT_TRUE(store.mitigations.empty());
}

// S9132-4.4.1.1-42, S9132-4.4.1.1-44, S8612-SIG-007-05, S8612-SIG-007-07, S8612-SIG-007-08
TEST_F(Put, AnIndefiniteLifetimeByPolicy) {
  EXPECT_EQ(put(1, "192.0.2.1/32", -1).entries.front().lifetime->seconds, 3600);
  policy::DomainPolicy policy = test_policy();
  policy.allow_indefinite = true;
  start(policy);
  EXPECT_EQ(put(1, "192.0.2.1/32", -1).entries.front().lifetime->seconds, -1);
  pass(std::chrono::hours{24 * 365});
  EXPECT_EQ(lifetime(1), -1);
  EXPECT_EQ(status(1), 1);
}

TEST_F(Put, ALongLifetimeIsCut) {
  EXPECT_EQ(put(1, "192.0.2.1/32", 4294967295).entries.front().lifetime->seconds, 86400);
  EXPECT_EQ(lifetime(1), 86400);
}

// S9132-4.4.1.3-02
TEST_F(Put, AnUnknownAliasIsRefused) {
  model::MitigationRequest request = request_for("192.0.2.1/32");
  request.scope.alias_name = {"server1"};
  const Answer answer = put(1, request);
  EXPECT_EQ(answer.code, ResponseCode::bad_request);
  EXPECT_THAT(answer.diagnostic, HasSubstr("server1"));
}

// S9132-4.4.1.3-36, S9132-4.4.1.1-46, S9132-4.4.1.3-03, S8612-SIG-007-02
TEST_F(Put, TheSameRequestAgainIsARefresh) {
  put(1, "192.0.2.1/32", 600);
  pass(std::chrono::seconds{500});
  EXPECT_EQ(lifetime(1), 100);
  const Answer answer = put(1, "192.0.2.1/32", 900);
  EXPECT_EQ(answer.code, ResponseCode::changed);
  EXPECT_THAT(mids(answer), ElementsAre(1U));
  EXPECT_EQ(answer.entries.front().lifetime->seconds, 900);
  pass(std::chrono::seconds{101});
  EXPECT_EQ(lifetime(1), 799);
  EXPECT_THAT(mids(get()), ElementsAre(1U));
  EXPECT_EQ(store.mitigations.size(), 1U);
  EXPECT_THAT(audited("refresh"), ElementsAre("goes on for 900 s"));
}

// S9132-4.4.1.3-36: order, duplicates, host bits, case and the explicit default do not make another request.
TEST_F(Put, ARefreshMayBeWrittenDifferently) {
  model::MitigationRequest first = request_for("192.0.2.77/28");
  first.scope.target_prefix.push_back(prefix("198.51.100.1/32"));
  first.scope.target_port_range = {{80, 80}, {443, 443}};
  put(1, first);
  model::MitigationRequest second = first;
  second.scope.target_prefix = {prefix("198.51.100.1/32"), prefix("192.0.2.64/28"), prefix("198.51.100.1/32")};
  second.scope.target_port_range = {{443, 443}, {80, 80}};
  EXPECT_EQ(put(1, second).code, ResponseCode::changed);
  // S9132-4.4.2-15: what the first request said is what is shown.
  EXPECT_EQ(entry(1).scope, first.scope);
}

// S9132-4.4.1.3-37
TEST_F(Put, ChangedParametersUnderAKnownMidAreRefused) {
  put(1, "192.0.2.1/32");
  const ModelStore before = store;
  model::MitigationRequest other = request_for("192.0.2.1/32");
  other.scope.target_protocol = {6};
  EXPECT_EQ(put(1, other).code, ResponseCode::bad_request);
  other = request_for("192.0.2.1/32");
  other.trigger_mitigation = false;
  EXPECT_EQ(put(1, other).code, ResponseCode::bad_request);
  EXPECT_EQ(put(1, "192.0.2.0/31").code, ResponseCode::bad_request);
  EXPECT_EQ(store.mitigations, before.mitigations);
  EXPECT_THAT(rules_of(1), ElementsAre("192.0.2.1/32"));
}

// S9132-4.4.1.1-10, S9132-4.4.1.3-29, S8612-SEC-003-02
TEST_F(Put, TheCuidOfAnotherClientCollides) {
  put(1, "192.0.2.1/32");
  const Answer answer = put(1, request_for("198.51.100.1/32"), "b", "cuid-a");
  EXPECT_EQ(answer.code, ResponseCode::conflict);
  model::MitigationEntry only_the_cause;
  only_the_cause.conflict.emplace();
  only_the_cause.conflict->cause = model::ConflictCause::cuid_collision;
  EXPECT_THAT(answer.entries, ElementsAre(only_the_cause));
  EXPECT_EQ(store.cuids.at(base::Cuid{"cuid-a"}).client.value, "a");
}

// S9132-4.4.3-05, S9132-4.4.3-07, S9132-4.4.3-02
TEST_F(Put, AnEfficacyUpdateRefreshes) {
  put(1, "192.0.2.1/32", 600);
  pass(std::chrono::seconds{500});
  PutMitigation update = put_event(1, request_for("192.0.2.1/32", 700));
  update.if_match = IfMatch::empty;
  update.request.attack_status = model::AttackStatus::under_attack;
  EXPECT_EQ(ask(update).code, ResponseCode::changed);
  EXPECT_EQ(lifetime(1), 700);
  // RFC 9132 Figure 16 has no lifetime: what was granted before is granted again.
  pass(std::chrono::seconds{650});
  update = put_event(1, request_for("192.0.2.1/32"));
  update.if_match = IfMatch::empty;
  update.request.attack_status = model::AttackStatus::successfully_mitigated;
  update.request.lifetime.reset();
  EXPECT_EQ(ask(update).entries.front().lifetime->seconds, 700);
  EXPECT_EQ(lifetime(1), 700);
  EXPECT_EQ(store.mitigations.begin()->second.request.attack_status, model::AttackStatus::successfully_mitigated);
}

// S9132-4.4.3-04
TEST_F(Put, AnEfficacyUpdateChangesNothingElse) {
  put(1, "192.0.2.1/32");
  PutMitigation update = put_event(1, request_for("192.0.2.2/32"));
  update.if_match = IfMatch::empty;
  update.request.attack_status = model::AttackStatus::under_attack;
  EXPECT_EQ(ask(update).code, ResponseCode::bad_request);
}

// S9132-4.4.3-08
TEST_F(Put, WithoutAMatchThereIsNoAnswer) {
  PutMitigation update = put_event(1, request_for("192.0.2.1/32"));
  update.if_match = IfMatch::empty;
  update.request.attack_status = model::AttackStatus::under_attack;
  step(update);
  EXPECT_THAT(replies, IsEmpty());
  ASSERT_EQ(ignored.size(), 1U);
  EXPECT_EQ(ignored.front().exchange, update.origin.exchange);
  EXPECT_EQ(get(1).code, ResponseCode::not_found);
  EXPECT_TRUE(store.mitigations.empty());
  // Whatever is wrong with it otherwise.
  update.request.scope.target_prefix = {prefix("203.0.113.0/24")};
  update.if_match = IfMatch::other;
  step(update);
  EXPECT_THAT(replies, IsEmpty());
}

// S9132-4.4.3-11
TEST_F(Put, ALateUpdateDoesNotReviveWhatWasWithdrawn) {
  put(1, "192.0.2.1/32");
  del(1);
  pass(std::chrono::seconds{100});
  PutMitigation update = put_event(1, request_for("192.0.2.1/32"));
  update.if_match = IfMatch::empty;
  update.request.attack_status = model::AttackStatus::under_attack;
  step(update);
  EXPECT_THAT(replies, IsEmpty());
  EXPECT_EQ(ignored.size(), 1U);
  EXPECT_EQ(status(1), 5);
  pass(std::chrono::seconds{20});
  EXPECT_EQ(get(1).code, ResponseCode::not_found);
}

// Decision on A-20: no silence that would keep a client repeating.
TEST_F(Put, IfMatchWithAValue) {
  put(1, "192.0.2.1/32");
  PutMitigation update = put_event(1, request_for("192.0.2.1/32"));
  update.if_match = IfMatch::other;
  EXPECT_EQ(ask(update).code, ResponseCode::precondition_failed);
}

TEST_F(Put, AttackStatusWithoutIfMatch) {
  model::MitigationRequest request = request_for("192.0.2.1/32", 700);
  request.attack_status = model::AttackStatus::under_attack;
  EXPECT_EQ(put(1, request).code, ResponseCode::bad_request);
  put(1, "192.0.2.1/32", 600);
  EXPECT_EQ(put(1, request).code, ResponseCode::changed);
  EXPECT_EQ(lifetime(1), 700);
  request.lifetime.reset();
  EXPECT_EQ(put(1, request).code, ResponseCode::bad_request);
}

// S9132-4.4.3-09, S9132-4.4.1.3-05
TEST_F(Put, AnEfficacyUpdateForWhatCannotBeInstalled) {
  put(1, "192.0.2.1/32", 600);
  report(1, RulesReport::State::failed, "table full");
  PutMitigation update = put_event(1, request_for("192.0.2.1/32", 700));
  update.if_match = IfMatch::empty;
  update.request.attack_status = model::AttackStatus::under_attack;
  const Answer answer = ask(update);
  EXPECT_EQ(answer.code, ResponseCode::service_unavailable);
  EXPECT_GT(answer.max_age_s.value_or(0), 0U);
  EXPECT_EQ(lifetime(1), 600);
  // A plain refresh keeps it for the time when the back end is well again.
  EXPECT_EQ(put(1, "192.0.2.1/32", 800).code, ResponseCode::changed);
}

// S9132-4.4.1.1-48, S9132-4.4.2-18
TEST_F(Put, AnArmedRequestWaits) {
  EXPECT_EQ(armed(1, "192.0.2.1/32").code, ResponseCode::created);
  EXPECT_TRUE(rules.empty());
  EXPECT_FALSE(mitigating["a"]);
  const model::MitigationEntry shown = entry(1);
  EXPECT_EQ(shown.status, model::MitigationStatus::signal_loss);
  EXPECT_EQ(shown.trigger_mitigation, false);
  EXPECT_FALSE(shown.mitigation_start_s.has_value());
  report(1, RulesReport::State::installed);
  EXPECT_EQ(status(1), 8);
}

// S9132-3-08, S8612-SEC-003-02: what a client cannot see it cannot touch.
TEST_F(Put, ClientsOfOneDomainAreApart) {
  put(1, "192.0.2.1/32", 3600, "a");
  put(2, "192.0.2.2/32", 3600, "b");
  EXPECT_THAT(mids(get({}, GetMitigation::Filter::all, "a")), ElementsAre(1U));
  EXPECT_THAT(mids(get({}, GetMitigation::Filter::all, "b")), ElementsAre(2U));
  EXPECT_EQ(get(1, GetMitigation::Filter::all, "b").code, ResponseCode::not_found);
  EXPECT_EQ(get(1, GetMitigation::Filter::all, "b", "cuid-a").code, ResponseCode::not_found);
  EXPECT_EQ(get({}, GetMitigation::Filter::all, "b", "cuid-a").code, ResponseCode::not_found);
  EXPECT_EQ(del(1, "b", "cuid-a").code, ResponseCode::deleted);
  EXPECT_EQ(del(1, "b").code, ResponseCode::deleted);
  EXPECT_EQ(status(1), 1);
}

// S9132-4.4.1.3-05, S9132-9-11, S8612-SIG-006-03, S8811-2.2.2-07: while no back end can install rules a new mitigation
// is refused with 5.03, the time to wait and a text; what was accepted goes on, is refreshed and withdrawn.
TEST_F(Put, WithoutAnAbleBackEndNewRequestsAreRefused) {
  put(1, "192.0.2.1/32", 600);
  step(BackEndsReport{false, "border is unavailable: the helper died"});
  const Answer refused = put(2, "192.0.2.2/32");
  EXPECT_EQ(refused.code, ResponseCode::service_unavailable);
  EXPECT_GT(refused.max_age_s.value_or(0), 0U);
  EXPECT_FALSE(refused.diagnostic.empty());
  EXPECT_EQ(store.mitigations.size(), 1U);
  EXPECT_THAT(store.audit.back().text, ::testing::HasSubstr("the helper died"));
  EXPECT_EQ(put(3, "192.0.2.0/30").code, ResponseCode::service_unavailable);  // in place of mid 1, which stays
  EXPECT_EQ(store.mitigations.size(), 1U);
  EXPECT_EQ(put(1, "192.0.2.1/32", 900).code, ResponseCode::changed);
  EXPECT_EQ(armed(4, "192.0.2.4/32").code, ResponseCode::created);
  EXPECT_EQ(get(1).code, ResponseCode::content);
  EXPECT_EQ(del(1).code, ResponseCode::deleted);
  reload(store);  // a failed commit says nothing about back ends
  EXPECT_EQ(put(5, "192.0.2.5/32").code, ResponseCode::service_unavailable);
  step(BackEndsReport{true, ""});
  EXPECT_EQ(put(5, "192.0.2.5/32").code, ResponseCode::created);
}

}  // namespace
}  // namespace dots::signal::server
