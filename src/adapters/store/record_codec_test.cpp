#include "adapters/store/record_codec.h"

#include <gtest/gtest.h>

namespace dots::adapters::store {
namespace {

model::MitigationRequest sample() {
  model::MitigationRequest request;
  request.scope.target_prefix = {*model::parse_prefix("192.0.2.1/24")};
  request.scope.target_port_range = {{80, 80}, {443, 65535}};
  request.scope.target_protocol = {6};
  request.scope.target_fqdn = {"www.example.net"};
  request.lifetime = model::Lifetime{-1};
  return request;
}

// The text in the database is a format: it is read by later releases, and by people with the sqlite3 tool.
TEST(RecordCodec, TheTextOfARequestIsFixed) {
  EXPECT_EQ(encode_request(sample()),
            R"({"v":1,"prefixes":["192.0.2.1/24"],"ports":[[80,80],[443,65535]],"protocols":[6],)"
            R"("fqdns":["www.example.net"],"lifetime":-1,"trigger":true})");
  EXPECT_EQ(*decode_request(encode_request(sample())), sample());
  model::MitigationRequest filters;
  filters.acl_list = {{"a \"b\"", model::ActivationType::deactivate}, {"c", model::ActivationType::immediate}};
  EXPECT_EQ(encode_request(filters), R"({"v":1,"trigger":true,"acls":[["a \"b\"",3],["c",2]]})");
  EXPECT_EQ(*decode_request(encode_request(filters)), filters);
  EXPECT_EQ(*decode_request(encode_request({})), model::MitigationRequest{});
  model::MitigationRequest extended;
  extended.extensions = true;
  extended.contract_id = "gold \"2026\"";
  extended.requested_service = "scrubbing";
  EXPECT_EQ(encode_request(extended), R"({"v":1,"trigger":true,"extensions":true,"contract":"gold \"2026\"",)"
                                      R"("service":"scrubbing"})");
  EXPECT_EQ(*decode_request(encode_request(extended)), extended);
}

TEST(RecordCodec, AMemberThatIsNotKnownIsSkippedAndAnAbsentOneHasItsDefault) {
  EXPECT_EQ(*decode_request(R"({"later":[1,{"x":2}],"v":1})"), model::MitigationRequest{});
}

TEST(RecordCodec, ANewerFormatIsRefusedByName) {
  const auto newer = decode_request(R"({"v":2})");
  ASSERT_FALSE(newer);
  EXPECT_NE(newer.error().message.find("newer release"), std::string::npos);
}

TEST(RecordCodec, AnApprovalComesBackAsItWas) {
  EXPECT_EQ(encode_approval({}), "");
  ports::Approval waiting;
  waiting.state = ports::Approval::State::waiting;
  waiting.why = "back end 'noc' asks a person";
  waiting.since = base::WallTime{base::Duration{5}};
  ports::Approval approved = waiting;
  approved.state = ports::Approval::State::approved;
  approved.by = "operator o";
  approved.at = base::WallTime{base::Duration{7}};
  approved.note = "\"fine\"";
  for (const auto& approval : {ports::Approval{}, waiting, approved}) {
    const auto back = decode_approval(encode_approval(approval));
    ASSERT_TRUE(back) << back.error().message;
    EXPECT_EQ(*back, approval);
  }
}

TEST(RecordCodec, DamagedTextIsAnErrorAndNeverHalfARequest) {
  for (const char* text : {"",
                           "{",
                           "[]",
                           "null",
                           "{}",
                           R"({"v":0})",
                           R"({"v":"1"})",
                           R"({"v":1,"prefixes":"x"})",
                           R"({"v":1,"prefixes":["192.0.2.0/33"]})",
                           R"({"v":1,"prefixes":[1]})",
                           R"({"v":1,"ports":[[1]]})",
                           R"({"v":1,"ports":[[1,65536]]})",
                           R"({"v":1,"ports":[1]})",
                           R"({"v":1,"protocols":[256]})",
                           R"({"v":1,"protocols":[-1]})",
                           R"({"v":1,"protocols":[1.5]})",
                           R"({"v":1,"fqdns":[null]})",
                           R"({"v":1,"lifetime":"60"})",
                           R"({"v":1,"trigger":1})",
                           R"({"v":1,"extensions":1})",
                           R"({"v":1,"contract":1})",
                           R"({"v":1,"service":[]})",
                           R"({"v":1,"acls":[["x"]]})",
                           R"({"v":1,"acls":[["x",4]]})",
                           R"({"v":1,"acls":[[1,1]]})",
                           R"({"v":1,"attack_status":0})",
                           R"({"v":1,"attack_status":3})",
                           R"({"v":1} trailing)",
                           R"({"v":1,"x":[[[[[[[[1]]]]]]]]})"}) {
    EXPECT_FALSE(decode_request(text)) << text;
  }
  for (const char* text :
       {"{", "[]", "{}", R"({"v":1})", R"({"v":2,"state":1,"since_ns":1,"why":"","by":"","note":""})",
        R"({"v":1,"state":3,"since_ns":1,"why":"","by":"","note":""})",
        R"({"v":1,"state":1,"since_ns":"1","why":"","by":"","note":""})",
        R"({"v":1,"state":1,"since_ns":1,"why":1,"by":"","note":""})"}) {
    EXPECT_FALSE(decode_approval(text)) << text;
  }
  EXPECT_FALSE(decode_prefixes("{}"));
  EXPECT_FALSE(decode_prefixes(R"(["192.0.2.1"])"));
  EXPECT_FALSE(decode_addresses(R"(["192.0.2.0/24"])"));
  EXPECT_FALSE(decode_addresses("["));
}

}  // namespace
}  // namespace dots::adapters::store
