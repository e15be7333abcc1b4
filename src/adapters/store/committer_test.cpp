#include "adapters/store/committer.h"

#include <gtest/gtest.h>

#include <condition_variable>
#include <future>

#include "adapters/store/memory_store.h"
#include "tests/contract/store_contract.h"
#include "tests/support/recording_sink.h"

namespace dots::adapters::store {
namespace {

using ports::CommitOutcome;
using ports::CommitResult;

// A gate that commits wait at.
class Door {
 public:
  void close() {
    const std::lock_guard lock(mutex_);
    open_ = false;
  }
  void open() {
    const std::lock_guard lock(mutex_);
    open_ = true;
    changed_.notify_all();
  }
  void pass() {
    std::unique_lock lock(mutex_);
    ++arrived_;
    changed_.notify_all();
    changed_.wait(lock, [this] { return open_; });
  }
  void wait_for_arrival(int n) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return arrived_ >= n; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool open_ = true;
  int arrived_ = 0;
};

// A memory store that records its groups and refuses every group with a counter named "bad" in it.
class ProbeStore : public MemoryStore {
 public:
  ProbeStore(std::shared_ptr<MemoryDisk> disk, Door& door) : MemoryStore(std::move(disk)), door_(door) {}

  CommitResult commit(const std::vector<ports::Batch>& group) override {
    door_.pass();
    groups.push_back(group.size());
    for (const auto& batch : group) {
      batches.push_back(batch);
      for (const auto& change : batch.changes) {
        const auto* counter = std::get_if<ports::PutCounter>(&change);
        if (counter != nullptr && counter->name == "bad") return {CommitOutcome::refused, "bad batch"};
      }
    }
    return MemoryStore::commit(group);
  }
  void maintain() override { ++maintained; }

  // The commit thread's; read after stop().
  std::vector<std::size_t> groups;
  std::vector<ports::Batch> batches;
  int maintained = 0;

 private:
  Door& door_;
};

class CommitterTest : public testing::Test {
 protected:
  void start(CommitterOptions options = {}) {
    auto owned = std::make_unique<ProbeStore>(disk, door);
    store = owned.get();
    const auto token = owned->acquire();
    options.settle_backoff = std::chrono::milliseconds{1};
    committer = std::make_unique<Committer>(std::move(owned), 77, *token, options, &sink);
  }
  void TearDown() override {
    door.open();
    committer.reset();
  }

  static ports::Change mitigation(const std::string& domain, std::uint32_t mid) {
    auto record = tests::full_record(domain, "c", mid);
    record.status = model::MitigationStatus::in_progress;
    return ports::PutMitigation{record};
  }
  static ports::Change erasure(const std::string& domain, std::uint32_t mid) {
    return ports::EraseMitigation{{base::DomainId(domain), base::Cuid("c"), base::Mid(mid)}};
  }
  static ports::Change bad() { return ports::PutCounter{"bad", 1}; }

  // The result comes when the commit thread answers; an exception (broken promise) when nobody ever does.
  std::future<CommitResult> submit(std::vector<ports::Change> changes, bool* taken = nullptr) {
    auto promise = std::make_shared<std::promise<CommitResult>>();
    auto future = promise->get_future();
    const bool ok = committer->submit({{}, 0, {}, std::move(changes)},
                                      [promise](const CommitResult& result) { promise->set_value(result); });
    if (taken != nullptr) {
      *taken = ok;
    } else {
      EXPECT_TRUE(ok);
    }
    return future;
  }
  std::future<base::Result<ports::Snapshot>> load(const std::string& domain) {
    auto promise = std::make_shared<std::promise<base::Result<ports::Snapshot>>>();
    auto future = promise->get_future();
    EXPECT_TRUE(committer->load_domain(base::DomainId(domain), [promise](base::Result<ports::Snapshot> snapshot) {
      promise->set_value(std::move(snapshot));
    }));
    return future;
  }
  // Closes the door with one commit behind it, so that what follows gathers.
  std::future<CommitResult> hold() {
    door.close();
    auto first = submit({ports::PutCounter{"first", 1}});
    door.wait_for_arrival(1);
    return first;
  }

