// From configuration to store, resolver and committer options: shared by both roles.
#pragma once

#include <memory>

#include "adapters/store/committer.h"
#include "base/result.h"
#include "ops/config.h"
#include "ops/facts/messages.h"
#include "ports/store.h"

namespace dots::runtime {

struct OpenedStore {
  std::unique_ptr<ports::Store> store;
  std::uint64_t fencing_token = 0;
};

// Opens the configured store and takes the writing role. The caller holds the state lock.
base::Result<OpenedStore> open_store(const ops::Config& config, ops::facts::Sink& sink);
adapters::store::CommitterOptions committer_options(const ops::Config& config);

}  // namespace dots::runtime
