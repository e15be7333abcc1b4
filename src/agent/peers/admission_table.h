// Handshakes in progress, pure: from the first hello of an unknown address to a proven session.
//
// No state before a cookie proves the address, no session before the handshake ends. Bounded in number, per source
// prefix and in time, so that a flood of hellos or of half-done handshakes cannot push out live sessions, which live in
// another table (session_table.h) on other threads.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/time.h"
#include "model/peer.h"
#include "ports/secure_channel.h"

namespace dots::agent {

struct AdmissionLimits {
  std::size_t handshakes = 4096;
  std::size_t handshakes_per_prefix = 256;                   // IPv4 /24, IPv6 /48
  base::Duration handshake_time = std::chrono::seconds{30};  // from the cookie to the end
};

// A proven session on its way to its shard. The last flight is not sent yet: the shard sends it after it has adopted
// the channel, so that no application data can arrive before.
struct Admitted {
  model::Path path;
  std::unique_ptr<ports::SecureChannel> channel;
  std::vector<base::Bytes> last_flight;
  std::vector<base::Bytes> plaintexts;  // application data that came with the end of the handshake
};

struct AdmissionCounters {
  std::uint64_t cookies = 0, dropped = 0, started = 0, opened = 0, resumed = 0, failed = 0, timed_out = 0, limited = 0,
                forwarded = 0;
};

struct AdmissionEffects {
  std::vector<model::Datagram> send;
  std::vector<Admitted> admitted;
  // For sessions that are already with a shard (a repeated Finished): the caller hands them to shard_of(path.peer).
  std::vector<model::Datagram> forward;
  // One sentence each, for the operator; bounded by the caller's log rate.
  std::vector<std::string> refusals;
  AdmissionCounters counters;
};

class AdmissionTable {
 public:
  AdmissionTable(std::shared_ptr<ports::Admission> admission, const AdmissionLimits& limits);
  AdmissionTable(AdmissionTable&&) noexcept;
  AdmissionTable& operator=(AdmissionTable&&) noexcept;
  ~AdmissionTable();

  void on_datagram(const model::Datagram& datagram, base::Now now, AdmissionEffects& out);
  void on_timer(base::Now now, AdmissionEffects& out);
  std::optional<base::SteadyTime> next_deadline() const;
  std::size_t size() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace dots::agent
