// Message ids of our messages: none means two things within its lifetime (RFC 7252 4.4).
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "base/time.h"

namespace dots::coap {

// Ids ascend. The 65,536 of them form 16 blocks; a block is entered again only when every id of it is free. This costs
// at most one block of the space and 64 bytes, where a time for each id would cost 512 KB.
class MessageIds {
 public:
  // `none`: the transport has no ids; take() gives 0 without end.
  explicit MessageIds(std::uint16_t first, bool none = false) : next_(first), none_(none) {}

  // Nothing while all ids are in use. `lifetime`: how long this id means this message.
  std::optional<std::uint16_t> take(base::SteadyTime now, base::Duration lifetime);

 private:
  static constexpr unsigned kBlockBits = 12;

  std::array<std::uint32_t, 16> free_at_s_{};  // steady seconds, rounded up
  std::uint16_t next_;
  bool none_;
};

}  // namespace dots::coap
