#include "agent/server/loss_guard.h"

namespace dots::agent::server {

signal::server::ClientCounts LossGuard::total() const {
  signal::server::ClientCounts all;
  for (const auto& counts : shards_) {
    all.known += counts.known;
    all.quiet += counts.quiet;
  }
  return all;
}

bool LossGuard::counted(std::size_t shard, const signal::server::ClientCounts& counts) {
  shards_.at(shard) = counts;
  return judge();
}

bool LossGuard::uplink(bool is_up) {
  uplink_up_ = is_up;
  return judge();
}

bool LossGuard::release() {
  released_ = true;
  return judge();
}

bool LossGuard::judge() {
  const auto all = total();
  const std::size_t share = settings_.share_percent;
  const bool many = all.quiet >= settings_.at_least && all.quiet * 100 > share * all.known;
  // Half of the share lets go again, so that it does not flap while clients return one by one.
  const bool few = all.quiet < settings_.at_least || all.quiet * 200 <= share * all.known;
  if (few) released_ = false;
  const bool before = held_;
  held_ = !uplink_up_ || (!released_ && (held_ ? !few : many));
  return held_ != before;
}

std::string LossGuard::why() const {
  if (!uplink_up_) return "no interface of the server is up";
  const auto all = total();
  return std::to_string(all.quiet) + " of " + std::to_string(all.known) + " clients are silent";
}

}  // namespace dots::agent::server
