#include "adapters/net/uplink.h"

#include <ifaddrs.h>
#include <net/if.h>

#include <algorithm>

namespace dots::adapters::net {
namespace {

bool is_loopback(const model::SocketAddress& address) {
  static const auto v4 = *model::parse_prefix("127.0.0.0/8");
  static const auto v6 = *model::parse_prefix("::1/128");
  return v4.contains(address.ip) || v6.contains(address.ip);
}

}  // namespace

bool uplink_is_up(const std::vector<model::SocketAddress>& listening) {
  if (std::all_of(listening.begin(), listening.end(), is_loopback)) return true;
  ifaddrs* all = nullptr;
  if (getifaddrs(&all) != 0) return true;
  bool up = false;
  for (const ifaddrs* one = all; one != nullptr && !up; one = one->ifa_next) {
    constexpr unsigned kNeeded = IFF_UP | IFF_RUNNING;
    up = (one->ifa_flags & kNeeded) == kNeeded && (one->ifa_flags & IFF_LOOPBACK) == 0;
  }
  freeifaddrs(all);
  return up;
}

}  // namespace dots::adapters::net
