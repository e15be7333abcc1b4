// The packet filter of this machine as a back end, through the privileged helper program (apps/dots-nft-helper).
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "ports/mitigator.h"

namespace dots::adapters::mitigators {

struct NftablesOptions {
  std::string helper;  // path of dots-nft-helper
  // Starts the helper elsewhere, instead of `helper`: the program with its arguments, to which the helper's are added.
  std::vector<std::string> helper_command = {};
  std::string table = "tidewall";
  std::chrono::milliseconds timeout{5000};
  std::uint64_t exemption_rate_pps = 1000;
  // For reading beside the owner of the table, and for `dotsctl emergency`: open() builds nothing.
  bool only_look = false;
};

// A hung or dead helper fails the call; it is killed, and the next open() starts another. The table survives it.
// Threads: one at a time.
class NftablesMitigator : public ports::Mitigator {
 public:
  explicit NftablesMitigator(NftablesOptions options);
  ~NftablesMitigator() override;

  ports::MitigatorAbilities abilities() const override;
  base::Result<void> open() override;
  ports::Applied apply(const std::vector<ports::RuleChange>& changes) override;
  ports::Applied apply_filters(const std::vector<ports::FilterChange>& changes) override;
  base::Result<void> exempt(const std::vector<ports::SignalExemption>& exemptions) override;
  base::Result<Listing> list() override;
  base::Result<std::vector<std::string>> remove_foreign() override;
  base::Result<void> clear() override;

  // Makes and deletes a table in one transaction.
  base::Result<void> probe();
  // 0 when none runs.
  int helper_pid() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// What `dotsctl check-config` asks: does the helper start, and may it really change the packet filter? The error says
// what to do. Changes nothing that anybody could see.
base::Result<void> check(const NftablesOptions& options);

// The helper beside our own program, else where packages install it.
std::string default_helper();

}  // namespace dots::adapters::mitigators
