// The body of a 5.03 that sends a client to another server (RFC 9132 4.6).
#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "model/ip.h"

namespace dots::model {

struct RedirectedSignal {
  std::string alt_server;                    // FQDN: its certificate is matched against it
  std::vector<IpAddress> alt_server_record;  // its addresses, so that no look-up is needed; may be empty
  friend bool operator==(const RedirectedSignal&, const RedirectedSignal&) = default;
};

inline constexpr std::size_t kMaxAltServerRecords = 16;
// As Max-Age: the alternate is used until it redirects itself.
inline constexpr std::uint32_t kRedirectForever = std::numeric_limits<std::uint32_t>::max();

}  // namespace dots::model
