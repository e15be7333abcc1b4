// Records <-> rows: the prepared statements of the SQLite store. Internal to this folder.
#pragma once

#include <vector>

#include "adapters/store/sqlite_db.h"
#include "ports/store.h"

namespace dots::adapters::store {

// The statements that change records; all answer SQLITE_OK or the error.
class RowWriter {
 public:
  int prepare(sqlite3* db);
  void finalize();

  int apply(const ports::Change& change);

  int operator()(const ports::PutMitigation& put);
  int operator()(const ports::EraseMitigation& erase);
  int operator()(const ports::PutCuid& put);
  int operator()(const ports::EraseCuid& erase);
  int operator()(const ports::PutName& put);
  int operator()(const ports::EraseName& erase);
  int operator()(const ports::AppendAudit& append);
  int operator()(const ports::PutClientRequest& put);
  int operator()(const ports::EraseClientRequest& erase);
  int operator()(const ports::PutCounter& put);
  int operator()(const ports::PutDataClient& put);
  int operator()(const ports::EraseDataClient& erase);
  int operator()(const ports::PutDataEntry& put);
  int operator()(const ports::EraseDataEntry& erase);
  int operator()(const ports::PutClientData& put);
  int operator()(const ports::EraseClientData& erase);

 private:
  int prepare_data(sqlite3* db);
  int move_versions(const ports::DataEntryKey& key, const ports::DataVersion& version);

  Statement put_mitigation_, erase_mitigation_, put_cuid_, erase_cuid_, put_name_, erase_name_, append_audit_,
      put_request_, erase_request_, put_counter_;
  Statement put_data_client_, erase_data_client_, put_data_entry_, erase_data_entry_, erase_data_entries_,
      move_data_versions_, put_client_data_, erase_client_data_;
};

// Of one domain when given. Ordered by key. An error names the row that cannot be read.
base::Result<std::vector<ports::MitigationRecord>> read_mitigations(Database& db,
                                                                    const std::optional<base::DomainId>& domain);
base::Result<std::vector<ports::CuidRecord>> read_cuids(Database& db, const std::optional<base::DomainId>& domain);
base::Result<std::vector<ports::NameRecord>> read_names(Database& db);
base::Result<std::vector<ports::ClientRequestRecord>> read_client_requests(Database& db);
base::Result<std::map<std::string, std::uint64_t>> read_counters(Database& db);
base::Result<std::vector<ports::DataClientRecord>> read_data_clients(Database& db,
                                                                     const std::optional<base::DomainId>& domain);
// Ordered by client and kind, then by rank.
base::Result<std::vector<ports::DataEntryRecord>> read_data_entries(Database& db,
                                                                    const std::optional<base::DomainId>& domain);
// Ordered by server and kind, then by rank.
base::Result<std::vector<ports::ClientDataRecord>> read_client_data(Database& db);
// Newest first.
base::Result<std::vector<ports::AuditRecord>> read_audit(Database& db, const ports::AuditQuery& wanted);

}  // namespace dots::adapters::store
