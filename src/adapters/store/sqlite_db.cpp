#include "adapters/store/sqlite_db.h"

#include <cstring>
#include <utility>

namespace dots::adapters::store {

Statement::Statement(Statement&& other) noexcept
    : statement_(std::exchange(other.statement_, nullptr)),
      bound_(std::exchange(other.bound_, 0)),
      bind_error_(std::exchange(other.bind_error_, SQLITE_OK)) {}

Statement& Statement::operator=(Statement&& other) noexcept {
  std::swap(statement_, other.statement_);
  std::swap(bound_, other.bound_);
  std::swap(bind_error_, other.bind_error_);
  return *this;
}

int Statement::prepare(sqlite3* db, std::string_view sql) {
  finalize();
  return sqlite3_prepare_v3(db, sql.data(), static_cast<int>(sql.size()), SQLITE_PREPARE_PERSISTENT, &statement_,
                            nullptr);
}

void Statement::finalize() {
  sqlite3_finalize(statement_);
  statement_ = nullptr;
  bound_ = 0;
  bind_error_ = SQLITE_OK;
}

Statement& Statement::text(std::string_view value) {
  // a null pointer would bind NULL instead of the empty text
  const char* data = value.data() == nullptr ? "" : value.data();
  const int rc = sqlite3_bind_text64(statement_, ++bound_, data, value.size(), SQLITE_STATIC, SQLITE_UTF8);
  if (rc != SQLITE_OK) bind_error_ = rc;
  return *this;
}

Statement& Statement::integer(std::int64_t value) {
  if (const int rc = sqlite3_bind_int64(statement_, ++bound_, value); rc != SQLITE_OK) bind_error_ = rc;
  return *this;
}

Statement& Statement::time(const std::optional<base::WallTime>& value) { return value ? time(*value) : null(); }

Statement& Statement::null() {
  if (const int rc = sqlite3_bind_null(statement_, ++bound_); rc != SQLITE_OK) bind_error_ = rc;
  return *this;
}

int Statement::run() {
  int rc = SQLITE_ROW;
  while (rc == SQLITE_ROW) rc = step();
  return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

int Statement::step() {
  const int rc = bind_error_ != SQLITE_OK ? bind_error_ : sqlite3_step(statement_);
  if (rc != SQLITE_ROW) reset();
  return rc;
}

void Statement::reset() {
  sqlite3_reset(statement_);
  bound_ = 0;
  bind_error_ = SQLITE_OK;
}

std::string_view Statement::column_view(int column) const {
  const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(statement_, column));
  if (text == nullptr) return {};
  return {text, static_cast<std::size_t>(sqlite3_column_bytes(statement_, column))};
}

std::string Statement::column_text(int column) const { return std::string(column_view(column)); }

std::optional<base::WallTime> Statement::column_optional_time(int column) const {
  if (column_null(column)) return std::nullopt;
  return column_time(column);
}

int Database::open(const std::string& path, const std::string& vfs) {
  close();
  // one thread at a time uses the store (ports/store.h), so SQLite needs no locks of its own
  const int rc = sqlite3_open_v2(path.c_str(), &db_, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX,
                                 vfs.empty() ? nullptr : vfs.c_str());
  if (db_ != nullptr) sqlite3_extended_result_codes(db_, 1);
  return rc;
}

void Database::close() {
  if (db_ == nullptr) return;
  sqlite3_close_v2(db_);
  db_ = nullptr;
}

int Database::execute(const char* sql) { return sqlite3_exec(db_, sql, nullptr, nullptr, nullptr); }

base::Result<std::string> Database::query(const char* sql) {
  Statement statement;
  if (statement.prepare(db_, sql) != SQLITE_OK) return base::Error{last_error()};
  if (statement.step() != SQLITE_ROW) return base::Error{last_error()};
  std::string answer = statement.column_text(0);
  statement.reset();
  return answer;
}

std::string Database::last_error() const {
  if (db_ == nullptr) return "out of memory";
  std::string text = sqlite3_errmsg(db_);
  if (const int code = sqlite3_system_errno(db_); code != 0) text += std::string(": ") + std::strerror(code);
  return text;
}

int Database::checkpoint(int mode) {
  int frames = 0;
  int moved = 0;
  const int rc = sqlite3_wal_checkpoint_v2(db_, nullptr, mode, &frames, &moved);
  return rc == SQLITE_OK && frames != moved ? SQLITE_BUSY : rc;
}

}  // namespace dots::adapters::store
