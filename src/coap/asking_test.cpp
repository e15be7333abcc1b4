// Requests of ours: retransmission, repetition, matching of answers.
#include <set>

#include "coap/endpoint_test_support.h"

namespace dots::coap::testing {
namespace {

Request put(bool confirmable = false) {
  Request request;
  request.confirmable = confirmable;
  request.method = Method::put;
  request.uri_path = {".well-known", "dots", "mitigate", "cuid=a", "mid=1"};
  request.content_format = std::uint16_t{271};
  request.payload = hex("a0");
  return request;
}

Repetition repeated(int tries, base::Duration interval = 3s) {
  Repetition repetition;
  repetition.tries = tries;
  repetition.interval = interval;
  return repetition;
}

TEST(Asking, WritesEveryOption) {
  Bench bench;
  Request request = put();
  request.if_match = {{}};
  request.etag = {hex("0102")};
  request.observe = 0U;
  request.uri_query = {"c=n"};
  request.hop_limit = std::uint8_t{16};
  request.accept = std::uint16_t{271};
  request.block2 = 6U;
  request.block1 = 0x0eU;
  const auto [id, sent] = bench.send(request);
  ASSERT_TRUE(id.has_value());
  const Message message = Bench::only(sent);
  // What a server would read from it.
  Bench server;
  const Effects delivered = server.in(sent.send[0]);
  ASSERT_EQ(delivered.requests.size(), 1U);
  Request expected = request;
  expected.observe.reset();  // a PUT observes nothing
  EXPECT_EQ(delivered.requests[0].request, expected);
  EXPECT_EQ(delivered.requests[0].token, message.token);
}

// S9132-4.4-02, S9132-4.5-05: the type is the request's.
TEST(Asking, SendsTheTypeThatIsAskedFor) {
  Bench bench;
  EXPECT_EQ(Bench::only(bench.send(put(false)).second).type, MessageType::non_confirmable);
  EXPECT_EQ(Bench::only(bench.send(put(true)).second).type, MessageType::confirmable);
}

// S9132-7.2-08, S8612-SEC-004-02
TEST(Asking, EveryRequestHasItsOwnIdAndARandomTokenOfEightBytes) {
  std::set<base::Bytes> tokens;
  std::set<std::uint16_t> ids;
  int ones = 0;
  int requests = 0;
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    Bench bench{{}, seed};
    ids.clear();
    for (int i = 0; i < 50; ++i) {
      const Message message = Bench::only(bench.send(put()).second);
      EXPECT_EQ(message.token.size(), 8U);
      EXPECT_TRUE(tokens.insert(message.token).second);
      EXPECT_TRUE(ids.insert(message.message_id).second);
      for (const auto byte : message.token) ones += __builtin_popcount(byte);
      ++requests;
    }
  }
  EXPECT_NEAR(static_cast<double>(ones) / requests, 32.0, 0.6);
}

// S9132-4.4-04, S9132-4.4-05: the same request again and again, 3 s apart at least, until an answer comes.
TEST(Asking, NonRequestsAreRepeatedWithANewIdAndTheSameToken) {
  Bench bench;
  const auto [id, sent] = bench.send(put(), repeated(4, 100ms));
  const Message first = Bench::only(sent);
  const base::SteadyTime start = bench.now;
  const auto passed = bench.pass(1h);
  ASSERT_EQ(passed.sent.size(), 3U);
  std::set<std::uint16_t> ids = {first.message_id};
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(passed.sent[i].at, start + 3s * static_cast<int>(i + 1));
    Message again = passed.sent[i].message;
    EXPECT_TRUE(ids.insert(again.message_id).second);
    again.message_id = first.message_id;
    EXPECT_EQ(again, first);
  }
  ASSERT_EQ(passed.failures.size(), 1U);
  EXPECT_EQ(passed.failures[0].first, start + 9s + 10s);
  EXPECT_EQ(passed.failures[0].second.request, *id);
  EXPECT_EQ(passed.failures[0].second.reason, "no answer after 4 sends");
  EXPECT_FALSE(bench.endpoint.next_deadline().has_value());
}

