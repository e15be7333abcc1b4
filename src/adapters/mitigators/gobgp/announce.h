// From rules and filters to routes, and back. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "adapters/mitigators/gobgp/marks.h"
#include "adapters/mitigators/gobgp/route.h"
#include "model/filter_list.h"
#include "model/rule.h"
#include "ports/mitigator.h"

namespace dots::adapters::mitigators::gobgp {

enum class DropAs : std::uint8_t { discard, redirect, mark };

// What the operator's configuration gives to routes.
struct Announcement {
  Marker marker{64512, 4646};
  std::optional<model::IpAddress> next_hop_v4, next_hop_v6;  // RTBH
  std::uint32_t local_preference = 100;                      // RTBH
  std::vector<std::uint32_t> communities;
  std::vector<LargeCommunity> large_communities;
  bool no_export = true;  // RFC 1997
  // Flow specifications: what is done with traffic that is to be dropped.
  DropAs drop_as = DropAs::discard;
  std::optional<RouteTarget> redirect_rt;
  std::optional<model::IpAddress> redirect_ip_v4, redirect_ip_v6;
  std::uint8_t dscp = 8;
};

// 28 bits of everything in it that routes carry.
std::uint32_t profile_of(const Announcement& announcement);

// A fault begins with the rule or the list that it is about.
using ports::MitigatorFault;
using RouteOrFault = base::Result<Route, MitigatorFault>;

FlowSpec flow_of(const model::RuleMatch& match);  // canonical

RouteOrFault blackhole_route(const Announcement& announcement, const model::Rule& rule);
RouteOrFault flow_route(const Announcement& announcement, const model::Rule& rule);

// The route of an entry of a list of filters.
Route flow_route(const Announcement& announcement, const FlowSpec& flow, const Marks& marks);
// What a list is announced as. All or nothing; see docs/decisions/bgp.md for what a list must be like.
struct FlowEntry {
  FlowSpec flow;
  std::optional<std::uint64_t> limit_bps;  // bytes/s; nothing: drop
  friend bool operator==(const FlowEntry&, const FlowEntry&) = default;
};
base::Result<std::vector<FlowEntry>, MitigatorFault> compile(const model::FilterList& list);

// The rule that a route of ours is for. Nothing when no rule makes such a route.
std::optional<model::Rule> rule_of(const SeenRoute& seen, const Marks& marks);

// "192.0.2.1/32 (IPv4 unicast)", for people.
std::string to_string(const SeenRoute& seen);

}  // namespace dots::adapters::mitigators::gobgp
