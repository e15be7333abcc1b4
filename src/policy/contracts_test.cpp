#include <gtest/gtest.h>

#include "policy/domain_policy.h"

namespace dots::policy {
namespace {

DomainRules rules() {
  DomainPolicy policy;
  policy.id = base::DomainId{"customer"};
  policy.services = {"limit", "rtbh"};
  policy.contracts = {{"gold", {"scrubbing"}, 5, 7200}, {"basic", {}, 0, 0}};
  policy.max_lifetime_s = 3600;
  return DomainRules{policy};
}

model::MitigationRequest request(const char* contract, const char* service) {
  model::MitigationRequest request;
  if (contract != nullptr) request.contract_id = contract;
  if (service != nullptr) request.requested_service = service;
  return request;
}

// U-025, U-026
TEST(Contracts, WhatMayBeUsed) {
  const DomainRules r = rules();
  EXPECT_TRUE(r.may_use(request(nullptr, nullptr)).allowed);
  EXPECT_TRUE(r.may_use(request("gold", "scrubbing")).allowed);
  EXPECT_TRUE(r.may_use(request("basic", "rtbh")).allowed) << "those of the domain";
  EXPECT_TRUE(r.may_use(request(nullptr, "limit")).allowed);
  const Verdict unknown = r.may_use(request("Gold", nullptr));
  EXPECT_FALSE(unknown.allowed);
  EXPECT_EQ(unknown.refusal, model::RefusalReason::contract);
  EXPECT_NE(unknown.next_step.find("[[domain.contract]]"), std::string::npos);
  const Verdict service = r.may_use(request("gold", "rtbh"));
  EXPECT_EQ(service.refusal, model::RefusalReason::function);
  EXPECT_EQ(service.diagnostic, "the service 'rtbh' is not offered; offered are: scrubbing");
  EXPECT_EQ(DomainRules{DomainPolicy{}}.may_use(request(nullptr, "x")).diagnostic, "the service 'x' is not offered");
}

TEST(Contracts, WhatTheyGive) {
  const DomainRules r = rules();
  EXPECT_EQ(r.service_for(request("gold", nullptr)), "scrubbing");
  EXPECT_EQ(r.service_for(request(nullptr, "rtbh")), "rtbh");
  EXPECT_EQ(r.service_for(request(nullptr, "gone since")), "limit");
  EXPECT_EQ(DomainRules{DomainPolicy{}}.service_for(request(nullptr, nullptr)), std::nullopt);
  EXPECT_EQ(r.max_mitigations("gold"), 5U);
  EXPECT_EQ(r.max_mitigations("gone since"), 0U);
  EXPECT_EQ(r.grant({86400}, "gold").seconds, 7200);
  EXPECT_EQ(r.grant({86400}, "basic").seconds, 3600);
  EXPECT_EQ(r.grant({86400}).seconds, 3600);
}

}  // namespace
}  // namespace dots::policy