TEST(Asking, WithARoundTripEstimateRepeatsMayBeCloser) {
  Bench bench;
  Repetition repetition = repeated(3, 200ms);
  repetition.rtt_known = true;
  bench.send(put(), repetition);
  EXPECT_EQ(bench.pass(500ms).sent.size(), 2U);
  Bench hasty;
  repetition.interval = 1ms;
  hasty.send(put(), repetition);
  EXPECT_EQ(hasty.pass(49ms).sent.size(), 0U);
  EXPECT_EQ(hasty.pass(8ms).sent.size(), 1U);  // jitter: up to an eighth
}

// S9132-4.4-04
TEST(Asking, AnAnswerEndsTheRepetition) {
  Bench bench;
  const auto [id, sent] = bench.send(put(), repeated(10));
  const Message first = Bench::only(sent);
  const auto passed = bench.pass(7s);
  ASSERT_EQ(passed.sent.size(), 2U);
  const Effects effects =
      bench.in(answer(MessageType::non_confirmable, model::ResponseCode::created, 99, first.token, {}, hex("a1")));
  ASSERT_EQ(effects.responses.size(), 1U);
  EXPECT_EQ(effects.responses[0].request, *id);
  EXPECT_EQ(effects.responses[0].response.code, model::ResponseCode::created);
  EXPECT_EQ(effects.responses[0].response.payload, hex("a1"));
  EXPECT_FALSE(effects.responses[0].notification);
  EXPECT_EQ(effects.responses[0].since_last_send, 1s);
  EXPECT_FALSE(effects.responses[0].unambiguous);  // to which of three sends?
  EXPECT_TRUE(bench.pass(1h).sent.empty());
}

TEST(Asking, ASingleSendGivesARoundTripSample) {
  Bench bench;
  const Message first = Bench::only(bench.send(put(), repeated(10)).second);
  bench.now += 70ms;
  const Effects effects = bench.in(answer(MessageType::non_confirmable, model::ResponseCode::created, 99, first.token));
  ASSERT_EQ(effects.responses.size(), 1U);
  EXPECT_EQ(effects.responses[0].since_last_send, 70ms);
  EXPECT_TRUE(effects.responses[0].unambiguous);
}

TEST(Asking, HeartbeatsAreNotRepeated) {
  Bench bench;
  Repetition repetition = repeated(1);
  repetition.patience = 5s;
  bench.send(put(), repetition);
  const base::SteadyTime start = bench.now;
  const auto passed = bench.pass(1h);
  EXPECT_TRUE(passed.sent.empty());
  ASSERT_EQ(passed.failures.size(), 1U);
  EXPECT_EQ(passed.failures[0].first, start + 5s);
  EXPECT_EQ(passed.failures[0].second.reason, "no answer after 1 send");
}

TEST(Asking, LateAndForeignAnswersAreCountedAndNotDelivered) {
  Bench bench;
  const Message first = Bench::only(bench.send(put()).second);
  Effects effects = bench.in(answer(MessageType::non_confirmable, model::ResponseCode::created, 1, hex("0102")));
  EXPECT_EQ(effects.counters.unmatched, 1U);
  EXPECT_TRUE(effects.send.empty());
  bench.in(answer(MessageType::non_confirmable, model::ResponseCode::created, 2, first.token));
  effects = bench.in(answer(MessageType::non_confirmable, model::ResponseCode::created, 3, first.token));
  EXPECT_EQ(effects.counters.unmatched, 1U);
  EXPECT_TRUE(effects.responses.empty());
  EXPECT_TRUE(effects.send.empty());
  effects = bench.in(answer(MessageType::acknowledgement, model::ResponseCode::created, 3, first.token));
  EXPECT_EQ(effects.counters.unmatched, 1U);
  EXPECT_TRUE(effects.send.empty());
}

