// Routers as a back end, through GoBGP: blackhole routes (RTBH) or flow specifications (docs/decisions/bgp.md).
//
// The speaker keeps the routes and outlives us; the marks on them say what they are for. That it took a route does not
// mean that a router has it: list() says of every rule which BGP session is missing.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "adapters/mitigators/gobgp/announce.h"
#include "adapters/mitigators/gobgp/speaker.h"
#include "ports/mitigator.h"

namespace dots::adapters::mitigators::gobgp {

struct GobgpOptions {
  RouteKind kind = RouteKind::unicast;  // blackhole routes, or flow specifications
  SpeakerOptions speaker;
  Announcement announcement;
  // Markers of earlier configurations: what bears them is announced under the present one.
  std::vector<Marker> former_markers;
  // Sessions that a rule needs to be in force; empty: at least one of those that the speaker has.
  std::vector<model::IpAddress> peers;
  // For `dotsctl emergency`: open() changes nothing.
  bool only_look = false;
};

// Threads: one at a time.
class GobgpMitigator : public ports::Mitigator {
 public:
  explicit GobgpMitigator(GobgpOptions options);
  ~GobgpMitigator() override;

  ports::MitigatorAbilities abilities() const override;
  base::Result<void> open() override;
  ports::Applied apply(const std::vector<ports::RuleChange>& changes) override;
  ports::Applied apply_filters(const std::vector<ports::FilterChange>& changes) override;
  // Routes know no exemptions: see MitigatorAbilities::exempts.
  base::Result<void> exempt(const std::vector<ports::SignalExemption>& exemptions) override;
  base::Result<Listing> list() override;
  base::Result<std::vector<std::string>> remove_foreign() override;
  base::Result<void> clear() override;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace dots::adapters::mitigators::gobgp
