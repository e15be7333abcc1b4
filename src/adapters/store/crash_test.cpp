// What was acknowledged survives kill -9 and a power cut; what was not never half survives.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <random>
#include <set>

#include "adapters/store/committer.h"
#include "adapters/store/sqlite_store.h"
#include "tests/contract/store_contract.h"
#include "tests/support/faulty_vfs.h"
#include "tests/support/temp_dir.h"

namespace dots::adapters::store {
namespace {

std::unique_ptr<SqliteStore> open_store(const std::string& dir, const std::string& vfs = "") {
  SqliteOptions options;
  options.state_dir = dir;
  options.disk_reserve_bytes = 0;
  options.vfs = vfs;
  auto store = SqliteStore::open(options);
  EXPECT_TRUE(store) << store.error().message;
  return store ? std::move(*store) : nullptr;
}

ports::DataEntryRecord alias_of(std::uint32_t number) {
  return tests::data_entry("left", "c", ports::DataEntryKind::alias, std::to_string(number), number);
}

// Records under one number, of both channels: one without the others is half a batch.
std::vector<ports::Change> pair_of(std::uint32_t number) {
  return {ports::PutMitigation{tests::full_record("left", "c", number)},
          ports::PutMitigation{tests::full_record("right", "c", number)}, ports::PutDataEntry{alias_of(number)}};
}

// The numbers whose pairs are there.
std::set<std::uint32_t> numbers_in(ports::Store& store) {
  const auto snapshot = store.load();
  EXPECT_TRUE(snapshot) << snapshot.error().message;
  std::set<std::uint32_t> left;
  std::set<std::uint32_t> right;
  if (!snapshot) return left;
  for (const auto& record : snapshot->mitigations) {
    (record.domain.value == "left" ? left : right).insert(record.mid.value);
    EXPECT_EQ(record, tests::full_record(record.domain.value, "c", record.mid.value));
  }
  EXPECT_EQ(left, right) << "half a batch survived";
  std::set<std::uint32_t> aliases;
  for (const auto& record : snapshot->data_entries) {
    aliases.insert(static_cast<std::uint32_t>(record.rank));
    EXPECT_EQ(record, alias_of(static_cast<std::uint32_t>(record.rank)));
  }
  EXPECT_EQ(left, aliases) << "half a batch survived";
  return left;
}

void acknowledge(int fd, std::uint32_t number) {
  if (::write(fd, &number, sizeof number) != sizeof number) ::_exit(3);
}

// In the child: commits for ever and writes the number of every acknowledged batch to fd.
[[noreturn]] void commit_alone(const std::string& dir, int fd, std::uint32_t first) {
  auto store = open_store(dir);
  if (!store) ::_exit(2);
  const auto token = store->acquire();
  if (!token) ::_exit(2);
  for (std::uint32_t number = first;; ++number) {
    const ports::Batch batch{{first, number}, *token, {}, pair_of(number)};
    if (store->commit({batch}).outcome != ports::CommitOutcome::committed) ::_exit(4);
    acknowledge(fd, number);
    if (number % 16 == 0) store->maintain();
  }
}

[[noreturn]] void commit_in_groups(const std::string& dir, int fd, std::uint32_t first) {
  auto store = open_store(dir);
  if (!store) ::_exit(2);
  const auto token = store->acquire();
  if (!token) ::_exit(2);
  CommitterOptions options;
  options.queue_batches = 64;
  Committer committer(std::move(store), first, *token, options, nullptr);
  for (std::uint32_t number = first;; ++number) {
    const auto done = [fd, number](const ports::CommitResult& result) {
      if (result.outcome != ports::CommitOutcome::committed) ::_exit(4);
      acknowledge(fd, number);
    };
    while (!committer.submit({{}, 0, {}, pair_of(number)}, done)) std::this_thread::yield();
  }
}

using ChildWork = void (*)(const std::string&, int, std::uint32_t);

// Lets the child run until it has acknowledged `wanted` batches, and a random moment longer; then kill -9.
std::set<std::uint32_t> run_and_kill(ChildWork work, const std::string& dir, std::uint32_t first, std::size_t wanted,
                                     int extra_us) {
  int ends[2];
  EXPECT_EQ(::pipe(ends), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    ::close(ends[0]);
    work(dir, ends[1], first);
    ::_exit(5);
  }
  ::close(ends[1]);
  std::set<std::uint32_t> acknowledged;
  std::uint32_t number = 0;
  while (acknowledged.size() < wanted && ::read(ends[0], &number, sizeof number) == sizeof number) {
    acknowledged.insert(number);
  }
  ::usleep(static_cast<useconds_t>(extra_us));
  ::kill(child, SIGKILL);
  while (::read(ends[0], &number, sizeof number) == sizeof number) acknowledged.insert(number);
  ::close(ends[0]);
  int status = 0;
  ::waitpid(child, &status, 0);
  EXPECT_TRUE(WIFSIGNALED(status)) << "the child ended by itself, status " << WEXITSTATUS(status);
  return acknowledged;
}

// A killed process leaves the same behind on a file system in memory, and its commits are a hundred times faster.
std::filesystem::path fast_place() {
  return ::access("/dev/shm", W_OK) == 0 ? "/dev/shm" : std::filesystem::temp_directory_path();
}

void kill_many_times(ChildWork work, int rounds) {
  const tests::TempDir dir(fast_place());
  std::mt19937 random(1);
  std::set<std::uint32_t> acknowledged;
  for (int round = 0; round < rounds; ++round) {
    const auto first = static_cast<std::uint32_t>(round) * 1'000'000 + 1;
    const std::size_t wanted = random() % 40;
    acknowledged.merge(run_and_kill(work, dir.path(), first, wanted, static_cast<int>(random() % 3000)));
    auto store = open_store(dir.path());
    ASSERT_NE(store, nullptr);
    const auto there = numbers_in(*store);
    for (const auto number : acknowledged) ASSERT_TRUE(there.count(number)) << "round " << round << ": " << number;
  }
  EXPECT_GT(acknowledged.size(), static_cast<std::size_t>(rounds));
}

TEST(Crash, EveryAcknowledgedBatchSurvivesKillNine) { kill_many_times(commit_alone, 40); }

TEST(Crash, EveryAcknowledgedBatchOfAGroupSurvivesKillNine) { kill_many_times(commit_in_groups, 20); }

// A disk that keeps only what was made durable.
class PowerCut : public testing::Test {
 protected:
  void SetUp() override {
    vfs.reset();
    boot();
  }
  void TearDown() override {
    store.reset();
    vfs.reset();
  }
  void boot() {
    store = open_store(dir.path(), tests::FaultyVfs::kName);
    ASSERT_NE(store, nullptr);
    const auto acquired = store->acquire();
    ASSERT_TRUE(acquired) << acquired.error().message;
    token = *acquired;
  }
  void cut() {
    vfs.set_dead(true);
    store.reset();
    vfs.power_cut();
    boot();
  }
  ports::CommitOutcome commit(std::uint32_t number) {
    return store->commit({{{1, number}, token, {}, pair_of(number)}}).outcome;
  }

