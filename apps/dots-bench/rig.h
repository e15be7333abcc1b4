// What the measurements share: one configuration, a dotsd on it and the references with the same credentials.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "dots-bench/options.h"
#include "dots-bench/target.h"

namespace dots::bench {

struct Reference {
  std::unique_ptr<Process> process;
  model::SocketAddress address;
};

class Rig {
 public:
  // `self`: this program, which is also the references.
  static base::Result<std::unique_ptr<Rig>> make(const RunOptions& options, const std::string& self,
                                                 const SetOptions& set);

  const RunOptions& options() const { return options_; }
  ConfigSet& set() { return *set_; }

  base::Result<Reference> start_reference(const std::vector<std::string>& arguments);
  base::Result<void> start_echoes();
  Reference& plain_echo() { return plain_; }
  Reference& dtls_echo() { return dtls_; }
  base::Result<Target> echo_target(std::size_t sessions);

  // A new one, without state.
  base::Result<void> start_daemon();
  void stop_daemon() { daemon_.reset(); }
  Daemon& daemon() { return *daemon_; }
  base::Result<Target> daemon_target(const std::vector<ClientCredentials>& clients, std::size_t sessions);

  // What the references negotiated.
  std::vector<std::string> suites() const;

 private:
  Rig(const RunOptions& options, std::string self) : options_(options), self_(std::move(self)) {}
  const RunOptions options_;
  const std::string self_;
  std::unique_ptr<ConfigSet> set_;
  Reference plain_, dtls_;
  std::unique_ptr<Daemon> daemon_;
};

inline constexpr const char* kDtlsEcho = "bare DTLS echo";

// Progress, for whoever waits.
void say(const std::string& text);

}  // namespace dots::bench