  Door door;
  std::shared_ptr<MemoryDisk> disk = std::make_shared<MemoryDisk>();
  tests::RecordingSink sink;
  ProbeStore* store = nullptr;
  std::unique_ptr<Committer> committer;
};

TEST_F(CommitterTest, WhatWaitsCommitsAsOneGroupInOrder) {
  start();
  auto first = hold();
  std::vector<std::future<CommitResult>> rest;
  for (std::uint32_t mid = 0; mid < 10; ++mid) rest.push_back(submit({mitigation("d", mid)}));
  EXPECT_EQ(committer->queued(), 10u);
  door.open();
  EXPECT_EQ(first.get().outcome, CommitOutcome::committed);
  for (auto& result : rest) EXPECT_EQ(result.get().outcome, CommitOutcome::committed);
  committer->stop();
  EXPECT_EQ(store->groups, (std::vector<std::size_t>{1, 10}));
  EXPECT_EQ(store->maintained, 2);
  // ids and the token come from here, and follow each other
  for (std::size_t i = 0; i < store->batches.size(); ++i) {
    EXPECT_EQ(store->batches[i].id, (ports::BatchId{77, i + 1}));
    EXPECT_EQ(store->batches[i].fencing_token, 1u);
  }
  EXPECT_EQ(disk->mitigations.size(), 10u);
  EXPECT_EQ(sink.counted("dots_store_batches_total", "committed"), 11u);
  EXPECT_EQ(sink.counted("dots_store_groups_total"), 2u);
}

TEST_F(CommitterTest, AGroupIsBounded) {
  CommitterOptions options;
  options.group_batches = 4;
  options.group_changes = 10;
  start(options);
  auto first = hold();
  std::vector<std::future<CommitResult>> rest;
  for (std::uint32_t mid = 0; mid < 5; ++mid) rest.push_back(submit({mitigation("d", mid)}));
  std::vector<ports::Change> many;
  for (std::uint32_t mid = 0; mid < 30; ++mid) many.push_back(mitigation("e", mid));
  rest.push_back(submit(many));  // larger than a group may be, and still taken: alone
  rest.push_back(submit({mitigation("d", 6)}));
  door.open();
  for (auto& result : rest) EXPECT_EQ(result.get().outcome, CommitOutcome::committed);
  committer->stop();
  EXPECT_EQ(store->groups, (std::vector<std::size_t>{1, 4, 1, 1, 1}));
}

TEST_F(CommitterTest, ABadBatchHarmsOnlyItsOwnDomain) {
  start();
  auto first = hold();
  auto before = submit({mitigation("d", 1)});
  auto failing = submit({mitigation("d", 2), bad()});
  auto after = submit({mitigation("d", 3)});  // was built on what is not there
  auto other = submit({mitigation("e", 1)});
  door.open();
  EXPECT_EQ(before.get().outcome, CommitOutcome::committed);
  const auto refused = failing.get();
  EXPECT_EQ(refused.outcome, CommitOutcome::refused);
  EXPECT_EQ(refused.reason, "bad batch");
  const auto followed = after.get();
  EXPECT_EQ(followed.outcome, CommitOutcome::refused);
  EXPECT_NE(followed.reason.find("domain d"), std::string::npos) << followed.reason;
  EXPECT_EQ(other.get().outcome, CommitOutcome::committed);
  EXPECT_EQ(sink.messages("STORE_COMMIT_FAILED"), 1u);

  // still refused in later groups, until the domain was loaded
  EXPECT_EQ(submit({mitigation("d", 4)}).get().outcome, CommitOutcome::refused);
  EXPECT_EQ(submit({mitigation("e", 2)}).get().outcome, CommitOutcome::committed);
  const auto snapshot = load("d").get();
  ASSERT_TRUE(snapshot);
  ASSERT_EQ(snapshot->mitigations.size(), 1u);
  EXPECT_EQ(snapshot->mitigations.front().mid, base::Mid(1));
  EXPECT_EQ(submit({mitigation("d", 5)}).get().outcome, CommitOutcome::committed);
}

TEST_F(CommitterTest, ADomainStaysShutWhenItsLoadFails) {
  start();
  EXPECT_EQ(submit({mitigation("d", 1), bad()}).get().outcome, CommitOutcome::refused);
  store->fail_loading(true);
  EXPECT_FALSE(load("d").get());
  EXPECT_EQ(submit({mitigation("d", 2)}).get().outcome, CommitOutcome::refused);
  store->fail_loading(false);
  EXPECT_TRUE(load("other").get());
  EXPECT_EQ(submit({mitigation("d", 2)}).get().outcome, CommitOutcome::refused);
  EXPECT_TRUE(load("d").get());
  EXPECT_EQ(submit({mitigation("d", 2)}).get().outcome, CommitOutcome::committed);
}

TEST_F(CommitterTest, RequestsOfTheClientRoleAreALaneForEachServer) {
  start();
  ports::ClientRequestRecord request;
  request.server = "up";
  EXPECT_EQ(submit({ports::PutClientRequest{request}, bad()}).get().outcome, CommitOutcome::refused);
  EXPECT_EQ(submit({ports::EraseClientRequest{"up", base::Mid(0)}}).get().outcome, CommitOutcome::refused);
  EXPECT_EQ(submit({ports::EraseClientRequest{"other", base::Mid(0)}}).get().outcome, CommitOutcome::committed);
  std::promise<bool> loaded;
  ASSERT_TRUE(committer->load_client_requests(
      [&](base::Result<ports::Snapshot> snapshot) { loaded.set_value(snapshot.ok()); }));
  EXPECT_TRUE(loaded.get_future().get());
  EXPECT_EQ(submit({ports::PutClientRequest{request}}).get().outcome, CommitOutcome::committed);
}

TEST_F(CommitterTest, AnUnknownOutcomeIsSettledAndNobodyNotices) {
  start();
  for (const Fault fault : {Fault::unknown_applied, Fault::unknown_not_applied}) {
    store->fail_settling(3);
    store->script({fault});
    const auto mid = static_cast<std::uint32_t>(fault);
    EXPECT_EQ(submit({mitigation("d", mid)}).get().outcome, CommitOutcome::committed);
    EXPECT_EQ(load("d").get()->mitigations.size(), fault == Fault::unknown_applied ? 1u : 2u);
  }
  // twice in a row is not hidden any more, but it is certain
  store->script({Fault::unknown_not_applied, Fault::unknown_not_applied});
  EXPECT_EQ(submit({mitigation("d", 99)}).get().outcome, CommitOutcome::refused);
  EXPECT_EQ(load("d").get()->mitigations.size(), 2u);
}

TEST_F(CommitterTest, WhatCannotBeSettledIsReportedAsUnknownAndTheDomainIsShut) {
  start();
  for (const Fault fault : {Fault::unknown_applied, Fault::unknown_not_applied}) {
    const std::string domain = fault == Fault::unknown_applied ? "there" : "absent";
    store->fail_settling(CommitterOptions{}.settle_tries);
    store->script({fault});
    const auto result = submit({mitigation(domain, 1)}).get();
    EXPECT_EQ(result.outcome, CommitOutcome::unknown);
    EXPECT_NE(result.reason.find("settling refused"), std::string::npos);
    EXPECT_EQ(submit({mitigation(domain, 2)}).get().outcome, CommitOutcome::refused);
    const auto snapshot = load(domain).get();
    ASSERT_TRUE(snapshot);
    EXPECT_EQ(snapshot->mitigations.size(), fault == Fault::unknown_applied ? 1u : 0u);
  }
  EXPECT_EQ(sink.messages("STORE_OUTCOME_UNKNOWN"), 2u);
}

TEST_F(CommitterTest, AnUnknownGroupIsSettledAsAWhole) {
  for (const Fault fault : {Fault::unknown_applied, Fault::unknown_not_applied}) {
    start();
    auto first = hold();
    std::vector<std::future<CommitResult>> rest;
    for (std::uint32_t mid = 0; mid < 5; ++mid) rest.push_back(submit({mitigation("d", mid)}));
    store->script({Fault::none, fault});
    door.open();
    for (auto& result : rest) EXPECT_EQ(result.get().outcome, CommitOutcome::committed);
    EXPECT_EQ(load("d").get()->mitigations.size(), 5u);
    committer.reset();
  }
}

TEST_F(CommitterTest, HealthFollowsTheLastOutcome) {
  start();
  EXPECT_EQ(submit({bad()}).get().outcome, CommitOutcome::refused);
  EXPECT_TRUE(sink.unwell("STORE_FAILED"));
  EXPECT_EQ(submit({ports::PutCounter{"good", 1}}).get().outcome, CommitOutcome::committed);
  EXPECT_FALSE(sink.unwell("STORE_FAILED"));
}

TEST_F(CommitterTest, AFullQueueKeepsRoomForReleases) {
  CommitterOptions options;
  options.queue_batches = 3;
  options.queue_release_batches = 2;
  start(options);
  auto first = hold();
  std::vector<std::future<CommitResult>> taken_results;
  bool taken = false;
  for (std::uint32_t mid = 0; mid < 3; ++mid) taken_results.push_back(submit({mitigation("d", mid)}));
  auto turned_away = submit({mitigation("d", 4)}, &taken);
  EXPECT_FALSE(taken);
  EXPECT_THROW(turned_away.get(), std::future_error) << "a batch that was not taken must not be answered";
  taken_results.push_back(submit({erasure("d", 0)}));
  taken_results.push_back(submit({erasure("d", 1)}));
  submit({erasure("d", 2)}, &taken);
  EXPECT_FALSE(taken);
  door.open();
  for (auto& result : taken_results) EXPECT_EQ(result.get().outcome, CommitOutcome::committed);
  EXPECT_EQ(sink.messages("STORE_QUEUE_FULL"), 2u);
  EXPECT_EQ(submit({mitigation("d", 5)}).get().outcome, CommitOutcome::committed);
}

TEST_F(CommitterTest, ReadsAreBoundedAndKeepTheirPlaceInTheOrder) {
  CommitterOptions options;
  options.queue_reads = 2;
  start(options);
  auto first = hold();
  auto before = submit({mitigation("d", 1)});
  auto snapshot = load("d");
  auto after = submit({mitigation("d", 2)});
  std::promise<std::size_t> lines;
  ASSERT_TRUE(committer->read([&](ports::Store& s) { lines.set_value(s.audit(tests::newest(9))->size()); }));
  EXPECT_FALSE(committer->read([](ports::Store&) {}));
  door.open();
  EXPECT_EQ(snapshot.get()->mitigations.size(), 1u);
  EXPECT_EQ(lines.get_future().get(), 0u);
}

TEST_F(CommitterTest, AStallIsRaisedAndItsEndIsTold) {
  CommitterOptions options;
  options.stall = std::chrono::milliseconds{20};
  start(options);
  EXPECT_FALSE(committer->stalled());
  auto first = hold();
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds{20};
  while (!committer->stalled() && std::chrono::steady_clock::now() < until) std::this_thread::yield();
  EXPECT_TRUE(committer->stalled());
  while (sink.messages("STORE_STALLED") == 0 && std::chrono::steady_clock::now() < until) std::this_thread::yield();
  while (!sink.unwell("STORE_STALLED") && std::chrono::steady_clock::now() < until) std::this_thread::yield();
  EXPECT_TRUE(sink.unwell("STORE_STALLED"));
  door.open();
  EXPECT_EQ(first.get().outcome, CommitOutcome::committed);
  while (sink.unwell("STORE_STALLED") && std::chrono::steady_clock::now() < until) std::this_thread::yield();
  EXPECT_FALSE(sink.unwell("STORE_STALLED"));
  EXPECT_FALSE(committer->stalled());
  EXPECT_EQ(sink.messages("STORE_STALLED"), 1u);
  EXPECT_EQ(sink.messages("STORE_STALL_OVER"), 1u);
}

TEST_F(CommitterTest, StopCommitsWhatWasTakenAndTakesNoMore) {
  start();
  auto first = hold();
  std::vector<std::future<CommitResult>> rest;
  for (std::uint32_t mid = 0; mid < 100; ++mid) rest.push_back(submit({mitigation("d", mid)}));
  auto snapshot = load("d");
  std::thread stopper([this] { committer->stop(); });
  door.open();
  stopper.join();
  for (auto& result : rest) EXPECT_EQ(result.get().outcome, CommitOutcome::committed);
  EXPECT_EQ(snapshot.get()->mitigations.size(), 100u);
  bool taken = true;
  submit({mitigation("d", 1)}, &taken);
  EXPECT_FALSE(taken);
  EXPECT_FALSE(committer->read([](ports::Store&) {}));
  committer->stop();  // again is no harm
}

TEST_F(CommitterTest, ManyThreadsEachSeeTheirOrderKept) {
  start();
  constexpr std::uint32_t kBatches = 500;
  std::vector<std::thread> threads;
  std::atomic<std::uint32_t> committed{0};
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      auto last = std::make_shared<std::uint32_t>(0);  // the commit thread's
      for (std::uint32_t n = 1; n <= kBatches; ++n) {
        ports::Batch batch{{}, 0, {}, {ports::PutCounter{"t" + std::to_string(t), n}}};
        const auto done = [&committed, last, n](const CommitResult& result) {
          EXPECT_EQ(*last + 1, n);
          *last = n;
          committed += result.outcome == CommitOutcome::committed ? 1u : 0u;
        };
        while (!committer->submit(batch, done)) std::this_thread::yield();
      }
    });
  }
  for (auto& thread : threads) thread.join();
  committer->stop();
  EXPECT_EQ(committed.load(), 4 * kBatches);
  for (int t = 0; t < 4; ++t) EXPECT_EQ(disk->counters.at("t" + std::to_string(t)), kBatches);
}

}  // namespace
}  // namespace dots::adapters::store
