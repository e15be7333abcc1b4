// The contract of the store on SQLite, with faults of a disk injected below it.
#include <sqlite3.h>

#include "adapters/store/sqlite_store.h"
#include "tests/contract/store_contract.h"
#include "tests/support/faulty_vfs.h"
#include "tests/support/temp_dir.h"

namespace dots::adapters::store {
namespace {

struct SqliteHarness {
  static constexpr std::size_t kAuditRecords = 10;

  SqliteHarness() { vfs.reset(); }

  std::unique_ptr<ports::Store> open() const {
    SqliteOptions options;
    options.state_dir = dir.path();
    options.audit_records = kAuditRecords;
    options.kept_batches = 1000;
    options.disk_reserve_bytes = 0;
    options.vfs = tests::FaultyVfs::kName;
    auto store = SqliteStore::open(options);
    EXPECT_TRUE(store) << store.error().message;
    return store ? std::move(*store) : nullptr;
  }
  void refuse_next() const { vfs.fail_log_writes(SQLITE_FULL); }
  void lose_answer_next(bool applied) const {
    vfs.fail_log_syncs(1, applied);
    // applied: the frames stay in the log and are found when it is read again
    if (applied) vfs.freeze_after_log_sync_failure();
  }

  tests::FaultyVfs& vfs = tests::FaultyVfs::instance();
  tests::TempDir dir;
};

}  // namespace
}  // namespace dots::adapters::store

namespace dots::tests {
INSTANTIATE_TYPED_TEST_SUITE_P(Sqlite, StoreContract, adapters::store::SqliteHarness);
}  // namespace dots::tests
