#include "agent/server/gate.h"

#include <gtest/gtest.h>

namespace dots::agent::server {
namespace {

using namespace signal::server;

const base::DomainId kA{"a"};
const base::DomainId kB{"b"};

Effect persist() { return Persist{ports::PutCounter{"n", 1}}; }
Effect reply(std::uint64_t exchange) { return Reply{base::SessionId{1}, base::ExchangeId{exchange}, {}, false}; }
std::uint64_t exchange_of(const Visible& visible) { return std::get<Reply>(visible.effect).exchange.value; }

TEST(Gate, WithoutChangesEffectsPassAtOnce) {
  Gate gate;
  gate.add(kA, {reply(1)});
  EXPECT_FALSE(gate.next_batch());
  const auto released = gate.released();
  ASSERT_EQ(released.size(), 1u);
  EXPECT_EQ(exchange_of(released[0]), 1u);
  EXPECT_TRUE(gate.released().empty());
}

TEST(Gate, AReplyWaitsForTheChangesOfItsStep) {
  Gate gate;
  gate.add(kA, {persist(), reply(1)});
  ASSERT_TRUE(gate.next_batch());
  EXPECT_TRUE(gate.released().empty());
  const auto settled = gate.settled(true);
  EXPECT_TRUE(settled.failed.empty());
  EXPECT_EQ(gate.released().size(), 1u);
}

TEST(Gate, AReplyThatChangesNothingWaitsBehindEarlierChanges) {
  Gate gate;
  gate.add(kA, {persist(), reply(1)});
  ASSERT_TRUE(gate.next_batch());
  gate.add(kA, {reply(2)});  // a GET that saw the uncommitted state
  EXPECT_FALSE(gate.next_batch());
  EXPECT_TRUE(gate.released().empty());
  gate.settled(true);
  EXPECT_EQ(gate.released().size(), 1u);
  EXPECT_FALSE(gate.next_batch());
  EXPECT_EQ(exchange_of(gate.released()[0]), 2u);
}

TEST(Gate, ChangesThatComeMeanwhileGatherIntoOneBatch) {
  Gate gate;
  gate.add(kA, {persist()});
  ASSERT_TRUE(gate.next_batch());
  gate.add(kA, {persist(), reply(1)});
  gate.add(kB, {persist(), reply(2)});
  EXPECT_FALSE(gate.next_batch());
  gate.settled(true);
  const auto batch = gate.next_batch();
  ASSERT_TRUE(batch);
  EXPECT_EQ(batch->size(), 2u);
  EXPECT_TRUE(gate.released().empty());
}

TEST(Gate, ARefusedBatchFailsEverythingThatWasBuiltOnIt) {
  Gate gate;
  gate.add(kA, {persist(), reply(1)});
  ASSERT_TRUE(gate.next_batch());
  gate.add(kA, {persist(), reply(2)});
  gate.add(kB, {reply(3)});
  const auto settled = gate.settled(false);
  ASSERT_EQ(settled.failed.size(), 3u);
  EXPECT_EQ(exchange_of(settled.failed[0]), 1u);
  EXPECT_EQ(exchange_of(settled.failed[2]), 3u);
  EXPECT_EQ(settled.to_reload, (std::set<base::DomainId>{kA, kB}));
  EXPECT_FALSE(gate.next_batch());
  EXPECT_TRUE(gate.released().empty());
  EXPECT_FALSE(gate.busy());
}

}  // namespace
}  // namespace dots::agent::server
