// The Store port in memory: for tests, for simulations, and for `store.kind = "memory"`.
//
// What would be on the disk is a MemoryDisk that outlives the store, so that a simulated restart opens the same state.
// Faults are scripted: each commit takes the next one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <tuple>

#include "ports/store.h"

namespace dots::adapters::store {

// What survives a restart of the simulated process. Threads: those of the one store that has it open.
struct MemoryDisk {
  std::map<ports::MitigationKey, ports::MitigationRecord> mitigations;
  std::map<std::pair<base::DomainId, base::Cuid>, ports::CuidRecord> cuids;
  std::map<std::string, ports::NameRecord> names;
  std::map<std::pair<std::string, base::Mid>, ports::ClientRequestRecord> client_requests;
  std::map<std::string, std::uint64_t> counters;
  std::map<std::pair<base::DomainId, base::Cuid>, ports::DataClientRecord> data_clients;
  std::map<ports::DataEntryKey, ports::DataEntryRecord> data_entries;
  std::map<std::tuple<std::string, ports::DataEntryKind, std::string>, ports::ClientDataRecord> client_data;
  std::deque<ports::AuditRecord> audit;    // oldest first
  std::deque<ports::BatchId> batch_order;  // oldest first
  std::set<ports::BatchId> batches;
  base::WallTime last_commit{};
  std::uint64_t fencing_token = 0;
};

// What the next commit does instead of its work.
enum class Fault : std::uint8_t {
  none,
  refuse,               // nothing applied, and said so
  unknown_applied,      // applied, but the answer was lost
  unknown_not_applied,  // not applied, and the answer was lost
  stall,                // on_stall is called (and may block), then the commit goes on
};

struct MemoryStoreOptions {
  std::size_t audit_records = 100000;
  std::size_t kept_batches = 10000;
};

class MemoryStore : public ports::Store {
 public:
  explicit MemoryStore(std::shared_ptr<MemoryDisk> disk = std::make_shared<MemoryDisk>(),
                       MemoryStoreOptions options = {});

  base::Result<std::uint64_t> acquire() override;
  ports::CommitResult commit(const std::vector<ports::Batch>& group) override;
  base::Result<bool> was_committed(ports::BatchId id) override;
  base::Result<ports::Snapshot> load() override;
  base::Result<ports::Snapshot> load_domain(const base::DomainId& domain) override;
  base::Result<std::vector<ports::AuditRecord>> audit(const ports::AuditQuery& query) override;

  // The script; may be written from any thread.
  void script(std::vector<Fault> next_commits);
  // Every commit that holds a batch that is no release is refused.
  void set_full(bool full);
  // The next `times` calls of was_committed answer an error.
  void fail_settling(std::size_t times);
  // Each load fails while set.
  void fail_loading(bool fail);
  void set_on_stall(std::function<void()> on_stall);

 private:
  Fault next_fault();
  void apply(const std::vector<ports::Batch>& group);

  std::shared_ptr<MemoryDisk> disk_;
  MemoryStoreOptions options_;
  std::mutex mutex_;  // guards the script
  std::deque<Fault> script_;
  bool full_ = false;
  bool fail_loading_ = false;
  std::size_t fail_settling_ = 0;
  std::function<void()> on_stall_;
};

}  // namespace dots::adapters::store
