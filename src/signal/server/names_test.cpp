// Names: held requests, last-known-good answers, look-ups again (RFC 9132 4.4.1.1;
// docs/decisions/names-in-requests.md).
#include "signal/server/domain_fixture.h"

namespace dots::signal::server {
namespace {

using model::ResponseCode;
using Outcome = ports::Resolution::Outcome;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using namespace std::chrono_literals;

class Names : public DomainTest {
 protected:
  static model::MitigationRequest for_names(std::vector<std::string> names) {
    model::MitigationRequest request = request_for("");
    request.scope.target_fqdn = std::move(names);
    return request;
  }
  // Sent, and not answered yet.
  Origin send(std::uint32_t mid, model::MitigationRequest request, const std::string& client = "a") {
    const PutMitigation put = put_event(mid, std::move(request), client);
    step(put);
    return put.origin;
  }
};

// S9132-4.4.1.1-34, S8612-SIG-008-02, S8612-SIG-008-04: the answer waits for the name, and the addresses are what is
// mitigated.
TEST_F(Names, ARequestWaitsForItsName) {
  const Origin waiting = send(1, for_names({"www.example.net"}));
  EXPECT_THAT(replies, IsEmpty());
  EXPECT_THAT(asked_names, ElementsAre("www.example.net"));
  EXPECT_TRUE(store.mitigations.empty());
  resolved("WWW.example.net.", {"192.0.2.1", "2001:db8:6401::1"});
  EXPECT_EQ(last_reply(waiting).answer.code, ResponseCode::created);
  EXPECT_THAT(rules_of(1), ElementsAre("192.0.2.1/32", "2001:db8:6401::1/128"));
  EXPECT_EQ(store.names.at("www.example.net").addresses.size(), 2U);
}

TEST_F(Names, ANameIsForgottenSomeTimeAfterItsLastUse) {
  policy::DomainPolicy policy = test_policy();
  DomainLimits limits;
  limits.names_kept = 24h;
  start(policy, limits);
  send(1, for_names({"www.example.net"}));
  resolved("www.example.net", {"192.0.2.1"}, 1h);
  send(2, for_names({"ftp.example.net"}));
  resolved("ftp.example.net", {"192.0.2.2"}, 1h);
  step(OperatorWithdraw{1, base::Cuid{"cuid-a"}, base::Mid{1}, "root", ""});
  step(PutMitigation{put_event(2, [&] {
    auto again = for_names({"ftp.example.net"});
    again.lifetime = model::Lifetime{10 * 24 * 3600};
    return again;
  }())});
  pass(24h - 1s);
  EXPECT_EQ(store.names.size(), 2U);
  const Origin again = send(3, for_names({"www.example.net"}));  // the last good answer, at once
  EXPECT_EQ(last_reply(again).answer.code, ResponseCode::created);
  step(OperatorWithdraw{2, base::Cuid{"cuid-a"}, base::Mid{3}, "root", ""});
  pass(24h - 1s);
  EXPECT_EQ(store.names.count("www.example.net"), 1U);  // counted from the last use
  pass(1s);
  EXPECT_EQ(store.names.count("www.example.net"), 0U);
  EXPECT_EQ(store.names.count("ftp.example.net"), 1U);  // in use
  send(4, for_names({"www.example.net"}));
  EXPECT_THAT(replies, IsEmpty());
  EXPECT_THAT(asked_names, ElementsAre("www.example.net"));
}

TEST_F(Names, AfterARestartTheTimeIsCountedFromTheLastAnswer) {
  DomainLimits limits;
  limits.names_kept = 24h;
  start(test_policy(), limits);
  send(1, for_names({"www.example.net"}));
  resolved("www.example.net", {"192.0.2.1"});
  step(OperatorWithdraw{1, base::Cuid{"cuid-a"}, base::Mid{1}, "root", ""});
  now = now + 23h;
  restart();
  pass(1h - 1s);
  EXPECT_EQ(store.names.size(), 1U);
  pass(1s);
  EXPECT_TRUE(store.names.empty());
}

// S9132-4.4.1.1-36, S9132-4.4.1.1-37, S8612-SIG-008-03, S8612-SIG-008-04
TEST_F(Names, UrisAreResolvedLikeNames) {
  model::MitigationRequest request = request_for("");
  request.scope.target_uri = {"https://www.example.net/x", "https://192.0.2.9/"};
  const Origin waiting = send(1, request);
  EXPECT_THAT(asked_names, ElementsAre("www.example.net"));
  resolved("www.example.net", {"192.0.2.1"});
  EXPECT_EQ(last_reply(waiting).answer.code, ResponseCode::created);
  EXPECT_THAT(rules_of(1), ElementsAre("192.0.2.1/32", "192.0.2.9/32"));
  request.scope.target_uri = {"https://www.example.org/"};
  EXPECT_EQ(put(2, request).code, ResponseCode::bad_request);
}

TEST_F(Names, AllNamesAreWaitedFor) {
  const Origin waiting = send(1, for_names({"a.example.net", "b.example.net"}));
  EXPECT_THAT(asked_names, ElementsAre("a.example.net", "b.example.net"));
  resolved("b.example.net", {"192.0.2.2"});
  EXPECT_THAT(replies, IsEmpty());
  resolved("a.example.net", {"192.0.2.1"});
  EXPECT_EQ(last_reply(waiting).answer.code, ResponseCode::created);
}

// S9132-4.4.1.1-34, S9132-11-05, S8612-SEC-005-02
TEST_F(Names, ForeignAddressesAreRefused) {
  for (const char* foreign : {"203.0.113.1", "127.0.0.1", "ff02::1"}) {
    const Origin waiting = send(1, for_names({"www.example.net"}));
    resolved("www.example.net", {"192.0.2.1", foreign}, 6s);
    const Answer answer = last_reply(waiting).answer;
    EXPECT_EQ(answer.code, ResponseCode::bad_request) << foreign;
    EXPECT_THAT(answer.diagnostic, HasSubstr(foreign));
    EXPECT_TRUE(store.mitigations.empty());
    EXPECT_TRUE(rules.empty());
    EXPECT_TRUE(store.names.empty());
    pass(10s);
  }
  // Corrected in the DNS, the old answer is not held against the client.
  const Origin waiting = send(1, for_names({"www.example.net"}));
  resolved("www.example.net", {"192.0.2.1"});
  EXPECT_EQ(last_reply(waiting).answer.code, ResponseCode::created);
}

TEST_F(Names, ANameThatDoesNotExist) {
  const Origin waiting = send(1, for_names({"nope.example.net"}));
  not_resolved("nope.example.net", Outcome::no_such_name);
  EXPECT_EQ(last_reply(waiting).answer.code, ResponseCode::bad_request);
  EXPECT_THAT(last_reply(waiting).answer.diagnostic, HasSubstr("nope.example.net"));
  EXPECT_TRUE(store.mitigations.empty());
  EXPECT_TRUE(store.cuids.empty());
  // It hurts nobody else.
  EXPECT_EQ(put(2, "192.0.2.1/32").code, ResponseCode::created);
  EXPECT_EQ(put(1, "192.0.2.2/32", 3600, "b").code, ResponseCode::created);
}

TEST_F(Names, AResolverThatFails) {
  const Origin waiting = send(1, for_names({"www.example.net"}));
  not_resolved("www.example.net", Outcome::failed);
  EXPECT_EQ(last_reply(waiting).answer.code, ResponseCode::service_unavailable);
  EXPECT_GT(last_reply(waiting).answer.max_age_s.value_or(0), 0U);
  EXPECT_TRUE(store.mitigations.empty());
}

TEST_F(Names, HeldForTwoSecondsAtMost) {
  const Origin waiting = send(1, for_names({"www.example.net"}));
  now = now + 1999ms;
  step(TimerFired{});
  EXPECT_THAT(replies, IsEmpty());
  now = now + 1ms;
  step(TimerFired{});
  EXPECT_EQ(last_reply(waiting).answer.code, ResponseCode::service_unavailable);
  EXPECT_GT(last_reply(waiting).answer.max_age_s.value_or(0), 0U);
  // The answer that comes too late serves the repeat.
  resolved("www.example.net", {"192.0.2.1"});
  EXPECT_THAT(replies, IsEmpty());
  EXPECT_EQ(put(1, for_names({"www.example.net"})).code, ResponseCode::created);
}

TEST_F(Names, RepeatsJoin) {
  const Origin first = send(1, for_names({"www.example.net"}));
  const Origin second = send(1, for_names({"WWW.EXAMPLE.NET"}));
  EXPECT_THAT(asked_names, IsEmpty());
  EXPECT_EQ(put(1, for_names({"ftp.example.net"})).code, ResponseCode::bad_request);
  resolved("www.example.net", {"192.0.2.1"});
  EXPECT_EQ(last_reply(first).answer.code, ResponseCode::created);
  EXPECT_EQ(last_reply(second).answer.code, ResponseCode::created);
  EXPECT_EQ(store.mitigations.size(), 1U);
}

TEST_F(Names, TwoRequestsShareALookUp) {
  policy::DomainPolicy policy = test_policy();
  policy.conflict_winner = policy::ConflictWinner::everybody;
  start(policy);
  const Origin first = send(1, for_names({"www.example.net"}));
  const Origin second = send(2, for_names({"www.example.net"}), "b");
  EXPECT_THAT(asked_names, IsEmpty());
  resolved("www.example.net", {"192.0.2.1"});
  EXPECT_EQ(last_reply(first).answer.code, ResponseCode::created);
  EXPECT_EQ(last_reply(second).answer.code, ResponseCode::created);
}

TEST_F(Names, HeldRequestsAreBounded) {
  DomainLimits limits;
  limits.held_requests = 2;
  start(test_policy(), limits);
  send(1, for_names({"a.example.net"}));
  send(1, for_names({"a.example.net"}));
  EXPECT_EQ(put(2, for_names({"b.example.net"})).code, ResponseCode::service_unavailable);
  EXPECT_EQ(put(1, for_names({"a.example.net"})).code, ResponseCode::service_unavailable);
  pass(2s);
  send(2, for_names({"b.example.net"}));
  EXPECT_THAT(replies, IsEmpty());
}

TEST_F(Names, WithdrawnWhileItWaits) {
  const Origin waiting = send(1, for_names({"www.example.net"}));
  EXPECT_EQ(del(1).code, ResponseCode::deleted);
  EXPECT_EQ(last_reply(waiting).answer.code, ResponseCode::bad_request);
  resolved("www.example.net", {"192.0.2.1"});
  EXPECT_EQ(get(1).code, ResponseCode::not_found);
}

// What arrived meanwhile counts: a newer overlapping request wins.
TEST_F(Names, ANewerRequestOvertakes) {
  const Origin waiting = send(1, for_names({"www.example.net"}));
  put(2, "192.0.2.0/24");
  resolved("www.example.net", {"192.0.2.1"});
  EXPECT_EQ(last_reply(waiting).answer.code, ResponseCode::conflict);
}

// The victim's name servers are dead: what they said last is good enough, also after a restart.
TEST_F(Names, LastKnownGood) {
  send(1, for_names({"www.example.net"}));
  resolved("www.example.net", {"192.0.2.1"}, 60s);
  step(OperatorWithdraw{1, base::Cuid{"cuid-a"}, base::Mid{1}, "root", ""});
  pass(24h);
  restart();
  EXPECT_EQ(put(2, for_names({"www.example.net"})).code, ResponseCode::created);
  EXPECT_THAT(asked_names, ElementsAre("www.example.net")) << "and is asked for again";
  EXPECT_THAT(rules_of(2), ElementsAre("192.0.2.1/32"));
  not_resolved("www.example.net", Outcome::failed);
  EXPECT_THAT(rules_of(2), ElementsAre("192.0.2.1/32"));
  not_resolved("www.example.net", Outcome::no_such_name);
  EXPECT_THAT(rules_of(2), ElementsAre("192.0.2.1/32"));
}

// S9132-4.4.1.1-35
TEST_F(Names, AreLookedUpAgainWhenTheirTimeIsOver) {
  send(1, for_names({"www.example.net"}));
  resolved("www.example.net", {"192.0.2.1"}, 60s);
  now = now + 59s;
  step(TimerFired{});
  EXPECT_THAT(asked_names, IsEmpty());
  now = now + 1s;
  step(TimerFired{});
  EXPECT_THAT(asked_names, ElementsAre("www.example.net"));
  resolved("www.example.net", {"192.0.2.2"}, 60s);
  EXPECT_THAT(rules_of(1), ElementsAre("192.0.2.2/32"));
  EXPECT_THAT(store.mitigations.begin()->second.expanded, ElementsAre(prefix("192.0.2.2/32")));
  // Overlap follows the addresses of now, without a word to what was accepted before.
  EXPECT_EQ(put(0, "192.0.2.2/32").code, ResponseCode::conflict);
  EXPECT_EQ(put(0, "192.0.2.1/32").code, ResponseCode::created);
}

// S9132-4.4.1.1-35, S9132-11-05: a name that moved away takes its mitigation along to nobody.
TEST_F(Names, ForeignAddressesOfALaterAnswerAreNotMitigated) {
  send(1, for_names({"www.example.net"}));
  resolved("www.example.net", {"192.0.2.1"}, 60s);
  pass(60s);
  resolved("www.example.net", {"192.0.2.2", "203.0.113.5"}, 60s);
  EXPECT_THAT(rules_of(1), ElementsAre("192.0.2.2/32"));
  EXPECT_THAT(audited("resolve"), ElementsAre(HasSubstr("203.0.113.5")));
  pass(60s);
  resolved("www.example.net", {"192.0.2.2", "203.0.113.5"}, 60s);
  EXPECT_EQ(audited("resolve").size(), 1U) << "the same answer is no news";
  pass(60s);
  resolved("www.example.net", {"203.0.113.5"}, 60s);
  EXPECT_THAT(rules_of(1), IsEmpty());
  EXPECT_EQ(status(1), 1);
}

TEST_F(Names, AFailedLookUpIsMadeAgain) {
  send(1, for_names({"www.example.net"}));
  resolved("www.example.net", {"192.0.2.1"}, 60s);
  pass(60s);
  not_resolved("www.example.net", Outcome::failed);
  int asked = 0;
  for (int i = 0; i < 120; ++i) {
    now = now + 1s;
    step(TimerFired{});
    asked += static_cast<int>(asked_names.size());
    if (!asked_names.empty()) not_resolved("www.example.net", Outcome::failed);
  }
  EXPECT_EQ(asked, 4);
  EXPECT_THAT(rules_of(1), ElementsAre("192.0.2.1/32"));
}

TEST_F(Names, NobodyAsksForWhatNobodyUses) {
  send(1, for_names({"www.example.net"}));
  resolved("www.example.net", {"192.0.2.1"}, 60s);
  del(1);
  pass(120s);
  // What is left is the day on which the name is forgotten.
  ASSERT_TRUE(domain_->next_deadline().has_value());
  EXPECT_GE(*domain_->next_deadline() - now.steady, 24h);
}

// An unchanged answer is not written again and again.
TEST_F(Names, TheStoreIsSpared) {
  send(1, for_names({"www.example.net"}));
  resolved("www.example.net", {"192.0.2.1"}, 60s);
  const base::WallTime first = store.names.at("www.example.net").resolved_at;
  for (int i = 0; i < 30; ++i) {
    pass(60s);
    resolved("www.example.net", {"192.0.2.1"}, 60s);
  }
  EXPECT_EQ(store.names.at("www.example.net").resolved_at, first);
}

TEST_F(Names, RememberedNamesAreBounded) {
  DomainLimits limits;
  limits.names_remembered = 2;
  start(test_policy(), limits);
  for (std::uint32_t mid = 1; mid <= 4; ++mid) {
    const std::string name = "n" + std::to_string(mid) + ".example.net";
    send(mid, for_names({name}));
    resolved(name, {"192.0.2." + std::to_string(mid)});
    EXPECT_EQ(status(mid), 1);
  }
  EXPECT_EQ(store.names.size(), 2U);
}

}  // namespace
}  // namespace dots::signal::server
