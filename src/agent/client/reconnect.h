// When a client may try to establish a session (RFC 9132 4.7), pure.
//
// Never more often than each 60 s, whatever is configured and however urgent it is. Without an attack each 300 s by
// default. The first attempt after a start, and the first after a session ended, need no waiting beyond the 60 s.
#pragma once

#include <optional>

#include "base/time.h"

namespace dots::agent::client {

inline constexpr base::Duration kMinRetry = std::chrono::seconds{60};

class Reconnect {
 public:
  // After a start this many attempts are 60 s apart: networks often come up after daemons.
  static constexpr int kQuickAttemptsAtStart = 3;

  explicit Reconnect(base::Duration retry);

  void on_attempt(base::SteadyTime now);
  // Beside a session that is open, because a request on it goes unanswered.
  void on_parallel_attempt(base::SteadyTime now);
  void on_established();

  // When the next attempt may start; `urgent`: a mitigation or a withdrawal waits for a session.
  base::SteadyTime next(bool urgent, base::SteadyTime now) const;
  // When the next parallel attempt may start. RFC 9132 4.7 sets its floor for sessions that could not be established:
  // an attempt that ended in a session holds up none.
  base::SteadyTime next_parallel(base::SteadyTime now) const;
  int failed_attempts() const { return attempts_; }

 private:
  base::Duration retry_;
  std::optional<base::SteadyTime> last_;
  std::optional<base::SteadyTime> last_parallel_;
  int attempts_ = 0;  // since the last success
  bool ever_established_ = false;
};

}  // namespace dots::agent::client
