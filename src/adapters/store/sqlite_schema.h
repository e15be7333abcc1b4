// The schema of the SQLite store and its numbered upgrade steps (docs/decisions/store.md).
#pragma once

#include <functional>
#include <span>

#include "adapters/store/sqlite_db.h"
#include "base/result.h"

namespace dots::adapters::store {

inline constexpr int kApplicationId = 0x444F5453;  // "DOTS", in the file's header

// Step n leads from schema n-1 to schema n. A step that was released is never changed again.
struct UpgradeStep {
  int to_version;
  const char* name;
  const char* sql;
};
std::span<const UpgradeStep> upgrade_steps();
inline constexpr int kSchemaVersion = 7;

// Brings the database up to `to_version`, each step in a transaction of its own. Refuses a database of a newer release
// and one that belongs to another program. An empty database has version 0.
base::Result<void> upgrade(Database& db, int to_version = kSchemaVersion);

}  // namespace dots::adapters::store
