#include "ops/config_bgp.h"

#include <gtest/gtest.h>

#include "ops/config.h"
#include "tests/support/temp_dir.h"

namespace dots::ops {
namespace {

TEST(BgpValues, AreReadAsTheyAreWritten) {
  EXPECT_EQ(*read_community("65535:666"), kBlackholeCommunity);
  EXPECT_EQ(*read_community("0:0"), 0u);
  for (const char* bad : {"", "65535", "65536:1", "1:65536", "1:2:3", "a:b", " 1:2", "1:2 ", "-1:2", "1:"}) {
    EXPECT_FALSE(read_community(bad).ok()) << bad;
  }
  EXPECT_EQ(*read_large_community("4294967295:0:1"), (LargeCommunityValue{4294967295, 0, 1}));
  EXPECT_FALSE(read_large_community("4294967296:0:1").ok());
  EXPECT_FALSE(read_large_community("1:2").ok());
  EXPECT_EQ(*read_marker("64512:4646"), (std::array<std::uint32_t, 2>{64512, 4646}));
  EXPECT_FALSE(read_marker("64512:4646:1").ok());
}

TEST(BgpValues, RouteTargetsHaveSixOctets) {
  EXPECT_EQ(*read_route_target("64512:4294967295"), (RouteTargetValue{{}, 64512, 4294967295}));
  EXPECT_EQ(*read_route_target("4200000000:100"), (RouteTargetValue{{}, 4200000000, 100}));
  EXPECT_EQ(*read_route_target("203.0.113.1:100"),
            (RouteTargetValue{model::parse_ip_address("203.0.113.1").value(), 0, 100}));
  for (const char* bad : {"4200000000:65536", "203.0.113.1:65536", "2001:db8::1:100", "100", ":100", "100:"}) {
    EXPECT_FALSE(read_route_target(bad).ok()) << bad;
  }
}

TEST(BgpValues, TheInterfaceIsOnThisMachine) {
  EXPECT_EQ(*read_bgp_api("unix:///run/gobgpd.sock"), "unix:///run/gobgpd.sock");
  EXPECT_EQ(*read_bgp_api("127.0.0.1"), "127.0.0.1:50051");
  EXPECT_EQ(*read_bgp_api("[::1]:50052"), "[::1]:50052");
  for (const char* bad : {"", "unix://", "unix:///", "/run/gobgpd.sock", "192.0.2.1:50051", "gobgp.example:50051"}) {
    EXPECT_FALSE(read_bgp_api(bad).ok()) << bad;
  }
  EXPECT_FALSE(read_bgp_api("unix:///" + std::string(120, 'x')).ok());  // sockaddr_un
}

// The complaints about a [[mitigator]] with these keys, beside those of what else is missing.
std::string complaints(const std::string& keys) {
  const tests::TempDir folder;
  const auto [config, problems] = load_partial_config(folder.write(
      "dotsd.toml", "role = \"server\"\n[store]\nstate_dir = \"state\"\n[[mitigator]]\nname = \"m\"\n" + keys));
  std::string all;
  for (const auto& problem : problems) {
    if (problem.key.starts_with("mitigator")) all += to_string(problem) + "\n";
  }
  return all;
}

TEST(BgpConfig, HasToFitTogether) {
  EXPECT_EQ(complaints("kind = \"gobgp-rtbh\"\n"), "");
  EXPECT_EQ(complaints("kind = \"gobgp-flowspec\"\ndrop_as = \"redirect\"\nredirect_rt = \"64512:100\"\n"), "");
  EXPECT_NE(complaints("kind = \"gobgp-rtbh\"\nnext_hop_v4 = \"2001:db8::1\"\n").find("is no IPv4 address"),
            std::string::npos);
  EXPECT_NE(complaints("kind = \"gobgp-flowspec\"\ndrop_as = \"redirect\"\n").find("nowhere to redirect to"),
            std::string::npos);
  EXPECT_NE(complaints("kind = \"gobgp-rtbh\"\ndrop_as = \"mark\"\n").find("can only discard"), std::string::npos);
  EXPECT_NE(complaints("kind = \"gobgp-flowspec\"\nredirect_ip = [\"192.0.2.1\", \"192.0.2.2\"]\n").find("one family"),
            std::string::npos);
  const std::string twice = "kind = \"gobgp-rtbh\"\n[[mitigator]]\nname = \"n\"\nkind = ";
  EXPECT_NE(complaints(twice + "\"gobgp-rtbh\"\n").find("the same api and marker"), std::string::npos);
  EXPECT_EQ(complaints(twice + "\"gobgp-rtbh\"\nmarker = \"64512:1\"\n"), "");
  EXPECT_EQ(complaints(twice + "\"gobgp-flowspec\"\n"), "");
  // What somebody has now would be taken away from him.
  EXPECT_NE(complaints(twice + "\"gobgp-rtbh\"\nmarker = \"64512:1\"\nformer_markers = [\"64512:4646\"]\n")
                .find("has the marker 64512:4646 now"),
            std::string::npos);
  EXPECT_EQ(complaints("kind = \"gobgp-rtbh\"\nformer_markers = [\"64512:1\", \"64512:2\"]\n"), "");
}

}  // namespace
}  // namespace dots::ops
