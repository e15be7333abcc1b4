// Changes that operators asked for and that a domain has yet to answer.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <optional>

#include "agent/control.h"
#include "base/ids.h"
#include "signal/server/events.h"

namespace dots::runtime {

// Threads: any. Callbacks are called outside the lock.
class OperatorTickets {
 public:
  using Done = std::function<void(agent::CallAnswer)>;

  // The number to ask the domain with; nothing when too many wait. The answer then names `mid`.
  std::optional<std::uint64_t> take(Done& done, std::optional<base::Mid> mid);
  // The domain's word; unknown numbers are ignored.
  void answer(const signal::server::OperatorAnswer& answer);

 private:
  struct Ticket {
    Done done;
    std::optional<base::Mid> mid;
  };
  std::mutex mutex_;  // guards what follows
  std::map<std::uint64_t, Ticket> tickets_;
  std::uint64_t next_ = 1;
};

}  // namespace dots::runtime
