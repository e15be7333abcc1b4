#include "adapters/store/memory_store.h"

#include <algorithm>
#include <tuple>
#include <utility>

namespace dots::adapters::store {
namespace {

struct Apply {
  MemoryDisk& disk;

  void operator()(const ports::PutMitigation& put) const {
    const auto& record = put.record;
    disk.mitigations.insert_or_assign(ports::MitigationKey{record.domain, record.cuid, record.mid}, record);
  }
  void operator()(const ports::EraseMitigation& erase) const { disk.mitigations.erase(erase.key); }
  void operator()(const ports::PutCuid& put) const {
    disk.cuids.insert_or_assign(std::pair{put.record.domain, put.record.cuid}, put.record);
  }
  void operator()(const ports::EraseCuid& erase) const { disk.cuids.erase({erase.domain, erase.cuid}); }
  void operator()(const ports::PutName& put) const { disk.names.insert_or_assign(put.record.name, put.record); }
  void operator()(const ports::EraseName& erase) const {
    const auto known = disk.names.find(erase.name);
    if (known != disk.names.end() && known->second.resolved_at <= erase.not_after) disk.names.erase(known);
  }
  void operator()(const ports::AppendAudit& append) const { disk.audit.push_back(append.record); }
  void operator()(const ports::PutClientRequest& put) const {
    disk.client_requests.insert_or_assign(std::pair{put.record.server, put.record.mid}, put.record);
  }
  void operator()(const ports::EraseClientRequest& erase) const {
    disk.client_requests.erase({erase.server, erase.mid});
  }
  void operator()(const ports::PutCounter& put) const { disk.counters.insert_or_assign(put.name, put.value); }
  void operator()(const ports::PutDataClient& put) const {
    disk.data_clients.insert_or_assign(std::pair{put.record.domain, put.record.cuid}, put.record);
  }
  void operator()(const ports::EraseDataClient& erase) const {
    disk.data_clients.erase({erase.domain, erase.cuid});
    std::erase_if(disk.data_entries, [&](const auto& entry) {
      return entry.first.domain == erase.domain && entry.first.cuid == erase.cuid;
    });
  }
  void operator()(const ports::PutDataEntry& put) const {
    disk.data_entries.insert_or_assign(put.record.key, put.record);
    move_versions(put.record.key, put.record.version);
  }
  void operator()(const ports::EraseDataEntry& erase) const {
    disk.data_entries.erase(erase.key);
    move_versions(erase.key, erase.version);
  }

  void operator()(const ports::PutClientData& put) const {
    const auto& record = put.record;
    disk.client_data.insert_or_assign({record.server, record.kind, record.name}, record);
  }
  void operator()(const ports::EraseClientData& erase) const {
    disk.client_data.erase({erase.server, erase.kind, erase.name});
  }

