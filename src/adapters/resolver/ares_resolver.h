// The Resolver port through c-ares: own thread, one A and one AAAA query for each name.
//
// What an answer means:
// - addresses of either family: answered. When the other family failed (not: has none), `reason` says so and the time
// to
//   live is the smallest allowed, so that it is asked again soon.
// - no such name, or a name without addresses: no_such_name.
// - anything else (silence, SERVFAIL, nonsense): failed.
// The search list of the system is never used: names are complete.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "ops/facts/messages.h"
#include "ports/resolver.h"

namespace dots::adapters::resolver {

struct ResolverOptions {
  std::vector<std::string> servers;  // "192.0.2.53", "192.0.2.53:5353", "[2001:db8::53]:53"; empty: the system's
  std::uint32_t timeout_ms = 2000;   // of the first try with one server; doubles with each round
  std::uint32_t tries = 2;
  std::uint32_t ttl_min_s = 30;
  std::uint32_t ttl_max_s = 3600;
  std::uint32_t pending = 1000;
  // Names of the hosts file are answered from it, with ttl_min. Only without configured servers. Empty: none.
  std::string hosts_file = "/etc/hosts";
};

class AresResolver : public ports::Resolver {
 public:
  // `facts` may be null and outlives the resolver.
  static base::Result<std::unique_ptr<AresResolver>> start(ResolverOptions options, ops::facts::Sink* facts);
  // What is pending is answered as failed, on the resolver's thread, before the thread ends.
  ~AresResolver() override;

  void resolve(const std::string& name, std::function<void(ports::Resolution)> done) override;

 private:
  struct State;
  explicit AresResolver(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace dots::adapters::resolver
