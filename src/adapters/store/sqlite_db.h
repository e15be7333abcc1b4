// A thin hold on SQLite's handles. Internal to this folder: the only header that shows sqlite3.h.
#pragma once

#include <sqlite3.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/time.h"

namespace dots::adapters::store {

// One prepared statement. Bind in the order of the columns, then run() or step(); both leave it ready for the next use.
class Statement {
 public:
  Statement() = default;
  ~Statement() { sqlite3_finalize(statement_); }
  Statement(Statement&& other) noexcept;
  Statement& operator=(Statement&& other) noexcept;

  int prepare(sqlite3* db, std::string_view sql);
  void finalize();

  // Texts are not copied: they live until run() or the last step().
  Statement& text(std::string_view value);
  Statement& integer(std::int64_t value);
  Statement& number(std::uint64_t value) { return integer(static_cast<std::int64_t>(value)); }
  Statement& time(base::WallTime value) { return integer(value.time_since_epoch().count()); }
  Statement& time(const std::optional<base::WallTime>& value);
  Statement& null();

  // Runs to the end; SQLITE_OK or the (extended) error.
  int run();
  // SQLITE_ROW, SQLITE_DONE (reset by then) or the error (reset as well).
  int step();
  void reset();

  std::string column_text(int column) const;
  std::string_view column_view(int column) const;  // until the next step
  std::int64_t column_integer(int column) const { return sqlite3_column_int64(statement_, column); }
  std::uint64_t column_number(int column) const { return static_cast<std::uint64_t>(column_integer(column)); }
  bool column_null(int column) const { return sqlite3_column_type(statement_, column) == SQLITE_NULL; }
  base::WallTime column_time(int column) const { return base::WallTime{base::Duration{column_integer(column)}}; }
  std::optional<base::WallTime> column_optional_time(int column) const;

 private:
  sqlite3_stmt* statement_ = nullptr;
  int bound_ = 0;
  int bind_error_ = SQLITE_OK;
};

class Database {
 public:
  Database() = default;
  ~Database() { close(); }
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  int open(const std::string& path, const std::string& vfs);
  void close();
  bool is_open() const { return db_ != nullptr; }
  sqlite3* handle() const { return db_; }

  int execute(const char* sql);
  // The first column of the first row.
  base::Result<std::string> query(const char* sql);
  // "disk I/O error (errno 5)": what the last error was, for a person.
  std::string last_error() const;
  int last_errno() const { return db_ == nullptr ? 0 : sqlite3_system_errno(db_); }
  bool in_transaction() const { return db_ != nullptr && sqlite3_get_autocommit(db_) == 0; }
  // Moves the whole log into the database file and makes it durable there.
  int checkpoint(int mode);

 private:
  sqlite3* db_ = nullptr;
};

}  // namespace dots::adapters::store