  void move_versions(const ports::DataEntryKey& key, const ports::DataVersion& version) const {
    const auto client = disk.data_clients.find({key.domain, key.cuid});
    if (client == disk.data_clients.end()) return;
    auto& record = client->second;
    for (auto* moved : {&record.version, key.kind == ports::DataEntryKind::alias ? &record.aliases : &record.acls}) {
      if (moved->revision < version.revision) *moved = version;
    }
  }
};

template <class Map>
auto values_of(const Map& map) {
  std::vector<typename Map::mapped_type> values;
  values.reserve(map.size());
  for (const auto& entry : map) values.push_back(entry.second);
  return values;
}

}  // namespace

MemoryStore::MemoryStore(std::shared_ptr<MemoryDisk> disk, MemoryStoreOptions options)
    : disk_(std::move(disk)), options_(options) {}

base::Result<std::uint64_t> MemoryStore::acquire() { return ++disk_->fencing_token; }

ports::CommitResult MemoryStore::commit(const std::vector<ports::Batch>& group) {
  const Fault fault = next_fault();
  if (fault == Fault::refuse) return {ports::CommitOutcome::refused, "refused by the script"};
  if (fault == Fault::unknown_not_applied) return {ports::CommitOutcome::unknown, "answer lost by the script"};
  if (fault == Fault::stall) {
    std::function<void()> on_stall;
    {
      const std::lock_guard lock(mutex_);
      on_stall = on_stall_;
    }
    if (on_stall) on_stall();
  }
  for (const auto& batch : group) {
    if (batch.fencing_token < disk_->fencing_token) {
      return {ports::CommitOutcome::refused, "another process has taken over the writing role of this store"};
    }
  }
  {
    const std::lock_guard lock(mutex_);
    const bool releases =
        std::all_of(group.begin(), group.end(), [](const ports::Batch& batch) { return ports::is_release(batch); });
    if (full_ && !releases) return {ports::CommitOutcome::refused, "the store is full"};
  }
  apply(group);
  if (fault == Fault::unknown_applied) return {ports::CommitOutcome::unknown, "answer lost by the script"};
  return {ports::CommitOutcome::committed, {}};
}

void MemoryStore::apply(const std::vector<ports::Batch>& group) {
  for (const auto& batch : group) {
    if (!disk_->batches.insert(batch.id).second) continue;
    disk_->batch_order.push_back(batch.id);
    for (const auto& change : batch.changes) std::visit(Apply{*disk_}, change);
    disk_->fencing_token = std::max(disk_->fencing_token, batch.fencing_token);
    disk_->last_commit = batch.at;
  }
  while (disk_->audit.size() > options_.audit_records) disk_->audit.pop_front();
  while (disk_->batch_order.size() > options_.kept_batches) {
    disk_->batches.erase(disk_->batch_order.front());
    disk_->batch_order.pop_front();
  }
}

base::Result<bool> MemoryStore::was_committed(ports::BatchId id) {
  {
    const std::lock_guard lock(mutex_);
    if (fail_settling_ > 0) {
      --fail_settling_;
      return base::Error{"settling refused by the script"};
    }
  }
  return disk_->batches.count(id) > 0;
}

base::Result<ports::Snapshot> MemoryStore::load() {
  {
    const std::lock_guard lock(mutex_);
    if (fail_loading_) return base::Error{"loading refused by the script"};
  }
  ports::Snapshot snapshot;
  snapshot.mitigations = values_of(disk_->mitigations);
  snapshot.cuids = values_of(disk_->cuids);
  snapshot.names = values_of(disk_->names);
  snapshot.client_requests = values_of(disk_->client_requests);
  snapshot.counters = disk_->counters;
  snapshot.data_clients = values_of(disk_->data_clients);
  snapshot.data_entries = values_of(disk_->data_entries);
  std::stable_sort(snapshot.data_entries.begin(), snapshot.data_entries.end(), [](const auto& a, const auto& b) {
    return std::tie(a.key.domain, a.key.cuid, a.key.kind, a.rank) <
           std::tie(b.key.domain, b.key.cuid, b.key.kind, b.rank);
  });
  snapshot.client_data = values_of(disk_->client_data);
  std::stable_sort(snapshot.client_data.begin(), snapshot.client_data.end(), [](const auto& a, const auto& b) {
    return std::tie(a.server, a.kind, a.rank) < std::tie(b.server, b.kind, b.rank);
  });
  snapshot.last_commit = disk_->last_commit;
  snapshot.fencing_token = disk_->fencing_token;
  return snapshot;
}

base::Result<ports::Snapshot> MemoryStore::load_domain(const base::DomainId& domain) {
  auto all = load();
  if (!all) return all;
  std::erase_if(all->mitigations, [&](const auto& record) { return record.domain != domain; });
  std::erase_if(all->cuids, [&](const auto& record) { return record.domain != domain; });
  std::erase_if(all->data_clients, [&](const auto& record) { return record.domain != domain; });
  std::erase_if(all->data_entries, [&](const auto& record) { return record.key.domain != domain; });
  all->client_requests.clear();
  all->client_data.clear();
  all->counters.clear();
  return all;
}

base::Result<std::vector<ports::AuditRecord>> MemoryStore::audit(const ports::AuditQuery& query) {
  std::vector<ports::AuditRecord> records;
  for (auto it = disk_->audit.rbegin(); it != disk_->audit.rend() && records.size() < query.limit; ++it) {
    if (query.matches(*it)) records.push_back(*it);
  }
  return records;
}

void MemoryStore::script(std::vector<Fault> next_commits) {
  const std::lock_guard lock(mutex_);
  script_.assign(next_commits.begin(), next_commits.end());
}

void MemoryStore::set_full(bool full) {
  const std::lock_guard lock(mutex_);
  full_ = full;
}

void MemoryStore::fail_settling(std::size_t times) {
  const std::lock_guard lock(mutex_);
  fail_settling_ = times;
}

void MemoryStore::fail_loading(bool fail) {
  const std::lock_guard lock(mutex_);
  fail_loading_ = fail;
}

void MemoryStore::set_on_stall(std::function<void()> on_stall) {
  const std::lock_guard lock(mutex_);
  on_stall_ = std::move(on_stall);
}

Fault MemoryStore::next_fault() {
  const std::lock_guard lock(mutex_);
  if (script_.empty()) return Fault::none;
  const Fault fault = script_.front();
  script_.pop_front();
  return fault;
}

}  // namespace dots::adapters::store
