#include "adapters/net/machine_addresses.h"

#include <ifaddrs.h>

#include "adapters/net/socket_address.h"

namespace dots::adapters::net {

std::vector<model::IpAddress> machine_addresses() {
  std::vector<model::IpAddress> out;
  ifaddrs* list = nullptr;
  if (::getifaddrs(&list) != 0) return out;
  for (const ifaddrs* one = list; one != nullptr; one = one->ifa_next) {
    if (one->ifa_addr == nullptr) continue;
    if (one->ifa_addr->sa_family == AF_INET) {
      out.push_back(from_in(reinterpret_cast<const sockaddr_in*>(one->ifa_addr)->sin_addr));
    } else if (one->ifa_addr->sa_family == AF_INET6) {
      out.push_back(from_in6(reinterpret_cast<const sockaddr_in6*>(one->ifa_addr)->sin6_addr));
    }
  }
  ::freeifaddrs(list);
  return out;
}

}  // namespace dots::adapters::net
