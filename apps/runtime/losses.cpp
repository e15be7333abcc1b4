#include "apps/runtime/losses.h"

#include "adapters/net/uplink.h"

namespace dots::runtime {
namespace {

constexpr auto kLookEvery = std::chrono::seconds{5};

}  // namespace

Losses::Losses(const agent::server::LossGuardSettings& settings, std::size_t shards, ops::facts::Sink& sink)
    : guard_(settings, shards), sink_(sink) {}

void Losses::counted(std::size_t shard, const signal::server::ClientCounts& counts, base::Now now) {
  const std::lock_guard lock(mutex_);
  publish(guard_.counted(shard, counts, now.steady), "clients are there again");
  sink_.gauge("dots_clients", "", static_cast<double>(guard_.total().known));
  const std::size_t late = guard_.total().approvals_late;
  sink_.health("APPROVAL_LATE", "", late > 0,
               late > 0 ? std::to_string(late) + (late == 1 ? " mitigation waits" : " mitigations wait") : "");
  sink_.gauge("dots_approvals_late", "", static_cast<double>(late));
  sink_.gauge("dots_clients_quiet", "", static_cast<double>(guard_.total().quiet));
}

void Losses::stalled(base::Now now) {
  const std::lock_guard lock(mutex_);
  guard_.stalled(now.steady);
  publish(false, {});
}

void Losses::tick(const std::vector<model::SocketAddress>& listening, base::Now now) {
  if (now.steady < next_look_) return;
  next_look_ = now.steady + kLookEvery;
  const bool up = adapters::net::uplink_is_up(listening);
  const std::lock_guard lock(mutex_);
  publish(guard_.uplink(up, now.steady), "an interface is up again");
}

bool Losses::release(const std::string& author, base::Now now) {
  const std::lock_guard lock(mutex_);
  const bool changed = guard_.held() && guard_.release(now.steady);
  publish(changed, "by operator " + author);
  return changed;
}

void Losses::publish(bool changed, const std::string& how) {
  no_loss_before_ = guard_.no_loss_before();
  held_ = guard_.held();
  if (!changed) return;
  sink_.health("ARMED_HELD", "", guard_.held(), guard_.held() ? guard_.why() : "");
  sink_.message(guard_.held() ? "ARMED_HELD" : "ARMED_RELEASED", guard_.held() ? guard_.why() : how);
}

}  // namespace dots::runtime
