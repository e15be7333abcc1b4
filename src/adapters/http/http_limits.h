// What one listener of the data channel may be made to hold, and how long it waits for whom.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/time.h"

namespace dots::adapters::http {

struct HttpLimits {
  std::size_t connections = 1000;
  std::size_t connections_per_prefix = 100;  // IPv4 /24, IPv6 /48
  std::size_t connections_per_domain = 100;
  std::size_t header_bytes = 16384;                   // request line and header section; half of it for the target
  std::size_t body_bytes = std::size_t{4} << 20;      // of one request
  std::size_t waiting_bytes = std::size_t{64} << 20;  // bodies and answers of all connections together
  std::size_t waiting_bytes_per_domain = std::size_t{32} << 20;
  std::uint32_t requests_per_s = 200;  // of one domain, in the long run
  std::uint32_t requests_burst = 400;  // ... and at once, after a pause

  base::Duration handshake_time = std::chrono::seconds{10};
  base::Duration idle_time = std::chrono::seconds{300};   // between two requests
  base::Duration header_time = std::chrono::seconds{10};  // from the first byte of a request to the end of its header
  // In which kProgressBytes must come (a body) or go (an answer), or the whole rest.
  base::Duration stall_time = std::chrono::seconds{20};
};

inline constexpr std::size_t kProgressBytes = 16384;
inline constexpr std::size_t kMostHeaderFields = 100;

}  // namespace dots::adapters::http
