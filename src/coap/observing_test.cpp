// Observation in both roles (RFC 7641; RFC 9132 4.4.2.1).
#include <set>

#include "coap/endpoint_test_support.h"

namespace dots::coap::testing {
namespace {

const base::Bytes kToken = hex("b1b2b3b4");

// --- observed by the peer ---

struct Observed : Bench {
  Message first;

  explicit Observed(const EndpointLimits& bounds = {}, MessageType type = MessageType::non_confirmable)
      : Bench(bounds) {
    first = only(respond(in(coap::testing::observe(1, kToken, 0, type)), content("first"), true));
  }
};

TEST(ObservedByThePeer, TheFirstAnswerCarriesASequenceNumber) {
  for (const auto type : {MessageType::non_confirmable, MessageType::confirmable}) {
    Observed bench{{}, type};
    EXPECT_TRUE(number_of(bench.first, OptionNumber::observe).has_value());
    EXPECT_EQ(number_of(bench.first, OptionNumber::content_format), 271U);
    EXPECT_EQ(bench.notify(kToken, content("x")).send.size(), 1U);
  }
}

// S9132-4.4.2.1-03, S9132-4.4.2.1-04: also for a confirmable registration, also after more than a day.
TEST(ObservedByThePeer, NotificationsAreAlwaysNonConfirmableAndAscend) {
  Observed bench{{}, MessageType::confirmable};
  std::uint64_t last = *number_of(bench.first, OptionNumber::observe);
  std::set<std::uint16_t> ids;
  for (int i = 0; i < 100; ++i) {
    bench.now += 20min;
    bench.timer();
    const Message notification = Bench::only(bench.notify(kToken, content("n")));
    EXPECT_EQ(notification.type, MessageType::non_confirmable);
    EXPECT_EQ(notification.token, kToken);
    EXPECT_EQ(notification.code, 0x45);
    const auto sequence = number_of(notification, OptionNumber::observe);
    ASSERT_TRUE(sequence.has_value());
    EXPECT_GT(*sequence, last);
    last = *sequence;
    ids.insert(notification.message_id);
  }
  EXPECT_EQ(ids.size(), 100U);
}

TEST(ObservedByThePeer, NothingIsObservedUnlessAskedForAcceptedAndSuccessful) {
  Bench bench;
  Effects out;
  const auto non = MessageType::non_confirmable;
  const Message plain =
      Bench::only(bench.respond(bench.in(request(non, Method::get, 1, hex("01"))), content(""), true));
  EXPECT_FALSE(option_of(plain, OptionNumber::observe));
  EXPECT_FALSE(bench.endpoint.notify(hex("01"), content("x"), bench.now, out));
  const Message unwilling = Bench::only(bench.respond(bench.in(observe(2, hex("02"))), content(""), false));
  EXPECT_FALSE(option_of(unwilling, OptionNumber::observe));
  EXPECT_FALSE(bench.endpoint.notify(hex("02"), content("x"), bench.now, out));
  const Message error =
      Bench::only(bench.respond(bench.in(observe(3, hex("03"))), bare(model::ResponseCode::not_found), true));
  EXPECT_FALSE(option_of(error, OptionNumber::observe));
  EXPECT_FALSE(bench.endpoint.notify(hex("03"), content("x"), bench.now, out));
  EXPECT_TRUE(out.send.empty());
}

// S9132-4.4.2.1-14: a Reset to any of the last notifications.
TEST(ObservedByThePeer, ResetEndsIt) {
  for (const int back : {0, 1, 5}) {
    Observed bench;
    std::vector<Message> sent = {bench.first};
    for (int i = 0; i < 5; ++i) sent.push_back(Bench::only(bench.notify(kToken, content("n"))));
    const Message& rejected = sent[sent.size() - 1 - static_cast<std::size_t>(back)];
    const Effects ended = bench.in(empty(MessageType::reset, rejected.message_id));
    ASSERT_EQ(ended.ended.size(), 1U) << back;
    EXPECT_EQ(ended.ended[0].token, kToken);
    Effects out;
    EXPECT_FALSE(bench.endpoint.notify(kToken, content("n"), bench.now, out));
    EXPECT_TRUE(out.send.empty());
    EXPECT_TRUE(bench.in(empty(MessageType::reset, rejected.message_id)).ended.empty());
  }
}

TEST(ObservedByThePeer, ResetEndsOnlyTheOneItNames) {
  Observed bench;
  bench.respond(bench.in(observe(2, hex("02"))), content("other"), true);
  const Message mine = Bench::only(bench.notify(kToken, content("n")));
  bench.notify(hex("02"), content("n"));
  EXPECT_TRUE(bench.in(empty(MessageType::reset, static_cast<std::uint16_t>(mine.message_id + 1000))).ended.empty());
  bench.in(empty(MessageType::reset, mine.message_id));
  EXPECT_EQ(bench.notify(hex("02"), content("n")).send.size(), 1U);
}

// S9132-4.4.2.1-15, server side
TEST(ObservedByThePeer, ObserveOneEndsItAndIsAnsweredAsAGet) {
  Observed bench;
  const Effects effects = bench.in(observe(2, kToken, 1));
  ASSERT_EQ(effects.ended.size(), 1U);
  EXPECT_EQ(effects.ended[0].token, kToken);
  const Message reply = Bench::only(bench.respond(effects, content("last"), true));
  EXPECT_FALSE(option_of(reply, OptionNumber::observe));
  EXPECT_EQ(as_string(reply.payload), "last");
  EXPECT_TRUE(bench.in(observe(3, hex("77"), 1)).ended.empty());
}

TEST(ObservedByThePeer, AnErrorNotificationEndsIt) {
  Observed bench;
  const Message last = Bench::only(bench.notify(kToken, bare(model::ResponseCode::not_found)));
  EXPECT_EQ(last.type, MessageType::non_confirmable);
  EXPECT_EQ(last.code, 0x84);
  EXPECT_FALSE(option_of(last, OptionNumber::observe));
  Effects out;
  EXPECT_FALSE(bench.endpoint.notify(kToken, content("n"), bench.now, out));
}

TEST(ObservedByThePeer, ARepeatOfTheRegistrationIsCachedUntilANotificationOvertakesIt) {
  Observed bench;
  bench.now += 3s;
  const Effects repeat = bench.in(observe(2, kToken));
  EXPECT_TRUE(repeat.requests.empty());
  EXPECT_EQ(number_of(Bench::only(repeat), OptionNumber::observe), number_of(bench.first, OptionNumber::observe));
  const Message notification = Bench::only(bench.notify(kToken, content("new")));
  // RFC 7641 3.3.1: registered again with the same token; the sequence goes on, the list does not grow.
  const Message again = Bench::only(bench.respond(bench.in(observe(3, kToken)), content("now"), true));
  EXPECT_GT(*number_of(again, OptionNumber::observe), *number_of(notification, OptionNumber::observe));
  EXPECT_EQ(bench.notify(kToken, content("n")).send.size(), 1U);
  EXPECT_EQ(bench.in(observe(4, kToken, 1)).ended.size(), 1U);
  EXPECT_TRUE(bench.in(observe(5, kToken, 1)).ended.empty());
}

TEST(ObservedByThePeer, ARegistrationAfterTheEndIsNoRepeat) {
  {
    Observed bench;
    bench.in(empty(MessageType::reset, bench.first.message_id));
    EXPECT_EQ(bench.in(observe(2, kToken)).requests.size(), 1U);
  }
  Observed bench;
  bench.in(observe(2, kToken, 1));
  EXPECT_EQ(bench.in(observe(3, kToken)).requests.size(), 1U);
}

TEST(ObservedByThePeer, ResetToTheAnswerOfARepeatEndsIt) {
  Observed bench;
  const Message repeated = Bench::only(bench.in(observe(2, kToken)));
  EXPECT_EQ(bench.in(empty(MessageType::reset, repeated.message_id)).ended.size(), 1U);
}

TEST(ObservedByThePeer, RegisteredAgainAndRefusedIsEnded) {
  Observed bench;
  bench.notify(kToken, content("n"));
  bench.respond(bench.in(observe(2, kToken)), content("polled from here on"), false);
  Effects out;
  EXPECT_FALSE(bench.endpoint.notify(kToken, content("n"), bench.now, out));
}

TEST(ObservedByThePeer, ALimitTurnsTheNextOneIntoAPlainGet) {
  EndpointLimits limits;
  limits.observations = 1;
  Observed bench{limits};
  const Effects effects = bench.respond(bench.in(observe(2, hex("02"))), content("x"), true);
  EXPECT_FALSE(option_of(Bench::only(effects), OptionNumber::observe));
  EXPECT_EQ(effects.counters.dropped_by_limit, 1U);
  ASSERT_EQ(effects.ended.size(), 1U);
  EXPECT_EQ(effects.ended[0].token, hex("02"));
}

// --- observing the peer ---

struct Observing : Bench {
  RequestId id;
  Message registration;

