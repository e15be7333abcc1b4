#include "wire/explain.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

namespace dots::wire {
namespace {

Explanation explained(std::string_view hex) {
  auto explanation = explain_cbor(*base::from_hex(hex));
  EXPECT_TRUE(explanation) << explanation.error().message;
  return explanation ? std::move(*explanation) : Explanation{};
}

bool has(const std::vector<std::string>& lines, std::string_view part) {
  return std::any_of(lines.begin(), lines.end(),
                     [part](const std::string& line) { return line.find(part) != std::string::npos; });
}

std::string all(const std::vector<std::string>& lines) {
  std::string out;
  for (const std::string& line : lines) out += line + "\n";
  return out;
}

#define EXPECT_LINE(lines, part) EXPECT_TRUE(has(lines, part)) << all(lines)

std::optional<std::string> verdict(const Explanation& explanation, model::Message message) {
  for (const auto& v : explanation.verdicts) {
    if (v.message == message) return v.valid ? "valid" : v.reason;
  }
  return std::nullopt;
}

TEST(Explain, MitigationRequest) {
  const Explanation e = explained(
      "a1 01 a1 02 81 a5 06 81 6c 3139322e302e322e312f3332 07 81 a1 08 18 50 0a 82 06 11 0e 19 0e10 18 2d f4");
  EXPECT_EQ(e.json,
            "{\n  \"ietf-dots-signal-channel:mitigation-scope\": {\n    \"scope\": [\n      {\n"
            "        \"target-prefix\": [\n          \"192.0.2.1/32\"\n        ],\n"
            "        \"target-port-range\": [\n          {\n            \"lower-port\": 80\n          }\n        ],\n"
            "        \"target-protocol\": [\n          6,\n          17\n        ],\n"
            "        \"lifetime\": 3600,\n        \"trigger-mitigation\": false\n      }\n    ]\n  }\n}");
  EXPECT_LINE(e.lines, "1 ietf-dots-signal-channel:mitigation-scope [container, RFC 9132]");
  EXPECT_LINE(e.lines, "6 target-prefix [leaf-list inet:ip-prefix, RFC 9132] = \"192.0.2.1/32\"");
  EXPECT_LINE(e.lines, "10 target-protocol [leaf-list uint8, RFC 9132] = 6, 17");
  EXPECT_LINE(e.lines, "14 lifetime [union, RFC 9132] = 3600 seconds");
  EXPECT_TRUE(e.remarks.empty()) << all(e.remarks);
  EXPECT_EQ(verdict(e, model::Message::mitigation_request), "valid");
  EXPECT_NE(verdict(e, model::Message::mitigation_get_answer), "valid");
  EXPECT_EQ(verdict(e, model::Message::heartbeat), std::nullopt);
}

TEST(Explain, UnknownAttributesByNumberAndClass) {
  const Explanation e = explained("a1 01 a3 18 36 01 18 fa a1 61 78 f6 19 ea60 41 ff");
  EXPECT_LINE(e.lines, "54 [unknown, comprehension-required] = 1");
  EXPECT_LINE(e.lines, "250 [unknown, comprehension-optional]");
  EXPECT_LINE(e.lines, "60000 [private use, comprehension-optional] = h'ff'");
  EXPECT_LINE(e.remarks, "key 'x' is no integer from 1 to 65535");
  EXPECT_EQ(verdict(e, model::Message::mitigation_request), "unknown comprehension-required attribute 54");
}

TEST(Explain, ConfigurationRedirectHeartbeat) {
  const Explanation config =
      explained("a1 181e a1 1820 a2 1821 a3 1822 0f 1823 18f0 1824 181e 1827 a1 182b c4 82 21 18c8");
  EXPECT_LINE(config.lines, "36 current-value [uint16, RFC 9132] = 30 seconds");
  EXPECT_LINE(config.lines, "43 current-value-decimal [decimal64, RFC 9132] = 2.00 seconds");
  EXPECT_LINE(config.remarks, "a maximum is below its minimum");
  EXPECT_EQ(verdict(config, model::Message::config_answer), "valid");
  const Explanation redirect = explained("a1 182e a2 182f 65 612e636f6d 1830 81 69 3139322e302e322e31");
  EXPECT_LINE(redirect.lines, "47 alt-server [inet:domain-name, RFC 9132] = \"a.com\"");
  EXPECT_EQ(verdict(redirect, model::Message::redirect), "valid");
  const Explanation heartbeat = explained("a1 1831 a1 1833 f5");
  EXPECT_LINE(heartbeat.lines, "51 peer-hb-status [boolean, RFC 9132] = true");
  EXPECT_EQ(verdict(heartbeat, model::Message::heartbeat), "valid");
}

TEST(Explain, StatusesAndCounters) {
  const Explanation e = explained("a1 01 a1 02 82 a4 05 187b 0e 20 10 02 18 1a 1903e8 a1 10 1863");
  EXPECT_LINE(e.lines, "14 lifetime [union, RFC 9132] = -1 (indefinite)");
  EXPECT_LINE(e.lines, "16 status [enumeration, RFC 9132] = 2 (attack-successfully-mitigated)");
  EXPECT_LINE(e.lines, "16 status [enumeration, RFC 9132] = 99 (unassigned)");
  EXPECT_LINE(e.lines, "26 bps-dropped [yang:gauge64, RFC 9132] = 1000 bytes per second");
  EXPECT_NE(e.json.find("\"bps-dropped\": \"1000\""), std::string::npos) << e.json;
  EXPECT_LINE(e.lines, "- entry 2");
}

TEST(Explain, TelemetryAndOtherExtensions) {
  const Explanation e =
      explained("a2 18d0 a1 188a 81 a2 18b5 18 7b 18c4 81 a2 18 86 03 18 c8 19 01bb 19 800c a1 1824 18 3c");
  EXPECT_LINE(e.lines, "208 ietf-dots-telemetry:telemetry [container, RFC 9244]");
  EXPECT_LINE(e.lines, "134 unit [enumeration, RFC 9244] = 3 (byte-ps)");
  EXPECT_LINE(e.lines, "32780 ietf-dots-robust-trans:non-probing-wait [container, RFC 9362]");
  EXPECT_LINE(e.lines, "36 current-value [uint16, RFC 9132] = 60 seconds");
}

TEST(Explain, OddBodiesAreShownAsTheyAre) {
  const Explanation e = explained("d9 010f a6 05 61 78 05 01 0e f93e00 20 00 00 f6 2d f5 00");
  EXPECT_LINE(e.remarks, "tag 271");
  EXPECT_LINE(e.remarks, "attribute 5 (mid) must be of type unsigned integer");
  EXPECT_LINE(e.remarks, "key 5 is given twice");
  EXPECT_LINE(e.remarks, "1 bytes follow the body");
  EXPECT_LINE(e.lines, "14 lifetime [union, RFC 9132] = 1.5");
  EXPECT_LINE(e.lines, "0 [outside the registry] = null");
}

TEST(Explain, DecimalsThatAreNone) {
  const Explanation e = explained("a3 18 fa c4 82 82 00 01 2b 18 29 c4 82 20 0f 18 2a c4 82 21 60");
  EXPECT_LINE(e.lines, "41 max-value-decimal [decimal64, RFC 9132] = 15e-1");
  EXPECT_LINE(e.remarks, "does not have exactly two fraction digits");
  EXPECT_LINE(e.remarks, "tag 4 has no meaning here");
}

TEST(Explain, NoCbor) {
  for (const char* hex : {"", "80", "01", "a1", "a1 01", "bf ff", "a1 1c 00", "a1 01 bf ff", "a1 f5"}) {
    const auto e = explain_cbor(*base::from_hex(hex));
    ASSERT_FALSE(e) << hex;
    EXPECT_FALSE(e.error().message.empty());
  }
  base::Bytes deep{0xa1, 0x01};
  deep.insert(deep.end(), 5000, 0x81);
  deep.push_back(0);
  const auto e = explain_cbor(deep);
  ASSERT_FALSE(e);
  EXPECT_NE(e.error().message.find("nested too deeply"), std::string::npos);
}

TEST(Explain, RandomBytesNeverHurt) {
  std::mt19937 random(1);
  for (int round = 0; round < 20000; ++round) {
    base::Bytes bytes(random() % 64);
    for (auto& byte : bytes) byte = static_cast<std::uint8_t>(random());
    if (!bytes.empty()) bytes[0] = static_cast<std::uint8_t>(0xa0 | (bytes[0] & 7));
    const auto e = explain_cbor(bytes);
    if (e) {
      EXPECT_FALSE(e->json.empty());
    }
  }
}

TEST(Explain, MessagesAsTrees) {
  const auto lines = explain_message(model::Message::heartbeat);
  ASSERT_EQ(lines.size(), 3U);
  EXPECT_EQ(lines[0], "heartbeat (both directions)");
  EXPECT_EQ(lines[2], "    51 peer-hb-status [boolean, mandatory, RFC 9132 4.7]");
}

}  // namespace
}  // namespace dots::wire
