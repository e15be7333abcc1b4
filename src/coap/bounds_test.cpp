// What a peer can make us keep, and for how long.
#include <algorithm>

#include "coap/endpoint_test_support.h"
#include "coap/exchanges.h"
#include "coap/random.h"

namespace dots::coap::testing {
namespace {

base::Bytes token_of(int number) { return wire::uint_value(static_cast<std::uint64_t>(number) + 1); }

Message put(int number, base::Bytes payload = {}) {
  return request(MessageType::non_confirmable, Method::put, static_cast<std::uint16_t>(number), token_of(number),
                 std::move(payload));
}

TEST(Bounds, RequestsBeingAnswered) {
  EndpointLimits limits;
  limits.exchanges = 3;
  Bench bench{limits};
  const Effects first = bench.in(put(1));
  bench.in(put(2));
  bench.in(put(3));
  const Effects over = bench.in(put(4));
  EXPECT_TRUE(over.requests.empty());
  EXPECT_TRUE(over.send.empty());
  EXPECT_EQ(over.counters.dropped_by_limit, 1U);
  bench.respond(first, changed());
  EXPECT_EQ(bench.in(put(4)).requests.size(), 1U);  // the peer repeats, and now there is room
}

TEST(Bounds, CachedAnswersByCount) {
  EndpointLimits limits;
  limits.answered = 4;
  Bench bench{limits};
  std::uint64_t evicted = 0;
  for (int i = 0; i < 10; ++i) evicted += bench.respond(bench.in(put(i)), changed()).counters.evicted;
  EXPECT_EQ(evicted, 6U);
  for (int i = 6; i < 10; ++i) EXPECT_EQ(bench.in(put(i)).counters.duplicates, 1U) << i;
  EXPECT_EQ(bench.in(put(5)).requests.size(), 1U);
}

// S8811-5-06
TEST(Bounds, CachedAnswersByBytes) {
  EndpointLimits limits;
  limits.answered_bytes = 1000;
  Bench bench{limits};
  for (int i = 0; i < 3; ++i) bench.respond(bench.in(put(i)), content(std::string(400, 'x')));
  EXPECT_EQ(bench.in(put(0)).requests.size(), 1U);
  EXPECT_EQ(bench.in(put(1)).counters.duplicates, 1U);
  EXPECT_EQ(bench.in(put(2)).counters.duplicates, 1U);
  // One that alone is too large is sent and not kept.
  EXPECT_EQ(bench.respond(bench.in(put(7)), content(std::string(2000, 'x'))).send.size(), 1U);
}

// A request that stays pending in front must not let the rest grow.
TEST(Bounds, AnswersBehindAPendingRequest) {
  EndpointLimits limits;
  limits.answered = 8;
  Bench bench{limits};
  const Effects stuck = bench.in(put(0));
  std::uint64_t evicted = 0;
  for (int i = 1; i <= 5000; ++i) evicted += bench.respond(bench.in(put(i)), changed()).counters.evicted;
  EXPECT_EQ(evicted, 5000U - 8U);
  for (int i = 4993; i <= 5000; ++i) EXPECT_EQ(bench.in(put(i)).counters.duplicates, 1U) << i;
  EXPECT_EQ(bench.respond(stuck, changed()).send.size(), 1U);
}

TEST(Bounds, RepeatsOfAPendingRequest) {
  EndpointLimits limits;
  limits.answered = 8;
  Bench bench{limits};
  const Effects delivered = bench.in(put(0));
  for (int id = 1; id < 2000; ++id) {
    Message repeat = put(0);
    repeat.message_id = static_cast<std::uint16_t>(id);
    EXPECT_TRUE(bench.in(repeat).requests.empty());
  }
  EXPECT_EQ(bench.respond(delivered, changed()).send.size(), 1U);
}

TEST(Bounds, RequestsOfOursInFlight) {
  EndpointLimits limits;
  limits.requests = 2;
  limits.observing = 1;
  Bench bench{limits};
  Request get;
  get.observe = 0U;
  EXPECT_TRUE(bench.send(get).first.has_value());
  auto [id, out] = bench.send(get);
  EXPECT_FALSE(id.has_value());
  EXPECT_EQ(out.counters.dropped_by_limit, 1U);
  EXPECT_TRUE(bench.send({}).first.has_value());
  EXPECT_FALSE(bench.send({}).first.has_value());
  bench.pass(20s);  // both have failed
  EXPECT_TRUE(bench.send({}).first.has_value());
}

TEST(Bounds, SeparateAnswersThatNobodyAcknowledges) {
  EndpointLimits limits;
  limits.exchanges = 2;
  Bench bench{limits};
  std::uint64_t dropped = 0;
  for (int i = 0; i < 4; ++i) {
    Message con = put(i);
    con.type = MessageType::confirmable;
    const Effects delivered = bench.in(con);
    bench.now += 600ms;
    bench.timer();
    const Effects out = bench.respond(delivered, changed());
    EXPECT_EQ(out.send.size(), 1U);
    dropped += out.counters.dropped_by_limit;
  }
  EXPECT_EQ(dropped, 2U);
}

TEST(Bounds, MessagesOverTheLimitsAreRefused) {
  EndpointLimits limits;
  limits.message.payload_bytes = 10;
  Bench bench{limits};
  EXPECT_EQ(bench.in(put(1, base::Bytes(10, 1))).requests.size(), 1U);
  const Effects over = bench.in(put(2, base::Bytes(11, 1)));
  EXPECT_EQ(over.counters.malformed, 1U);
  EXPECT_TRUE(over.requests.empty());
}

// Nothing is kept for ever, and an endpoint at rest asks for no timer.
TEST(Bounds, EverythingExpires) {
  Bench bench;
  bench.respond(bench.in(put(1)), changed());
  bench.in(put(2));  // never answered by its agent
  Message con = put(3);
  con.type = MessageType::confirmable;
  bench.ignore(bench.in(con));
  bench.send({});
  Effects out;
  bench.endpoint.ping(bench.now, out);
  bench.pass(248s);
  EXPECT_FALSE(bench.endpoint.next_deadline().has_value());
}

TEST(Bounds, MessageIdsAreNotUsedTwiceWithinTheirLifetime) {
  Bench bench;
  std::uint64_t dropped = 0;
  int answered = 0;
  for (int i = 0; i < 70000; ++i) {
    const Effects out = bench.respond(bench.in(put(i % 65536)), changed());
    dropped += out.counters.dropped_by_limit;
    answered += static_cast<int>(out.send.size());
  }
  EXPECT_GT(answered, 60000);
  EXPECT_LE(answered, 65536);
  EXPECT_GT(dropped, 0U);
  EXPECT_FALSE(bench.send({}).first.has_value());
  bench.now += 200s;
  bench.timer();
  EXPECT_EQ(bench.respond(bench.in(put(1)), changed()).send.size(), 1U);
}

// Entries that gave way behind a pending one are cleared away.
TEST(Bounds, TheCacheDoesNotGrowBehindAPendingRequest) {
  Exchanges exchanges;
  const auto add = [&](std::uint64_t id) {
    Received entry;
    entry.exchange = id;
    entry.message_id = static_cast<std::uint16_t>(id);
    entry.expires = base::SteadyTime{145s};
    return &exchanges.add(std::move(entry));
  };
  add(1);
  std::size_t most = 0;
  for (std::uint64_t id = 2; id < 5000; ++id) {
    exchanges.settle(*add(id), Standing::answered, text("x"));
    exchanges.trim(8, 1000);
    most = std::max(most, exchanges.slots());
  }
  EXPECT_LE(most, 64U);
  EXPECT_NE(exchanges.delivered(1), nullptr);
}

// The cache on its own over random traffic.
TEST(Bounds, TheCacheKeepsItsBooks) {
  Exchanges exchanges;
  Random random{3};
  base::SteadyTime now{0s};
  std::vector<std::uint64_t> pending;
  std::uint64_t next = 0;
  for (int i = 0; i < 20000; ++i) {
    now += std::chrono::milliseconds{static_cast<int>(random.next() % 500)};
    exchanges.expire(now);
    switch (random.next() % 4) {
      case 0:
      case 1: {
        Received entry;
        entry.exchange = ++next;
        entry.message_id = static_cast<std::uint16_t>(next);
        entry.fingerprint = next;
        entry.confirmable = random.next() % 2 == 0;
        entry.expires = now + (entry.confirmable ? 247s : 145s);
        entry.due = now + 500ms;
        exchanges.add(std::move(entry));
        pending.push_back(next);
        break;
      }
      case 2:
        if (!pending.empty()) {
          const auto at = static_cast<std::ptrdiff_t>(random.next() % pending.size());
          const std::uint64_t id = pending[static_cast<std::size_t>(at)];
          pending.erase(pending.begin() + at);
          if (Received* entry = exchanges.delivered(id)) {
            exchanges.settle(*entry, Standing::answered, base::Bytes(random.next() % 100, 1));
            exchanges.trim(20, 900);
          }
        }
        break;
      default:
        exchanges.for_each_unacknowledged(now, [&](Received& entry) { exchanges.set_acknowledged(entry); });
        if (const auto deadline = exchanges.next_deadline()) {
          EXPECT_GT(*deadline, now);
        }
        break;
    }
    ASSERT_LE(exchanges.pending(), pending.size());
  }
  exchanges.expire(now + 300s);
  EXPECT_EQ(exchanges.pending(), 0U);
  EXPECT_FALSE(exchanges.next_deadline().has_value());
}

}  // namespace
}  // namespace dots::coap::testing
