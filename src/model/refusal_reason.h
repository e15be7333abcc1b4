// Why a mitigation is refused, or fails, so that a program can tell: RFC 8811 2.2.2 wants reasons, RFC 9132 has codes
// and free text alone. Travels in the attribute refusal-reason (docs/extensions.md).
#pragma once

#include <cstdint>
#include <string_view>

namespace dots::model {

enum class RefusalReason : std::uint8_t {
  scope = 1,  // what is to be protected: not of this domain, not known, not to be protected at all
  contract,   // the contract is not known, or does not cover this
  policy,     // of the server: it could, and does not want to
  rate,       // too often
  capacity,   // no room: of the quota, of the back ends
  bandwidth,  // more traffic than can be taken
  function,   // the wanted service, or what the scope needs, is not offered
  hardware,   // something that does the work is broken
};

// As YANG and JSON spell it; "unknown" for a code outside of the list.
std::string_view name_of(RefusalReason reason);

// The attack does not fit: RFC 9132 status 4 (attack-exceeded-capability).
inline bool exceeds_capability(RefusalReason reason) {
  return reason == RefusalReason::capacity || reason == RefusalReason::bandwidth;
}

}  // namespace dots::model
