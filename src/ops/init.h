// The first configuration: a server and a client on one machine that work out of the box (dotsctl init).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "model/ip.h"

namespace dots::ops {

struct InitOptions {
  std::string domain = "example-net";
  std::vector<std::string> prefixes = {"192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32"};
  std::uint16_t signal_port = 4646;
  std::string mitigator = "dry-run";  // or "nftables"
};

// Names that the set is built on; files hold them in these places.
inline constexpr const char* kInitServerName = "tidewall-server";
inline constexpr const char* kInitClientName = "tidewall-client";

std::string init_server_toml(const InitOptions& options);
std::string init_client_toml(const InitOptions& options);

}  // namespace dots::ops
