#include "coap/q_block/body_receiver.h"

#include <gtest/gtest.h>

#include "coap/q_block/test_support.h"

namespace dots::coap::testing {
namespace {

using namespace std::chrono_literals;
using Numbers = std::vector<std::uint32_t>;

constexpr base::SteadyTime kStart{1000s};

struct Receiving {
  explicit Receiving(std::size_t bytes) : body(body_of(bytes)), receiver(bytes, 6, kStart) {}

  BodyReceiver::Wish take(std::uint32_t number) {
    const Block block{number, number + 1 < receiver.blocks(), 6};
    const base::Bytes part = part_of(body, number);
    EXPECT_EQ(receiver.objection(block, part.size()), std::nullopt);
    const bool added = receiver.take(block, part, now);
    return receiver.after_block(p, !added);
  }
  BodyReceiver::Wish take(std::uint32_t first, std::uint32_t end) {
    BodyReceiver::Wish last;
    for (std::uint32_t number = first; number < end; ++number) last = take(number);
    return last;
  }
  // Waits for its next wish.
  BodyReceiver::Wish wait() {
    now = receiver.wish_at(p);
    return receiver.on_timer(p, now);
  }

  base::Bytes body;
  BodyReceiver receiver;
  QBlockParameters p = parameters();
  base::SteadyTime now = kStart;
};

TEST(BodyReceiver, PutsBlocksTogetherInAnyOrder) {
  Receiving r{2500};
  (void)r.take(2);
  (void)r.take(0);
  EXPECT_FALSE(r.receiver.is_complete());
  (void)r.take(0);
  EXPECT_FALSE(r.receiver.is_complete());
  (void)r.take(1);
  ASSERT_TRUE(r.receiver.is_complete());
  EXPECT_EQ(r.receiver.release(), r.body);
}

// R9177-7.2-06: every set that is complete is told, once; and again when its last block comes again.
TEST(BodyReceiver, TellsOfEachWholeSet) {
  Receiving r{25 * 1024};
  EXPECT_TRUE(r.take(0, 9).empty());
  EXPECT_EQ(r.take(9).go_on, 10u);
  EXPECT_EQ(r.take(9).go_on, 10u);
  EXPECT_TRUE(r.take(10).empty());
  EXPECT_TRUE(r.take(9).empty()) << "the sender has gone on already";
  EXPECT_EQ(r.take(11, 20).go_on, 20u);
  EXPECT_TRUE(r.take(20, 25).empty());
  EXPECT_TRUE(r.receiver.is_complete());
}

// R9177-7.2-07, R9177-7.2-10, D9362-3-06, D9362-3-09: after 4, 8 and 16 s; a fourth time there is not.
TEST(BodyReceiver, AsksForMissingBlocksThreeTimesWithDoublingWaits) {
  Receiving r{8 * 1024};
  (void)r.take(0, 3);
  (void)r.take(4, 7);
  const base::SteadyTime last = r.now;
  EXPECT_EQ(r.wait().missing, (Numbers{3, 7}));
  EXPECT_EQ(r.now, last + 4s);
  EXPECT_EQ(r.wait().missing, (Numbers{3, 7}));
  EXPECT_EQ(r.now, last + 12s);
  EXPECT_EQ(r.wait().missing, (Numbers{3, 7}));
  EXPECT_EQ(r.now, last + 28s);
  EXPECT_TRUE(r.wait().empty());
  EXPECT_EQ(r.now, last + 60s);
}

// "Without a response from the remote peer": a block that comes starts the count anew.
TEST(BodyReceiver, ABlockThatComesStartsTheWaitsAnew) {
  Receiving r{8 * 1024};
  (void)r.take(0, 3);
  (void)r.wait();
  (void)r.wait();
  (void)r.take(5);
  const base::SteadyTime last = r.now;
  EXPECT_EQ(r.wait().missing, (Numbers{3, 4, 6, 7}));
  EXPECT_EQ(r.now, last + 4s);
}

// R9177-7.2-08: the set was acknowledged and nothing more comes.
TEST(BodyReceiver, AsksForTheNextSetWhenNothingFollows) {
  Receiving r{25 * 1024};
  (void)r.take(0, 10);
  EXPECT_EQ(r.wait().missing, (Numbers{10, 11, 12, 13, 14, 15, 16, 17, 18, 19}));
}

// R9177-7.2-09: a block of the next set shows what the earlier lacks; it is asked for at once, and once.
TEST(BodyReceiver, ABlockOfALaterSetShowsWhatIsMissing) {
  Receiving r{25 * 1024};
  (void)r.take(0, 4);
  (void)r.take(5, 9);
  EXPECT_EQ(r.take(10).missing, (Numbers{4, 9}));
  EXPECT_TRUE(r.take(11).empty());
  EXPECT_TRUE(r.take(4).empty());
  EXPECT_TRUE(r.take(9).empty());
  EXPECT_EQ(r.take(12, 20).go_on, 20u);
}

// R9177-7.2-16, D9362-3-11, D9362-3-14: after non-partial-timeout, to the second, however often it may still ask.
TEST(BodyReceiver, APartialBodyExpires) {
  Receiving r{25 * 1024};
  r.p = parameters({{model::Parameter::non_max_retransmit, 15}});
  ASSERT_EQ(r.p.non_partial_timeout, 98503s) << "the formula, since a parameter has changed";
  r.p = parameters();
  ASSERT_EQ(r.p.non_partial_timeout, 247s);
  r.p.non_max_retransmit = 15;
  (void)r.take(0, 3);
  int asked = 0;
  while (!r.wait().empty()) ++asked;
  EXPECT_EQ(r.now, kStart + 247s);
  EXPECT_EQ(asked, 5);
}

// D9362-3-26: other values are used as soon as they hold, also for a body that is under way.
TEST(BodyReceiver, UsesTheParametersOfTheMoment) {
  Receiving r{25 * 1024};
  r.p = parameters({{model::Parameter::max_payloads, 5}, {model::Parameter::non_timeout, 300}});
  EXPECT_EQ(r.take(0, 5).go_on, 5u);
  const base::SteadyTime last = r.now;
  EXPECT_EQ(r.wait().missing, (Numbers{5, 6, 7, 8, 9}));
  EXPECT_EQ(r.now, last + 6s);
}

TEST(BodyReceiver, ObjectsToWhatDoesNotBelong) {
  const BodyReceiver receiver{2500, 6, kStart};
  EXPECT_EQ(receiver.objection({0, true, 6}, 1024), std::nullopt);
  EXPECT_EQ(receiver.objection({2, false, 6}, 452), std::nullopt);
  EXPECT_TRUE(receiver.objection({0, true, 5}, 512)) << "another size";
  EXPECT_TRUE(receiver.objection({0, true, 6}, 1023)) << "too short";
  EXPECT_TRUE(receiver.objection({0, true, 6}, 1025)) << "too long";
  EXPECT_TRUE(receiver.objection({2, false, 6}, 453));
  EXPECT_TRUE(receiver.objection({1, false, 6}, 1024)) << "the last one is not the last one";
  EXPECT_TRUE(receiver.objection({2, true, 6}, 452));
  EXPECT_TRUE(receiver.objection({3, false, 6}, 0));
  EXPECT_TRUE(receiver.objection({Block::kMostNumber, true, 6}, 1024));
}

}  // namespace
}  // namespace dots::coap::testing
