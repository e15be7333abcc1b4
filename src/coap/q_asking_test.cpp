// The client's side of Q-Blocks (RFC 9177), message by message.
#include <set>

#include "coap/block.h"
#include "coap/endpoint_test_support.h"
#include "coap/q_block/missing_blocks.h"
#include "coap/q_block/test_support.h"

namespace dots::coap::testing {
namespace {

using model::ResponseCode;
using Numbers = std::vector<std::uint32_t>;

struct Client : Bench {
  explicit Client(const Given& given = {}) { endpoint.allow_q_blocks(parameter_set(given), 1200); }

  Effects put(std::size_t bytes, int tries = 3) {
    body = body_of(bytes);
    Request request;
    request.method = Method::put;
    request.uri_path = {"mitigate"};
    request.content_format = std::uint16_t{271};
    request.payload = body;
    request.q_block1 = 6;
    Repetition repetition;
    repetition.tries = tries;
    auto [sent, effects] = send(request, repetition);
    EXPECT_TRUE(sent);
    id = sent;
    return effects;
  }
  Effects get(bool observes = false) {
    Request request;
    request.uri_path = {"mitigate"};
    request.q_block2 = {Block{0, true, 6}.value()};
    if (observes) request.observe = 0u;
    Repetition repetition;
    repetition.tries = 3;
    auto [sent, effects] = send(request, repetition);
    id = sent;
    token = Client::parse(effects.send.at(0)).token;
    return effects;
  }
  // The numbers of the blocks of `body` in these requests.
  Numbers blocks(const std::vector<base::Bytes>& datagrams) {
    Numbers out;
    for (const auto& datagram : datagrams) {
      EXPECT_LE(datagram.size(), 1200u);
      const Message message = parse(datagram);
      EXPECT_EQ(message.type, MessageType::non_confirmable);
      const Block block = Block::of(static_cast<std::uint32_t>(number_of(message, OptionNumber::q_block1).value_or(0)));
      EXPECT_EQ(message.payload, part_of(body, block.number));
      EXPECT_EQ(block.more, (block.number + 1) * 1024 < body.size());
      EXPECT_EQ(number_of(message, OptionNumber::size1), body.size());
      tags.insert(option_of(message, OptionNumber::request_tag).value_or(base::Bytes{}));
      EXPECT_TRUE(tokens.insert(message.token).second) << "each request has a token of its own";
      out.push_back(block.number);
    }
    return out;
  }
  // What Q-Block2 options ask for.
  static std::vector<Block> wanted(const Message& message) {
    std::vector<Block> out;
    for (const auto& o : message.options) {
      if (o.number == static_cast<std::uint16_t>(OptionNumber::q_block2)) {
        out.push_back(Block::of(static_cast<std::uint32_t>(*wire::uint_of(o.value))));
      }
    }
    return out;
  }
  Numbers missing(const Message& message) {
    EXPECT_EQ(number_of(message, OptionNumber::observe), std::nullopt);
    EXPECT_FALSE(option_of(message, OptionNumber::etag));
    EXPECT_EQ(option_of(message, OptionNumber::uri_path), text("mitigate"));
    Numbers out;
    for (const Block& block : wanted(message)) {
      EXPECT_FALSE(block.more);
      out.push_back(block.number);
    }
    return out;
  }
  Message part(const base::Bytes& whole, std::uint32_t number, std::string_view etag = "a",
               std::optional<std::uint64_t> sequence = std::nullopt) {
    std::vector<wire::Option> options{
        option(OptionNumber::etag, text(etag)), option(OptionNumber::size2, wire::uint_value(whole.size())),
        option(OptionNumber::q_block2, wire::uint_value(Block{number, (number + 1) * 1024 < whole.size(), 6}.value()))};
    if (sequence) options.push_back(option(OptionNumber::observe, wire::uint_value(*sequence)));
    return answer(MessageType::non_confirmable, ResponseCode::content, ++messages, token, std::move(options),
                  part_of(whole, number));
  }
  Message told(ResponseCode code, base::Bytes to, std::vector<wire::Option> options = {}, base::Bytes payload = {}) {
    return answer(MessageType::non_confirmable, code, ++messages, std::move(to), std::move(options),
                  std::move(payload));
  }
  Message lacking(const Numbers& numbers) {
    return told(ResponseCode::request_entity_incomplete, *tokens.rbegin(),
                {option(OptionNumber::content_format, wire::uint_value(272))}, write_missing(numbers, 1000));
  }

