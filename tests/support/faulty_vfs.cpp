#include "tests/support/faulty_vfs.h"

#include <sqlite3.h>
#include <unistd.h>

#include <cstring>
#include <fstream>
#include <new>
#include <sstream>

namespace dots::tests {
namespace {

FaultyVfs::State g_state;

enum class Kind { database, log, other };

struct ShimFile {
  sqlite3_file base;
  Kind kind;
  bool created;  // the system's VFS makes the directory durable with the first fsync of a new log or journal
  char path[512];
  sqlite3_file* real() { return reinterpret_cast<sqlite3_file*>(this + 1); }
};
ShimFile* shim(sqlite3_file* file) { return reinterpret_cast<ShimFile*>(file); }

sqlite3_vfs* real_vfs() { return sqlite3_vfs_find("unix"); }

std::optional<std::string> content_of(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return std::nullopt;
  std::ostringstream content;
  content << in.rdbuf();
  return content.str();
}

bool take(int& count) { return count > 0 && count-- > 0; }
bool blocked() { return g_state.dead || g_state.frozen; }

int shim_close(sqlite3_file* file) {
  auto* real = shim(file)->real();
  return real->pMethods == nullptr ? SQLITE_OK : real->pMethods->xClose(real);
}
int shim_read(sqlite3_file* file, void* data, int size, sqlite3_int64 offset) {
  auto* real = shim(file)->real();
  return real->pMethods->xRead(real, data, size, offset);
}
int shim_write(sqlite3_file* file, const void* data, int size, sqlite3_int64 offset) {
  const std::lock_guard lock(g_state.mutex);
  if (blocked()) return SQLITE_IOERR_WRITE;
  if (shim(file)->kind == Kind::log && take(g_state.log_write_failures)) return g_state.log_write_code;
  auto* real = shim(file)->real();
  return real->pMethods->xWrite(real, data, size, offset);
}
int shim_truncate(sqlite3_file* file, sqlite3_int64 size) {
  const std::lock_guard lock(g_state.mutex);
  if (blocked()) return SQLITE_IOERR_TRUNCATE;
  auto* real = shim(file)->real();
  return real->pMethods->xTruncate(real, size);
}
int shim_sync(sqlite3_file* file, int /*flags*/) {
  const std::lock_guard lock(g_state.mutex);
  if (blocked()) return SQLITE_IOERR_FSYNC;
  auto* self = shim(file);
  if (self->kind == Kind::log && take(g_state.log_sync_failures)) {
    if (g_state.log_sync_reached) g_state.durable[self->path] = content_of(self->path);
    g_state.frozen = g_state.freeze;
    g_state.freeze = false;
    return SQLITE_IOERR_FSYNC;
  }
  if (self->kind == Kind::database && take(g_state.database_sync_failures)) return SQLITE_IOERR_FSYNC;
  if (self->kind == Kind::log) ++g_state.log_syncs;
  if (self->created) {
    self->created = false;
    for (auto& [path, content] : g_state.durable) {
      if (::access(path.c_str(), F_OK) != 0) content.reset();
    }
  }
  g_state.durable[self->path] = content_of(self->path);  // the page cache of the test needs no real fsync
  return SQLITE_OK;
}
int shim_size(sqlite3_file* file, sqlite3_int64* size) {
  auto* real = shim(file)->real();
  return real->pMethods->xFileSize(real, size);
}
int shim_lock(sqlite3_file* file, int level) {
  auto* real = shim(file)->real();
  return real->pMethods->xLock(real, level);
}
int shim_unlock(sqlite3_file* file, int level) {
  auto* real = shim(file)->real();
  return real->pMethods->xUnlock(real, level);
}
int shim_check_reserved(sqlite3_file* file, int* result) {
  auto* real = shim(file)->real();
  return real->pMethods->xCheckReservedLock(real, result);
}
int shim_control(sqlite3_file* file, int op, void* argument) {
  auto* real = shim(file)->real();
  return real->pMethods->xFileControl(real, op, argument);
}
int shim_sector(sqlite3_file* file) {
  auto* real = shim(file)->real();
  return real->pMethods->xSectorSize(real);
}
int shim_device(sqlite3_file* file) {
  auto* real = shim(file)->real();
  return real->pMethods->xDeviceCharacteristics(real);
}

// Version 1: no shared memory. The store holds its log's index in its own memory, and this fails if it does not.
const sqlite3_io_methods kMethods = {1,
                                     shim_close,
                                     shim_read,
                                     shim_write,
                                     shim_truncate,
                                     shim_sync,
                                     shim_size,
                                     shim_lock,
                                     shim_unlock,
                                     shim_check_reserved,
                                     shim_control,
                                     shim_sector,
                                     shim_device,
                                     nullptr,
                                     nullptr,
                                     nullptr,
                                     nullptr,
                                     nullptr,
                                     nullptr};

int vfs_open(sqlite3_vfs* /*vfs*/, const char* path, sqlite3_file* file, int flags, int* out_flags) {
  file->pMethods = nullptr;
  auto* self = shim(file);
  const std::lock_guard lock(g_state.mutex);
  if (g_state.dead) return SQLITE_CANTOPEN;
  self->kind = (flags & SQLITE_OPEN_MAIN_DB) != 0 ? Kind::database
               : (flags & SQLITE_OPEN_WAL) != 0   ? Kind::log
                                                  : Kind::other;
  if (self->kind == Kind::database) g_state.frozen = false;
  std::strncpy(self->path, path == nullptr ? "" : path, sizeof self->path - 1);
  self->path[sizeof self->path - 1] = '\0';
  if (path != nullptr && g_state.durable.count(path) == 0) g_state.durable[path] = content_of(path);
  self->created = self->kind == Kind::log && path != nullptr && ::access(path, F_OK) != 0;
  const int rc = real_vfs()->xOpen(real_vfs(), path, self->real(), flags, out_flags);
  if (self->real()->pMethods != nullptr) file->pMethods = &kMethods;
  return rc;
}
int vfs_delete(sqlite3_vfs* /*vfs*/, const char* path, int sync_directory) {
  const std::lock_guard lock(g_state.mutex);
  if (blocked()) return SQLITE_IOERR_DELETE;
  const int rc = real_vfs()->xDelete(real_vfs(), path, 0);
  // without a sync of the directory the name may come back
  if (sync_directory != 0) g_state.durable[path] = std::nullopt;
  return rc;
}
int vfs_access(sqlite3_vfs* /*vfs*/, const char* path, int flags, int* result) {
  return real_vfs()->xAccess(real_vfs(), path, flags, result);
}
int vfs_full_path(sqlite3_vfs* /*vfs*/, const char* path, int size, char* out) {
  return real_vfs()->xFullPathname(real_vfs(), path, size, out);
}
int vfs_random(sqlite3_vfs* /*vfs*/, int size, char* out) { return real_vfs()->xRandomness(real_vfs(), size, out); }
int vfs_sleep(sqlite3_vfs* /*vfs*/, int us) { return real_vfs()->xSleep(real_vfs(), us); }
int vfs_time(sqlite3_vfs* /*vfs*/, double* out) { return real_vfs()->xCurrentTime(real_vfs(), out); }
int vfs_error(sqlite3_vfs* /*vfs*/, int size, char* out) { return real_vfs()->xGetLastError(real_vfs(), size, out); }

}  // namespace

FaultyVfs& FaultyVfs::instance() {
  static FaultyVfs vfs;
  return vfs;
}

FaultyVfs::FaultyVfs() {
  static sqlite3_vfs vfs;
  vfs.iVersion = 1;
  vfs.szOsFile = static_cast<int>(sizeof(ShimFile)) + real_vfs()->szOsFile;
  vfs.mxPathname = 500;
  vfs.zName = kName;
  vfs.xOpen = vfs_open;
  vfs.xDelete = vfs_delete;
  vfs.xAccess = vfs_access;
  vfs.xFullPathname = vfs_full_path;
  vfs.xRandomness = vfs_random;
  vfs.xSleep = vfs_sleep;
  vfs.xCurrentTime = vfs_time;
  vfs.xGetLastError = vfs_error;
  sqlite3_vfs_register(&vfs, 0);
}

void FaultyVfs::reset() {
  const std::lock_guard lock(g_state.mutex);
  g_state.log_write_failures = 0;
  g_state.log_sync_failures = 0;
  g_state.log_sync_reached = false;
  g_state.database_sync_failures = 0;
  g_state.freeze = false;
  g_state.frozen = false;
  g_state.dead = false;
  g_state.log_syncs = 0;
  g_state.durable.clear();
}

void FaultyVfs::fail_log_writes(int code, int count) {
  const std::lock_guard lock(g_state.mutex);
  g_state.log_write_code = code;
  g_state.log_write_failures = count;
}

void FaultyVfs::fail_log_syncs(int count, bool reached) {
  const std::lock_guard lock(g_state.mutex);
  g_state.log_sync_failures = count;
  g_state.log_sync_reached = reached;
}

void FaultyVfs::fail_database_syncs(int count) {
  const std::lock_guard lock(g_state.mutex);
  g_state.database_sync_failures = count;
}

void FaultyVfs::freeze_after_log_sync_failure() {
  const std::lock_guard lock(g_state.mutex);
  g_state.freeze = true;
}

void FaultyVfs::set_dead(bool dead) {
  const std::lock_guard lock(g_state.mutex);
  g_state.dead = dead;
}

void FaultyVfs::power_cut() {
  const std::lock_guard lock(g_state.mutex);
  for (const auto& [path, content] : g_state.durable) {
    if (content) {
      std::ofstream(path, std::ios::binary | std::ios::trunc) << *content;
    } else {
      ::unlink(path.c_str());
    }
  }
  g_state.durable.clear();
  g_state.dead = false;
  g_state.frozen = false;
}

int FaultyVfs::database_syncs_to_fail() const {
  const std::lock_guard lock(g_state.mutex);
  return g_state.database_sync_failures;
}

int FaultyVfs::log_syncs() const {
  const std::lock_guard lock(g_state.mutex);
  return g_state.log_syncs;
}

}  // namespace dots::tests
