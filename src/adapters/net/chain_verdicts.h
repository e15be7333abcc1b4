// Certificate chains that were found good a short while ago, so that a resumed handshake need not verify their
// signatures again (docs/decisions/session-tickets.md).
//
// Each Credentials has its own: other authorities, or another revocation list, are other Credentials and know of
// nothing. What is good within the times of a chain says its time; clocks that go backwards void it.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <map>
#include <mutex>
#include <optional>

#include "base/time.h"
#include "model/peer.h"

namespace dots::adapters::net {

struct ProvenPeer {
  model::PeerIdentity identity;
  std::int64_t expires_unix_s = INT64_MAX;  // the first certificate of the chain to do so
};

class ChainVerdicts {
 public:
  using Key = std::array<std::uint8_t, 32>;
  static constexpr base::Duration kLongest = std::chrono::minutes{10};
  static constexpr std::size_t kMost = 4096;  // then the oldest gives way

  std::optional<ProvenPeer> find(const Key& key, base::WallTime now);
  // The chain has just been verified. `trust_ends_unix_s`: when an authority that is trusted expires next.
  void put(const Key& key, ProvenPeer peer, std::int64_t trust_ends_unix_s, base::WallTime now);
  std::size_t size() const;

 private:
  struct Verdict {
    ProvenPeer peer;
    base::WallTime from, until;
  };
  mutable std::mutex mutex_;  // admission of DTLS and of TLS; guards both
  std::map<Key, Verdict> verdicts_;
  std::deque<Key> order_;  // of verdicts_, oldest first
};

}  // namespace dots::adapters::net
