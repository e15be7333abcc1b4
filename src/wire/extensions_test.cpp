// Attributes of ours in requests and answers (docs/extensions.md).
#include <gtest/gtest.h>

#include "wire/messages.h"

namespace dots::wire {
namespace {

using namespace model;

base::Bytes hex(std::string_view text) {
  auto bytes = base::from_hex(text);
  EXPECT_TRUE(bytes) << text;
  return bytes.value_or(base::Bytes{});
}

std::vector<MitigationEntry> one(MitigationEntry entry) { return {std::move(entry)}; }

// U-025, U-026
TEST(Extensions, OfARequest) {
  MitigationRequest request;
  request.scope.target_prefix = {*parse_prefix("192.0.2.1/32")};
  request.lifetime = Lifetime{60};
  request.extensions = true;
  request.contract_id = "gold";
  request.requested_service = "scrubbing";
  const std::string bytes = base::to_hex(encode(request));
  // {1: {2: [{6: ["192.0.2.1/32"], 14: 60, 54000: true, 54001: "gold", 54002: "scrubbing"}]}}
  EXPECT_EQ(bytes,
            "a101a10281a506816c3139322e302e322e312f33320e183c19d2f0f519d2f164676f6c6419d2f269736372756262696e67");
  EXPECT_EQ(*decode_mitigation_request(hex(bytes)), request);
  EXPECT_EQ(*decode_mitigation_request(hex(bytes), FilterControl::on), request);
  MitigationRequest plain = request;
  plain.extensions = false;
  plain.contract_id.reset();
  plain.requested_service.reset();
  EXPECT_EQ(encode(plain).size() + 25, encode(request).size()) << "nothing of it unless it is used";
  // Bounded, and text that can be shown.
  request.contract_id = std::string(64, 'x');
  EXPECT_TRUE(decode_mitigation_request(encode(request)));
  for (const std::string& bad : {std::string(65, 'x'), std::string{}, std::string{"a\nb"}}) {
    request.contract_id = bad;
    const auto refused = decode_mitigation_request(encode(request));
    ASSERT_FALSE(refused) << bad;
    EXPECT_NE(refused.error().diagnostic.find("attribute 54001 (contract-id)"), std::string::npos)
        << refused.error().diagnostic;
  }
}

// U-064
TEST(Extensions, OfAnswers) {
  MitigationEntry refusal;
  refusal.refusal_reason = model::RefusalReason::function;
  refusal.diagnostic = "there is no service 'x'";
  refusal.offered_service = {"rtbh", "scrubbing"};
  // {1: {2: [{54004: ["rtbh", "scrubbing"], 54005: 7, 54006: "..."}]}}
  EXPECT_EQ(base::to_hex(encode(one(refusal))),
            "a101a10281a319d2f482647274626869736372756262696e6719d2f50719d2f6777468657265206973206e6f2073657276696365"
            "20277827");
  EXPECT_EQ(*decode_mitigation_answer(encode(one(refusal))), one(refusal));

  MitigationEntry status;
  status.mid = base::Mid{1};
  status.lifetime = Lifetime{60};
  status.status = model::MitigationStatus::exceeded_capability;
  status.refusal_reason = model::RefusalReason::capacity;
  status.service_used = "rtbh";
  status.actual_prefix = {*parse_prefix("192.0.2.0/24"), *parse_prefix("2001:db8::/48")};
  EXPECT_EQ(*decode_mitigation_answer(encode(one(status))), one(status));
  // A reason of a later release is a refusal all the same.
  EXPECT_EQ((*decode_mitigation_answer(hex("a101a10281a119d2f51863")))[0].refusal_reason, model::RefusalReason{99});
  EXPECT_EQ(model::name_of(model::RefusalReason{99}), "unknown");
}

}  // namespace
}  // namespace dots::wire
