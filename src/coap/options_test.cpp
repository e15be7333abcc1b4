// Critical, elective, malformed and repeated options (RFC 7252 5.4, RFC 8768).
#include "coap/endpoint_test_support.h"

namespace dots::coap::testing {
namespace {

const base::Bytes kToken = hex("a1a2a3a4");

Message with(MessageType type, std::vector<wire::Option> options) {
  return request(type, Method::put, 0x0505, kToken, hex("a0"), std::move(options));
}

struct Bad {
  const char* name;
  std::vector<wire::Option> options;
  const char* in_text;
};

class BadOption : public ::testing::TestWithParam<Bad> {};

// S9132-9-03: 4.02 with a diagnostic payload for confirmable requests; A-05: Reset for the others.
TEST_P(BadOption, IsRefused) {
  Bench bench;
  const Effects con = bench.in(with(MessageType::confirmable, GetParam().options));
  EXPECT_TRUE(con.requests.empty());
  EXPECT_EQ(con.counters.rejected, 1U);
  const Message reply = Bench::only(con);
  EXPECT_EQ(reply.type, MessageType::acknowledgement);
  EXPECT_EQ(reply.code, 0x82);
  EXPECT_EQ(reply.message_id, 0x0505);
  EXPECT_EQ(reply.token, kToken);
  EXPECT_NE(as_string(reply.payload).find(GetParam().in_text), std::string::npos) << as_string(reply.payload);
  EXPECT_EQ(bench.in(with(MessageType::confirmable, GetParam().options)).send, con.send);  // a duplicate

  const Effects non = bench.in(with(MessageType::non_confirmable, GetParam().options));
  EXPECT_TRUE(non.requests.empty());
  EXPECT_EQ(Bench::only(non), empty(MessageType::reset, 0x0505));
}

INSTANTIATE_TEST_SUITE_P(
    Shapes, BadOption,
    ::testing::Values(Bad{"unknown_65001", {{65001, hex("01")}}, "65001"}, Bad{"unknown_9", {{9, {}}}, "option 9 "},
                      Bad{"if_none_match", {option(OptionNumber::if_none_match)}, "option 5 "},
                      Bad{"q_block1", {option(OptionNumber::q_block1, hex("08"))}, "option 19 "},
                      Bad{"q_block2", {option(OptionNumber::q_block2, hex("08"))}, "option 31 "},
                      Bad{"long_if_match", {option(OptionNumber::if_match, base::Bytes(9, 1))}, "If-Match"},
                      Bad{"empty_host", {option(OptionNumber::uri_host)}, "Uri-Host"},
                      Bad{"two_hosts",
                          {option(OptionNumber::uri_host, text("a")), option(OptionNumber::uri_host, text("b"))},
                          "more than once"},
                      Bad{"two_accepts",
                          {option(OptionNumber::accept, hex("010f")), option(OptionNumber::accept, hex("010f"))},
                          "more than once"},
                      Bad{"long_accept", {option(OptionNumber::accept, hex("00010f"))}, "Accept"},
                      Bad{"long_path", {option(OptionNumber::uri_path, base::Bytes(256, 'a'))}, "Uri-Path"},
                      Bad{"long_query", {option(OptionNumber::uri_query, base::Bytes(256, 'a'))}, "Uri-Query"},
                      Bad{"long_block", {option(OptionNumber::block1, hex("01020304"))}, "Block1"}),
    [](const auto& shape) { return std::string(shape.param.name); });

TEST(Options, ABadOptionOfANonRequestIsExplainedWhenAPeerExpectsIt) {
  EndpointLimits limits;
  limits.explain_bad_option_to_non = true;
  Bench bench{limits};
  const Message reply = Bench::only(bench.in(with(MessageType::non_confirmable, {{65001, {}}})));
  EXPECT_EQ(reply.type, MessageType::non_confirmable);
  EXPECT_EQ(reply.code, 0x82);
  EXPECT_EQ(reply.token, kToken);
}

TEST(Options, ElectiveOnesThatAreUnknownMalformedOrOneTooManyAreOverlooked) {
  Bench bench;
  const Effects effects = bench.in(
      with(MessageType::non_confirmable,
           {{65000, hex("01")},
            option(OptionNumber::etag),
            option(OptionNumber::etag, base::Bytes(9, 1)),
            option(OptionNumber::content_format, hex("010203")),
            option(OptionNumber::content_format, hex("010f")),  // the second of its kind, though the first is malformed
            option(OptionNumber::max_age, hex("3c")),
            option(OptionNumber::location_path, text("x")),
            option(OptionNumber::size1, hex("10")),
            option(OptionNumber::no_response, hex("02"))}));
  ASSERT_EQ(effects.requests.size(), 1U);
  const Request& got = effects.requests[0].request;
  EXPECT_TRUE(got.etag.empty());
  EXPECT_FALSE(got.content_format.has_value());
}

// S9132-4.4.1.2-14
TEST(Options, HopLimitOutsideOneTo255IsABadRequest) {
  for (const char* value : {"", "00", "0100", "0010", "ffffffff"}) {
    for (const auto type : {MessageType::confirmable, MessageType::non_confirmable}) {
      Bench bench;
      const Effects effects = bench.in(with(type, {option(OptionNumber::hop_limit, hex(value))}));
      EXPECT_TRUE(effects.requests.empty()) << value;
      const Message reply = Bench::only(effects);
      EXPECT_EQ(reply.code, 0x80) << value;
      EXPECT_EQ(reply.type == MessageType::acknowledgement, type == MessageType::confirmable);
      EXPECT_NE(as_string(reply.payload).find("Hop-Limit"), std::string::npos);
    }
  }
  for (const char* value : {"01", "10", "ff"}) {
    Bench bench;
    const Effects effects = bench.in(with(MessageType::confirmable, {option(OptionNumber::hop_limit, hex(value))}));
    ASSERT_EQ(effects.requests.size(), 1U) << value;
    EXPECT_EQ(*effects.requests[0].request.hop_limit, hex(value)[0]);
  }
}

// S9132-4.4.1.2-14: the first counts, the others are unknown elective options, whatever they hold.
TEST(Options, ARepeatedHopLimitIsOverlooked) {
  Bench bench;
  const Effects effects = bench.in(with(MessageType::confirmable, {option(OptionNumber::hop_limit, hex("05")),
                                                                   option(OptionNumber::hop_limit, hex("00"))}));
  ASSERT_EQ(effects.requests.size(), 1U);
  EXPECT_EQ(effects.requests[0].request.hop_limit, 5);
}

TEST(Options, ProxyRequestsAreNotSupported) {
  for (const auto number : {OptionNumber::proxy_uri, OptionNumber::proxy_scheme}) {
    for (const auto type : {MessageType::confirmable, MessageType::non_confirmable}) {
      Bench bench;
      const Effects effects = bench.in(with(type, {option(number, text("coap"))}));
      EXPECT_TRUE(effects.requests.empty());
      EXPECT_EQ(Bench::only(effects).code, 0xa5);
    }
  }
}

TEST(Options, ObserveMeansSomethingInGetAndFetchOnly) {
  Bench bench;
  std::uint16_t id = 1;
  for (const auto method : {Method::get, Method::fetch, Method::put, Method::del}) {
    const Effects effects =
        bench.in(request(MessageType::non_confirmable, method, id++, kToken, {}, {option(OptionNumber::observe)}));
    ASSERT_EQ(effects.requests.size(), 1U);
    EXPECT_EQ(effects.requests[0].request.observe.has_value(), method == Method::get || method == Method::fetch);
  }
  const Effects strange = bench.in(
      request(MessageType::non_confirmable, Method::get, id, kToken, {}, {option(OptionNumber::observe, hex("02"))}));
  EXPECT_FALSE(strange.requests[0].request.observe.has_value());
}

// The public go-dots server echoes Uri-Path.
TEST(Options, RequestOptionsInAnswersAreOverlooked) {
  Bench bench;
  Request get;
  get.uri_path = {"mitigate"};
  const auto [id, sent] = bench.send(get);
  const Message out = Bench::only(sent);
  const Effects effects = bench.in(
      answer(MessageType::non_confirmable, model::ResponseCode::content, 1, out.token,
             {option(OptionNumber::uri_path, text(".well-known")), option(OptionNumber::uri_path, text("dots")),
              option(OptionNumber::content_format, hex("010f")), option(OptionNumber::uri_query, text("c=a")),
              option(OptionNumber::max_age, hex("3c")), option(OptionNumber::etag, hex("01"))},
             text("x")));
  ASSERT_EQ(effects.responses.size(), 1U);
  EXPECT_EQ(effects.responses[0].response.content_format, 271);
  EXPECT_EQ(effects.responses[0].response.max_age_s, 60U);
  EXPECT_EQ(effects.responses[0].response.etag, hex("01"));
}

TEST(Options, AnAnswerWithAnUnknownCriticalOptionFailsTheRequest) {
  for (const auto type : {MessageType::confirmable, MessageType::non_confirmable, MessageType::acknowledgement}) {
    Bench bench;
    Request get;
    get.confirmable = true;
    const auto [id, sent] = bench.send(get);
    const Message out = Bench::only(sent);
    const Effects effects =
        bench.in(answer(type, model::ResponseCode::content, out.message_id, out.token, {{65001, {}}}));
    EXPECT_TRUE(effects.responses.empty());
    ASSERT_EQ(effects.failures.size(), 1U);
    EXPECT_EQ(effects.failures[0].request, *id);
    EXPECT_NE(effects.failures[0].reason.find("65001"), std::string::npos);
    EXPECT_EQ(effects.send.size(), type == MessageType::acknowledgement ? 0U : 1U);
    if (!effects.send.empty()) {
      EXPECT_EQ(Bench::only(effects), empty(MessageType::reset, out.message_id));
    }
  }
}

}  // namespace
}  // namespace dots::coap::testing
