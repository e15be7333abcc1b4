// What a server accepts as session configuration (RFC 9132 4.5, RFC 9362), and why not.
#pragma once

#include <optional>
#include <string>

#include "model/session_config.h"

namespace dots::policy {

// The size that a heartbeat request has on the wire, DTLS record included: what heartbeat-interval x probing-rate must
// allow (RFC 9132 4.5.2).
inline constexpr std::uint64_t kHeartbeatBytes = 96;
inline constexpr std::uint32_t kForever = UINT32_MAX;  // Max-Age (RFC 9132 4.5.3)

struct SessionBounds {
  SessionBounds();

  model::ParameterRanges ranges;  // one for each parameter
  model::ParameterSet defaults;   // the server's own values, where they are not those of the RFC
  std::uint32_t max_age_s = 3600;
  // With 0 in idle-config a dead client is not noticed while nothing is mitigated.
  bool heartbeats_may_stop_when_idle = true;
  bool heartbeats_may_stop_with_armed_requests = false;

  const model::ParameterRange& range(model::Parameter p) const { return *ranges[static_cast<std::size_t>(p)]; }
  model::ParameterRange& range(model::Parameter p) { return *ranges[static_cast<std::size_t>(p)]; }
  friend bool operator==(const SessionBounds&, const SessionBounds&) = default;
};

// Why the server cannot accept these values, for the peer and for the operator; nothing when it can (else 4.22).
// `armed`: the client has requests that start when its signal is lost.
std::optional<std::string> unacceptable(const model::ParameterSets& wanted, const SessionBounds& bounds, bool armed);

}  // namespace dots::policy