  tests::FaultyVfs& vfs = tests::FaultyVfs::instance();
  tests::TempDir dir;
  std::unique_ptr<SqliteStore> store;
  std::uint64_t token = 0;
};

TEST_F(PowerCut, EveryAcknowledgedBatchSurvives) {
  std::set<std::uint32_t> acknowledged;
  std::mt19937 random(2);
  for (std::uint32_t number = 1; number <= 300; ++number) {
    ASSERT_EQ(commit(number), ports::CommitOutcome::committed);
    acknowledged.insert(number);
    if (random() % 5 == 0) store->maintain();
    if (random() % 20 == 0) {
      cut();
      ASSERT_EQ(numbers_in(*store), acknowledged);
    }
  }
}

TEST_F(PowerCut, EachCommitIsMadeDurableOnceAndAGroupOnlyOnce) {
  int before = vfs.log_syncs();
  ASSERT_EQ(commit(1), ports::CommitOutcome::committed);
  ASSERT_EQ(commit(2), ports::CommitOutcome::committed);
  EXPECT_EQ(vfs.log_syncs() - before, 2);
  before = vfs.log_syncs();
  std::vector<ports::Batch> group;
  for (std::uint32_t number = 3; number < 30; ++number) group.push_back({{1, number}, token, {}, pair_of(number)});
  ASSERT_EQ(store->commit(group).outcome, ports::CommitOutcome::committed);
  EXPECT_EQ(vfs.log_syncs() - before, 1);
}

// After a failed fsync the bytes may be on the disk or not. Whatever the store answers then must stay true.
TEST_F(PowerCut, ASettledOutcomeStaysTrue) {
  std::set<std::uint32_t> there;
  for (std::uint32_t number = 1; number <= 40; ++number) {
    ASSERT_EQ(commit(number), ports::CommitOutcome::committed);
    there.insert(number);
    const std::uint32_t doubtful = 1000 + number;
    vfs.fail_log_syncs(1, number % 2 == 0);
    if (number % 3 == 0) vfs.freeze_after_log_sync_failure();
    ASSERT_EQ(commit(doubtful), ports::CommitOutcome::unknown);
    const auto settled = store->was_committed({1, doubtful});
    ASSERT_TRUE(settled) << settled.error().message;
    EXPECT_EQ(*settled, number % 3 == 0) << "the fault was not the one that this test wants";
    if (*settled) there.insert(doubtful);
    cut();
    ASSERT_EQ(numbers_in(*store), there) << "after number " << number << ", settled as " << *settled;
  }
}

TEST_F(PowerCut, SettlingWaitsForADiskThatWorks) {
  ASSERT_EQ(commit(1), ports::CommitOutcome::committed);
  vfs.fail_log_syncs(1, true);
  vfs.freeze_after_log_sync_failure();
  ASSERT_EQ(commit(2), ports::CommitOutcome::unknown);
  vfs.set_dead(true);
  const auto dead = store->was_committed({1, 2});
  ASSERT_FALSE(dead);
  EXPECT_NE(dead.error().message.find(dir.path()), std::string::npos) << dead.error().message;
  // a disk that does not work certainly takes nothing
  EXPECT_EQ(commit(3), ports::CommitOutcome::refused);
  EXPECT_FALSE(store->load_domain(base::DomainId("left")));
  EXPECT_FALSE(store->load());
  EXPECT_FALSE(store->audit(tests::newest(1)));
  EXPECT_FALSE(store->acquire());
  vfs.set_dead(false);
  const auto settled = store->was_committed({1, 2});
  ASSERT_TRUE(settled) << settled.error().message;
  EXPECT_TRUE(*settled);
  EXPECT_EQ(numbers_in(*store), (std::set<std::uint32_t>{1, 2}));
}

// The log is what a reader sees, but not what the disk has: "committed" is only said after it was written anew.
TEST_F(PowerCut, SettlingAsCommittedNeedsTheDatabaseOnTheDisk) {
  ASSERT_EQ(commit(1), ports::CommitOutcome::committed);
  vfs.fail_log_syncs(1, false);
  vfs.freeze_after_log_sync_failure();
  ASSERT_EQ(commit(2), ports::CommitOutcome::unknown);
  vfs.fail_database_syncs(1);
  EXPECT_FALSE(store->was_committed({1, 2}));
  const auto settled = store->was_committed({1, 2});
  ASSERT_TRUE(settled) << settled.error().message;
  ASSERT_TRUE(*settled);
  cut();
  EXPECT_EQ(numbers_in(*store), (std::set<std::uint32_t>{1, 2}));
}

TEST_F(PowerCut, AFailedCheckpointLosesNothing) {
  std::set<std::uint32_t> there;
  int armed = 0;
  for (std::uint32_t number = 1; number <= 4000; number += 100) {
    if (vfs.database_syncs_to_fail() == 0) {
      vfs.fail_database_syncs(1);
      ++armed;
    }
    ports::Batch batch{{1, number}, token, {}, {}};
    for (std::uint32_t i = number; i < number + 100; ++i) {
      for (auto& change : pair_of(i)) batch.changes.push_back(std::move(change));
      there.insert(i);
    }
    ASSERT_EQ(store->commit({batch}).outcome, ports::CommitOutcome::committed);
    store->maintain();
  }
  EXPECT_GT(armed, 3) << "no checkpoint ran";
  cut();
  EXPECT_EQ(numbers_in(*store), there);
}

TEST_F(PowerCut, WritesThatFailBeforeTheEndAreRefusedOrSettled) {
  std::set<std::uint32_t> there;
  for (std::uint32_t number = 1; number <= 20; ++number) {
    vfs.fail_log_writes(SQLITE_IOERR_WRITE);
    const auto outcome = commit(number);
    ASSERT_NE(outcome, ports::CommitOutcome::committed);
    const auto settled = store->was_committed({1, number});
    ASSERT_TRUE(settled) << settled.error().message;
    EXPECT_FALSE(*settled);
    ASSERT_EQ(commit(number), ports::CommitOutcome::committed);
    there.insert(number);
  }
  cut();
  EXPECT_EQ(numbers_in(*store), there);
}

}  // namespace
}  // namespace dots::adapters::store
