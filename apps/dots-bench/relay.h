// A link between clients and a server on the loopback: delay, and loss of datagrams each way.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <thread>

#include "base/result.h"
#include "base/time.h"
#include "model/peer.h"

namespace dots::bench {

class Relay {
 public:
  // `one_way`: half of the round trip. `seed` decides which datagrams are lost.
  static base::Result<std::unique_ptr<Relay>> start(const model::SocketAddress& server, base::Duration one_way,
                                                    std::uint32_t seed);
  ~Relay();
  Relay(const Relay&) = delete;
  Relay& operator=(const Relay&) = delete;

  const model::SocketAddress& address() const { return address_; }
  void lose_percent(unsigned percent) { loss_percent_ = percent; }
  std::uint64_t carried() const { return carried_; }
  std::uint64_t lost() const { return lost_; }

 private:
  class Link;
  Relay();
  model::SocketAddress address_;
  std::atomic<unsigned> loss_percent_{0};
  std::atomic<std::uint64_t> carried_{0}, lost_{0};
  std::atomic<bool> stop_{false};
  std::unique_ptr<Link> link_;  // the thread's, once it runs
  std::thread thread_;
};

}  // namespace dots::bench
