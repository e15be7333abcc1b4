// ClientHellos that nobody means, from many addresses of the loopback: what a flood of them costs a server.
#pragma once

#include <atomic>
#include <cstdint>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "dots-bench/descriptor.h"
#include "dots-bench/row.h"
#include "model/peer.h"

namespace dots::bench {

// One of DTLS 1.2 with the extensions of an ordinary client; `seed` makes its random bytes. With a cookie it is one
// that no server has given.
base::Bytes forged_hello(std::uint32_t seed, bool with_cookie);

class Forger {
 public:
  static base::Result<Forger> open(const model::SocketAddress& server);

  // Closed loop: `count` hellos, some hundred at a time, and an answer for each - so that what is measured is work and
  // not a full buffer. Fails when answers are missing.
  base::Result<void> ask(std::uint64_t count);
  // Open loop until `stop`: so many in a second, nobody reads the answers. Returns how many left.
  std::uint64_t flood(unsigned per_s, const std::atomic<bool>& stop);

 private:
  std::size_t send(std::size_t socket, std::size_t count);

  std::vector<Descriptor> sockets_;  // connected, each from an address of its own
  std::vector<base::Bytes> hellos_;
  std::size_t next_hello_ = 0;
};

}  // namespace dots::bench
