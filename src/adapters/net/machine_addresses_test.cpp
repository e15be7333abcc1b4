#include "adapters/net/machine_addresses.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace dots::adapters::net {
namespace {

TEST(MachineAddresses, TheLoopbackIsAmongThem) {
  EXPECT_THAT(machine_addresses(), testing::Contains(*model::parse_ip_address("127.0.0.1")));
}

}  // namespace
}  // namespace dots::adapters::net
