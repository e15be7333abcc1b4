// The server's side of Q-Blocks (RFC 9177), message by message.
#include "coap/block.h"
#include "coap/endpoint_test_support.h"
#include "coap/q_block/missing_blocks.h"
#include "coap/q_block/test_support.h"
#include "coap/random.h"

namespace dots::coap::testing {
namespace {

using model::ResponseCode;
using Numbers = std::vector<std::uint32_t>;

struct Server : Bench {
  explicit Server(const Given& given = {}) { endpoint.allow_q_blocks(parameter_set(given), 1200); }

  Message block(const base::Bytes& body, std::uint32_t number, const std::string& tag = "t") {
    const bool more = (number + 1) * 1024 < body.size();
    ++messages;
    return request(
        MessageType::non_confirmable, Method::put, messages,
        base::Bytes{static_cast<std::uint8_t>(messages >> 8U), static_cast<std::uint8_t>(messages)},
        part_of(body, number),
        {option(OptionNumber::q_block1, wire::uint_value(Block{number, more, 6}.value())),
         option(OptionNumber::size1, wire::uint_value(body.size())), option(OptionNumber::request_tag, text(tag))});
  }
  Effects take(const base::Bytes& body, std::uint32_t first, std::uint32_t end) {
    Effects last;
    for (std::uint32_t number = first; number < end; ++number) last = in(block(body, number));
    return last;
  }
  Message get(const std::vector<Block>& wanted, std::optional<std::uint8_t> observes = std::nullopt) {
    ++messages;
    std::vector<wire::Option> options;
    if (observes) options.push_back(option(OptionNumber::observe, wire::uint_value(*observes)));
    for (const Block& block : wanted) {
      options.push_back(option(OptionNumber::q_block2, wire::uint_value(block.value())));
    }
    return request(MessageType::non_confirmable, Method::get, messages,
                   base::Bytes{static_cast<std::uint8_t>(messages)}, {}, std::move(options));
  }
  // The numbers of the blocks in these messages; their ETag, Size2 and length are looked at.
  Numbers blocks(const std::vector<base::Bytes>& datagrams) {
    Numbers out;
    for (const auto& datagram : datagrams) {
      EXPECT_LE(datagram.size(), 1200u);
      const Message message = parse(datagram);
      EXPECT_EQ(message.code, static_cast<std::uint8_t>(ResponseCode::content));
      const Block block = Block::of(static_cast<std::uint32_t>(number_of(message, OptionNumber::q_block2).value_or(0)));
      EXPECT_EQ(message.payload, part_of(answer, block.number));
      EXPECT_EQ(number_of(message, OptionNumber::size2), answer.size());
      EXPECT_EQ(block.more, (block.number + 1) * 1024 < answer.size());
      const auto tag = option_of(message, OptionNumber::etag);
      EXPECT_TRUE(tag && (etag.empty() || tag == etag));
      etag = tag.value_or(base::Bytes{});
      out.push_back(block.number);
    }
    return out;
  }
  Response whole() {
    Response response;
    response.content_format = std::uint16_t{271};
    response.payload = answer;
    return response;
  }
  Numbers asked_for(const Message& message) {
    EXPECT_EQ(message.code, static_cast<std::uint8_t>(ResponseCode::request_entity_incomplete));
    EXPECT_EQ(number_of(message, OptionNumber::content_format), 272u);
    return read_missing(message.payload).value_or(Numbers{});
  }