// S8612-3.1-03: RFC 7252 4.2: jittered first timeout, doubling, the same message id.
TEST(Asking, ConfirmableRequestsAreRetransmitted) {
  std::set<base::Duration> timeouts;
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    Bench bench{{}, seed};
    const auto [id, sent] = bench.send(put(true));
    const base::SteadyTime start = bench.now;
    const auto passed = bench.pass(1h);
    ASSERT_EQ(passed.sent.size(), 3U);
    const base::Duration timeout = passed.sent[0].at - start;
    EXPECT_GE(timeout, 2s);
    EXPECT_LE(timeout, 3s);
    timeouts.insert(timeout);
    EXPECT_EQ(passed.sent[1].at, start + 3 * timeout);
    EXPECT_EQ(passed.sent[2].at, start + 7 * timeout);
    for (const auto& resent : passed.sent) EXPECT_EQ(resent.message, Bench::only(sent));
    ASSERT_EQ(passed.failures.size(), 1U);
    EXPECT_EQ(passed.failures[0].first, start + 15 * timeout);
    EXPECT_EQ(passed.failures[0].second.reason, "no answer after 4 sends");
  }
  EXPECT_GT(timeouts.size(), 40U);
}

TEST(Asking, ConfirmableParametersAreTheSessions) {
  Bench bench;
  Repetition repetition;
  repetition.ack_timeout = 1s;
  repetition.ack_random_factor = 1.0;
  repetition.max_retransmit = 0;
  bench.send(put(true), repetition);
  const base::SteadyTime start = bench.now;
  const auto passed = bench.pass(1h);
  EXPECT_TRUE(passed.sent.empty());
  ASSERT_EQ(passed.failures.size(), 1U);
  EXPECT_EQ(passed.failures[0].first, start + 1s);
}

// S9132-4.5-06
TEST(Asking, APiggybackedAnswerMatchesInTokenAndMessageId) {
  Bench bench;
  const auto [id, sent] = bench.send(put(true));
  const Message out = Bench::only(sent);
  const auto wrong = static_cast<std::uint16_t>(out.message_id + 1);
  EXPECT_EQ(
      bench.in(answer(MessageType::acknowledgement, model::ResponseCode::changed, wrong, out.token)).counters.unmatched,
      1U);
  EXPECT_EQ(bench.in(answer(MessageType::acknowledgement, model::ResponseCode::changed, out.message_id, hex("01")))
                .counters.unmatched,
            1U);
  const Effects effects =
      bench.in(answer(MessageType::acknowledgement, model::ResponseCode::changed, out.message_id, out.token));
  ASSERT_EQ(effects.responses.size(), 1U);
  EXPECT_EQ(effects.responses[0].request, *id);
  EXPECT_TRUE(effects.send.empty());
  EXPECT_TRUE(bench.pass(1h).sent.empty());
}

// S9132-4.5-06, S9132-4.5-07: a separate answer is acknowledged, and again each time it comes.
TEST(Asking, ASeparateAnswerIsAcknowledgedEachTime) {
  Bench bench;
  Repetition repetition;
  repetition.patience = 30s;
  const auto [id, sent] = bench.send(put(true), repetition);
  const Message out = Bench::only(sent);
  EXPECT_TRUE(bench.in(empty(MessageType::acknowledgement, out.message_id)).send.empty());
  EXPECT_TRUE(bench.pass(20s).sent.empty());  // acknowledged: no retransmission
  const Message separate = answer(MessageType::confirmable, model::ResponseCode::changed, 0x0909, out.token);
  Effects effects = bench.in(separate);
  ASSERT_EQ(effects.responses.size(), 1U);
  EXPECT_EQ(effects.responses[0].request, *id);
  EXPECT_EQ(Bench::only(effects), empty(MessageType::acknowledgement, 0x0909));
  effects = bench.in(separate);
  EXPECT_TRUE(effects.responses.empty());
  EXPECT_EQ(effects.counters.duplicates, 1U);
  EXPECT_EQ(Bench::only(effects), empty(MessageType::acknowledgement, 0x0909));
}

// A gateway may run two stacks on one session, each with message ids of its own.
TEST(Asking, AnAnswerDoesNotMakeARequestOfTheSameIdADuplicate) {
  Bench bench;
  const Message out = Bench::only(bench.send(put(true)).second);
  bench.in(answer(MessageType::confirmable, model::ResponseCode::changed, 9, out.token));
  EXPECT_EQ(bench.in(request(MessageType::non_confirmable, Method::put, 9, hex("01"))).requests.size(), 1U);
}

