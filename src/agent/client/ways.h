// Ways to a server - an address and a transport - in their order of preference, and what became of trying them, pure
// (RFC 9132 4.3).
#pragma once

#include <compare>
#include <map>
#include <string>
#include <vector>

#include "base/time.h"
#include "model/peer.h"

namespace dots::agent::client {

struct Way {
  model::Transport transport = model::Transport::udp;
  model::SocketAddress server;
  friend auto operator<=>(const Way&, const Way&) = default;
};
std::string to_string(const Way& way);

// UDP/IPv6, UDP/IPv4, TCP/IPv6, TCP/IPv4; within one of these the addresses in the order given.
std::vector<Way> ways_to(const std::vector<model::SocketAddress>& addresses, bool udp, bool tcp);

// What became of attempts. Bounded by the addresses of one server.
class WayMemory {
 public:
  static constexpr base::Duration kLife = std::chrono::minutes{10};

  void worked(const Way& way, base::SteadyTime now);
  void failed(const Way& way, std::string why, base::SteadyTime now);
  // Leaves out what failed a short time ago, as long as something else has worked since then.
  std::vector<Way> worth_trying(std::vector<Way> ways, base::SteadyTime now) const;
  // Why `way` and not one before it; empty for the first of `ways`.
  std::string why(const std::vector<Way>& ways, const Way& way) const;
  void forget() { outcomes_.clear(); }

 private:
  struct Outcome {
    bool worked = false;
    base::SteadyTime at;
    std::string why;
  };
  std::map<Way, Outcome> outcomes_;
};

}  // namespace dots::agent::client
