#include "adapters/store/sqlite_store.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <functional>
#include <utility>

#include "adapters/store/disk_reserve.h"
#include "adapters/store/sqlite_db.h"
#include "adapters/store/sqlite_rows.h"
#include "adapters/store/sqlite_schema.h"
#include "adapters/store/state_dir.h"

namespace dots::adapters::store {
namespace {

// The log moves into the database when it has so many pages; maintain() does it between groups, and commit() itself
// only when nobody called maintain() for a long time.
constexpr int kCheckpointPages = 1000;
constexpr int kForcedCheckpointPages = 4 * kCheckpointPages;
constexpr std::uint64_t kPageBytes = 4096;
// Moving the log may grow the database by as much as the log holds; on a full disk that room comes out of the reserve.
constexpr std::uint64_t kCheckpointBytes = kCheckpointPages * kPageBytes;

// How one transaction ended.
struct Attempt {
  enum class End : std::uint8_t { committed, refused, full, unknown } end = End::refused;
  std::string reason;
};

}  // namespace

struct SqliteStore::State {
  explicit State(SqliteOptions o)
      : options(std::move(o)),
        path(options.state_dir + "/tidewall.db"),
        reserve(options.state_dir + "/reserve",
                options.disk_reserve_bytes == 0 ? 0 : options.disk_reserve_bytes + kCheckpointBytes) {}

  SqliteOptions options;
  std::string path;
  DiskReserve reserve;
  Database db;
  RowWriter rows;
  Statement begin, commit, rollback, fencing_token, set_meta, find_batch, add_batch, prune_audit, prune_batches;
  bool usable = false;  // false after an outcome that is not known: the connection is opened anew before its next use
  bool checked = false;
  int log_pages = 0;
  bool disk_full = false;  // what was last said about it
  std::chrono::steady_clock::time_point reserve_tried{};

  base::Result<void> connect();
  base::Result<void> configure();
  base::Result<void> prepare();
  base::Result<void> settle();
  base::Result<void> ensure_usable();
  void disconnect();

  Attempt transact(const std::function<int(std::string& refusal)>& work);
  Attempt transact_with_reserve(const std::function<int(std::string& refusal)>& work);
  int write_group(const std::vector<ports::Batch>& group, std::string& refusal);
  int write_batch(const ports::Batch& batch, bool& fresh);
  int put_meta(std::string_view name, std::int64_t value) { return set_meta.text(name).integer(value).run(); }
  bool full(int rc) const;
  void checkpoint();
  bool remake_reserve();

