#include "wire/json.h"

#include <gtest/gtest.h>

#include "model/mitigation_document.h"

namespace dots::wire {
namespace {

using namespace model;

std::string again(std::string_view text, Message message, Manner manner = Manner::strict) {
  const auto document = decode_json(text, message, manner);
  return document ? encode_json(*document) : "refused: " + document.error().message;
}

std::string both_ways(std::string_view cbor, Message message) {
  const base::Bytes bytes = *base::from_hex(cbor);
  const auto document = decode_cbor(bytes, message, Manner::strict);
  if (!document) return "refused: " + document.error().message;
  const std::string text = encode_json(*document);
  const auto back = decode_json(text, message, Manner::strict);
  if (!back) return "refused: " + back.error().message;
  EXPECT_TRUE(same_content(*document, *back)) << text;
  EXPECT_EQ(base::to_hex(encode_cbor(*back)), base::to_hex(bytes));
  return text;
}

std::string request(std::string_view members) {
  return R"({"ietf-dots-signal-channel:mitigation-scope":{"scope":[{"target-prefix":["192.0.2.1/32"],"lifetime":3600)" +
         std::string(members) + "}]}}";
}

#define EXPECT_SAYS(text, part) EXPECT_NE((text).find(part), std::string::npos) << "said: " << (text)

TEST(Json, Request) {
  EXPECT_EQ(
      both_ways("a101a10281a406826c3139322e302e322e312f33326d323030313a6462383a3a2f33320782a1081850a2080109020a"
                "81060e190e10",
                Message::mitigation_request),
      R"({"ietf-dots-signal-channel:mitigation-scope":{"scope":[{"target-prefix":["192.0.2.1/32","2001:db8::/32"],)"
      R"("target-port-range":[{"lower-port":80},{"lower-port":1,"upper-port":2}],"target-protocol":[6],)"
      R"("lifetime":3600}]}})");
}

// S9132-6-02, S9132-6-03: enumerations by name, 64-bit numbers as strings
TEST(Json, StatusUsesNamesAndStrings) {
  EXPECT_EQ(both_ways("a101a10281a505187b0e200f1a5a0000001002181919012c", Message::mitigation_get_answer),
            R"({"ietf-dots-signal-channel:mitigation-scope":{"scope":[{"mid":123,"lifetime":-1,)"
            R"("mitigation-start":"1509949440","status":"attack-successfully-mitigated","bytes-dropped":"300"}]}})");
}

// S9132-5.3-05, S9132-6-04
TEST(Json, DecimalsAreStringsWithTwoDigits) {
  EXPECT_EQ(
      both_ways("a1181ea11820a11827a1182bc4822118c8", Message::config_request),
      R"({"ietf-dots-signal-channel:signal-config":{"mitigating-config":{"ack-timeout":{"current-value-decimal":"2.00"}}}})");
  const auto with = [](std::string_view value) {
    return R"({"signal-config":{"idle-config":{"ack-random-factor":{"current-value-decimal":)" + std::string(value) +
           "}}}}";
  };
  EXPECT_SAYS(again(with("\"1.5\""), Message::config_request), "\"1.50\"");
  EXPECT_SAYS(again(with("\"3\""), Message::config_request), "\"3.00\"");
  for (const char* bad : {"1.5", "\"1.555\"", "\"\"", "\"1.\"", "\".5\"", "\"-1.00\"", "\"1e1\"", "\"+1\"", "2",
                          "\"99999999999999999999\""}) {
    EXPECT_SAYS(again(with(bad), Message::config_request), "refused: attribute 43");
  }
}

// Open point A-02: retry-timer is String in Table 5 and Number by RFC 7951
TEST(Json, RetryTimerIsTakenInBothForms) {
  const auto conflict = [](std::string_view timer) {
    return R"({"mitigation-scope":{"scope":[{"conflict-information":{"conflict-cause":"overlapping-targets","retry-timer":)" +
           std::string(timer) + "}}]}}";
  };
  EXPECT_SAYS(again(conflict("30"), Message::mitigation_conflict), R"("retry-timer":"30")");
  EXPECT_SAYS(again(conflict("\"30\""), Message::mitigation_conflict), R"("retry-timer":"30")");
  EXPECT_SAYS(again(conflict("\"4294967296\""), Message::mitigation_conflict), "refused");
}

TEST(Json, RulesAreThoseOfCbor) {
  EXPECT_SAYS(again(request(""), Message::mitigation_request), "192.0.2.1/32");
  EXPECT_SAYS(again(request(R"(,"mid":1)"), Message::mitigation_request), "attribute 5 (mid)");
  EXPECT_SAYS(again(request(R"(,"lifetime":1)"), Message::mitigation_request), "given twice");
  EXPECT_SAYS(again(request(R"(,"alias-name":[])"), Message::mitigation_request), "is empty");
  EXPECT_SAYS(again(request(R"(,"alias-name":[""])"), Message::mitigation_request), "is empty");
  EXPECT_SAYS(again(request(R"(,"target-protocol":[256])"), Message::mitigation_request), "from 0 to 255");
  EXPECT_SAYS(again(request(R"(,"target-protocol":["6"])"), Message::mitigation_request), "must be a number");
  EXPECT_SAYS(again(request(R"(,"target-protocol":[6.0])"), Message::mitigation_request), "fraction");
  EXPECT_SAYS(again(request(R"(,"target-protocol":6)"), Message::mitigation_request), "array of");
  EXPECT_SAYS(again(request(R"(,"trigger-mitigation":1)"), Message::mitigation_request), "of type boolean");
  EXPECT_SAYS(again(request(R"(,"trigger-mitigation":null)"), Message::mitigation_request), "not null");
  EXPECT_SAYS(again(request(R"(,"attack-status":"under-attack")"), Message::mitigation_request), "under-attack");
  EXPECT_SAYS(again(request(R"(,"attack-status":1)"), Message::mitigation_request), "must be a string");
  EXPECT_SAYS(again(request(R"(,"attack-status":"no")"), Message::mitigation_request), "no code 'no'");
  EXPECT_SAYS(again(request(R"(,"target-fqdn":["a\u0007b"])"), Message::mitigation_request), "control");
}

TEST(Json, UnknownNames) {
  EXPECT_SAYS(again(request(R"(,"nonsense":1)"), Message::mitigation_request), "unknown attribute 'nonsense' in scope");
  EXPECT_SAYS(again(request(R"(,"sid":1)"), Message::mitigation_request), "attribute 31 (sid) is not allowed");
  const std::string optional = again(request(R"(,"tsid":[{"a":[1,{"b":"c"}]},null,-1])"), Message::mitigation_request);
  EXPECT_EQ(optional, again(request(""), Message::mitigation_request)) << "comprehension-optional";
  EXPECT_EQ(
      again(request(R"(,"nonsense":[{"a":[1,{"b":"c"}]},null,1.5])"), Message::mitigation_get_answer, Manner::tolerant),
      again(request(""), Message::mitigation_get_answer, Manner::tolerant));
  EXPECT_SAYS(again(R"({"heartbeat":{"peer-hb-status":true}})", Message::heartbeat),
              "ietf-dots-signal-channel:heartbeat");
  EXPECT_SAYS(again(R"({"other:heartbeat":{"peer-hb-status":true}})", Message::heartbeat), "refused");
  EXPECT_SAYS(again(R"({"heartbeat":{"ietf-dots-signal-channel:peer-hb-status":true}})", Message::heartbeat), "true");
}

TEST(Json, BrokenTextIsRefused) {
  for (const char* text :
       {"", "{", "[]", "1", "\"a\"", "null", "{}", "{\"heartbeat\":{\"peer-hb-status\":true}} x",
        "{\"heartbeat\":{\"peer-hb-status\":true},}", "{heartbeat:{}}", "{\"heartbeat\":\"\xff\"}"}) {
    EXPECT_SAYS(again(text, Message::heartbeat), "refused") << text;
  }
  EXPECT_SAYS(again(std::string(100000, '['), Message::heartbeat), "refused");
  EXPECT_SAYS(again(R"({"tsid":)" + std::string(5000, '['), Message::heartbeat), "refused");
  EXPECT_SAYS(again(std::string(20000, ' '), Message::heartbeat), "longer than");
}

TEST(Json, CodesWithoutANameAreNumbers) {
  const base::Bytes bytes = *base::from_hex("a101a10281a2050110182a");
  const auto document = decode_cbor(bytes, Message::mitigation_get_answer, Manner::tolerant);
  ASSERT_TRUE(document);
  const std::string text = encode_json(*document);
  EXPECT_SAYS(text, R"("status":42)");
  const auto back = decode_json(text, Message::mitigation_get_answer, Manner::tolerant);
  ASSERT_TRUE(back);
  EXPECT_TRUE(same_content(*document, *back));
}

TEST(Json, PrettyForPeople) {
  const auto document = decode_json(R"({"heartbeat":{"peer-hb-status":false}})", Message::heartbeat, Manner::strict);
  ASSERT_TRUE(document);
  EXPECT_EQ(encode_json(*document, true),
            "{\n  \"ietf-dots-signal-channel:heartbeat\": {\n    \"peer-hb-status\": false\n  }\n}");
}

TEST(Json, TextIsEscaped) {
  MitigationEntry entry;
  entry.scope.emplace();
  entry.scope->alias_name = {"a\"b\\c\n\x01 \xc3\xbc"};
  const std::vector<MitigationEntry> entries{entry};
  const std::string text = encode_json(to_document(entries));
  EXPECT_SAYS(text, "a\\\"b\\\\c\\n\\u0001 \xc3\xbc");
  const auto back = decode_json(text, Message::mitigation_get_answer, Manner::tolerant);
  ASSERT_TRUE(back);
  EXPECT_EQ(*to_mitigation_entries(*back), entries);
}

}  // namespace
}  // namespace dots::wire
