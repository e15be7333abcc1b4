#include "apps/runtime/open_store.h"

#include <utility>

#include "adapters/store/memory_store.h"
#include "adapters/store/sqlite_store.h"

namespace dots::runtime {

base::Result<OpenedStore> open_store(const ops::Config& config, ops::facts::Sink& sink) {
  OpenedStore out;
  if (config.store.kind == "memory") {
    sink.message("STORE_IN_MEMORY", config.file);
    out.store = std::make_unique<adapters::store::MemoryStore>();
  } else {
    adapters::store::SqliteOptions options;
    options.state_dir = config.store.state_dir;
    options.audit_records = config.limits.audit_records;
    options.disk_reserve_bytes = config.limits.disk_reserve_bytes;
    options.facts = &sink;
    auto store = adapters::store::SqliteStore::open(std::move(options));
    if (!store) return store.error();
    out.store = std::move(*store);
  }
  auto token = out.store->acquire();
  if (!token) return token.error();
  out.fencing_token = *token;
  return out;
}

adapters::store::CommitterOptions committer_options(const ops::Config& config) {
  adapters::store::CommitterOptions options;
  options.stall = std::chrono::milliseconds{config.store.stall_ms};
  return options;
}

}  // namespace dots::runtime
