#include "adapters/net/chain_verdicts.h"

#include <algorithm>
#include <utility>

namespace dots::adapters::net {

std::optional<ProvenPeer> ChainVerdicts::find(const Key& key, base::WallTime now) {
  const std::lock_guard lock{mutex_};
  const auto found = verdicts_.find(key);
  if (found == verdicts_.end() || now < found->second.from || now > found->second.until) return std::nullopt;
  return found->second.peer;
}

void ChainVerdicts::put(const Key& key, ProvenPeer peer, std::int64_t trust_ends_unix_s, base::WallTime now) {
  const std::int64_t now_s = static_cast<std::int64_t>(base::unix_seconds(now));
  const std::int64_t end_s = std::min({peer.expires_unix_s, trust_ends_unix_s,
                                       now_s + std::chrono::duration_cast<std::chrono::seconds>(kLongest).count()});
  if (end_s < now_s) return;
  const std::lock_guard lock{mutex_};
  const bool added = verdicts_
                         .insert_or_assign(key, Verdict{std::move(peer), now,
                                                        base::from_unix_seconds(static_cast<std::uint64_t>(end_s))})
                         .second;
  if (!added) return;
  order_.push_back(key);
  if (order_.size() <= kMost) return;
  verdicts_.erase(order_.front());
  order_.pop_front();
}

std::size_t ChainVerdicts::size() const {
  const std::lock_guard lock{mutex_};
  return verdicts_.size();
}

}  // namespace dots::adapters::net
