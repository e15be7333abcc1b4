// The Resolver port: names to addresses with their time to live. Asynchronous: a dead name server must hold nobody up.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/time.h"
#include "model/ip.h"

namespace dots::ports {

struct Resolution {
  enum class Outcome : std::uint8_t { answered, no_such_name, failed };
  std::string name;
  Outcome outcome = Outcome::failed;
  std::vector<model::IpAddress> addresses;  // IPv4 and IPv6, sorted, without duplicates
  base::Duration ttl{};                     // the smallest of the answer, clamped to the configured bounds
  std::string reason;                       // when not answered
};

// Threads: resolve may be called from any thread; `done` is called exactly once, on the resolver's thread.
class Resolver {
 public:
  virtual ~Resolver() = default;
  // Bounded: past the configured number of pending look-ups it answers `failed` at once.
  virtual void resolve(const std::string& name, std::function<void(Resolution)> done) = 0;
};

}  // namespace dots::ports