  base::Bytes body;
  std::optional<RequestId> id;
  base::Bytes token;
  std::set<base::Bytes> tokens, tags;
  std::uint16_t messages = 30000;
};

// RFC 9177 4.3, D9362-3-04, D9362-3-26, R9177-7.2-03, R9177-7.2-04: sets of MAX_PAYLOADS, Request-Tag and Size1 in
// each.
TEST(QBlockAsking, ABodyGoesInSets) {
  for (const std::uint32_t most : {10u, 15u}) {
    Client c{{{model::Parameter::max_payloads, most}}};
    EXPECT_EQ(c.blocks(c.put(40 * 1024).send).size(), most);
    EXPECT_TRUE(c.pass(1999ms).sent.empty());
    const auto second = c.pass(1001ms);
    EXPECT_EQ(second.sent.size(), most);
    const auto go_on = c.told(ResponseCode::continue_, second.sent.back().message.token,
                              {option(OptionNumber::q_block1, wire::uint_value(Block{2 * most - 1, true, 6}.value()))});
    EXPECT_EQ(c.blocks(c.in(go_on).send).front(), 2 * most);
    EXPECT_EQ(c.tags.size(), 1u);
    // The answer, to whichever of its tokens.
    const Effects done = c.in(c.told(ResponseCode::created, *c.tokens.begin()));
    ASSERT_EQ(done.responses.size(), 1u);
    EXPECT_EQ(done.responses[0].request, *c.id);
    EXPECT_TRUE(c.pass(600s).sent.empty());
    EXPECT_EQ(c.blocks(c.put(2000).send), (Numbers{0, 1}));
    EXPECT_EQ(c.tags.size(), 2u) << "another body, another Request-Tag";
  }
}

// R9177-7.2-11: what is missing leaves at once, before the next set; and RFC 9177 section 5.
TEST(QBlockAsking, MissingBlocksAreSentAgain) {
  Client c;
  (void)c.blocks(c.put(25 * 1024).send);
  EXPECT_EQ(c.blocks(c.in(c.lacking({1, 7})).send), (Numbers{1, 7}));
  EXPECT_TRUE(c.pass(1999ms).sent.empty());
  EXPECT_EQ(c.pass(1001ms).sent.size(), 10u);
  const Effects nonsense = c.in(c.told(ResponseCode::request_entity_incomplete, *c.tokens.begin(),
                                       {option(OptionNumber::content_format, wire::uint_value(272))}, hex("0201")));
  EXPECT_TRUE(nonsense.send.empty());
  EXPECT_TRUE(nonsense.responses.empty()) << "silently dropped";
  EXPECT_EQ(nonsense.counters.malformed, 1u);
  // Without the content type it is the end (RFC 7959 2.9.2).
  EXPECT_EQ(c.in(c.told(ResponseCode::request_entity_incomplete, *c.tokens.begin())).responses.size(), 1u);
}

// What is repeated until the answer is the last block; then it has failed.
TEST(QBlockAsking, TheLastBlockIsRepeatedUntilTheAnswer) {
  Client c;
  (void)c.blocks(c.put(2500).send);
  const auto passed = c.pass(60s);
  ASSERT_EQ(passed.sent.size(), 2u);
  for (const auto& sent : passed.sent) EXPECT_EQ(c.blocks({wire::serialise(sent.message)}), (Numbers{2}));
  ASSERT_EQ(passed.failures.size(), 1u);
  EXPECT_EQ(passed.failures[0].second.request, *c.id);
  EXPECT_EQ(c.endpoint.next_deadline(), std::nullopt);
}

TEST(QBlockAsking, ACancelledBodyIsForgotten) {
  Client c;
  (void)c.blocks(c.put(25 * 1024).send);
  c.endpoint.cancel(*c.id);
  EXPECT_TRUE(c.pass(60s).sent.empty());
  // RFC 9177 4.3: so that the server forgets it too.
  EXPECT_EQ(Client::only(c.in(c.lacking({1}))).type, MessageType::reset);
}

// R9177-7.2-12: 'Continue' after each set, and the whole in the end.
TEST(QBlockAsking, AnAnswerInBlocksIsPutTogether) {
  Client c;
  (void)c.get();
  const base::Bytes whole = body_of(25 * 1024);
  for (std::uint32_t number = 0; number < 25; ++number) {
    const Effects out = c.in(c.part(whole, number));
    if (number == 9 || number == 19) {
      const auto asked = Client::wanted(Client::only(out));
      ASSERT_EQ(asked.size(), 1u);
      EXPECT_EQ(asked[0].number, number + 1);
      EXPECT_TRUE(asked[0].more);
    } else {
      EXPECT_TRUE(out.send.empty());
    }
    ASSERT_EQ(out.responses.size(), number == 24 ? 1u : 0u);
    if (number < 24) {
      EXPECT_TRUE(c.endpoint.is_transferring(*c.id));
      continue;
    }
    EXPECT_EQ(out.responses[0].response.payload, whole);
    EXPECT_EQ(out.responses[0].response.q_block2, std::nullopt);
  }
  EXPECT_FALSE(c.endpoint.is_transferring(*c.id));
  EXPECT_EQ(c.endpoint.next_deadline(), std::nullopt);
}

// R9177-7.2-12, R9177-7.2-15: what is missing is asked for after 4, 8 and 16 s, or at once when a later set shows it.
TEST(QBlockAsking, MissingBlocksAreAskedFor) {
  Client c;
  (void)c.get();
  const base::Bytes whole = body_of(25 * 1024);
  for (const std::uint32_t number : {0u, 2u, 3u}) (void)c.in(c.part(whole, number));
  const auto begin = c.now;
  const auto asked = c.pass(3600s);
  ASSERT_EQ(asked.sent.size(), 3u);
  const std::array<base::Duration, 3> when{4s, 12s, 28s};
  std::size_t bytes = 0;
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(c.missing(asked.sent[i].message), (Numbers{1, 4, 5, 6, 7, 8, 9}));
    EXPECT_EQ(asked.sent[i].at - begin, when[i]);
    if (i > 0) {
      EXPECT_LE(bytes, 5u * static_cast<std::size_t>(base::whole_seconds(asked.sent[i].at - asked.sent[0].at)));
    }
    bytes += wire::serialise(asked.sent[i].message).size();
  }
  ASSERT_EQ(asked.failures.size(), 1u);