  std::uint16_t messages = 0;
  base::Bytes answer = body_of(25 * 1024, 3);
  base::Bytes etag;
};

const Block kWhole{0, true, 6};

// RFC 9177 4.3: one request, when all of it is there, with the content and the token of its last block.
TEST(QBlockServing, ABodyIsDeliveredOnceAndWhole) {
  Server s;
  const base::Bytes body = body_of(2500);
  EXPECT_TRUE(s.in(s.block(body, 2)).requests.empty());
  EXPECT_TRUE(s.in(s.block(body, 0)).requests.empty());
  const Effects delivered = s.in(s.block(body, 1));
  ASSERT_EQ(delivered.requests.size(), 1u);
  EXPECT_EQ(delivered.requests[0].request.payload, body);
  EXPECT_TRUE(delivered.send.empty());
  const Effects answered = s.respond(delivered, changed());
  EXPECT_EQ(Server::only(answered).token, delivered.requests[0].token);
  // A block again: nothing is executed, and the answer comes again under the new token.
  const Message again = s.block(body, 2);
  const Effects repeated = s.in(again);
  EXPECT_TRUE(repeated.requests.empty());
  EXPECT_EQ(Server::only(repeated).token, again.token);
  EXPECT_EQ(Server::only(repeated).code, static_cast<std::uint8_t>(ResponseCode::changed));
  s.pass(600s);
  EXPECT_EQ(s.endpoint.next_deadline(), std::nullopt) << "and in the end nothing is kept";
}

// R9177-7.2-06, R9177-7.2-07, R9177-7.2-09
TEST(QBlockServing, TellsOfWholeSetsAndOfMissingBlocks) {
  Server s;
  const base::Bytes body = body_of(25 * 1024);
  EXPECT_TRUE(s.take(body, 0, 9).send.empty());
  const Message go_on = Server::only(s.in(s.block(body, 9)));
  EXPECT_EQ(go_on.code, static_cast<std::uint8_t>(ResponseCode::continue_));
  EXPECT_EQ(number_of(go_on, OptionNumber::q_block1), (Block{9, true, 6}.value()));
  EXPECT_EQ(go_on.type, MessageType::non_confirmable);
  EXPECT_TRUE(s.take(body, 11, 20).send.empty());
  const Message at_once = Server::only(s.in(s.block(body, 20)));
  EXPECT_EQ(s.asked_for(at_once), (Numbers{10}));
  const auto later = s.pass(4s);
  ASSERT_EQ(later.sent.size(), 1u);
  EXPECT_EQ(s.asked_for(later.sent[0].message), (Numbers{10, 21, 22, 23, 24}));
}

// R9177-7.2-10: three times, then the body is dropped; what comes of it then begins anew.
TEST(QBlockServing, GivesUpABodyThatDoesNotCome) {
  Server s;
  const base::Bytes body = body_of(3 * 1024);
  (void)s.take(body, 0, 2);
  EXPECT_EQ(s.pass(300s).sent.size(), 3u);
  EXPECT_TRUE(s.in(s.block(body, 2)).requests.empty());
  EXPECT_EQ(s.take(body, 0, 2).requests.size(), 1u);
}

// R9177-7.2-15: with a low probing-rate a request for missing blocks waits until the one before is paid for.
TEST(QBlockServing, RequestsForMissingBlocksKeepToProbingRate) {
  Server s{{{model::Parameter::probing_rate, 1}}};
  const base::Bytes body = body_of(8 * 1024);
  (void)s.take(body, 0, 3);
  const auto asked = s.pass(200s);
  ASSERT_GE(asked.sent.size(), 2u);
  std::size_t bytes = 0;
  for (std::size_t i = 0; i + 1 < asked.sent.size(); ++i) {
    bytes += wire::serialise(asked.sent[i].message).size();
    EXPECT_GE(asked.sent[i + 1].at - asked.sent[0].at, std::chrono::seconds{bytes});
  }
  EXPECT_GT(asked.sent[1].at - asked.sent[0].at, 8s);
}

TEST(QBlockServing, AClientThatHasForgottenTheBodyIsNotAskedAgain) {
  Server s;
  (void)s.take(body_of(3 * 1024), 0, 2);
  const auto asked = s.pass(4s);
  ASSERT_EQ(asked.sent.size(), 1u);
  (void)s.in(empty(MessageType::reset, asked.sent[0].message.message_id));
  EXPECT_TRUE(s.pass(300s).sent.empty());
}

// RFC 9177 4.3, 4.1: what is not as it says is refused with a reason, also when it is non-confirmable.
TEST(QBlockServing, RefusesBlocksThatAreNotAsTheyMustBe) {
  const base::Bytes body = body_of(2500);
  const auto refusal = [&](const std::function<void(Message&)>& change, bool begun = false) {
    Server s;
    if (begun) (void)s.in(s.block(body, 0));
    Message message = s.block(body, begun ? 1 : 0);
    change(message);
    const Effects out = s.in(message);
    EXPECT_TRUE(out.requests.empty());
    EXPECT_EQ(out.counters.rejected, 1u);
    const Message answer = Server::only(out);
    EXPECT_FALSE(answer.payload.empty());
    return static_cast<ResponseCode>(answer.code);
  };
  const auto without = [](OptionNumber number) {
    return [number](Message& message) {
      std::erase_if(message.options, [&](const auto& o) { return o.number == static_cast<std::uint16_t>(number); });
    };
  };
  const auto with = [&](OptionNumber number, std::uint64_t value) {
    return [=](Message& message) {
      without(number)(message);
      message.options.push_back(option(number, wire::uint_value(value)));
    };
  };
  EXPECT_EQ(refusal(without(OptionNumber::size1)), ResponseCode::bad_request);
  EXPECT_EQ(refusal(without(OptionNumber::request_tag)), ResponseCode::bad_request);
  EXPECT_EQ(refusal(with(OptionNumber::size1, 65537)), ResponseCode::request_entity_too_large);
  EXPECT_EQ(refusal(with(OptionNumber::size1, 1000)), ResponseCode::bad_request);
  EXPECT_EQ(refusal(with(OptionNumber::size1, 2600), true), ResponseCode::bad_request) << "a changed size";
  EXPECT_EQ(refusal(with(OptionNumber::q_block1, Block{Block::kMostNumber, true, 6}.value())),
            ResponseCode::bad_request);
  EXPECT_EQ(refusal(with(OptionNumber::q_block1, Block{0, true, 7}.value())), ResponseCode::bad_request);
  EXPECT_EQ(refusal(with(OptionNumber::q_block1, Block{1, true, 5}.value()), true), ResponseCode::bad_request);
  EXPECT_EQ(refusal([](Message& message) { message.payload.pop_back(); }), ResponseCode::bad_request);
  EXPECT_EQ(refusal(with(OptionNumber::block1, 8)), ResponseCode::bad_option) << "no mixture";
  EXPECT_EQ(refusal(with(OptionNumber::block2, 6)), ResponseCode::bad_option);
}

// A flood of bodies that never become whole: the oldest give way, at most 64 KiB and eight of them are there.
TEST(QBlockServing, AFloodOfBodiesDisplacesItself) {
  Server s;
  const base::Bytes body = body_of(30 * 1024);
  for (int i = 0; i < 1000; ++i)
    (void)s.in(s.block(body, 29, "flood" + std::to_string(i % 256) + std::to_string(i / 256)));
  (void)s.pass(4s);
  std::size_t asked = s.pass(8s).sent.size();
  EXPECT_LE(asked, 2u);
  // An honest one gets through afterwards, and blocks without a payload buy nothing.
  EXPECT_EQ(s.take(body_of(3000), 0, 3).requests.size(), 1u);
  for (int i = 0; i < 1000; ++i) (void)s.in(s.block(body_of(1), 0, "one" + std::to_string(i)));
  s.pass(600s);
  EXPECT_EQ(s.endpoint.next_deadline(), std::nullopt);
}

// RFC 9177 4.4, 4.6: sets of blocks with one ETag and Size2. R9177-7.2-03, R9177-7.2-04, R9177-7.2-13, D9362-3-04
TEST(QBlockServing, ALargeAnswerGoesInSets) {
  for (const std::uint32_t most : {10u, 5u}) {
    Server s{{{model::Parameter::max_payloads, most}}};
    const Effects delivered = s.in(s.get({kWhole}));
    const Effects first = s.respond(delivered, s.whole());
    EXPECT_EQ(s.blocks(first.send).size(), most);
    // 'Continue' goes on under the first token; it is not a request for what is missing.
    const Effects second = s.in(s.get({{most, true, 6}}));
    EXPECT_EQ(s.blocks(second.send).front(), most);
    EXPECT_EQ(s.blocks(second.send).back(), 2 * most - 1);
    EXPECT_EQ(Server::parse(second.send[0]).token, delivered.requests[0].token);
    EXPECT_TRUE(s.in(s.get({{most, true, 6}})).send.empty()) << "it has left";
    // Without one: after NON_TIMEOUT_RANDOM.
    EXPECT_TRUE(s.pass(1999ms).sent.empty());
    const auto third = s.pass(1001ms);
    EXPECT_EQ(third.sent.size(), std::min(most, 25 - 2 * most));
  }
}

// RFC 9177 4.5: missing blocks go without Observe, under the token that asked; the rest goes on with both.
TEST(QBlockServing, MissingBlocksAreSentAgain) {
  Server s;
  const Effects delivered = s.in(s.get({kWhole}, std::uint8_t{0}));
  const Effects first = s.respond(delivered, s.whole(), true);
  const auto sequence = number_of(Server::parse(first.send[0]), OptionNumber::observe);
  ASSERT_TRUE(sequence);
  for (const auto& datagram : first.send)
    EXPECT_EQ(number_of(Server::parse(datagram), OptionNumber::observe), sequence);
  const Message ask = s.get({{2, false, 6}, {7, true, 6}});
  const Effects again = s.in(ask);
  EXPECT_EQ(s.blocks(again.send), (Numbers{2, 7, 8, 9}));
  EXPECT_EQ(Server::parse(again.send[0]).token, ask.token);
  EXPECT_EQ(number_of(Server::parse(again.send[0]), OptionNumber::observe), std::nullopt);
  const auto next = s.pass(3s);
  ASSERT_EQ(next.sent.size(), 10u);
  EXPECT_EQ(next.sent[0].message.token, delivered.requests[0].token);
  EXPECT_EQ(number_of(next.sent[0].message, OptionNumber::observe), sequence);
}

TEST(QBlockServing, NotificationsGoInBlocksTooAndAResetEndsThem) {
  Server s;
  const Effects delivered = s.in(s.get({kWhole}, std::uint8_t{0}));
  (void)s.respond(delivered, content("small"), true);
  const Effects told = s.notify(delivered.requests[0].token, s.whole());
  EXPECT_EQ(s.blocks(told.send).size(), 10u);
  const Effects ended = s.in(empty(MessageType::reset, Server::parse(told.send[4]).message_id));
  EXPECT_EQ(ended.ended.size(), 1u);
  EXPECT_TRUE(s.pass(100s).sent.empty()) << "no further set";
}

TEST(QBlockServing, AnObservationThatEndsTakesItsBlocksAlong) {
  Server s;
  const Effects delivered = s.in(s.get({kWhole}, std::uint8_t{0}));
  (void)s.respond(delivered, s.whole(), true);
  EXPECT_TRUE(s.endpoint.end_observation(delivered.requests[0].token));
  EXPECT_TRUE(s.pass(100s).sent.empty());
}

// D9362-3-16, D9362-3-15: to a peer that does not speak a body waits until the one before is paid for, as a whole.
TEST(QBlockServing, BodiesToASilentPeerKeepToProbingRate) {
  Server s{{{model::Parameter::probing_rate, 1000}}};
  const Effects delivered = s.in(s.get({kWhole}, std::uint8_t{0}));
  (void)s.respond(delivered, content("small"), true);
  s.answer = body_of(10 * 1024);
  EXPECT_EQ(s.notify(delivered.requests[0].token, s.whole()).send.size(), 10u);
  s.pass(1s);
  EXPECT_TRUE(s.notify(delivered.requests[0].token, s.whole()).send.empty());
  s.etag.clear();
  EXPECT_TRUE(s.pass(9s).sent.empty());
  EXPECT_EQ(s.pass(1s).sent.size(), 10u);
  // Heard: nothing is held back.
  (void)s.in(empty(MessageType::confirmable, 9));
  EXPECT_EQ(s.notify(delivered.requests[0].token, s.whole()).send.size(), 10u);
}

// RFC 9177 4.4: without a cached copy the answer of today is given, and its ETag tells.
TEST(QBlockServing, BlocksOfAForgottenAnswerComeFromTodays) {
  Server s;
  const Effects delivered = s.in(s.get({{3, false, 6}, {30, false, 6}}));
  EXPECT_EQ(s.blocks(s.respond(delivered, s.whole()).send), (Numbers{3}));
  EXPECT_TRUE(s.pass(3s).sent.empty()) << "only what was asked for";
  s.answer = body_of(2000);
  s.etag.clear();
  s.pass(600s);
  const Effects wild = s.in(s.get({{30, false, 6}}));
  EXPECT_EQ(s.blocks(s.respond(wild, s.whole()).send), (Numbers{0}));
}

TEST(QBlockServing, WildQuestionsAreRefused) {
  Server s;
  (void)s.respond(s.in(s.get({kWhole})), s.whole());
  for (const std::vector<Block>& wild : std::vector<std::vector<Block>>{
           {{25, false, 6}}, {{Block::kMostNumber, true, 6}}, {{4, false, 6}, {3, false, 6}}, {{3, false, 5}}}) {
    const Message answer = Server::only(s.in(s.get(wild)));
    EXPECT_EQ(answer.code, static_cast<std::uint8_t>(ResponseCode::bad_request));
  }
}

// RFC 9177 4.1, 7.1: to a confirmable question the blocks are confirmable.
TEST(QBlockServing, AConfirmableQuestionHasConfirmableBlocks) {
  Server s;
  Message get = s.get({kWhole});
  get.type = MessageType::confirmable;
  const Effects answered = s.respond(s.in(get), s.whole());
  ASSERT_EQ(answered.send.size(), 10u);
  EXPECT_EQ(Server::parse(answered.send[0]).type, MessageType::acknowledgement);
  for (std::size_t i = 1; i < 10; ++i) {
    const Message block = Server::parse(answered.send[i]);
    EXPECT_EQ(block.type, MessageType::confirmable);
    (void)s.in(empty(MessageType::acknowledgement, block.message_id));
  }
  Message put = s.block(body_of(2048), 0);
  put.type = MessageType::confirmable;
  const Message acknowledged = Server::only(s.in(put));
  EXPECT_EQ(acknowledged.type, MessageType::acknowledgement);
  EXPECT_EQ(acknowledged.code, 0);
}

// RFC 9177 4.1: unknown where it was not allowed. Over TCP there are no Q-Blocks here.
TEST(QBlockServing, WithoutLeaveTheOptionsAreUnknown) {
  Bench plain;
  Server s;
  Message get = s.get({kWhole});
  EXPECT_EQ(Bench::only(plain.in(get)).type, MessageType::reset);
  get.type = MessageType::confirmable;
  get.message_id = 77;
  EXPECT_EQ(Bench::only(plain.in(get)).code, static_cast<std::uint8_t>(ResponseCode::bad_option));
}

// Messages that were changed at random: at most one set of blocks answers one of them, time goes on, and what is asked
// of the agent is whole.
TEST(QBlockServing, RandomBlocksAndQuestionsNeverHarm) {
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    Server s;
    Random random{seed};
    const auto below = [&](std::uint32_t most) { return static_cast<std::uint32_t>(random.next() % most); };
    const base::Bytes body = body_of(3000 + below(30000));
    for (int i = 0; i < 400; ++i) {
      Message message = below(2) == 0 ? s.block(body, below(12), std::string(1, static_cast<char>('a' + below(6))))
                                      : s.get({{below(30), below(2) == 0, 6}},
                                              below(2) == 0 ? std::optional<std::uint8_t>{0} : std::nullopt);
      for (auto& o : message.options) {
        if (below(12) == 0) o.value = wire::uint_value(random.next() % (1U << below(25)));
        if (below(40) == 0) o.number = static_cast<std::uint16_t>(below(40));
      }
      std::stable_sort(message.options.begin(), message.options.end(),
                       [](const auto& a, const auto& b) { return a.number < b.number; });
      if (below(10) == 0) message.payload.resize(below(1100));
      if (below(8) == 0) message.type = MessageType::confirmable;
      const Effects out = s.in(message);
      ASSERT_LE(out.send.size(), 11u) << "an acknowledgement and a set";
      ASSERT_LE(out.requests.size(), 1u);
      if (!out.requests.empty()) {
        ASSERT_LE(out.requests[0].request.payload.size(), 65536u);
        ASSERT_LE(s.respond(out, s.whole(), below(2) == 0).send.size(), 10u);
      }
      for (int turns = 0; turns < 20 && below(3) == 0; ++turns) {
        const auto next = s.endpoint.next_deadline();
        if (!next) break;
        s.now = std::max(s.now, *next);
        (void)s.timer();
        ASSERT_GT(s.endpoint.next_deadline().value_or(base::SteadyTime::max()), s.now) << "time stands still";
      }
    }
    s.pass(3600s);
    EXPECT_EQ(s.endpoint.next_deadline(), std::nullopt);
  }
}

}  // namespace
}  // namespace dots::coap::testing