// S9132-4.5-07
TEST(Asking, AnUnexpectedConfirmableAnswerIsReset) {
  Bench bench;
  const Effects effects =
      bench.in(answer(MessageType::confirmable, model::ResponseCode::changed, 0x0909, hex("0102030405060708")));
  EXPECT_TRUE(effects.responses.empty());
  EXPECT_EQ(effects.counters.unmatched, 1U);
  EXPECT_EQ(Bench::only(effects), empty(MessageType::reset, 0x0909));
}

TEST(Asking, AnAcknowledgementWithoutAnAnswerFailsInTheEnd) {
  Bench bench;
  const auto [id, sent] = bench.send(put(true));
  bench.now += 1s;
  bench.in(empty(MessageType::acknowledgement, Bench::only(sent).message_id));
  const base::SteadyTime acknowledged = bench.now;
  const auto passed = bench.pass(1h);
  EXPECT_TRUE(passed.sent.empty());
  ASSERT_EQ(passed.failures.size(), 1U);
  EXPECT_EQ(passed.failures[0].first, acknowledged + 10s);
  EXPECT_EQ(passed.failures[0].second.reason, "acknowledged, but no answer came");
}

// A quirk of the public go-dots server: CON requests get a NON answer under the message id of the request.
TEST(Asking, ANonAnswerToAConRequestMatchesByToken) {
  Bench bench;
  const auto [id, sent] = bench.send(put(true));
  const Message out = Bench::only(sent);
  const Effects effects =
      bench.in(answer(MessageType::non_confirmable, model::ResponseCode::created, out.message_id, out.token));
  ASSERT_EQ(effects.responses.size(), 1U);
  EXPECT_EQ(effects.responses[0].request, *id);
  EXPECT_TRUE(effects.send.empty());
  EXPECT_TRUE(bench.pass(1h).sent.empty());
}

TEST(Asking, AResetFailsTheRequest) {
  for (const bool confirmable : {false, true}) {
    Bench bench;
    const auto [id, sent] = bench.send(put(confirmable), repeated(5));
    bench.in(empty(MessageType::reset, static_cast<std::uint16_t>(Bench::only(sent).message_id + 100)));
    bench.pass(4s);
    const Effects effects = bench.in(empty(MessageType::reset, Bench::only(sent).message_id));
    ASSERT_EQ(effects.failures.size(), 1U);
    EXPECT_EQ(effects.failures[0].request, *id);
    EXPECT_EQ(effects.failures[0].reason, "rejected by reset");
    EXPECT_TRUE(bench.pass(1h).sent.empty());
  }
}

TEST(Asking, CancelledRequestsAreSilent) {
  Bench bench;
  const auto [id, sent] = bench.send(put(), repeated(5));
  bench.endpoint.cancel(*id);
  const auto passed = bench.pass(1h);
  EXPECT_TRUE(passed.sent.empty());
  EXPECT_TRUE(passed.failures.empty());
  EXPECT_EQ(bench.in(answer(MessageType::non_confirmable, model::ResponseCode::created, 1, Bench::only(sent).token))
                .counters.unmatched,
            1U);
}

TEST(Asking, WhatCoapCannotSayIsNotSent) {
  const auto refused = [](const Request& request) {
    Bench bench;
    const auto [id, out] = bench.send(request);
    return !id && out.send.empty() && out.counters.dropped_by_limit == 0;
  };
  Request request = put();
  request.uri_path.push_back(std::string(256, 'a'));
  EXPECT_TRUE(refused(request));
  request = put();
  request.uri_query = {std::string(256, 'a')};
  EXPECT_TRUE(refused(request));
  request = put();
  request.etag = {{}};
  EXPECT_TRUE(refused(request));
  request = put();
  request.if_match = {base::Bytes(9, 1)};
  EXPECT_TRUE(refused(request));
}

}  // namespace
}  // namespace dots::coap::testing
