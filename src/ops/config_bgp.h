// What back ends that speak BGP are told ([[mitigator]] of kind gobgp-rtbh and gobgp-flowspec).
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "model/ip.h"
#include "ops/config_values.h"

namespace dots::ops {

struct KeySpec;

using LargeCommunityValue = std::array<std::uint32_t, 3>;

struct RouteTargetValue {
  std::optional<model::IpAddress> address;  // else the number of an AS
  std::uint32_t as_number = 0;
  std::uint32_t number = 0;
  friend bool operator==(const RouteTargetValue&, const RouteTargetValue&) = default;
};

enum class BgpDrop : std::uint8_t { discard, redirect, mark };

struct BgpConfig {
  std::string api = "unix:///run/gobgpd.sock";
  std::vector<model::IpAddress> peers;
  std::array<std::uint32_t, 2> marker{64512, 4646};
  std::vector<std::array<std::uint32_t, 2>> former_markers;
  model::IpAddress next_hop_v4 = model::parse_ip_address("192.0.2.1").value();
  model::IpAddress next_hop_v6 = model::parse_ip_address("100::1").value();
  std::optional<std::vector<std::uint32_t>> communities;  // nothing: those of the kind
  std::vector<LargeCommunityValue> large_communities;
  bool no_export = true;
  std::uint32_t local_preference = 200;
  BgpDrop drop_as = BgpDrop::discard;
  std::optional<RouteTargetValue> redirect_rt;
  std::vector<model::IpAddress> redirect_ip;  // at most one of a family
  std::uint8_t dscp = 8;
};

inline constexpr std::uint32_t kBlackholeCommunity = 0xffff029a;  // RFC 7999: 65535:666

// The texts of these values.
Reading<std::string> read_bgp_api(const std::string& text);
Reading<std::uint32_t> read_community(const std::string& text);
Reading<LargeCommunityValue> read_large_community(const std::string& text);
Reading<std::array<std::uint32_t, 2>> read_marker(const std::string& text);
Reading<RouteTargetValue> read_route_target(const std::string& text);

// The keys of [[mitigator]].
std::vector<KeySpec> bgp_keys();

}  // namespace dots::ops
