// The Store port on SQLite: WAL, synchronous=FULL, one transaction for each group (docs/decisions/store.md).
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "ops/facts/messages.h"
#include "ports/store.h"

namespace dots::adapters::store {

struct SqliteOptions {
  std::string state_dir;
  std::uint32_t audit_records = 100000;
  std::uint64_t disk_reserve_bytes = 1u << 20;             // 0: none
  std::uint32_t kept_batches = 10000;                      // ids that was_committed can settle
  base::Duration reserve_retry = std::chrono::seconds{1};  // how often a given reserve is tried to be made again
  std::string vfs;                                         // of SQLite; empty: the system's
  ops::facts::Sink* facts = nullptr;                       // outlives the store
};

// The caller holds the StateLock of the directory. Files: tidewall.db, tidewall.db-wal, reserve.
class SqliteStore : public ports::Store {
 public:
  // Creates or upgrades the database. An error names the path and what to do.
  static base::Result<std::unique_ptr<SqliteStore>> open(SqliteOptions options);
  ~SqliteStore() override;

  base::Result<std::uint64_t> acquire() override;
  ports::CommitResult commit(const std::vector<ports::Batch>& group) override;
  base::Result<bool> was_committed(ports::BatchId id) override;
  base::Result<ports::Snapshot> load() override;
  base::Result<ports::Snapshot> load_domain(const base::DomainId& domain) override;
  base::Result<std::vector<ports::AuditRecord>> audit(const ports::AuditQuery& query) override;
  void maintain() override;

  // False while the disk is full and only withdrawals are taken.
  bool reserve_whole() const;

 private:
  struct State;
  explicit SqliteStore(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace dots::adapters::store
