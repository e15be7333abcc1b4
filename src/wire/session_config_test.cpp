// Bodies of the session configuration (RFC 9132 4.5, RFC 9362): bytes, refusals, tolerance.
#include <gtest/gtest.h>

#include "wire/cbor.h"
#include "wire/json.h"
#include "wire/messages.h"

namespace dots::wire {
namespace {

using model::Parameter;
using model::ParameterSets;

base::Bytes hex(std::string_view text) {
  base::Bytes out;
  std::string digits;
  for (const char c : text) {
    if (c == ' ') continue;
    digits += c;
    if (digits.size() < 2) continue;
    out.push_back(static_cast<std::uint8_t>(std::stoi(digits, nullptr, 16)));
    digits.clear();
  }
  return out;
}

// S9132-4.5.2-14, D9362-3-21, D9362-4-01, D9362-4-02, D9362-3-19: current values only; 2.00 is C4 82 21 18 C8.
TEST(SessionConfigBody, ARequestByteForByte) {
  ParameterSets sets;
  sets.mitigating.set(Parameter::heartbeat_interval, 30);
  sets.mitigating.set(Parameter::ack_timeout, 200);
  sets.mitigating.set(Parameter::max_payloads, 15);
  sets.idle.set(Parameter::non_timeout, 200);
  EXPECT_EQ(encode(sets), hex("a1 18 1e a2"
                              "18 20 a3  18 21 a1 18 24 18 1e  18 27 a1 18 2b c4 82 21 18 c8  19 80 08 a1 18 24 0f"
                              "18 2c a1  19 80 0a a1 18 2b c4 82 21 18 c8"));
}

// S9132-4.5.2-13, D9362-3-01: one set, any parameter.
TEST(SessionConfigBody, AnySubsetIsARequest) {
  for (const auto& facts : model::parameters()) {
    for (const bool mitigating : {true, false}) {
      ParameterSets sets;
      (mitigating ? sets.mitigating : sets.idle).set(facts.parameter, 200);
      const auto back = decode_session_config_request(encode(sets));
      ASSERT_TRUE(back) << back.error().diagnostic;
      if (facts.parameter == Parameter::max_payloads) {
        EXPECT_EQ(back->mitigating, back->idle);  // D9362-3-03
        EXPECT_EQ(back->mitigating.get(Parameter::max_payloads), 200u);
      } else {
        EXPECT_EQ(*back, sets);
      }
    }
  }
}

struct Refused {
  const char* name;
  const char* body;
  const char* says;
};
class SessionConfigRefusals : public ::testing::TestWithParam<Refused> {};

// S9132-4.5.2-12, S9132-4.5.2-14, S9132-4.5.2-18, S9132-5.3-04, D9362-3-02, D9362-3-20, D9362-3-25, D9362-5-01,
// D9362-5-02: 4.00 with the reason.
TEST_P(SessionConfigRefusals, Are400) {
  const auto sets = decode_session_config_request(hex(GetParam().body));
  ASSERT_FALSE(sets);
  EXPECT_EQ(sets.error().code, model::ResponseCode::bad_request);
  EXPECT_NE(sets.error().diagnostic.find(GetParam().says), std::string::npos) << sets.error().diagnostic;
}
INSTANTIATE_TEST_SUITE_P(
    Cases, SessionConfigRefusals,
    ::testing::Values(
        Refused{"Empty", "a1 18 1e a0", "empty"}, Refused{"EmptySet", "a1 18 1e a1 18 20 a0", "empty"},
        Refused{"MaxValue", "a1 18 1e a1 18 2c a1 18 21 a2 18 22 18 f0 18 24 18 1e", "max-value"},
        Refused{"MinValue", "a1 18 1e a1 18 2c a1 18 21 a2 18 23 0f 18 24 18 1e", "min-value"},
        Refused{"MaxDecimal", "a1 18 1e a1 18 2c a1 18 27 a2 18 29 c4 82 21 18 c8 18 2b c4 82 21 18 c8", "max-value"},
        Refused{"MaxPayloadsMax", "a1 18 1e a1 18 2c a1 19 80 08 a2 18 22 0a 18 24 0a", "max-value"},
        Refused{"NonTimeoutMin", "a1 18 1e a1 18 2c a1 19 80 0a a2 18 2a c4 82 21 18 c8 18 2b c4 82 21 18 c8",
                "min-value"},
        Refused{"NoCurrentValue", "a1 18 1e a1 18 2c a1 18 21 a0", "current-value"},
        Refused{"Uint16", "a1 18 1e a1 18 2c a1 18 21 a1 18 24 1a 00 01 00 00", "current-value"},
        Refused{"NegativeRetransmit", "a1 18 1e a1 18 2c a1 19 80 09 a1 18 24 20", "current-value"},
        Refused{"MaxPayloads65536", "a1 18 1e a1 18 2c a1 19 80 08 a1 18 24 1a 00 01 00 00", "current-value"},
        Refused{"WholeForDecimal", "a1 18 1e a1 18 2c a1 18 27 a1 18 24 02", "36"},
        Refused{"ThreeFractionDigits", "a1 18 1e a1 18 2c a1 19 80 0a a1 18 2b c4 82 22 19 07 d5", "exponent"},
        Refused{"UnknownRequiredKey", "a1 18 1e a1 18 2c a1 18 7f a1 18 24 02", "127"},
        Refused{"SidInTheBody", "a1 18 1e a2 18 1f 01 18 2c a1 18 21 a1 18 24 18 1e", "sid"},
        Refused{"TargetProtocol", "a1 18 1e a1 18 2c a1 0a 81 06", "target-protocol"},
        Refused{"DifferentMaxPayloads", "a1 18 1e a2 18 20 a1 19 80 08 a1 18 24 0a 18 2c a1 19 80 08 a1 18 24 0f",
                "max-payloads"}),
    [](const auto& one) { return one.param.name; });

// D9362-4-04, S9132-6-07: what is comprehension-optional and unknown is passed over.
TEST(SessionConfigBody, UnknownOptionalAttributesAreSkipped) {
  const auto sets =
      decode_session_config_request(hex("a1 18 1e a1 18 2c a2 18 21 a1 18 24 18 1e 19 80 20 a1 18 24 01"));
  ASSERT_TRUE(sets) << sets.error().diagnostic;
  EXPECT_EQ(sets->idle.get(Parameter::heartbeat_interval), 30u);
}

// S9132-4.5.1-03, S9132-4.5.1-05, D9362-3-18, D9362-4-05, D9362-4-03: all of an answer survives; 34 is the maximum.
TEST(SessionConfigBody, AnswersGoThereAndBack) {
  model::SessionConfig config;
  config.sid = base::Sid{123};
  config.current.mitigating = model::in_force({}, {});
  config.current.idle = model::in_force({}, {});
  for (std::size_t i = 0; i < model::kParameters; ++i) {
    config.mitigating_ranges[i] = config.idle_ranges[i] = model::ParameterRange{1, 40000};
  }
  const base::Bytes body = encode(config);
  const auto back = decode_session_config(body);
  ASSERT_TRUE(back) << back.error().diagnostic;
  EXPECT_EQ(*back, config);

  const auto document = decode_cbor(body, model::Message::config_answer, model::Manner::strict);
  ASSERT_TRUE(document) << document.error().message;
  const std::string json = encode_json(*document);
  EXPECT_NE(json.find("\"ietf-dots-robust-trans:non-timeout\":{\"max-value-decimal\":\"400.00\","
                      "\"min-value-decimal\":\"0.01\",\"current-value-decimal\":\"2.00\"}"),
            std::string::npos)
      << json;
  EXPECT_NE(json.find("\"ietf-dots-robust-trans:max-payloads\":{\"max-value\":40000"), std::string::npos) << json;

  // The other order of the IANA registry is understood (34 below 35).
  const auto other = decode_session_config(hex("a1 18 1e a1 18 2c a1 19 80 08 a3 18 22 01 18 23 14 18 24 0a"));
  ASSERT_TRUE(other);
  EXPECT_EQ(other->idle_ranges[static_cast<std::size_t>(Parameter::max_payloads)], (model::ParameterRange{1, 20}));
}

TEST(SessionConfigBody, AnEmptyAnswerIsNoMistake) {
  const auto none = decode_session_config(hex("a1 18 1e a0"));
  ASSERT_TRUE(none);
  EXPECT_TRUE(none->current.empty());
}

}  // namespace
}  // namespace dots::wire
