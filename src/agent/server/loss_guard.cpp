#include "agent/server/loss_guard.h"

#include <algorithm>

namespace dots::agent::server {

signal::server::ClientCounts LossGuard::total() const {
  signal::server::ClientCounts all;
  for (const auto& counts : shards_) {
    all.known += counts.known;
    all.quiet += counts.quiet;
    all.approvals_late += counts.approvals_late;
  }
  return all;
}

bool LossGuard::counted(std::size_t shard, const signal::server::ClientCounts& counts, base::SteadyTime now) {
  shards_.at(shard) = counts;
  return judge(settings_.loss_threshold, now);
}

bool LossGuard::uplink(bool is_up, base::SteadyTime now) {
  uplink_up_ = is_up;
  return judge(settings_.loss_threshold, now);
}

bool LossGuard::release(base::SteadyTime now) {
  released_ = true;
  return judge({}, now);
}

void LossGuard::stalled(base::SteadyTime now) {
  no_loss_before_ = std::max(no_loss_before_, now + 2 * settings_.loss_threshold);
}

bool LossGuard::judge(base::Duration grace, base::SteadyTime now) {
  const auto all = total();
  const std::size_t share = settings_.share_percent;
  const bool many = all.quiet >= settings_.at_least && all.quiet * 100 > share * all.known;
  // Half of the share lets go again, so that it does not flap while clients return one by one.
  const bool few = all.quiet < settings_.at_least || all.quiet * 200 <= share * all.known;
  if (few) released_ = false;
  const bool before = held_;
  held_ = !uplink_up_ || (!released_ && (held_ ? !few : many));
  if (before && !held_) no_loss_before_ = std::max(no_loss_before_, now + grace);
  return held_ != before;
}

std::string LossGuard::why() const {
  if (!uplink_up_) return "no interface of the server is up";
  const auto all = total();
  return std::to_string(all.quiet) + " of " + std::to_string(all.known) + " clients are silent";
}

}  // namespace dots::agent::server