  base::Error failure(const std::string& what, const std::string& why) const {
    return base::Error{"cannot " + what + " '" + path + "': " + why};
  }
  void tell(std::string_view id, const std::string& details) const {
    if (options.facts != nullptr) options.facts->message(id, details);
  }
  void tell_full(bool is_full, const std::string& details) {
    if (is_full == disk_full) return;
    disk_full = is_full;
    tell(is_full ? "STORE_FULL" : "STORE_ROOM_AGAIN", details);
    if (options.facts != nullptr) options.facts->health("DISK_FULL", "", is_full, details);
  }
};

// ---- opening ------------------------------------------------------------------------------------------------------

base::Result<std::unique_ptr<SqliteStore>> SqliteStore::open(SqliteOptions options) {
  if (auto usable = check_state_dir(options.state_dir); !usable) return usable.error();
  auto state = std::make_unique<State>(std::move(options));
  // created here and not by SQLite, so that nobody else can read who asked for what
  const int fd = ::open(state->path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) return state->failure("open", std::strerror(errno));
  ::close(fd);
  if (auto connected = state->connect(); !connected) return connected.error();
  // a new database, and the end of the rollback journal that made it: if that came back it would empty the database
  if (auto synced = sync_directory(state->options.state_dir); !synced) return synced.error();
  state->remake_reserve();
  return std::unique_ptr<SqliteStore>(new SqliteStore(std::move(state)));
}

SqliteStore::SqliteStore(std::unique_ptr<State> state) : state_(std::move(state)) {}
SqliteStore::~SqliteStore() { state_->disconnect(); }

void SqliteStore::State::disconnect() {
  usable = false;
  rows.finalize();
  for (auto* statement :
       {&begin, &commit, &rollback, &fencing_token, &set_meta, &find_batch, &add_batch, &prune_audit, &prune_batches}) {
    statement->finalize();
  }
  db.close();
}

base::Result<void> SqliteStore::State::connect() {
  disconnect();
  if (db.open(path, options.vfs) != SQLITE_OK) return failure("open", db.last_error());
  auto done = configure();
  if (done) done = prepare();
  if (done) done = settle();
  if (!done) {
    disconnect();
    return done;
  }
  usable = true;
  return {};
}

base::Result<void> SqliteStore::State::configure() {
  // An exclusive lock keeps the log's index in our memory instead of a mapped file, which a full disk could take away
  // under our feet, and keeps other programs from writing.
  const bool set = db.execute(
                       "PRAGMA locking_mode=EXCLUSIVE; PRAGMA synchronous=FULL; PRAGMA temp_store=MEMORY;"
                       "PRAGMA trusted_schema=OFF;") == SQLITE_OK;
  const auto mode = set ? db.query("PRAGMA journal_mode=WAL") : base::Error{db.last_error()};
  if (!mode) {
    switch (sqlite3_errcode(db.handle()) & 0xFF) {
      case SQLITE_BUSY:
        return failure("open", "another program has it open; stop that program first");
      case SQLITE_NOTADB:
        return failure("open", "it is not a database; move it away, or restore the state directory from a backup");
      default:
        return failure("open", mode.error().message);
    }
  }
  if (*mode != "wal") return failure("open", "the file system does not allow a write-ahead log");
  sqlite3_wal_hook(
      db.handle(),
      [](void* self, sqlite3* /*db*/, const char* /*name*/, int pages) {
        static_cast<State*>(self)->log_pages = pages;
        return SQLITE_OK;
      },
      this);
  if (!checked) {
    const auto sound = db.query("PRAGMA quick_check(1)");
    if (!sound || *sound != "ok") {
      return failure("use", "it is damaged (" + (sound ? *sound : sound.error().message) +
                                "); restore the state directory from a backup, or move it away to start empty");
    }
    if (auto upgraded = upgrade(db); !upgraded) return failure("use", upgraded.error().message);
    checked = true;
  }
  return {};
}

base::Result<void> SqliteStore::State::prepare() {
  const struct {
    Statement& statement;
    const char* sql;
  } all[] = {
      {begin, "BEGIN IMMEDIATE"},
      {commit, "COMMIT"},
      {rollback, "ROLLBACK"},
      {fencing_token, "SELECT value FROM meta WHERE name='fencing_token'"},
      {set_meta, "INSERT OR REPLACE INTO meta VALUES(?,?)"},
      {find_batch, "SELECT 1 FROM batches WHERE instance=? AND sequence=?"},
      {add_batch, "INSERT INTO batches(instance, sequence) VALUES(?,?)"},
      {prune_audit, "DELETE FROM audit WHERE id <= (SELECT max(id) FROM audit) - ?"},
      {prune_batches, "DELETE FROM batches WHERE id <= (SELECT max(id) FROM batches) - ?"},
  };
  for (const auto& entry : all) {
    if (entry.statement.prepare(db.handle(), entry.sql) != SQLITE_OK) return failure("use", db.last_error());
  }
  if (rows.prepare(db.handle()) != SQLITE_OK) return failure("use", db.last_error());
  return {};
}

// Makes what this connection sees the truth on the disk. After a failed fsync the log may hold a transaction that
// readers see and the disk does not have, or the other way round. Moving the log into the database writes every page
// anew, and the write that follows starts the log again, so that nothing of the old one can come back after a power
// loss.
base::Result<void> SqliteStore::State::settle() {
  int rc = db.checkpoint(SQLITE_CHECKPOINT_TRUNCATE);
  if (full(rc) && reserve.give()) rc = db.checkpoint(SQLITE_CHECKPOINT_TRUNCATE);
  if (rc != SQLITE_OK) return failure("write", db.last_error());
  const auto mark = [this](std::string&) {
    return db.execute("UPDATE meta SET value=value+1 WHERE name='settlements'");
  };
  const Attempt attempt = transact_with_reserve(mark);
  if (attempt.end != Attempt::End::committed) return base::Error{attempt.reason};
  return {};
}

base::Result<void> SqliteStore::State::ensure_usable() {
  if (usable) return {};
  return connect();
}

// ---- transactions -------------------------------------------------------------------------------------------------

bool SqliteStore::State::full(int rc) const {
  if ((rc & 0xFF) == SQLITE_FULL) return true;
  // a quota: SQLite knows only ENOSPC as "full"
  return rc == SQLITE_IOERR_WRITE && (db.last_errno() == EDQUOT || db.last_errno() == ENOSPC);
}

Attempt SqliteStore::State::transact(const std::function<int(std::string&)>& work) {
  const auto undo = [this] {
    if (db.in_transaction() && rollback.run() != SQLITE_OK) usable = false;
  };
  const auto failed = [&](int rc) {
    Attempt attempt{full(rc) ? Attempt::End::full : Attempt::End::refused, failure("write", db.last_error()).message};
    undo();
    return attempt;
  };
  if (const int rc = begin.run(); rc != SQLITE_OK) return failed(rc);
  std::string refusal;
  if (const int rc = work(refusal); rc != SQLITE_OK) return failed(rc);
  if (!refusal.empty()) {
    undo();
    return {Attempt::End::refused, refusal};
  }
  const int rc = commit.run();
  if (rc == SQLITE_OK) return {Attempt::End::committed, {}};
  // Out of room: the frame that ends the transaction was not written, so it is certainly not there.
  if (full(rc) || (rc & 0xFF) == SQLITE_BUSY) return failed(rc);
  usable = false;
  return {Attempt::End::unknown, failure("make durable", db.last_error()).message};
}

Attempt SqliteStore::State::transact_with_reserve(const std::function<int(std::string&)>& work) {
  Attempt attempt = transact(work);
  if (attempt.end != Attempt::End::full) return attempt;
  const bool gave = reserve.give();
  // With the log moved, its blocks are written again from the start and need no new room.
  if (db.checkpoint(SQLITE_CHECKPOINT_PASSIVE) == SQLITE_OK) log_pages = 0;
  if (gave) {
    tell_full(true, "no room for '" + path +
                        "': the reserve was given back, only withdrawals are taken until there is room for it again");
  }
  return transact(work);
}

base::Result<std::uint64_t> SqliteStore::acquire() {
  if (auto usable = state_->ensure_usable(); !usable) return usable.error();
  std::uint64_t token = 0;
  const auto attempt = state_->transact_with_reserve([&](std::string&) {
    if (const int rc = state_->fencing_token.step(); rc != SQLITE_ROW) return rc == SQLITE_DONE ? SQLITE_CORRUPT : rc;
    token = state_->fencing_token.column_number(0) + 1;
    state_->fencing_token.reset();
    return state_->put_meta("fencing_token", static_cast<std::int64_t>(token));
  });
  if (attempt.end != Attempt::End::committed) return base::Error{attempt.reason};
  return token;
}

ports::CommitResult SqliteStore::commit(const std::vector<ports::Batch>& group) {
  using ports::CommitOutcome;
  if (auto usable = state_->ensure_usable(); !usable) return {CommitOutcome::refused, usable.error().message};
  if (state_->log_pages > kForcedCheckpointPages) state_->checkpoint();
  const bool releases =
      std::all_of(group.begin(), group.end(), [](const ports::Batch& batch) { return ports::is_release(batch); });
  if (!releases && !state_->reserve.whole() && !state_->remake_reserve()) {
    return {CommitOutcome::refused,
            "the disk that holds '" + state_->path + "' is full: only withdrawals are taken until there is room"};
  }
  const auto work = [&](std::string& refusal) { return state_->write_group(group, refusal); };
  Attempt attempt = releases ? state_->transact_with_reserve(work) : state_->transact(work);
  switch (attempt.end) {
    case Attempt::End::committed:
      if (!releases) state_->tell_full(false, "'" + state_->path + "' grows again");
      return {CommitOutcome::committed, {}};
    case Attempt::End::unknown:
      return {CommitOutcome::unknown, std::move(attempt.reason)};
    case Attempt::End::full:
      state_->tell_full(true, attempt.reason);
      [[fallthrough]];
    case Attempt::End::refused:
      break;
  }
  return {CommitOutcome::refused, std::move(attempt.reason)};
}

int SqliteStore::State::write_group(const std::vector<ports::Batch>& group, std::string& refusal) {
  if (const int rc = fencing_token.step(); rc != SQLITE_ROW) return rc == SQLITE_DONE ? SQLITE_CORRUPT : rc;
  const std::uint64_t seen = fencing_token.column_number(0);
  fencing_token.reset();
  std::uint64_t newest = seen;
  const ports::Batch* last = nullptr;
  bool audited = false;
  for (const auto& batch : group) {
    if (batch.fencing_token < newest) {
      refusal = "another process has taken over the writing role of '" + path + "' (token " + std::to_string(newest) +
                ", ours is " + std::to_string(batch.fencing_token) + ")";
      return SQLITE_OK;
    }
    newest = batch.fencing_token;
    bool fresh = false;
    if (const int rc = write_batch(batch, fresh); rc != SQLITE_OK) return rc;
    if (!fresh) continue;
    last = &batch;
    audited = audited || std::any_of(batch.changes.begin(), batch.changes.end(), [](const ports::Change& change) {
                return std::holds_alternative<ports::AppendAudit>(change);
              });
  }
  int rc = SQLITE_OK;
  if (newest != seen) rc = put_meta("fencing_token", static_cast<std::int64_t>(newest));
  if (rc == SQLITE_OK && last != nullptr) rc = put_meta("last_commit_ns", last->at.time_since_epoch().count());
  if (rc == SQLITE_OK && last != nullptr) rc = prune_batches.integer(options.kept_batches).run();
  if (rc == SQLITE_OK && audited) rc = prune_audit.integer(options.audit_records).run();
  return rc;
}

int SqliteStore::State::write_batch(const ports::Batch& batch, bool& fresh) {
  const int found = find_batch.number(batch.id.instance).number(batch.id.sequence).step();
  if (found == SQLITE_ROW) {
    find_batch.reset();
    return SQLITE_OK;
  }
  if (found != SQLITE_DONE) return found;
  fresh = true;
  for (const auto& change : batch.changes) {
    if (const int rc = rows.apply(change); rc != SQLITE_OK) return rc;
  }
  return add_batch.number(batch.id.instance).number(batch.id.sequence).run();
}

base::Result<bool> SqliteStore::was_committed(ports::BatchId id) {
  if (auto usable = state_->ensure_usable(); !usable) return usable.error();
  const int rc = state_->find_batch.number(id.instance).number(id.sequence).step();
  if (rc == SQLITE_DONE) return false;
  if (rc != SQLITE_ROW) return state_->failure("read", state_->db.last_error());
  state_->find_batch.reset();
  return true;
}

// ---- housekeeping -------------------------------------------------------------------------------------------------

void SqliteStore::maintain() {
  if (!state_->usable) return;
  if (state_->log_pages > kCheckpointPages) state_->checkpoint();
  if (!state_->reserve.whole()) state_->remake_reserve();
}

bool SqliteStore::reserve_whole() const { return state_->reserve.whole(); }

void SqliteStore::State::checkpoint() {
  if (db.checkpoint(SQLITE_CHECKPOINT_PASSIVE) == SQLITE_OK) {
    log_pages = 0;
  } else {
    tell("STORE_CHECKPOINT_FAILED", failure("write", db.last_error()).message);
  }
}

bool SqliteStore::State::remake_reserve() {
  const auto now = std::chrono::steady_clock::now();
  if (reserve_tried != std::chrono::steady_clock::time_point{} && now - reserve_tried < options.reserve_retry)
    return false;
  reserve_tried = now;
  if (auto made = reserve.make(); !made) {
    tell_full(true, made.error().message + "; only withdrawals are taken until there is room");
    return false;
  }
  tell_full(false, "the disk reserve '" + reserve.path() + "' is whole again");
  return true;
}

// ---- reading ------------------------------------------------------------------------------------------------------

base::Result<ports::Snapshot> SqliteStore::load() {
  auto snapshot = load_domain(base::DomainId{});
  if (!snapshot) return snapshot;
  auto& db = state_->db;
  auto mitigations = read_mitigations(db, std::nullopt);
  if (!mitigations) return state_->failure("read", mitigations.error().message);
  auto cuids = read_cuids(db, std::nullopt);
  if (!cuids) return state_->failure("read", cuids.error().message);
  auto data_clients = read_data_clients(db, std::nullopt);
  if (!data_clients) return state_->failure("read", data_clients.error().message);
  auto data_entries = read_data_entries(db, std::nullopt);
  if (!data_entries) return state_->failure("read", data_entries.error().message);
  auto requests = read_client_requests(db);
  if (!requests) return state_->failure("read", requests.error().message);
  auto client_data = read_client_data(db);
  if (!client_data) return state_->failure("read", client_data.error().message);
  auto counters = read_counters(db);
  if (!counters) return state_->failure("read", counters.error().message);
  snapshot->mitigations = std::move(*mitigations);
  snapshot->cuids = std::move(*cuids);
  snapshot->client_requests = std::move(*requests);
  snapshot->client_data = std::move(*client_data);
  snapshot->counters = std::move(*counters);
  snapshot->data_clients = std::move(*data_clients);
  snapshot->data_entries = std::move(*data_entries);
  return snapshot;
}

base::Result<ports::Snapshot> SqliteStore::load_domain(const base::DomainId& domain) {
  if (auto usable = state_->ensure_usable(); !usable) return usable.error();
  auto& db = state_->db;
  ports::Snapshot snapshot;
  auto mitigations = read_mitigations(db, domain);
  if (!mitigations) return state_->failure("read", mitigations.error().message);
  auto cuids = read_cuids(db, domain);
  if (!cuids) return state_->failure("read", cuids.error().message);
  auto data_clients = read_data_clients(db, domain);
  if (!data_clients) return state_->failure("read", data_clients.error().message);
  auto data_entries = read_data_entries(db, domain);
  if (!data_entries) return state_->failure("read", data_entries.error().message);
  auto names = read_names(db);
  if (!names) return state_->failure("read", names.error().message);
  Statement meta;
  if (meta.prepare(db.handle(), "SELECT name, value FROM meta") != SQLITE_OK) {
    return state_->failure("read", db.last_error());
  }
  int rc = meta.step();
  for (; rc == SQLITE_ROW; rc = meta.step()) {
    if (meta.column_view(0) == "last_commit_ns") snapshot.last_commit = meta.column_time(1);
    if (meta.column_view(0) == "fencing_token") snapshot.fencing_token = meta.column_number(1);
  }
  if (rc != SQLITE_DONE) return state_->failure("read", db.last_error());
  snapshot.mitigations = std::move(*mitigations);
  snapshot.cuids = std::move(*cuids);
  snapshot.names = std::move(*names);
  snapshot.data_clients = std::move(*data_clients);
  snapshot.data_entries = std::move(*data_entries);
  return snapshot;
}

base::Result<std::vector<ports::AuditRecord>> SqliteStore::audit(const ports::AuditQuery& query) {
  if (auto usable = state_->ensure_usable(); !usable) return usable.error();
  auto records = read_audit(state_->db, query);
  if (!records) return state_->failure("read", records.error().message);
  return records;
}

}  // namespace dots::adapters::store