  (void)c.get();
  for (std::uint32_t number = 0; number < 9; ++number) (void)c.in(c.part(whole, number));
  EXPECT_EQ(c.missing(Client::only(c.in(c.part(whole, 10)))), (Numbers{9}));
}

// R9177-7.2-15: at a lower rate the requests are further apart.
TEST(QBlockAsking, QuestionsKeepToProbingRate) {
  Client c{{{model::Parameter::probing_rate, 1}}};
  (void)c.get();
  (void)c.in(c.part(body_of(25 * 1024), 0));
  const auto asked = c.pass(3600s);
  ASSERT_EQ(asked.sent.size(), 3u);
  EXPECT_GE(asked.sent[1].at - asked.sent[0].at, std::chrono::seconds{wire::serialise(asked.sent[0].message).size()});
}

// RFC 9177 4.4, 4.5: a newer notification displaces what is left of the older, whose late blocks do no harm.
TEST(QBlockAsking, TheNewestNotificationCounts) {
  Client c;
  (void)c.get(true);
  const base::Bytes first = body_of(3000, 1);
  const base::Bytes second = body_of(3000, 2);
  for (std::uint32_t number = 0; number < 2; ++number) (void)c.in(c.part(first, number, "a", 7));
  EXPECT_EQ(c.in(c.part(first, 2, "a", 7)).responses.size(), 1u);
  (void)c.in(c.part(second, 0, "b", 8));
  EXPECT_TRUE(c.in(c.part(first, 1, "a", 7)).responses.empty());
  EXPECT_TRUE(c.in(c.part(first, 1, "a")).responses.empty());
  (void)c.in(c.part(second, 1, "b"));
  const Effects done = c.in(c.part(second, 2, "b", 8));
  ASSERT_EQ(done.responses.size(), 1u);
  EXPECT_TRUE(done.responses[0].notification);
  EXPECT_EQ(done.responses[0].response.payload, second);
  EXPECT_TRUE(c.in(c.part(second, 2, "b")).responses.empty()) << "a late repetition";
  EXPECT_TRUE(c.pass(600s).sent.empty());
  // One that fits one message, while blocks are missing: it is newer.
  (void)c.in(c.part(first, 0, "c", 9));
  const Message small =
      c.told(ResponseCode::content, c.token, {option(OptionNumber::observe, wire::uint_value(10))}, text("small"));
  EXPECT_EQ(c.in(small).responses.size(), 1u);
  EXPECT_TRUE(c.pass(600s).sent.empty());
}

// Hostile servers: what cannot be is an answer of 5.00, or nothing, and never a block too much.
TEST(QBlockAsking, AnswersThatCannotBeCostNothing) {
  const base::Bytes whole = body_of(3000);
  {
    Client c;
    (void)c.get();
    Message huge = c.part(whole, 0);
    for (auto& o : huge.options) {
      if (o.number == static_cast<std::uint16_t>(OptionNumber::size2)) o.value = wire::uint_value(0xffffffffU);
    }
    const Effects out = c.in(huge);
    ASSERT_EQ(out.responses.size(), 1u);
    EXPECT_EQ(out.responses[0].response.code, ResponseCode::internal_server_error);
    EXPECT_EQ(c.endpoint.next_deadline(), std::nullopt);
  }
  {
    Client c;
    (void)c.get();
    (void)c.in(c.part(whole, 0));
    const Effects shorter = c.in(c.part(body_of(2500), 2));
    EXPECT_EQ(shorter.counters.malformed, 1u) << "another Size2 under the same ETag";
    const Effects wild = c.in(c.part(whole, 500));
    EXPECT_EQ(wild.counters.malformed, 1u);
    EXPECT_EQ(c.in(c.part(whole, 0)).counters.duplicates, 1u);
    EXPECT_TRUE(c.in(c.part(whole, 1)).send.empty());
    EXPECT_EQ(c.in(c.part(whole, 2)).responses.size(), 1u);
  }
  {
    Client c;
    (void)c.get();
    Message mixed = c.part(whole, 0);
    mixed.options.push_back(option(OptionNumber::block2, wire::uint_value(14)));
    EXPECT_EQ(c.in(mixed).failures.size(), 1u);
  }
}

// Blocks of something unknown: the server is told to stop.
TEST(QBlockAsking, BlocksThatAnswerNothingAreReset) {
  Client c;
  c.token = hex("0102030405060708");
  EXPECT_EQ(Client::only(c.in(c.part(body_of(3000), 0))).type, MessageType::reset);
}

}  // namespace
}  // namespace dots::coap::testing
