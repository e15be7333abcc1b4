#include "coap/message_ids.h"

#include <algorithm>

namespace dots::coap {

std::optional<std::uint16_t> MessageIds::take(base::SteadyTime now, base::Duration lifetime) {
  if (none_) return std::uint16_t{0};
  std::uint32_t& free_at_s = free_at_s_[next_ >> kBlockBits];
  const bool enters_block = (next_ & ((1U << kBlockBits) - 1)) == 0;
  if (enters_block && base::whole_seconds(now.time_since_epoch()) < free_at_s) return std::nullopt;
  const auto until_s = static_cast<std::uint32_t>(base::whole_seconds(now.time_since_epoch() + lifetime) + 1);
  free_at_s = std::max(free_at_s, until_s);
  return next_++;
}

}  // namespace dots::coap
