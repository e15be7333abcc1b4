// The LossGuard of a server, between its threads: shards count, operators release, every shard reads the verdict.
#pragma once

#include <atomic>
#include <mutex>
#include <vector>

#include "agent/server/loss_guard.h"
#include "model/peer.h"
#include "ops/facts/messages.h"

namespace dots::runtime {

// What the shards are to know; they look at it once in each round.
struct LossVerdict {
  bool held = false;
  base::SteadyTime no_loss_before{};
  friend bool operator==(const LossVerdict&, const LossVerdict&) = default;
};

class Losses {
 public:
  Losses(const agent::server::LossGuardSettings& settings, std::size_t shards, ops::facts::Sink& sink);

  void counted(std::size_t shard, const signal::server::ClientCounts& counts, base::Now now);
  void stalled(base::Now now);
  // Looks at the interfaces now and then; one thread.
  void tick(const std::vector<model::SocketAddress>& listening, base::Now now);
  // False when nothing was held, or it is the uplink that is down.
  bool release(const std::string& author, base::Now now);
  LossVerdict verdict() const { return {held_.load(), no_loss_before_.load()}; }

 private:
  void publish(bool changed, const std::string& how);

  std::mutex mutex_;  // guards guard_ and the order of what is said
  agent::server::LossGuard guard_;
  ops::facts::Sink& sink_;
  std::atomic<bool> held_{false};
  std::atomic<base::SteadyTime> no_loss_before_{base::SteadyTime{}};
  base::SteadyTime next_look_{};
};

}  // namespace dots::runtime
