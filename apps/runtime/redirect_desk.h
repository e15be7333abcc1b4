// The orders to send clients elsewhere (RFC 9132 4.6): what operators asked for, what the configuration says, and what
// the state of the back ends asks for, as one value for the shards. Orders of operators are kept in the state
// directory: a drain goes on after a restart.
//
// Threads: any; calls are short and touch no disk, except load() and store().
#pragma once

#include <boost/json/object.hpp>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "agent/control.h"
#include "agent/server/redirects.h"
#include "ops/config.h"

namespace dots::runtime {

class RedirectDesk {
 public:
  using Value = std::shared_ptr<const agent::server::Redirects>;

  // `state_dir` is empty when nothing survives a restart.
  RedirectDesk(const ops::RedirectConfig& config, std::string state_dir);

  // Reads what was stored; call before anything else.
  base::Result<void> load();

  // An operator's wish, checked; nothing has changed yet.
  struct Plan {
    std::vector<std::shared_ptr<const agent::server::RedirectOrder>> orders;
    std::string line;  // for the log and the audit
  };
  base::Result<Plan, agent::CallAnswer> plan(const boost::json::object& arguments, const agent::Caller& caller,
                                             const std::vector<policy::DomainPolicy>& domains, base::WallTime now);
  // Writes the orders of a plan durably. Blocks on the disk.
  base::Result<void> store(const Plan& plan) const;
  Value adopt(Plan plan);

  Value set_config(const ops::RedirectConfig& config);
  // True: no back end can be reached. Nothing when that changes nothing.
  std::optional<Value> set_mitigators_down(bool down, base::WallTime now);
  Value current() const;

 private:
  Value build() const;
  void make_crowded();

  mutable std::mutex mutex_;  // guards everything below
  ops::RedirectConfig config_;
  const std::string state_dir_;
  std::uint64_t last_id_ = 0;
  std::vector<std::shared_ptr<const agent::server::RedirectOrder>> orders_;
  std::shared_ptr<const agent::server::RedirectOrder> crowded_;
  std::shared_ptr<const agent::server::RedirectOrder> mitigators_down_;
};

}  // namespace dots::runtime
