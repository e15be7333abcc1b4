// Whose outage is it? The process's view over all shards before preconfigured requests may start. Pure.
//
// A client that falls silent has lost its signal. When many fall silent together, or the server's own uplink is down,
// the outage is more likely ours, and starting everybody's preconfigured mitigations would make it worse.
//
// Ownership: one for each server. Threads: its caller serialises the calls.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "base/time.h"
#include "signal/server/domain.h"

namespace dots::agent::server {

struct LossGuardSettings {
  std::uint32_t share_percent = 50;  // held when more than this share of the clients is quiet; 100: never for that
  std::size_t at_least = 3;          // and at least so many: one client of two may well be lost
  base::Duration loss_threshold = std::chrono::seconds{450};
};

class LossGuard {
 public:
  LossGuard(const LossGuardSettings& settings, std::size_t shards) : settings_(settings), shards_(shards) {}

  // True when held() has changed.
  bool counted(std::size_t shard, const signal::server::ClientCounts& counts, base::SteadyTime now);
  bool uplink(bool is_up, base::SteadyTime now);
  // The operator says that the clients are lost: let go at once, until most of them are there again.
  bool release(base::SteadyTime now);
  // A shard did not run for a while.
  void stalled(base::SteadyTime now);

  bool held() const { return held_; }
  // No loss is counted until then: after a stall, and after letting go.
  base::SteadyTime no_loss_before() const { return no_loss_before_; }
  // For operators, while held.
  std::string why() const;
  signal::server::ClientCounts total() const;

 private:
  bool judge(base::Duration grace, base::SteadyTime now);

  LossGuardSettings settings_;
  std::vector<signal::server::ClientCounts> shards_;
  bool uplink_up_ = true;
  bool released_ = false;
  bool held_ = false;
  base::SteadyTime no_loss_before_{};
};

}  // namespace dots::agent::server
