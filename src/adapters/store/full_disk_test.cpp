// A disk that is really full: a small file system in memory, mounted for this test alone.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <thread>

#include "adapters/store/sqlite_store.h"
#include "tests/contract/store_contract.h"
#include "tests/support/recording_sink.h"
#include "tests/support/temp_dir.h"

namespace dots::adapters::store {
namespace {

class FullDisk : public testing::Test {
 protected:
  void SetUp() override {
    // the mount is seen by this process only and goes with it
    if (::unshare(CLONE_NEWNS) != 0 || ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
        ::mount("tmpfs", dir.path().c_str(), "tmpfs", 0, "size=24m") != 0) {
      GTEST_SKIP() << "needs root to mount a small file system: " << std::strerror(errno);
    }
    mounted = true;
    boot();
  }
  void TearDown() override {
    store.reset();
    if (mounted) ::umount2(dir.path().c_str(), MNT_DETACH);
  }
  void boot() {
    store.reset();
    SqliteOptions options;
    options.state_dir = dir.path();
    options.disk_reserve_bytes = 1u << 20;
    options.reserve_retry = kReserveRetry;
    options.facts = &sink;
    auto opened = SqliteStore::open(options);
    ASSERT_TRUE(opened) << opened.error().message;
    store = std::move(*opened);
    const auto acquired = store->acquire();
    ASSERT_TRUE(acquired) << acquired.error().message;
    token = *acquired;
  }
  void fill_the_disk() const {
    const int fd = ::open(filler().c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
    ASSERT_GE(fd, 0);
    for (const std::size_t size : {std::size_t{1} << 16, std::size_t{4096}}) {
      const std::string block(size, 'x');
      while (::write(fd, block.data(), block.size()) > 0) {
      }
    }
    ::close(fd);
    struct statvfs facts {};
    ASSERT_EQ(::statvfs(dir.path().c_str(), &facts), 0);
    ASSERT_EQ(facts.f_bavail, 0u);
  }
  void make_room() const { ASSERT_EQ(::unlink(filler().c_str()), 0); }
  std::string filler() const { return dir.path() + "/filler"; }

  ports::CommitResult commit(std::vector<ports::Change> changes) {
    auto result = store->commit({{{1, ++sequence}, token, {}, std::move(changes)}});
    store->maintain();
    return result;
  }
  ports::CommitResult put(std::uint32_t mid) {
    auto record = tests::full_record("d", "c", mid);
    record.status = model::MitigationStatus::in_progress;
    return commit({ports::PutMitigation{record}, ports::AppendAudit{line(mid)}});
  }
  // As the server does it: first into the terminating period, then away, each with its line in the audit log.
  ports::CommitResult withdraw(std::uint32_t mid) {
    auto record = tests::full_record("d", "c", mid);
    record.status = model::MitigationStatus::client_withdrawn;
    const auto first = commit({ports::PutMitigation{record}, ports::AppendAudit{line(mid)}});
    if (first.outcome != ports::CommitOutcome::committed) return first;
    return commit({ports::EraseMitigation{{record.domain, record.cuid, record.mid}}, ports::AppendAudit{line(mid)}});
  }
  static ports::AuditRecord line(std::uint32_t mid) { return tests::audit_line("d", mid); }

  // Puts until the disk refuses; the number of those that were taken.
  std::uint32_t put_until_refused(std::uint32_t first) {
    for (std::uint32_t mid = first; mid < first + 100'000; ++mid) {
      const auto result = put(mid);
      if (result.outcome == ports::CommitOutcome::committed) continue;
      EXPECT_EQ(result.outcome, ports::CommitOutcome::refused) << result.reason;
      EXPECT_NE(result.reason.find(dir.path()), std::string::npos) << result.reason;
      return mid - first;
    }
    ADD_FAILURE() << "the disk never became full";
    return 0;
  }

  // After room was made: the reserve is tried again only now and then.
  ports::CommitResult put_when_reserve_is_tried(std::uint32_t mid) {
    std::this_thread::sleep_for(kReserveRetry * 2);
    return put(mid);
  }

  static constexpr base::Duration kReserveRetry = std::chrono::milliseconds{100};
  tests::TempDir dir;
  tests::RecordingSink sink;
  std::unique_ptr<SqliteStore> store;
  std::uint64_t token = 0;
  std::uint64_t sequence = 0;
  bool mounted = false;
};

TEST_F(FullDisk, EveryMitigationCanStillBeWithdrawn) {
  for (std::uint32_t mid = 0; mid < 1500; ++mid) ASSERT_EQ(put(mid).outcome, ports::CommitOutcome::committed);
  ASSERT_TRUE(store->reserve_whole());
  fill_the_disk();
  const std::uint32_t taken = put_until_refused(10'000);
  EXPECT_TRUE(sink.unwell("DISK_FULL"));

  for (std::uint32_t mid = 0; mid < 1500; ++mid) {
    const auto result = withdraw(mid);
    ASSERT_EQ(result.outcome, ports::CommitOutcome::committed) << mid << ": " << result.reason;
    // what the reserve gave is not for new requests
    if (!store->reserve_whole()) {
      ASSERT_EQ(put(50'000 + mid).outcome, ports::CommitOutcome::refused);
    }
  }
  EXPECT_FALSE(store->reserve_whole()) << "the reserve was never needed: the test is too small";
  EXPECT_EQ(store->load()->mitigations.size(), taken);

  make_room();
  EXPECT_EQ(put_when_reserve_is_tried(1).outcome, ports::CommitOutcome::committed);
  EXPECT_TRUE(store->reserve_whole());
  EXPECT_FALSE(sink.unwell("DISK_FULL"));
  EXPECT_EQ(store->load()->mitigations.size(), taken + 1);
}

TEST_F(FullDisk, AStartOnAFullDiskLoadsAndTakesWithdrawals) {
  for (std::uint32_t mid = 0; mid < 50; ++mid) ASSERT_EQ(put(mid).outcome, ports::CommitOutcome::committed);
  boot();  // moves the log into the database, so that no room is owed there
  fill_the_disk();
  store.reset();
  fill_the_disk();  // with what the end of the log gave back
  boot();
  if (HasFatalFailure()) return;
  EXPECT_FALSE(store->reserve_whole()) << "there was room all the time";
  EXPECT_EQ(store->load()->mitigations.size(), 50u);
  EXPECT_EQ(put(100).outcome, ports::CommitOutcome::refused);
  for (std::uint32_t mid = 0; mid < 50; ++mid) {
    ASSERT_EQ(withdraw(mid).outcome, ports::CommitOutcome::committed) << mid;
  }
  make_room();
  EXPECT_EQ(put_when_reserve_is_tried(100).outcome, ports::CommitOutcome::committed);
}

TEST_F(FullDisk, WithoutAReserveNothingBreaks) {
  store.reset();
  SqliteOptions options;
  options.state_dir = dir.path();
  options.disk_reserve_bytes = 0;
  auto opened = SqliteStore::open(options);
  ASSERT_TRUE(opened);
  store = std::move(*opened);
  token = *store->acquire();
  fill_the_disk();
  put_until_refused(0);
  make_room();
  EXPECT_EQ(put(100'000).outcome, ports::CommitOutcome::committed);
}

TEST_F(FullDisk, ANewDatabaseOnAFullDiskIsAClearError) {
  store.reset();
  for (const char* name : {"/tidewall.db", "/tidewall.db-wal", "/reserve"}) ::unlink((dir.path() + name).c_str());
  fill_the_disk();
  SqliteOptions options;
  options.state_dir = dir.path();
  const auto refused = SqliteStore::open(options);
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find(dir.path()), std::string::npos) << refused.error().message;
  EXPECT_NE(refused.error().message.find("full"), std::string::npos) << refused.error().message;
}

TEST_F(FullDisk, AReadOnlyFileSystemIsNamed) {
  store.reset();
  ASSERT_EQ(::mount("tmpfs", dir.path().c_str(), "tmpfs", MS_REMOUNT | MS_RDONLY, "size=24m"), 0);
  SqliteOptions options;
  options.state_dir = dir.path();
  const auto refused = SqliteStore::open(options);
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("read-only file system"), std::string::npos) << refused.error().message;
}

}  // namespace
}  // namespace dots::adapters::store