  explicit Observing(std::optional<std::uint32_t> sequence = 10, bool confirmable = false) {
    Request get;
    get.confirmable = confirmable;
    get.uri_path = {".well-known", "dots", "mitigate", "cuid=a"};
    get.observe = 0U;
    const auto [request, sent] = send(get);
    id = *request;
    registration = only(sent);
    EXPECT_EQ(number_of(registration, OptionNumber::observe), 0U);
    const Effects first = in(notification(1, sequence, "first"));
    EXPECT_EQ(first.responses.size(), 1U);
    EXPECT_FALSE(first.responses.at(0).notification);
    EXPECT_EQ(first.responses.at(0).response.observe, sequence);
  }
  Message notification(std::uint16_t message_id, std::optional<std::uint32_t> sequence, std::string_view payload,
                       MessageType type = MessageType::non_confirmable,
                       model::ResponseCode code = model::ResponseCode::content) const {
    std::vector<wire::Option> options;
    if (sequence) options.push_back(option(OptionNumber::observe, wire::uint_value(*sequence)));
    return answer(type, code, message_id, registration.token, options, text(payload));
  }
  // The payload of the one notification that came through, or "-".
  std::string heard(const Message& message) {
    const Effects effects = in(message);
    if (effects.responses.empty()) return "-";
    EXPECT_EQ(effects.responses.size(), 1U);
    EXPECT_EQ(effects.responses[0].request, id);
    EXPECT_TRUE(effects.responses[0].notification);
    EXPECT_FALSE(effects.responses[0].unambiguous);
    return as_string(effects.responses[0].response.payload);
  }
};

TEST(ObservingThePeer, NotificationsArriveUnderTheRequest) {
  Observing bench;
  EXPECT_EQ(bench.heard(bench.notification(2, 11, "a")), "a");
  bench.now += 24h;
  bench.timer();
  EXPECT_EQ(bench.heard(bench.notification(3, 12, "b")), "b");
  EXPECT_TRUE(bench.pass(24h).failures.empty());
}

TEST(ObservingThePeer, OlderNotificationsAreDropped) {
  Observing bench;
  EXPECT_EQ(bench.heard(bench.notification(2, 14, "14")), "14");
  EXPECT_EQ(bench.heard(bench.notification(3, 13, "13")), "-");
  EXPECT_EQ(bench.heard(bench.notification(4, 14, "14 again")), "-");
  EXPECT_EQ(bench.heard(bench.notification(5, 15, "15")), "15");
  bench.now += 129s;  // RFC 7641 3.4: by now any number is newer
  EXPECT_EQ(bench.heard(bench.notification(6, 3, "3")), "3");
}

TEST(ObservingThePeer, SequenceNumbersWrapAt24Bits) {
  Observing bench{0xfffffe};
  EXPECT_EQ(bench.heard(bench.notification(2, 0xffffff, "a")), "a");
  EXPECT_EQ(bench.heard(bench.notification(3, 1, "b")), "b");
  EXPECT_EQ(bench.heard(bench.notification(4, 0xffffff, "late")), "-");
  EXPECT_EQ(bench.heard(bench.notification(5, 1 + (1U << 23U), "half a turn")), "-");
  EXPECT_EQ(bench.heard(bench.notification(6, (1U << 23U), "less than half")), "less than half");
}

TEST(ObservingThePeer, ConfirmableNotificationsAreAcknowledgedAlsoWhenOld) {
  Observing bench;
  const Message confirmable = bench.notification(2, 11, "a", MessageType::confirmable);
  Effects effects = bench.in(confirmable);
  EXPECT_EQ(Bench::only(effects), empty(MessageType::acknowledgement, 2));
  EXPECT_EQ(effects.responses.size(), 1U);
  effects = bench.in(confirmable);
  EXPECT_EQ(Bench::only(effects), empty(MessageType::acknowledgement, 2));
  EXPECT_TRUE(effects.responses.empty());
  effects = bench.in(bench.notification(3, 9, "old", MessageType::confirmable));
  EXPECT_EQ(Bench::only(effects), empty(MessageType::acknowledgement, 3));
  EXPECT_TRUE(effects.responses.empty());
}

// A quirk of the public go-dots server: the first answer has no Observe option, notifications follow all the same.
TEST(ObservingThePeer, AFirstAnswerWithoutObserveIsWaitedOn) {
  Observing bench{std::nullopt};
  EXPECT_EQ(bench.heard(bench.notification(2, 5, "a")), "a");
  EXPECT_EQ(bench.heard(bench.notification(3, 4, "old")), "-");
  EXPECT_EQ(bench.heard(bench.notification(4, std::nullopt, "b")), "b");
}

TEST(ObservingThePeer, AnErrorEndsIt) {
  Observing bench;
  const Effects error = bench.in(
      bench.notification(2, std::nullopt, "gone", MessageType::non_confirmable, model::ResponseCode::not_found));
  ASSERT_EQ(error.responses.size(), 1U);
  EXPECT_TRUE(error.responses[0].notification);
  EXPECT_EQ(Bench::only(bench.in(bench.notification(3, 12, "x"))), empty(MessageType::reset, 3));
}

TEST(ObservingThePeer, ARefusedRegistrationIsOver) {
  Bench bench;
  Request get;
  get.observe = 0U;
  const auto [id, sent] = bench.send(get);
  const Message out = Bench::only(sent);
  const Effects refused = bench.in(answer(MessageType::non_confirmable, model::ResponseCode::not_found, 1, out.token));
  ASSERT_EQ(refused.responses.size(), 1U);
  EXPECT_FALSE(refused.responses[0].notification);
  EXPECT_EQ(
      bench.in(answer(MessageType::non_confirmable, model::ResponseCode::content, 2, out.token)).counters.unmatched,
      1U);
}

// S9132-4.4.2.1-13
TEST(ObservingThePeer, ANotificationWithAnUnknownTokenIsReset) {
  Observing bench;
  bench.endpoint.cancel(bench.id);
  for (const auto type : {MessageType::non_confirmable, MessageType::confirmable}) {
    const Effects effects = bench.in(bench.notification(9, 11, "a", type));
    EXPECT_TRUE(effects.responses.empty());
    EXPECT_EQ(effects.counters.unmatched, 1U);
    EXPECT_EQ(Bench::only(effects), empty(MessageType::reset, 9));
  }
}

// S9132-4.4.2.1-15
TEST(ObservingThePeer, StoppingSendsTheSameGetWithObserveOne) {
  for (const bool confirmable : {false, true}) {
    Observing bench{10, confirmable};
    Effects out;
    bench.endpoint.stop_observing(bench.id, bench.now, out);
    const Message stop = Bench::only(out);
    EXPECT_EQ(stop.code, 1);
    EXPECT_EQ(stop.type, confirmable ? MessageType::confirmable : MessageType::non_confirmable);
    EXPECT_EQ(stop.token, bench.registration.token);
    EXPECT_NE(stop.message_id, bench.registration.message_id);
    EXPECT_EQ(number_of(stop, OptionNumber::observe), 1U);
    std::vector<wire::Option> options = stop.options;
    options[0].value.clear();  // Observe
    EXPECT_EQ(options, bench.registration.options);
    // The answer to it disturbs nobody; a notification under way is rejected.
    EXPECT_TRUE(bench.in(bench.notification(20, std::nullopt, "last")).send.empty());
    EXPECT_EQ(Bench::only(bench.in(bench.notification(21, 12, "late"))), empty(MessageType::reset, 21));
    out = {};
    bench.endpoint.stop_observing(bench.id, bench.now, out);
    EXPECT_TRUE(out.send.empty());
  }
}

TEST(ObservingThePeer, AnObservationDoesNotCountAsInFlight) {
  Observing bench;
  EXPECT_FALSE(bench.in(empty(MessageType::reset, bench.registration.message_id)).failures.size());
  for (std::size_t i = 0; i < bench.limits.requests; ++i) EXPECT_TRUE(bench.send({}).first.has_value());
  EXPECT_FALSE(bench.send({}).first.has_value());
}

}  // namespace
}  // namespace dots::coap::testing
