// A shard at work whose commit thread takes nothing, or cannot read: what is asked of it is asked again.
#include "apps/runtime/shard_thread.h"

#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>
#include <mutex>

#include "agent/server/mitigation_planner.h"
#include "tests/support/recording_sink.h"

namespace dots::runtime {
namespace {

using namespace std::chrono_literals;
using adapters::net::Priority;
using agent::server::Shard;
using agent::server::ShardOutput;

class ShardThreadTest : public ::testing::Test {
 protected:
  ShardThreadTest() {
    policy::DomainPolicy policy;
    policy.id = base::DomainId{"acme"};
    policy.prefixes = {*model::parse_prefix("192.0.2.0/24")};
    policy.clients = {{base::ClientId{"edge"}, {"edge.example"}, {}}};
    auto identities = std::make_shared<policy::Identities>(*policy::Identities::build({policy}));
    agent::server::ShardSettings settings;
    settings.session = std::make_shared<agent::server::SessionSettings>();
    ShardWorld world;
    world.to_domain = [](auto, auto) { return true; };
    world.to_session = [](auto, auto) {};
    world.commit = [this](auto, auto, auto) { return count(commits) > refused_commits; };
    world.read = [this](auto, const auto&) { return count(reads) > refused_reads; };
    world.want = [](auto, auto) {};
    world.resolve = [](const auto&, const auto&) {};
    world.operator_answer = [this](const auto& answer) {
      answered_ok = answer.ok;
      count(answers);
    };
    world.peers = [](const auto&, const auto&) {};
    world.data_answer = [](auto, auto) {};
    world.clients = [](auto, const auto&, auto) {};
    world.stalled = [](auto) {};
    world.losses = [] { return LossVerdict{}; };
    world.tick = [](auto) {};
    thread = std::make_unique<ShardThread>(
        0,
        std::make_unique<Shard>(settings, identities, std::vector{std::make_shared<const policy::DomainRules>(policy)},
                                std::make_shared<agent::server::MitigationPlanner>(
                                    std::vector<agent::server::PlannedBackEnd>{{"back end"}}),
                                1),
        std::move(world), sink);
  }
  int count(int& what) {
    const std::lock_guard lock(mutex);
    ++what;
    changed.notify_all();
    return what;
  }
  bool reached(const int& what, int number) {
    std::unique_lock lock(mutex);
    return changed.wait_for(lock, 10s, [&] { return what >= number; });
  }
  static ports::Snapshot one_mitigation() {
    ports::MitigationRecord record;
    record.domain = base::DomainId{"acme"};
    record.cuid = base::Cuid{"cuid-of-the-edge-router"};
    record.mid = base::Mid{1};
    record.client = base::ClientId{"edge"};
    record.request.scope.target_prefix = {*model::parse_prefix("192.0.2.1/32")};
    record.expanded = record.request.scope.target_prefix;
    record.granted = model::Lifetime{-1};
    ports::Snapshot snapshot;
    snapshot.mitigations = {record};
    snapshot.cuids = {{record.domain, record.cuid, record.client, {}}};
    return snapshot;
  }

  std::mutex mutex;
  std::condition_variable changed;
  int commits = 0, reads = 0, answers = 0;
  int refused_commits = 0, refused_reads = 0;
  std::atomic<bool> answered_ok{true};
  tests::RecordingSink sink;
  std::unique_ptr<ShardThread> thread;
};

TEST_F(ShardThreadTest, ADomainThatCannotBeReadIsAskedForAgain) {
  refused_reads = 2;
  thread->start({});
  ASSERT_TRUE(thread->post([](Shard&, base::Now, ShardOutput& out) { out.reload.push_back(base::DomainId{"acme"}); },
                           Priority::normal));
  EXPECT_TRUE(reached(reads, 3)) << "twice there was no room";
  thread->read_later(base::DomainId{"acme"});  // the store could not
  EXPECT_TRUE(reached(reads, 4));
}

TEST_F(ShardThreadTest, ACommitThatNobodyTakesIsARefusedOne) {
  refused_commits = 1;
  thread->start(one_mitigation());
  ASSERT_TRUE(thread->post(
      [](Shard& shard, base::Now now, ShardOutput& out) {
        shard.on_message(
            {base::DomainId{"acme"},
             signal::server::OperatorWithdraw{9, base::Cuid{"cuid-of-the-edge-router"}, base::Mid{1}, "root", ""}},
            now, out);
      },
      Priority::normal));
  EXPECT_TRUE(reached(answers, 1));
  EXPECT_FALSE(answered_ok) << "the operator is told to come again";
  EXPECT_TRUE(reached(reads, 1)) << "the domain is read back";
  EXPECT_EQ(commits, 1);
}

}  // namespace
}  // namespace dots::runtime
