// The data channel's records <-> rows.
#include "adapters/store/sqlite_read.h"
#include "adapters/store/sqlite_rows.h"

namespace dots::adapters::store {

int RowWriter::prepare_data(sqlite3* db) {
  const struct {
    Statement& statement;
    const char* sql;
  } all[] = {
      {put_data_client_, "INSERT OR REPLACE INTO data_clients VALUES(?,?,?,?,?,?,?,?,?,?,?)"},
      {erase_data_client_, "DELETE FROM data_clients WHERE domain=? AND cuid=?"},
      {erase_data_entries_, "DELETE FROM data_entries WHERE domain=? AND cuid=?"},
      {put_data_entry_, "INSERT OR REPLACE INTO data_entries VALUES(?,?,?,?,?,?,?,?,?,?)"},
      {put_client_data_, "INSERT OR REPLACE INTO client_data VALUES(?,?,?,?,?,?,?,?,?)"},
      {erase_client_data_, "DELETE FROM client_data WHERE server=? AND kind=? AND name=?"},
      {erase_data_entry_, "DELETE FROM data_entries WHERE domain=? AND cuid=? AND kind=? AND name=?"},
      // ?1 revision, ?2 time, ?3 kind; the right-hand sides see the row as it was
      {move_data_versions_,
       "UPDATE data_clients SET revision=max(revision,?1), "
       "modified_ns=CASE WHEN revision<?1 THEN ?2 ELSE modified_ns END, "
       "aliases_revision=CASE WHEN ?3=1 THEN max(aliases_revision,?1) ELSE aliases_revision END, "
       "aliases_modified_ns=CASE WHEN ?3=1 AND aliases_revision<?1 THEN ?2 ELSE aliases_modified_ns END, "
       "acls_revision=CASE WHEN ?3=2 THEN max(acls_revision,?1) ELSE acls_revision END, "
       "acls_modified_ns=CASE WHEN ?3=2 AND acls_revision<?1 THEN ?2 ELSE acls_modified_ns END "
       "WHERE domain=?4 AND cuid=?5"},
  };
  for (const auto& entry : all) {
    if (const int rc = entry.statement.prepare(db, entry.sql); rc != SQLITE_OK) return rc;
  }
  return SQLITE_OK;
}

int RowWriter::operator()(const ports::PutDataClient& put) {
  const auto& r = put.record;
  put_data_client_.text(r.domain.value).text(r.cuid.value).text(r.client.value);
  if (r.cdid) {
    put_data_client_.text(*r.cdid);
  } else {
    put_data_client_.null();
  }
  put_data_client_.time(r.since);
  for (const auto* version : {&r.version, &r.aliases, &r.acls}) {
    put_data_client_.number(version->revision).time(version->modified);
  }
  return put_data_client_.run();
}

int RowWriter::operator()(const ports::EraseDataClient& erase) {
  const int rc = erase_data_entries_.text(erase.domain.value).text(erase.cuid.value).run();
  return rc != SQLITE_OK ? rc : erase_data_client_.text(erase.domain.value).text(erase.cuid.value).run();
}

int RowWriter::operator()(const ports::PutDataEntry& put) {
  const auto& r = put.record;
  const int rc = put_data_entry_.text(r.key.domain.value)
                     .text(r.key.cuid.value)
                     .integer(static_cast<std::int64_t>(r.key.kind))
                     .text(r.key.name)
                     .text(r.body)
                     .integer(r.rank)
                     .number(r.version.revision)
                     .time(r.version.modified)
                     .time(r.expires)
                     .integer(r.granted.count())
                     .run();
  return rc != SQLITE_OK ? rc : move_versions(r.key, r.version);
}

int RowWriter::operator()(const ports::EraseDataEntry& erase) {
  const auto& key = erase.key;
  const int rc = erase_data_entry_.text(key.domain.value)
                     .text(key.cuid.value)
                     .integer(static_cast<std::int64_t>(key.kind))
                     .text(key.name)
                     .run();
  return rc != SQLITE_OK ? rc : move_versions(key, erase.version);
}

int RowWriter::operator()(const ports::PutClientData& put) {
  const auto& r = put.record;
  return put_client_data_.text(r.server)
      .integer(static_cast<std::int64_t>(r.kind))
      .text(r.name)
      .text(r.cuid.value)
      .text(r.body)
      .integer(r.rank)
      .text(r.author)
      .time(r.put_at)
      .time(r.refreshed_at)
      .run();
}

int RowWriter::operator()(const ports::EraseClientData& erase) {
  return erase_client_data_.text(erase.server).integer(static_cast<std::int64_t>(erase.kind)).text(erase.name).run();
}

int RowWriter::move_versions(const ports::DataEntryKey& key, const ports::DataVersion& version) {
  return move_data_versions_.number(version.revision)
      .time(version.modified)
      .integer(static_cast<std::int64_t>(key.kind))
      .text(key.domain.value)
      .text(key.cuid.value)
      .run();
}

base::Result<std::vector<ports::DataClientRecord>> read_data_clients(Database& db,
                                                                     const std::optional<base::DomainId>& domain) {
  const auto read = [](Statement& row) -> base::Result<ports::DataClientRecord> {
    ports::DataClientRecord r;
    r.domain = base::DomainId(row.column_text(0));
    r.cuid = base::Cuid(row.column_text(1));
    r.client = base::ClientId(row.column_text(2));
    if (!row.column_null(3)) r.cdid = row.column_text(3);
    r.since = row.column_time(4);
    int column = 5;
    for (auto* version : {&r.version, &r.aliases, &r.acls}) {
      version->revision = row.column_number(column++);
      version->modified = row.column_time(column++);
    }
    return r;
  };
  if (!domain) {
    return read_rows<ports::DataClientRecord>(db, "SELECT * FROM data_clients ORDER BY domain, cuid", bind_nothing,
                                              read);
  }
  return read_rows<ports::DataClientRecord>(
      db, "SELECT * FROM data_clients WHERE domain=? ORDER BY cuid",
      [&](Statement& query) { query.text(domain->value); }, read);
}

base::Result<std::vector<ports::DataEntryRecord>> read_data_entries(Database& db,
                                                                    const std::optional<base::DomainId>& domain) {
  const auto read = [](Statement& row) -> base::Result<ports::DataEntryRecord> {
    ports::DataEntryRecord r;
    r.key.domain = base::DomainId(row.column_text(0));
    r.key.cuid = base::Cuid(row.column_text(1));
    const std::int64_t kind = row.column_integer(2);
    r.key.name = row.column_text(3);
    if (kind < 1 || kind > static_cast<std::int64_t>(ports::DataEntryKind::acl)) {
      return unreadable("data_entries", r.key.domain.value + ", " + r.key.cuid.value + ", " + r.key.name,
                        "kind " + std::to_string(kind) + " is not known");
    }
    r.key.kind = static_cast<ports::DataEntryKind>(kind);
    r.body = row.column_text(4);
    r.rank = row.column_integer(5);
    r.version = {row.column_number(6), row.column_time(7)};
    r.expires = row.column_time(8);
    r.granted = base::Duration{row.column_integer(9)};
    return r;
  };
  if (!domain) {
    return read_rows<ports::DataEntryRecord>(db, "SELECT * FROM data_entries ORDER BY domain, cuid, kind, rank",
                                             bind_nothing, read);
  }
  return read_rows<ports::DataEntryRecord>(
      db, "SELECT * FROM data_entries WHERE domain=? ORDER BY cuid, kind, rank",
      [&](Statement& query) { query.text(domain->value); }, read);
}

base::Result<std::vector<ports::ClientDataRecord>> read_client_data(Database& db) {
  return read_rows<ports::ClientDataRecord>(
      db, "SELECT * FROM client_data ORDER BY server, kind, rank, name", bind_nothing,
      [](Statement& row) -> base::Result<ports::ClientDataRecord> {
        ports::ClientDataRecord r;
        r.server = row.column_text(0);
        const std::int64_t kind = row.column_integer(1);
        r.name = row.column_text(2);
        if (kind < 1 || kind > static_cast<std::int64_t>(ports::DataEntryKind::acl)) {
          return unreadable("client_data", r.server + ", " + r.name, "kind " + std::to_string(kind) + " is not known");
        }
        r.kind = static_cast<ports::DataEntryKind>(kind);
        r.cuid = base::Cuid(row.column_text(3));
        r.body = row.column_text(4);
        r.rank = row.column_integer(5);
        r.author = row.column_text(6);
        r.put_at = row.column_time(7);
        r.refreshed_at = row.column_time(8);
        return r;
      });
}

}  // namespace dots::adapters::store
