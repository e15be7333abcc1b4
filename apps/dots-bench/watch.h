// What the daemon counted in a window, held against what was sent.
#pragma once

#include <string_view>

#include "base/result.h"
#include "dots-bench/daemon.h"

namespace dots::bench {

class Watch {
 public:
  // Without a daemon, of a reference, it sees nothing.
  static base::Result<Watch> begin(Daemon* daemon);
  // Fails when a limit fired or a cache answered, and unless `metric` has grown by `operations`: the counters are
  // alive.
  base::Result<void> end(std::string_view metric, std::string_view label, std::uint64_t operations) const;

 private:
  Daemon* daemon_ = nullptr;
  Metrics before_;
};

}  // namespace dots::bench
