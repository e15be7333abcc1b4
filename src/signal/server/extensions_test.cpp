// What the server tells beyond the RFCs, to clients that take it (docs/extensions.md).
#include "model/attributes.h"
#include "signal/server/answers.h"
#include "signal/server/domain_fixture.h"

namespace dots::signal::server {
namespace {

using model::RefusalReason;
using model::ResponseCode;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class Extensions : public DomainTest {
 protected:
  Extensions() {
    policy::DomainPolicy policy = test_policy();
    policy.services = {"limit", "rtbh"};
    policy.contracts = {{"gold", {"scrubbing", "rtbh"}, 2, 600}, {"basic", {}, 0, 0}};
    start(policy);
  }
  static model::MitigationRequest extended(const std::string& target) {
    model::MitigationRequest request = request_for(target);
    request.extensions = true;
    return request;
  }
  static model::MitigationRequest with(const std::string& target, const std::string& contract,
                                       const std::string& service = {}) {
    model::MitigationRequest request = request_for(target);
    if (!contract.empty()) request.contract_id = contract;
    if (!service.empty()) request.requested_service = service;
    return request;
  }
  static std::optional<RefusalReason> reason(const Answer& answer) {
    return answer.entries.empty() ? std::nullopt : answer.entries.front().refusal_reason;
  }
};

// five refusals, five reasons; the standard code and the text for people are as ever.
TEST_F(Extensions, ARefusalTellsItsReason) {
  const Answer foreign = put(1, extended("203.0.113.1/32"));
  EXPECT_EQ(foreign.code, ResponseCode::bad_request);
  EXPECT_EQ(reason(foreign), RefusalReason::scope);
  EXPECT_EQ(foreign.entries.front().diagnostic, "target-prefix 203.0.113.1/32 is not within your domain");
  EXPECT_EQ(foreign.diagnostic, foreign.entries.front().diagnostic);

  EXPECT_EQ(reason(put(2, with("192.0.2.1/32", "silver"))), RefusalReason::contract);
  EXPECT_EQ(reason(put(3, with("192.0.2.1/32", "", "magic"))), RefusalReason::function);

  policy::DomainPolicy tight = policy_;
  tight.max_mitigations = 1;
  tight.max_targets_per_request = 1;
  change_policy(tight);
  model::MitigationRequest two = extended("192.0.2.1/32");
  two.scope.target_prefix.push_back(prefix("192.0.2.2/32"));
  EXPECT_EQ(reason(put(4, two)), RefusalReason::policy);
  EXPECT_EQ(put(5, "192.0.2.1/32").code, ResponseCode::created);
  const Answer full = put(6, extended("192.0.2.2/32"));
  EXPECT_EQ(full.code, ResponseCode::service_unavailable);
  EXPECT_EQ(reason(full), RefusalReason::capacity);
  EXPECT_THAT(full.max_age_s, ::testing::Optional(60U)) << "the wait rides beside the body";
  step(BackEndsReport{false, "the cable is cut"});
  EXPECT_EQ(reason(put(7, extended("198.51.100.1/32"))), RefusalReason::hardware);
  EXPECT_THAT(audited("refuse"), ::testing::Contains(HasSubstr("4.00 (contract): domain customer has no contract")));
}

TEST_F(Extensions, OnlyWhoTakesThemIsToldInThem) {
  const Answer plain = put(1, "203.0.113.1/32");
  EXPECT_TRUE(plain.entries.empty()) << "the body stays text";
  EXPECT_EQ(plain.diagnostic, "target-prefix 203.0.113.1/32 is not within your domain");
  put(1, "192.0.2.1/32");
  report(1, RulesReport::State::installed);
  const model::MitigationEntry told = entry(1);
  EXPECT_FALSE(told.service_used);
  EXPECT_TRUE(told.actual_prefix.empty());
  // A malformed message is no refusal of a mitigation.
  model::MitigationRequest wrong = extended("192.0.2.9/32");
  wrong.lifetime.reset();
  EXPECT_TRUE(put(2, wrong).entries.empty());
}

TEST_F(Extensions, AConflictKeepsItsBodyAndTellsThePolicy) {
  put(1, "192.0.2.1/32", 3600, "b");
  const Answer answer = put(1, extended("192.0.2.1/32"));
  EXPECT_EQ(answer.code, ResponseCode::conflict);
  ASSERT_EQ(answer.entries.size(), 1U);
  EXPECT_EQ(answer.entries.front().conflict->cause, model::ConflictCause::overlapping_targets);
  EXPECT_EQ(reason(answer), RefusalReason::policy);
}

// U-025: the valid id selects the limits of the contract; another is refused with its reason.
TEST_F(Extensions, AContractHasItsOwnLimits) {
  const Answer unknown = put(1, with("192.0.2.1/32", "silver"));
  EXPECT_EQ(unknown.code, ResponseCode::bad_request);
  EXPECT_EQ(unknown.diagnostic, "the contract 'silver' is not known");
  EXPECT_EQ(reason(unknown), RefusalReason::contract);

  const Answer first = put(1, with("192.0.2.1/32", "gold"));
  EXPECT_EQ(first.code, ResponseCode::created);
  EXPECT_EQ(first.entries.front().lifetime, model::Lifetime{600});
  EXPECT_EQ(put(2, with("192.0.2.2/32", "basic")).entries.front().lifetime, model::Lifetime{3600});
  EXPECT_EQ(put(3, with("192.0.2.3/32", "gold")).code, ResponseCode::created);
  const Answer third = put(4, with("192.0.2.4/32", "gold"));
  EXPECT_EQ(third.code, ResponseCode::service_unavailable);
  EXPECT_EQ(reason(third), RefusalReason::contract);
  EXPECT_EQ(put(4, with("192.0.2.2/31", "gold")).code, ResponseCode::created) << "one in place of one needs no room";
  EXPECT_EQ(put(5, "192.0.2.9/32").code, ResponseCode::created) << "nor does one without a contract";

  // A refresh keeps it, with or without naming it, and does not change it.
  EXPECT_EQ(put(1, "192.0.2.1/32", 3600).entries.front().lifetime, model::Lifetime{600});
  EXPECT_EQ(reason(put(1, with("192.0.2.1/32", "basic"))), RefusalReason::contract);
  restart();
  EXPECT_EQ(reason(put(6, with("192.0.2.6/32", "gold"))), RefusalReason::contract) << "counted after a restart as well";
  del(1);
  pass(std::chrono::seconds{200});
  EXPECT_EQ(put(6, with("192.0.2.6/32", "gold")).code, ResponseCode::created);
}

// U-026
TEST_F(Extensions, TheStatusNamesTheServiceThatIsUsed) {
  put(1, with("192.0.2.1/32", "", "rtbh"));
  EXPECT_EQ(entry(1).service_used, "rtbh");
  put(2, with("192.0.2.2/32", "gold"));
  EXPECT_EQ(entry(2).service_used, "scrubbing") << "the first of the contract, for who wants none";
  put(3, extended("192.0.2.3/32"));
  EXPECT_EQ(entry(3).service_used, "limit");
  EXPECT_FALSE(get(1, GetMitigation::Filter::config).entries.front().service_used) << "no part of the request";

  const Answer refused = put(4, with("192.0.2.4/32", "gold", "limit"));
  EXPECT_EQ(reason(refused), RefusalReason::function);
  EXPECT_THAT(refused.entries.front().offered_service, ElementsAre("scrubbing", "rtbh"));
  EXPECT_EQ(refused.diagnostic, "the service 'limit' is not offered; offered are: scrubbing, rtbh");
  restart();
  EXPECT_EQ(entry(1).service_used, "rtbh");
}

// what is mitigated, beside what was asked for, when the two differ.
TEST_F(Extensions, TheStatusNamesTheActualScope) {
  planner_->more = [](const PlanRequest&, Plan& plan) { plan.actual = {prefix("192.0.2.0/24")}; };
  put(1, extended("192.0.2.1/32"));
  put(2, "198.51.100.1/32");
  EXPECT_THAT(entry(1).actual_prefix, ElementsAre(prefix("192.0.2.0/24")));
  EXPECT_EQ(entry(1).scope->target_prefix.front(), prefix("192.0.2.1/32"));
  EXPECT_TRUE(entry(2).actual_prefix.empty()) << "a client without extensions";
  EXPECT_TRUE(get(1, GetMitigation::Filter::config).entries.front().actual_prefix.empty());
}

// U-064: accepted, and cannot start: status and reason, by what the back ends report and by the plan.
TEST_F(Extensions, WhatCannotStartTellsWhy) {
  put(1, extended("192.0.2.1/32"));
  observe(1, 7);
  for (const auto& [why, status] : {std::pair{RefusalReason::capacity, 4}, std::pair{RefusalReason::bandwidth, 4},
                                    std::pair{RefusalReason::function, 1}, std::pair{RefusalReason::hardware, 1}}) {
    pass(std::chrono::seconds{4});
    RulesReport failed{base::Cuid{"cuid-a"}, base::Mid{1}, RulesReport::State::failed, "router 10.1.2.3 says no", why};
    step(failed);
    ASSERT_FALSE(notified.empty()) << "told without being asked";
    const model::MitigationEntry told = notified.back().answer.entries.front();
    EXPECT_EQ(told.refusal_reason, why);
    EXPECT_EQ(static_cast<int>(*told.status), status);
    EXPECT_FALSE(told.diagnostic.empty());
    EXPECT_EQ(told.diagnostic.find("10.1.2.3"), std::string::npos) << "the inside of the server is nobody's business";
  }
  report(1, RulesReport::State::installed);
  EXPECT_FALSE(entry(1).refusal_reason);
  EXPECT_EQ(status(1), 2);
  planner_->more = [](const PlanRequest&, Plan& plan) {
    plan.parts.clear();
    plan.not_started = RefusalReason::bandwidth;
  };
  put(2, extended("192.0.2.2/32"));
  EXPECT_EQ(entry(2).refusal_reason, RefusalReason::bandwidth);
  EXPECT_EQ(status(2), 4);
}

TEST_F(Extensions, TheAuditLogNamesTheCredential) {
  PutMitigation event = put_event(1, request_for("192.0.2.1/32"));
  event.origin.credential = "certificate edge.example.net";
  ask(event);
  EXPECT_EQ(store.audit.back().credential, "certificate edge.example.net");
  DeleteMitigation del{origin(), base::Cuid{"cuid-a"}, base::Mid{1}};
  del.origin.credential = "PSK edge";
  step(del);
  EXPECT_EQ(store.audit.back().credential, "PSK edge");
  step(OperatorWithdraw{1, base::Cuid{"cuid-a"}, base::Mid{1}, "root", "", "user id 0"});
  EXPECT_EQ(store.audit.back().credential, "user id 0");
}

TEST_F(Extensions, ADiagnosticIsCutToItsBound) {
  const Answer answer = [&] {
    Answer long_one = refused(ResponseCode::bad_request, std::string(5000, 'x'), RefusalReason::scope);
    tell_reason(long_one);
    return long_one;
  }();
  EXPECT_EQ(answer.entries.front().diagnostic.size(), model::kMaxDiagnostic);
}

}  // namespace
}  // namespace dots::signal::server
