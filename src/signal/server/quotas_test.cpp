// Quotas and what happens at them (RFC 9132 4.4.1.3, 11; docs/decisions/quotas.md).
#include "signal/server/domain_fixture.h"

namespace dots::signal::server {
namespace {

using model::ResponseCode;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using namespace std::chrono_literals;

class Quotas : public DomainTest {};

// S9132-4.4.1.3-12
TEST_F(Quotas, MitigationsOfADomain) {
  policy::DomainPolicy policy = test_policy();
  policy.max_mitigations = 2;
  start(policy);
  put(1, "192.0.2.1/32");
  put(2, "192.0.2.2/32", 3600, "b");
  const Answer answer = put(3, "192.0.2.3/32");
  EXPECT_EQ(answer.code, ResponseCode::service_unavailable);
  EXPECT_GT(answer.max_age_s.value_or(0), 0U);
  EXPECT_THAT(audited("refuse"), ElementsAre(HasSubstr("max_mitigations")));
  EXPECT_EQ(put(1, "192.0.2.1/32").code, ResponseCode::changed) << "a refresh needs no room";
  EXPECT_EQ(put(4, "192.0.2.0/31").code, ResponseCode::created) << "nor does a replacement";
}

// a client that asks and withdraws without end is held back, heard of, and served again later.
TEST_F(Quotas, RequestsThatBeginToBeMitigatedInAMinute) {
  policy::DomainPolicy policy = test_policy();
  policy.activations_per_minute = 10;
  start(policy);
  for (std::uint32_t mid = 1; mid <= 10; ++mid) {
    EXPECT_EQ(put(mid, "192.0.2." + std::to_string(mid) + "/32").code, ResponseCode::created);
    del(mid);
  }
  const Answer answer = put(11, "192.0.2.11/32");
  int told_of_damping = static_cast<int>(std::count(notes.begin(), notes.end(), "REQUESTS_DAMPED"));
  put(12, "192.0.2.12/32");
  told_of_damping += static_cast<int>(std::count(notes.begin(), notes.end(), "REQUESTS_DAMPED"));
  EXPECT_EQ(answer.code, ResponseCode::service_unavailable);
  EXPECT_EQ(told_of_damping, 1);
  EXPECT_EQ(answer.max_age_s, 7U) << "a tenth of a minute, rounded up";
  EXPECT_EQ(put(3, "192.0.2.3/32").code, ResponseCode::service_unavailable) << "to come back counts as well";
  EXPECT_THAT(audited("refuse"), ::testing::Contains(HasSubstr("activations_per_minute")));
  pass(7s);
  EXPECT_EQ(put(11, "192.0.2.11/32").code, ResponseCode::created);
  EXPECT_EQ(put(11, "192.0.2.11/32").code, ResponseCode::changed) << "a refresh begins nothing";
}

// S9132-11-02: new cuids do not go round the quotas, and nobody locks himself out by changing his cuid.
TEST_F(Quotas, CuidsOfAClient) {
  policy::DomainPolicy policy = test_policy();
  policy.max_cuids_per_client = 2;
  policy.terminating_period = 0s;
  start(policy);
  EXPECT_EQ(put(1, request_for("192.0.2.1/32"), "a", "one").code, ResponseCode::created);
  EXPECT_EQ(put(1, request_for("192.0.2.2/32"), "a", "two").code, ResponseCode::created);
  for (int i = 0; i < 1000; ++i) {
    EXPECT_EQ(put(1, request_for("192.0.2.3/32"), "a", "more" + std::to_string(i)).code,
              ResponseCode::service_unavailable);
  }
  EXPECT_EQ(store.cuids.size(), 2U);
  EXPECT_EQ(put(1, request_for("192.0.2.4/32"), "b", "three").code, ResponseCode::created);
  del(1, "a", "one");
  EXPECT_EQ(put(1, request_for("192.0.2.3/32"), "a", "four").code, ResponseCode::created);
  EXPECT_EQ(store.cuids.count(base::Cuid{"one"}), 0U);
  EXPECT_EQ(store.cuids.size(), 3U);
}

TEST_F(Quotas, TargetsOfARequest) {
  policy::DomainPolicy policy = test_policy();
  policy.max_targets_per_request = 3;
  start(policy);
  model::MitigationRequest request = request_for("192.0.2.1/32");
  for (int i = 2; i <= 4; ++i) request.scope.target_prefix.push_back(prefix("192.0.2." + std::to_string(i) + "/32"));
  EXPECT_EQ(put(1, request).code, ResponseCode::bad_request);
  request.scope.target_prefix.pop_back();
  EXPECT_EQ(put(1, request).code, ResponseCode::created);
}

// S8612-4-01: A client in a loop does not push everybody else out of the audit log.
TEST_F(Quotas, RefusalsInTheAuditLog) {
  for (int i = 0; i < 500; ++i) put(1, "203.0.113.1/32");
  EXPECT_EQ(audited("refuse").size(), 10U);
  put(1, "203.0.113.1/32", 3600, "b");
  EXPECT_EQ(audited("refuse").size(), 11U);
  pass(60s);
  put(1, "203.0.113.1/32");
  EXPECT_THAT(audited("refuse").back(), HasSubstr("490 refusals"));
}

}  // namespace
}  // namespace dots::signal::server
