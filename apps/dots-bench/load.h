// The closed loop: so many requests in flight over many sessions; the next leaves when an answer has come.
#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "dots-bench/lane.h"
#include "dots-bench/poller.h"
#include "dots-bench/requests.h"

namespace dots::bench {

// 65,536 message ids live 145 s each (RFC 7252 4.8.2), so a session may use some 450 in a second; a client that sends
// faster measures the cache of duplicates.
inline constexpr std::uint32_t kMostPerSessionPerS = 400;
inline constexpr std::size_t kLeastSessions = 256;
inline constexpr base::Duration kLeastSpacing = std::chrono::nanoseconds{1'000'000'000 / kMostPerSessionPerS};

struct LoadOptions {
  std::uint64_t requests = 0;
  std::size_t in_flight = 64;
  base::Duration patience = std::chrono::seconds{20};  // for one answer
  base::Duration spacing = kLeastSpacing;              // between two requests of one session
};

struct LoadResult {
  std::vector<base::Duration> latencies;
  double wall_s = 0;
  std::uint64_t sent = 0;
  std::uint64_t peer_requests = 0;  // of the server's: its heartbeats
  std::uint64_t unanswered = 0;     // of a crowd: a datagram may get lost, and nobody repeats it
  // Means; of plaintext, and of datagrams as they travel.
  double request_bytes = 0, answer_bytes = 0, request_datagram_bytes = 0, answer_datagram_bytes = 0;
};

class Load {
 public:
  explicit Load(std::vector<Lane> lanes);

  // Fails when an answer is wrong or does not come.
  base::Result<LoadResult> run(const Workload& workload, const LoadOptions& options);

  // The sessions have their turns one after the other, so that each comes once in `period`.
  void spread_over(base::Duration period);

  std::size_t sessions() const { return lanes_.size(); }
  Lane& lane(std::size_t i) { return lanes_[i]; }

 private:
  struct Pending {
    base::SteadyTime sent;
    std::uint64_t tag = 0;
  };
  // Until the next lane may send; zero: now.
  base::Duration pause(base::SteadyTime now, base::Duration spacing) const;
  base::Result<void> issue(const Workload& workload, LoadResult& result);
  base::Result<void> take(std::size_t lane, base::ByteView message, const Workload& workload, LoadResult& result);

  std::vector<Lane> lanes_;
  Poller poller_;
  std::size_t next_lane_ = 0;
  std::uint32_t next_token_ = 1;
  std::unordered_map<std::uint32_t, Pending> pending_;
  std::vector<base::Bytes> plaintexts_;
};

}  // namespace dots::bench
