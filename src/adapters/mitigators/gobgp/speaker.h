// GoBGP 3 over gRPC: its routes and its sessions. Knows nothing of mitigations.
#pragma once

#include <chrono>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "adapters/mitigators/gobgp/marks.h"
#include "adapters/mitigators/gobgp/route.h"
#include "base/result.h"

namespace dots::adapters::mitigators::gobgp {

struct SpeakerOptions {
  std::string api = "unix:///run/gobgpd.sock";
  std::chrono::milliseconds timeout{5000};  // of every call
};

// Threads: one at a time.
class Speaker {
 public:
  explicit Speaker(SpeakerOptions options);
  ~Speaker();

  // Nothing to do where a connection stands.
  base::Result<void> connect();
  // All of them or none: GoBGP reads a whole message before it changes anything. Routes with `withdraw` go, also those
  // that are not there.
  base::Result<void> send(const std::vector<Route>& routes);
  // One call for one route: ten times slower, for comparison.
  base::Result<void> send_alone(const Route& route);
  // Routes that carry the marker, of our own making and not learned from a peer.
  base::Result<std::vector<SeenRoute>> routes(RouteKind kind, const Marker& marker);
  base::Result<std::vector<PeerView>> peers();
  // The NLRI of what it announces to a peer, ours and others', its export policies applied.
  base::Result<std::set<base::Bytes>> announced(const model::IpAddress& peer, model::Family family, RouteKind kind);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace dots::adapters::mitigators::gobgp
