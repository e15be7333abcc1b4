// What we ask a BGP speaker to announce, and what it says that it has. Values only.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "adapters/mitigators/gobgp/flowspec.h"
#include "base/bytes.h"
#include "model/ip.h"

namespace dots::adapters::mitigators::gobgp {

// RFC 8092.
struct LargeCommunity {
  std::uint32_t global = 0, first = 0, second = 0;
  friend auto operator<=>(const LargeCommunity&, const LargeCommunity&) = default;
};

// "64512:100" or "203.0.113.1:100", as extended communities write it.
struct RouteTarget {
  std::variant<std::uint32_t, model::IpAddress> administrator;
  std::uint32_t number = 0;
  friend auto operator<=>(const RouteTarget&, const RouteTarget&) = default;
};

// Extended communities of flow specifications (RFC 8955 7).
struct FlowAction {
  std::optional<float> rate = std::nullopt;         // bytes/s; 0 discards
  bool goes_on = false;                             // the following specifications are looked at too
  std::optional<std::uint8_t> dscp = std::nullopt;  // traffic-marking
  std::optional<RouteTarget> redirect = std::nullopt;
  std::optional<model::IpAddress> redirect_to = std::nullopt;
  friend bool operator==(const FlowAction&, const FlowAction&) = default;
};

enum class RouteKind : std::uint8_t { unicast, flow };

// A route has its place by family, kind, reachability and identifier: another one with the same replaces it, and those
// of somebody else with another identifier stay beside it.
struct Route {
  model::Family family = model::Family::ipv4;
  RouteKind kind = RouteKind::unicast;
  base::Bytes nlri;  // with the length before it
  std::uint32_t identifier = 0;
  bool withdraw = false;

  std::optional<model::IpAddress> next_hop;  // unicast
  std::uint32_t local_preference = 100;
  std::vector<std::uint32_t> communities;
  std::vector<LargeCommunity> large_communities;
  FlowAction action;  // flow
};

// The octets of reachability, with the length before them. REQUIRES: a valid prefix or flow specification.
base::Bytes nlri_of(const model::Prefix& prefix);
base::Bytes nlri_of(const FlowSpec& flow);

struct SeenRoute {
  model::Family family = model::Family::ipv4;
  RouteKind kind = RouteKind::unicast;
  base::Bytes nlri;
  std::uint32_t identifier = 0;
  std::vector<LargeCommunity> large_communities;
  bool outdone = false;  // the speaker has another route to the same that it prefers, and that is not ours
};

// One BGP session of the speaker.
struct PeerView {
  model::IpAddress address;
  bool established = false;
  std::string state;                                          // "active", "established"
  std::vector<std::pair<model::Family, RouteKind>> families;  // what both sides have; only when established
  bool held_back = false;  // gobgpd was started with -r, and announces nothing before every neighbor's End-of-RIB
  std::optional<model::IpAddress> local;  // our end of the session
};

}  // namespace dots::adapters::mitigators::gobgp
