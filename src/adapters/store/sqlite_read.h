// Rows -> records: what every query of the SQLite store shares. Internal to this folder.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "adapters/store/sqlite_db.h"
#include "base/result.h"

namespace dots::adapters::store {

inline base::Error unreadable(const char* table, const std::string& key, const std::string& why) {
  return base::Error{std::string("row (") + key + ") of table " + table + " cannot be read: " + why};
}

// Runs a query and hands each row to `read`, which answers Result<Record>.
template <class Record, class Bind, class Read>
base::Result<std::vector<Record>> read_rows(Database& db, const char* sql, Bind bind, Read read) {
  Statement query;
  if (query.prepare(db.handle(), sql) != SQLITE_OK) return base::Error{db.last_error()};
  bind(query);
  std::vector<Record> records;
  int rc = query.step();
  for (; rc == SQLITE_ROW; rc = query.step()) {
    base::Result<Record> record = read(query);
    if (!record) return record.error();
    records.push_back(std::move(*record));
  }
  if (rc != SQLITE_DONE) return base::Error{db.last_error()};
  return records;
}

inline void bind_nothing(Statement& /*query*/) {}

}  // namespace dots::adapters::store
