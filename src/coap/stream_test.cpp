// CoAP over TCP (RFC 8323): signaling, framing, and what differs from datagrams.
#include "coap/endpoint_test_support.h"
#include "wire/coap_stream.h"
#include "wire/coap_writer.h"

namespace dots::coap::testing {
namespace {

using wire::Signal;

const base::Bytes kToken = hex("a1a2a3a4");
const base::Bytes kCsm = hex("00e1");

std::uint8_t code_of(Signal signal) { return static_cast<std::uint8_t>(signal); }

base::Bytes frame(const Message& message) { return wire::to_frame(wire::serialise(message)); }
base::Bytes signal(Signal code, base::Bytes token = {}, std::vector<wire::Option> options = {},
                   std::string_view payload = {}) {
  Message message;
  message.code = code_of(code);
  message.token = std::move(token);
  message.options = std::move(options);
  message.payload = text(payload);
  return frame(message);
}
Message put(base::Bytes token, std::string_view payload, std::vector<wire::Option> options = {}) {
  return request(MessageType::non_confirmable, Method::put, 0, std::move(token), text(payload), std::move(options));
}

// What the endpoint sent, read as a peer reads it.
std::vector<Message> read(const Effects& effects) {
  wire::FrameReader reader;
  for (const auto& bytes : effects.send) reader.append(bytes);
  std::vector<Message> all;
  for (;;) {
    const auto seen = reader.next(1U << 20, {SIZE_MAX, SIZE_MAX, SIZE_MAX});
    EXPECT_TRUE(seen.ok());
    if (!seen.ok() || !*seen) break;
    Message message;
    message.code = (*seen)->code;
    message.token.assign((*seen)->token.begin(), (*seen)->token.end());
    wire::OptionCursor cursor{(*seen)->options};
    while (const auto o = cursor.next()) message.options.push_back({o->number, {o->value.begin(), o->value.end()}});
    message.payload.assign((*seen)->payload.begin(), (*seen)->payload.end());
    all.push_back(std::move(message));
  }
  EXPECT_EQ(reader.waiting(), 0U);
  return all;
}
Message only(const Effects& effects) {
  const auto all = read(effects);
  EXPECT_EQ(all.size(), 1U);
  return all.size() == 1 ? all[0] : Message{};
}

struct StreamBench : Bench {
  explicit StreamBench(bool csm = true, const EndpointLimits& bounds = {}) : Bench(bounds) {
    endpoint = Endpoint{bounds, 42, model::Transport::tcp};
    endpoint.start(now, started);
    if (csm) {
      const Effects out = Bench::in(signal(Signal::csm, {}, {{wire::kCsmMaxMessageSize, wire::uint_value(4000)}}));
      EXPECT_TRUE(out.close_reason.empty());
    }
  }
  Effects in(const base::Bytes& bytes) { return Bench::in(bytes); }
  Effects in(const Message& message) { return Bench::in(frame(message)); }
  Effects started;
};

void expect_aborted(const Effects& effects, const std::string& why) {
  const Message abort = only(effects);
  EXPECT_EQ(abort.code, code_of(Signal::abort));
  EXPECT_EQ(as_string(abort.payload), why);
  EXPECT_EQ(effects.close_reason, "aborted: " + why);
  EXPECT_TRUE(effects.requests.empty());
}

TEST(CoapOverTcp, TheFirstMessageIsOurCsm) {
  StreamBench bench{false};
  const Message csm = only(bench.started);
  EXPECT_EQ(csm.code, code_of(Signal::csm));
  ASSERT_EQ(csm.options.size(), 2U);
  EXPECT_EQ(csm.options[0], (wire::Option{wire::kCsmMaxMessageSize, wire::uint_value(65536)}));
  EXPECT_EQ(csm.options[1], (wire::Option{wire::kCsmBlockWiseTransfer, {}}));
}

TEST(CoapOverTcp, APeerThatSendsAnotherMessageFirstIsAborted) {
  StreamBench bench{false};
  expect_aborted(bench.in(put(kToken, "x")), "the first message is no CSM");
  const Effects later = bench.in(kCsm);
  EXPECT_TRUE(later.send.empty()) << "nothing is said or heard after an abort";
  EXPECT_FALSE(bench.endpoint.send(Request{}, {}, bench.now, bench.started));
}

TEST(CoapOverTcp, APeerWithoutACsmIsAbortedInTime) {
  StreamBench bench{false};
  EXPECT_EQ(bench.endpoint.next_deadline(), bench.now + 15s);
  EXPECT_TRUE(bench.in(hex("0000")).close_reason.empty()) << "empty messages may always come";
  bench.now += 15s;
  expect_aborted(bench.timer(), "no CSM came in time");
  StreamBench quick;
  quick.now += 100s;
  EXPECT_TRUE(quick.timer().close_reason.empty());
}

TEST(CoapOverTcp, CriticalSignalingOptionsThatAreUnknownAbort) {
  StreamBench bench{false};
  const Effects out = bench.in(signal(Signal::csm, {}, {{9, {}}}));
  expect_aborted(out, "critical CSM option 9 is not supported");
  EXPECT_EQ(only(out).options, (std::vector<wire::Option>{{wire::kAbortBadCsmOption, wire::uint_value(9)}}));
  StreamBench other;
  expect_aborted(other.in(signal(Signal::ping, {}, {{3, {}}})),
                 "critical option 3 of a signaling message is not supported");
  StreamBench wrong;
  expect_aborted(wrong.in(signal(Signal::csm, {}, {{wire::kCsmMaxMessageSize, hex("0000000001")}})),
                 "Max-Message-Size has more than 4 bytes");
  StreamBench elective;
  EXPECT_TRUE(elective.in(signal(Signal::csm, {}, {{10, {}}})).close_reason.empty());
  EXPECT_TRUE(elective.in(signal(Signal::ping, {}, {{10, {}}})).close_reason.empty());
}

TEST(CoapOverTcp, AMalformedMessageAborts) {
  StreamBench bench;
  const Effects out = bench.in(hex("1001ff"));
  expect_aborted(out, "a payload marker without a payload");
  EXPECT_EQ(out.counters.malformed, 1U);
  EndpointLimits small;
  small.message_bytes = 100;
  StreamBench bounded{true, small};
  expect_aborted(bounded.in(frame(put(kToken, std::string(100, 'x')))),
                 "a message of 117 bytes, over our Max-Message-Size of 100");
}

TEST(CoapOverTcp, PingIsAnsweredByPongWithItsToken) {
  StreamBench bench;
  const Message pong = only(bench.in(hex("01e242")));
  EXPECT_EQ(pong.code, code_of(Signal::pong));
  EXPECT_EQ(pong.token, hex("42"));
  EXPECT_TRUE(pong.options.empty());
  Effects out;
  bench.endpoint.ping(bench.now, out);
  EXPECT_EQ(only(out).code, code_of(Signal::ping));
}

TEST(CoapOverTcp, CustodyWaitsForTheAnswersBeforeIt) {
  StreamBench bench;
  const base::Bytes ping = signal(Signal::ping, hex("42"), {{wire::kCustody, {}}});
  const Message at_once = only(bench.in(ping));
  EXPECT_EQ(at_once.options, (std::vector<wire::Option>{{wire::kCustody, {}}}));
  const Effects delivered = bench.in(put(kToken, "x"));
  EXPECT_TRUE(bench.in(ping).send.empty());
  const auto sent = read(bench.respond(delivered, changed()));
  ASSERT_EQ(sent.size(), 2U);
  EXPECT_EQ(sent[0].code, 0x44);
  EXPECT_EQ(sent[1].code, code_of(Signal::pong));
  EXPECT_EQ(sent[1].token, hex("42"));
  EXPECT_EQ(sent[1].options, (std::vector<wire::Option>{{wire::kCustody, {}}}));
}

TEST(CoapOverTcp, ReleaseClosesWhenAllIsAnswered) {
  StreamBench bench;
  const Effects delivered = bench.in(put(kToken, "x"));
  EXPECT_TRUE(bench.in(signal(Signal::release, {}, {}, "bye\x07")).close_reason.empty());
  const Effects answered = bench.respond(delivered, changed());
  EXPECT_EQ(only(answered).code, 0x44);
  EXPECT_EQ(answered.close_reason, "the peer released the connection: bye ");

  StreamBench slow;
  slow.in(put(kToken, "x"));
  slow.in(signal(Signal::release));
  slow.now += 10s;
  EXPECT_EQ(slow.timer().close_reason, "the peer released the connection");

  StreamBench idle;
  EXPECT_FALSE(idle.in(signal(Signal::release)).close_reason.empty());
  StreamBench stops;
  Effects out;
  stops.endpoint.release("the server stops", out);
  EXPECT_EQ(only(out).code, code_of(Signal::release));
  EXPECT_EQ(as_string(only(out).payload), "the server stops");
}

TEST(CoapOverTcp, AnAbortOfThePeerCloses) {
  StreamBench bench;
  const Effects out = bench.in(signal(Signal::abort, {}, {}, "no"));
  EXPECT_TRUE(out.send.empty());
  EXPECT_EQ(out.close_reason, "the peer aborted the connection: no");
}

// S9132-4.4-02 over TCP: nothing but the answer leaves, however long it takes; a repeat gets the first answer again.
TEST(CoapOverTcp, RequestsAreAnsweredOnceAndRepeatsGetTheSame) {
  StreamBench bench;
  const Effects delivered = bench.in(put(kToken, "x"));
  ASSERT_EQ(delivered.requests.size(), 1U);
  EXPECT_FALSE(delivered.requests[0].request.confirmable);
  EXPECT_TRUE(bench.pass(3s).sent.empty());
  EXPECT_TRUE(bench.in(put(kToken, "x")).requests.empty()) << "a repeat shares the exchange";
  EXPECT_EQ(only(bench.respond(delivered, content("one"))).token, kToken);
  const Effects again = bench.in(put(kToken, "x"));
  EXPECT_TRUE(again.requests.empty());
  EXPECT_EQ(as_string(only(again).payload), "one");
  EXPECT_EQ(bench.in(put(kToken, "y")).requests.size(), 1U) << "another body is another request";
  // Without message ids two requests in one moment are no duplicates.
  EXPECT_EQ(bench.in(put(hex("b1"), "z")).requests.size(), 1U);
  EXPECT_EQ(bench.in(put(hex("b2"), "z")).requests.size(), 1U);
}

TEST(CoapOverTcp, AQuestionThatComesAgainIsAskedAgain) {
  StreamBench bench;
  const Message get = request(MessageType::non_confirmable, Method::get, 0, kToken);
  bench.respond(bench.in(get), content("old"));
  EXPECT_EQ(bench.in(get).requests.size(), 1U);
}

TEST(CoapOverTcp, BadOptionsAreExplained) {
  StreamBench bench;
  const Effects out = bench.in(put(kToken, "x", {{9, hex("01")}}));
  const Message refusal = only(out);
  EXPECT_EQ(refusal.code, 0x82);
  EXPECT_EQ(refusal.token, kToken);
  EXPECT_TRUE(out.close_reason.empty());
}

TEST(CoapOverTcp, TooManyRequestsAreToldSo) {
  EndpointLimits limits;
  limits.exchanges = 2;
  StreamBench bench{true, limits};
  bench.in(put(hex("01"), "x"));
  bench.in(put(hex("02"), "x"));
  const Effects out = bench.in(put(hex("03"), "x"));
  EXPECT_TRUE(out.requests.empty());
  EXPECT_EQ(only(out).code, 0xa3);
  EXPECT_EQ(out.counters.dropped_by_limit, 1U);
}

TEST(CoapOverTcp, OurRequestsAreSentOnce) {
  StreamBench bench;
  Request ask;
  ask.confirmable = true;
  ask.uri_path = {"hb"};
  Repetition often;
  often.interval = 3s;
  often.tries = 5;
  often.patience = 10s;
  for (const bool confirmable : {false, true}) {
    ask.confirmable = confirmable;
    const auto [id, out] = bench.send(ask, often);
    ASSERT_TRUE(id);
    EXPECT_EQ(only(out).code, 1);
    const auto begin = bench.now;
    const auto passed = bench.pass(100s);
    EXPECT_TRUE(passed.sent.empty());
    ASSERT_EQ(passed.failures.size(), 1U);
    EXPECT_EQ(passed.failures[0].first, begin + 22s) << "as long as the repeats would have taken";
  }
}

TEST(CoapOverTcp, MessageIdsDoNotRunOut) {
  StreamBench bench;
  for (int i = 0; i < 70000; ++i) {
    const Effects delivered = bench.in(put(wire::uint_value(static_cast<std::uint64_t>(i) + 1), "x"));
    ASSERT_EQ(delivered.requests.size(), 1U) << i;
    ASSERT_EQ(bench.respond(delivered, changed()).send.size(), 1U) << i;
  }
}

TEST(CoapOverTcp, NotificationsCountInTheOrderOfArrival) {
  StreamBench bench;
  Request ask;
  ask.uri_path = {"mitigate"};
  ask.observe = 0;
  const auto [id, out] = bench.send(ask);
  const base::Bytes token = only(out).token;
  for (const std::uint64_t sequence : {9U, 5U, 5U, 0U}) {
    const Effects seen = bench.in(answer(MessageType::non_confirmable, model::ResponseCode::content, 0, token,
                                         {option(OptionNumber::observe, wire::uint_value(sequence))}));
    EXPECT_EQ(seen.responses.size(), 1U) << sequence;
    EXPECT_TRUE(seen.send.empty());
  }
  // S9132-4.4.2.1-15: RFC 8323 7.4 leaves no other way to end it.
  Effects stopped;
  bench.endpoint.stop_observing(*id, bench.now, stopped);
  const Message get = only(stopped);
  EXPECT_EQ(get.token, token);
  EXPECT_EQ(number_of(get, OptionNumber::observe), 1U);
  const Effects late = bench.in(answer(MessageType::non_confirmable, model::ResponseCode::content, 0, token,
                                       {option(OptionNumber::observe, hex("07"))}));
  EXPECT_TRUE(late.send.empty()) << "there is no Reset over TCP";
  EXPECT_EQ(late.counters.unmatched, 1U);
}

TEST(CoapOverTcp, WhatThePeerDoesNotTakeIsNotSent) {
  StreamBench bench{false};
  bench.in(kCsm);
  EXPECT_EQ(bench.endpoint.max_message(), 1152U);
  const Effects delivered = bench.in(put(kToken, "x"));
  const Effects large = bench.respond(delivered, content(std::string(1200, 'x')));
  EXPECT_TRUE(large.send.empty());
  EXPECT_EQ(large.counters.dropped_by_limit, 1U);
  bench.in(signal(Signal::csm, {}, {{wire::kCsmMaxMessageSize, wire::uint_value(70000)}}));
  EXPECT_EQ(bench.endpoint.max_message(), 70000U);
  EXPECT_EQ(only(bench.respond(bench.in(put(hex("77"), "x")), content(std::string(60000, 'x')))).payload.size(),
            60000U);
}

// Two endpoints, byte by byte.
TEST(CoapOverTcp, TwoEndpointsUnderstandEachOther) {
  EndpointLimits limits;
  Endpoint client{limits, 1, model::Transport::tcp}, server{limits, 2, model::Transport::tcp};
  base::SteadyTime now{1000s};
  Effects up, down;
  client.start(now, up);
  Request ask;
  ask.method = Method::put;
  ask.uri_path = {"mitigate"};
  ask.payload = text("please");
  const auto id = client.send(ask, {}, now, up);
  server.start(now, down);
  std::vector<IncomingRequest> requests;
  for (const auto& bytes : up.send) {
    for (const std::uint8_t byte : bytes) {
      server.on_datagram(base::ByteView{&byte, 1}, now, down);
    }
  }
  ASSERT_EQ(down.requests.size(), 1U);
  EXPECT_EQ(down.requests[0].request, ask);
  server.respond(down.requests[0].exchange, content("yes"), false, now, down);
  Effects end;
  for (const auto& bytes : down.send) client.on_datagram(bytes, now, end);
  ASSERT_EQ(end.responses.size(), 1U);
  EXPECT_EQ(end.responses[0].request, *id);
  EXPECT_EQ(as_string(end.responses[0].response.payload), "yes");
  EXPECT_TRUE(end.send.empty());
}

}  // namespace
}  // namespace dots::coap::testing
