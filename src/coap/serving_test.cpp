// Answering requests of the peer: types, duplicates, repeats.
#include "coap/endpoint_test_support.h"

namespace dots::coap::testing {
namespace {

const base::Bytes kToken = hex("a1a2a3a4");

TEST(Serving, DeliversARequestWithItsOptions) {
  Bench bench;
  auto put = request(MessageType::non_confirmable, Method::put, 7, kToken, hex("a0"),
                     {option(OptionNumber::uri_path, text(".well-known")), option(OptionNumber::if_match),
                      option(OptionNumber::etag, hex("0102")), option(OptionNumber::content_format, hex("010f")),
                      option(OptionNumber::uri_query, text("c=n")), option(OptionNumber::hop_limit, hex("10")),
                      option(OptionNumber::accept, hex("010f")), option(OptionNumber::block2, hex("06")),
                      option(OptionNumber::block1, hex("0e")), option(OptionNumber::uri_host, text("dots.example")),
                      option(OptionNumber::uri_port, hex("1226"))});
  const Effects effects = bench.in(put);
  ASSERT_EQ(effects.requests.size(), 1U);
  EXPECT_TRUE(effects.send.empty());
  EXPECT_EQ(effects.requests[0].token, kToken);
  Request expected;
  expected.method = Method::put;
  expected.uri_path = {".well-known", "mitigate"};
  expected.uri_query = {"c=n"};
  expected.content_format = std::uint16_t{271};
  expected.accept = std::uint16_t{271};
  expected.if_match = {{}};
  expected.etag = {hex("0102")};
  expected.hop_limit = std::uint8_t{16};
  expected.block2 = 6U;
  expected.block1 = 14U;
  expected.payload = hex("a0");
  EXPECT_EQ(effects.requests[0].request, expected);
}

// S9132-3-12: GET, PUT and DELETE arrive as such; a method that we do not know arrives with its code.
TEST(Serving, DeliversEveryMethod) {
  Bench bench;
  std::uint16_t id = 1;
  for (const int code : {1, 2, 3, 4, 5, 6, 7, 30, 31}) {
    const Effects effects = bench.in(request(MessageType::non_confirmable, static_cast<Method>(code), id++, kToken));
    ASSERT_EQ(effects.requests.size(), 1U) << code;
    EXPECT_EQ(static_cast<int>(effects.requests[0].request.method), code);
  }
}

// S9132-4.4-02, S9132-4.5-05, S9132-4.5-06: answers are of the kind of the request.
TEST(Serving, AnswersNonWithNon) {
  Bench bench;
  const Effects delivered = bench.in(request(MessageType::non_confirmable, Method::put, 7, kToken));
  EXPECT_FALSE(delivered.requests[0].request.confirmable);
  const Message reply = Bench::only(bench.respond(delivered, content("hello")));
  EXPECT_EQ(reply.type, MessageType::non_confirmable);
  EXPECT_EQ(reply.code, 0x45);
  EXPECT_EQ(reply.token, kToken);
  EXPECT_EQ(number_of(reply, OptionNumber::content_format), 271U);
  EXPECT_EQ(as_string(reply.payload), "hello");
}

TEST(Serving, WritesTheOptionsOfAnAnswer) {
  Bench bench;
  Response response = content("x");
  response.etag = hex("0a0b");
  response.max_age_s = 300U;
  response.block2 = 0x0eU;
  response.size2 = 4000U;
  response.observe = 9U;  // not the agent's to say
  const Message reply =
      Bench::only(bench.respond(bench.in(request(MessageType::non_confirmable, Method::get, 7, kToken)), response));
  const std::vector<wire::Option> expected = {
      option(OptionNumber::etag, hex("0a0b")), option(OptionNumber::content_format, hex("010f")),
      option(OptionNumber::max_age, hex("012c")), option(OptionNumber::block2, hex("0e")),
      option(OptionNumber::size2, hex("0fa0"))};
  EXPECT_EQ(reply.options, expected);
}

// S9132-4.5-06
TEST(Serving, AnswersConInTimeInItsAcknowledgement) {
  Bench bench;
  const Effects delivered = bench.in(request(MessageType::confirmable, Method::put, 0x0102, kToken));
  EXPECT_TRUE(delivered.requests[0].request.confirmable);
  bench.now += 400ms;
  EXPECT_TRUE(bench.timer().send.empty());
  const Message reply = Bench::only(bench.respond(delivered, changed()));
  EXPECT_EQ(reply.type, MessageType::acknowledgement);
  EXPECT_EQ(reply.message_id, 0x0102);
  EXPECT_EQ(reply.token, kToken);
  EXPECT_EQ(reply.code, 0x44);
}

// S9132-4.5-06: late answers come as empty acknowledgement, then as confirmable answer, until acknowledged.
TEST(Serving, AnswersConLateByASeparateConfirmable) {
  Bench bench;
  const Effects delivered = bench.in(request(MessageType::confirmable, Method::put, 0x0102, kToken));
  const auto waited = bench.pass(700ms);
  ASSERT_EQ(waited.sent.size(), 1U);
  EXPECT_EQ(waited.sent[0].message, empty(MessageType::acknowledgement, 0x0102));
  EXPECT_EQ(waited.sent[0].at, base::SteadyTime{1000s + 500ms});

  const Message reply = Bench::only(bench.respond(delivered, changed()));
  EXPECT_EQ(reply.type, MessageType::confirmable);
  EXPECT_EQ(reply.token, kToken);

  const auto resent = bench.pass(4s);
  ASSERT_EQ(resent.sent.size(), 1U);
  EXPECT_EQ(resent.sent[0].message, reply);

  EXPECT_TRUE(bench.in(empty(MessageType::acknowledgement, reply.message_id)).send.empty());
  EXPECT_TRUE(bench.pass(100s).sent.empty());
}

TEST(Serving, ASeparateAnswerIsGivenUpAfterItsRetransmissionsOrAReset) {
  for (const bool rejected : {false, true}) {
    Bench bench;
    Repetition parameters;
    parameters.ack_timeout = 1s;
    parameters.ack_random_factor = 1.0;
    parameters.max_retransmit = 2;
    bench.endpoint.set_transmission(parameters);
    const Effects delivered = bench.in(request(MessageType::confirmable, Method::put, 1, kToken));
    bench.pass(600ms);
    const Message reply = Bench::only(bench.respond(delivered, changed()));
    const base::SteadyTime sent = bench.now;
    if (rejected) bench.in(empty(MessageType::reset, reply.message_id));
    const auto passed = bench.pass(200s);
    if (rejected) {
      EXPECT_TRUE(passed.sent.empty());
      continue;
    }
    ASSERT_EQ(passed.sent.size(), 2U);
    EXPECT_EQ(passed.sent[0].at, sent + 1s);
    EXPECT_EQ(passed.sent[1].at, sent + 3s);
  }
}

// S8612-SEC-004-02, S8612-SEC-004-03
TEST(Serving, ADuplicateGetsTheSameAnswerAndIsNotDelivered) {
  for (const auto type : {MessageType::non_confirmable, MessageType::confirmable}) {
    Bench bench;
    const Message put = request(type, Method::put, 7, kToken, hex("a0"));
    const Effects first = bench.respond(bench.in(put), changed());
    const base::Duration lifetime = type == MessageType::confirmable ? 247s : 145s;
    bench.now += lifetime - 1s;
    const Effects again = bench.in(put);
    EXPECT_TRUE(again.requests.empty());
    EXPECT_EQ(again.counters.duplicates, 1U);
    EXPECT_EQ(again.send, first.send);
    bench.now += 2s;  // the id may mean something else from here on
    EXPECT_EQ(bench.in(put).requests.size(), 1U);
  }
}

// RFC 7252 4.8.2: a NON is forgotten before an older CON.
TEST(Serving, EachMessageIdIsKnownForItsOwnTime) {
  Bench bench;
  bench.respond(bench.in(request(MessageType::confirmable, Method::put, 7, kToken, hex("a0"))), changed());
  const Message put = request(MessageType::non_confirmable, Method::put, 8, hex("b1"), hex("a1"));
  bench.respond(bench.in(put), changed());
  bench.now += 146s;
  EXPECT_EQ(bench.in(put).requests.size(), 1U);
}

TEST(Serving, DuplicatesAreKnownByTheirMessageIdAlone) {
  Bench bench;
  bench.respond(bench.in(request(MessageType::non_confirmable, Method::put, 7, kToken, hex("a0"))), changed());
  const Effects other = bench.in(request(MessageType::non_confirmable, Method::put, 7, hex("ff"), hex("a1")));
  EXPECT_TRUE(other.requests.empty());
  EXPECT_EQ(other.counters.duplicates, 1U);
}

TEST(Serving, ADuplicateOfAPendingRequestWaits) {
  Bench bench;
  const Message put = request(MessageType::non_confirmable, Method::put, 7, kToken);
  const Effects delivered = bench.in(put);
  const Effects again = bench.in(put);
  EXPECT_TRUE(again.requests.empty());
  EXPECT_TRUE(again.send.empty());
  EXPECT_EQ(bench.respond(delivered, changed()).send.size(), 1U);
}

TEST(Serving, ADuplicateOfAPendingConIsAcknowledgedAtOnce) {
  Bench bench;
  const Message put = request(MessageType::confirmable, Method::put, 7, kToken);
  const Effects delivered = bench.in(put);
  EXPECT_EQ(Bench::only(bench.in(put)), empty(MessageType::acknowledgement, 7));
  EXPECT_EQ(Bench::only(bench.respond(delivered, changed())).type, MessageType::confirmable);
  // The answer has its own retransmission; the request's duplicates get their acknowledgement.
  EXPECT_EQ(Bench::only(bench.in(put)), empty(MessageType::acknowledgement, 7));
}

// A repeat has a new message id and the same token and content.
TEST(Serving, ARepeatGetsTheFirstAnswerUnderItsOwnId) {
  Bench bench;
  const Message first = Bench::only(bench.respond(
      bench.in(request(MessageType::non_confirmable, Method::put, 7, kToken, hex("a0"))), content("first")));
  bench.now += 3s;
  const Effects repeat = bench.in(request(MessageType::non_confirmable, Method::put, 8, kToken, hex("a0")));
  EXPECT_TRUE(repeat.requests.empty());
  EXPECT_EQ(repeat.counters.repeats, 1U);
  Message reply = Bench::only(repeat);
  EXPECT_NE(reply.message_id, first.message_id);
  reply.message_id = first.message_id;
  EXPECT_EQ(reply, first);
  // And its duplicate the same as it.
  const Effects duplicate = bench.in(request(MessageType::non_confirmable, Method::put, 8, kToken, hex("a0")));
  EXPECT_EQ(duplicate.send, repeat.send);
  EXPECT_EQ(duplicate.counters.duplicates, 1U);
}

TEST(Serving, ARepeatIsAnsweredInItsOwnKind) {
  Bench bench;
  bench.respond(bench.in(request(MessageType::non_confirmable, Method::put, 7, kToken, hex("a0"))), content("first"));
  const Message reply = Bench::only(bench.in(request(MessageType::confirmable, Method::put, 8, kToken, hex("a0"))));
  EXPECT_EQ(reply.type, MessageType::acknowledgement);
  EXPECT_EQ(reply.message_id, 8);
  EXPECT_EQ(as_string(reply.payload), "first");
}

TEST(Serving, ARepeatOfAPendingRequestJoinsIt) {
  Bench bench;
  const Effects delivered = bench.in(request(MessageType::non_confirmable, Method::put, 7, kToken, hex("a0")));
  for (std::uint16_t id = 8; id < 12; ++id) {
    bench.now += 3s;
    const Effects repeat = bench.in(request(MessageType::non_confirmable, Method::put, id, kToken, hex("a0")));
    EXPECT_TRUE(repeat.requests.empty());
    EXPECT_TRUE(repeat.send.empty());
    EXPECT_EQ(repeat.counters.repeats, 1U);
  }
  const Effects answered = bench.respond(delivered, changed());
  EXPECT_EQ(answered.send.size(), 1U);
  EXPECT_EQ(bench.in(request(MessageType::non_confirmable, Method::put, 9, kToken, hex("a0"))).send, answered.send);
  EXPECT_EQ(Bench::only(bench.in(request(MessageType::confirmable, Method::put, 20, kToken, hex("a0")))).type,
            MessageType::acknowledgement);
}

TEST(Serving, AConfirmableRepeatOfAPendingRequestIsAcknowledged) {
  Bench bench;
  const Effects delivered = bench.in(request(MessageType::non_confirmable, Method::put, 7, kToken));
  const Message repeat = request(MessageType::confirmable, Method::put, 8, kToken);
  EXPECT_EQ(Bench::only(bench.in(repeat)), empty(MessageType::acknowledgement, 8));
  EXPECT_EQ(Bench::only(bench.respond(delivered, changed())).type, MessageType::non_confirmable);
  EXPECT_EQ(Bench::only(bench.in(repeat)), empty(MessageType::acknowledgement, 8));
}

TEST(Serving, OtherContentOrTokenOrMethodIsNoRepeat) {
  Bench bench;
  const auto non = MessageType::non_confirmable;
  bench.respond(bench.in(request(non, Method::put, 1, kToken, hex("a0"))), changed());
  EXPECT_EQ(bench.in(request(non, Method::put, 2, kToken, hex("a1"))).requests.size(), 1U);
  EXPECT_EQ(bench.in(request(non, Method::put, 3, hex("a1a2a3a5"), hex("a0"))).requests.size(), 1U);
  EXPECT_EQ(bench.in(request(non, Method::del, 4, kToken, hex("a0"))).requests.size(), 1U);
  EXPECT_EQ(bench.in(request(non, Method::put, 5, kToken, hex("a0"), {option(OptionNumber::if_match)})).requests.size(),
            1U);
  // Bytes that move between token and content do not make the same request.
  EXPECT_EQ(bench.in(request(non, Method::put, 6, hex("a1a2a3"), hex("a0"))).requests.size(), 1U);
}

TEST(Serving, RepeatsEndWithTheLifetime) {
  Bench bench;
  bench.respond(bench.in(request(MessageType::non_confirmable, Method::put, 7, kToken)), changed());
  bench.now += 144s;
  EXPECT_EQ(bench.in(request(MessageType::non_confirmable, Method::put, 8, kToken)).requests.size(), 0U);
  bench.now += 2s;  // a chain of repeats does not stretch it
  EXPECT_EQ(bench.in(request(MessageType::non_confirmable, Method::put, 9, kToken)).requests.size(), 1U);
}

// Tokens may come again for a new request once the first was answered: an empty token names nothing, and a GET wants
// what is true now.
TEST(Serving, AnEmptyTokenMakesNoRepeat) {
  Bench bench;
  bench.respond(bench.in(request(MessageType::non_confirmable, Method::get, 1, {})), content("old"));
  EXPECT_EQ(bench.in(request(MessageType::non_confirmable, Method::get, 2, {})).requests.size(), 1U);
}

TEST(Serving, AGetIsAnsweredFromTheCacheWhileFresh) {
  Bench bench;
  const auto non = MessageType::non_confirmable;
  bench.respond(bench.in(request(non, Method::get, 1, kToken)), content("old"));
  bench.now += 59s;
  EXPECT_EQ(bench.in(request(non, Method::get, 2, kToken)).requests.size(), 0U);
  bench.now += 2s;
  EXPECT_EQ(bench.in(request(non, Method::get, 3, kToken)).requests.size(), 1U);
}

TEST(Serving, MaxAgeEndsTheLifeOfAnAnswer) {
  Bench bench;
  const auto non = MessageType::non_confirmable;
  Response busy = bare(model::ResponseCode::service_unavailable);
  busy.max_age_s = 10U;
  bench.respond(bench.in(request(non, Method::put, 1, kToken)), busy);
  bench.now += 9s;
  EXPECT_EQ(bench.in(request(non, Method::put, 2, kToken)).requests.size(), 0U);
  bench.now += 2s;
  EXPECT_EQ(bench.in(request(non, Method::put, 3, kToken)).requests.size(), 1U);
}

TEST(Serving, AnIgnoredRequestStaysUnansweredAndARepeatIsHeardAgain) {
  Bench bench;
  const Message put = request(MessageType::non_confirmable, Method::put, 7, kToken);
  EXPECT_TRUE(bench.ignore(bench.in(put)).send.empty());
  const Effects duplicate = bench.in(put);
  EXPECT_TRUE(duplicate.send.empty());
  EXPECT_TRUE(duplicate.requests.empty());
  EXPECT_EQ(bench.in(request(MessageType::non_confirmable, Method::put, 8, kToken)).requests.size(), 1U);
}

TEST(Serving, AnIgnoredConIsAcknowledged) {
  Bench bench;
  const Message put = request(MessageType::confirmable, Method::put, 7, kToken);
  EXPECT_EQ(Bench::only(bench.ignore(bench.in(put))), empty(MessageType::acknowledgement, 7));
  EXPECT_EQ(Bench::only(bench.in(put)), empty(MessageType::acknowledgement, 7));
  EXPECT_TRUE(bench.pass(300s).sent.empty());
}

TEST(Serving, AnExchangeIsAnsweredOnce) {
  Bench bench;
  const Effects delivered = bench.in(request(MessageType::non_confirmable, Method::put, 7, kToken));
  EXPECT_EQ(bench.respond(delivered, changed()).send.size(), 1U);
  EXPECT_TRUE(bench.respond(delivered, changed()).send.empty());
  EXPECT_TRUE(bench.ignore(delivered).send.empty());
  Effects out;
  bench.endpoint.respond(base::ExchangeId{999}, changed(), false, bench.now, out);
  EXPECT_TRUE(out.send.empty());
}

TEST(Serving, EmptyMessages) {
  Bench bench;
  EXPECT_EQ(Bench::only(bench.in(empty(MessageType::confirmable, 0x77))), empty(MessageType::reset, 0x77));  // ping
  EXPECT_TRUE(bench.in(empty(MessageType::non_confirmable, 1)).send.empty());
  EXPECT_TRUE(bench.in(empty(MessageType::acknowledgement, 1)).send.empty());
  EXPECT_TRUE(bench.in(empty(MessageType::reset, 1)).send.empty());
  Effects out;
  bench.endpoint.ping(bench.now, out);
  const Message ping = Bench::only(out);
  EXPECT_EQ(ping, empty(MessageType::confirmable, ping.message_id));
  const Effects pong = bench.in(empty(MessageType::reset, ping.message_id));
  EXPECT_TRUE(pong.send.empty());
  EXPECT_TRUE(pong.failures.empty());
}

TEST(Serving, MalformedMessagesAreCountedAndConfirmableOnesReset) {
  Bench bench;
  const Effects con = bench.in(hex("4001 1234 ff"));
  EXPECT_EQ(Bench::only(con), empty(MessageType::reset, 0x1234));
  EXPECT_EQ(con.counters.malformed, 1U);
  for (const char* datagram : {"", "40", "5001 1234 ff", "0001 1234", "6001 1234", "7001 1234", "7045 1234"}) {
    const Effects effects = bench.in(hex(datagram));
    EXPECT_TRUE(effects.send.empty()) << datagram;
    EXPECT_TRUE(effects.requests.empty()) << datagram;
    EXPECT_EQ(effects.counters.malformed, 1U) << datagram;
  }
}

}  // namespace
}  // namespace dots::coap::testing
