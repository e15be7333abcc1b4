#include "wire/cbor.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "wire/cbor_syntax.h"
#include "wire/json.h"

namespace dots::wire {
namespace {

using namespace model;

std::string decoded(std::string_view hex, Message message, Manner manner = Manner::strict) {
  const base::Bytes bytes = *base::from_hex(hex);
  const auto document = decode_cbor(bytes, message, manner);
  return document ? encode_json(*document) : "refused: " + document.error().message;
}

#define EXPECT_SAYS(text, part) EXPECT_NE((text).find(part), std::string::npos) << "said: " << (text)

TEST(CborHead, ShortestForms) {
  const std::pair<std::uint64_t, const char*> cases[] = {
      {0, "00"},
      {23, "17"},
      {24, "1818"},
      {255, "18ff"},
      {256, "190100"},
      {65535, "19ffff"},
      {65536, "1a00010000"},
      {4294967295U, "1affffffff"},
      {4294967296U, "1b0000000100000000"},
      {UINT64_MAX, "1bffffffffffffffff"},
  };
  for (const auto& [value, hex] : cases) {
    cbor::Writer writer(9);
    writer.head(cbor::Major::unsigned_integer, value);
    const base::Bytes bytes = writer.take();
    EXPECT_EQ(base::to_hex(bytes), hex);
    cbor::Reader reader(bytes);
    cbor::Head head;
    ASSERT_TRUE(reader.head(head));
    EXPECT_EQ(head.argument, value);
    EXPECT_TRUE(reader.empty());
  }
}

constexpr const char* kConfig = "a1 181e a1 1820 a1";

// S9132-5.3-05, S9132-6-04
TEST(CborConfig, DecimalsOfRequests) {
  const auto with = [](std::string_view value) { return std::string(kConfig) + " 1827 a1 182b " + std::string(value); };
  EXPECT_SAYS(decoded(with("c4 82 21 18c8"), Message::config_request), "\"2.00\"");
  EXPECT_SAYS(decoded(with("c4 82 21 1896"), Message::config_request), "\"1.50\"");
  EXPECT_SAYS(decoded(with("c4 82 20 0f"), Message::config_request), "exponent is not -2");
  EXPECT_SAYS(decoded(with("c4 82 00 02"), Message::config_request), "exponent is not -2");
  EXPECT_SAYS(decoded(with("c4 82 21 20"), Message::config_request), "below 0");
  EXPECT_SAYS(decoded(with("c4 82 21 f93c00"), Message::config_request), "malformed");
  EXPECT_SAYS(decoded(with("c4 81 21"), Message::config_request), "malformed tag 4");
  EXPECT_SAYS(decoded(with("c4 83 21 01 02"), Message::config_request), "malformed tag 4");
  EXPECT_SAYS(decoded(with("82 21 18c8"), Message::config_request), "decimal fraction");
  EXPECT_SAYS(decoded(with("02"), Message::config_request), "decimal fraction");
  EXPECT_SAYS(decoded(with("f94000"), Message::config_request), "not a float");
  EXPECT_SAYS(decoded(with("c5 82 21 18c8"), Message::config_request), "not tag 5");
  EXPECT_SAYS(decoded(std::string(kConfig) + " 1821 a1 1824 c4 82 21 18c8", Message::config_request), "unsigned");
}

TEST(CborConfig, DecimalsOfAnswersAreNormalised) {
  const auto with = [](std::string_view value) {
    return decoded(std::string(kConfig) + " 1827 a1 182b " + std::string(value), Message::config_answer,
                   Manner::tolerant);
  };
  EXPECT_SAYS(with("c4 82 20 0f"), "\"1.50\"");
  EXPECT_SAYS(with("c4 82 00 02"), "\"2.00\"");
  EXPECT_SAYS(with("c4 82 01 02"), "\"20.00\"");
  EXPECT_SAYS(with("c4 82 22 1905dc"), "\"1.50\"");
  EXPECT_SAYS(with("c4 82 22 1905dd"), "more than two fraction digits");
  EXPECT_SAYS(with("c4 82 18 20 01"), "absurd");
  EXPECT_SAYS(with("c4 82 14 1bffffffffffffffff"), "too large");
  EXPECT_SAYS(with("c4 82 3bffffffffffffffff 01"), "absurd");
}

// S9132-4.5.2-12, S9132-4.5.2-14, S9132-5.3-03, S9132-5.3-04, S9132-4.5.2-18
TEST(CborConfig, Requests) {
  EXPECT_SAYS(decoded("a1 181e a1 182c a1 1821 a1 1824 181e", Message::config_request), "\"current-value\":30");
  EXPECT_SAYS(decoded("a1 181e a0", Message::config_request), "signal-config) is empty");
  EXPECT_SAYS(decoded("a1 181e a1 1820 a0", Message::config_request), "mitigating-config) is empty");
  EXPECT_SAYS(decoded("a1 181e a1 1820 a1 1821 a0", Message::config_request), "current-value) is missing");
  for (const char* bound : {"1822 1864", "1823 0f"}) {
    EXPECT_SAYS(decoded(std::string("a1 181e a1 1820 a1 1821 a2 1824 181e ") + bound, Message::config_request),
                "must not be in heartbeat-interval");
  }
  for (const char* bound : {"1829 c4822118c8", "182a c4822118c8"}) {
    EXPECT_SAYS(decoded(std::string("a1 181e a1 1820 a1 1827 a2 182b c4822118c8 ") + bound, Message::config_request),
                "must not be in ack-timeout");
  }
  EXPECT_SAYS(decoded("a1 181e a1 1820 a1 1821 a1 1824 1a00010000", Message::config_request), "from 0 to 65535");
  EXPECT_SAYS(decoded("a1 181e a2 181f 01 1820 a1 1821 a1 1824 181e", Message::config_request), "attribute 31 (sid)");
  EXPECT_SAYS(decoded("a1 01 a1 02 81 a0", Message::config_request), "attribute 1 (mitigation-scope)");
  EXPECT_SAYS(decoded("a1 181e a1 1820 a1 0a 06", Message::config_request), "attribute 10 (target-protocol)");
}

// S9132-4.5.1-03; open point A-01: 34/35 and 41/42 in either order
TEST(CborConfig, ExchangedBoundsAreSwapped) {
  const char* expected = R"("max-value":240,"min-value":15,"current-value":30)";
  EXPECT_SAYS(decoded("a1181ea11820a11821a3182218f018230f1824181e", Message::config_answer, Manner::tolerant),
              expected);
  EXPECT_SAYS(decoded("a1181ea11820a11821a318220f182318f01824181e", Message::config_answer, Manner::tolerant),
              expected);
  EXPECT_SAYS(decoded("a1181ea11820a11827a21829c482211864182ac482211903e8", Message::config_answer, Manner::tolerant),
              R"("max-value-decimal":"10.00","min-value-decimal":"1.00")");
}

// S9132-4.6-02
TEST(CborRedirect, ServerNameIsNeeded) {
  EXPECT_SAYS(decoded("a1 182e a2 182f 65 612e636f6d 1830 82 69 3139322e302e322e31 63 3a3a31", Message::redirect),
              R"("alt-server":"a.com","alt-server-record":["192.0.2.1","::1"])");
  EXPECT_SAYS(decoded("a1 182e a1 1830 81 69 3139322e302e322e31", Message::redirect), "alt-server) is missing");
  EXPECT_SAYS(decoded("a1 182e a2 182f 65 612e636f6d 1830 81 61 61", Message::redirect), "not an IPv4 or IPv6 address");
}

// S9133-3.2.1-02, S9133-3.2.1-03, S9133-3.2.1-05
TEST(CborFilterControl, AclList) {
  const auto with = [](std::string_view acls) {
    return decoded("a1 01 a1 02 81 a3 0d 81 61 61 0e 18 3c 1835 " + std::string(acls), Message::filter_control_request);
  };
  EXPECT_SAYS(with("81 a2 17 61 78 1834 03"), R"("activation-type":"deactivate")");
  EXPECT_SAYS(with("81 a1 17 61 78"), R"("acl-name":"x")");
  EXPECT_SAYS(with("81 a1 1834 03"), "acl-name) is missing");
  EXPECT_SAYS(with("81 a2 17 61 78 1834 00"), "unassigned code 0");
  EXPECT_SAYS(with("81 a2 17 61 78 1834 04"), "unassigned code 4");
  EXPECT_SAYS(with("82 a1 17 61 78 a1 17 61 78"), "same acl-name");
}

TEST(CborEncoding, KeysAscendWhateverTheOrderOfTheDocument) {
  const auto document = decode_json(
      R"({"mitigation-scope":{"scope":[{"lifetime":60,"alias-name":["b","a"],"target-prefix":["192.0.2.0/24"]}]}})",
      Message::mitigation_request, Manner::strict);
  ASSERT_TRUE(document);
  EXPECT_EQ(base::to_hex(encode_cbor(*document)), "a101a10281a306816c3139322e302e322e302f32340d82616261610e183c");
}

TEST(CborDocument, SurvivesBeingMoved) {
  auto document = decode_json(R"({"mitigation-scope":{"scope":[{"alias-name":["short"],"lifetime":60}]}})",
                              Message::mitigation_request, Manner::strict);
  ASSERT_TRUE(document);
  const std::string before = encode_json(*document);
  const Document moved = std::move(*document);
  EXPECT_EQ(encode_json(moved), before);
}

}  // namespace
}  // namespace dots::wire
