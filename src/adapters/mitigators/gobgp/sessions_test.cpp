#include "adapters/mitigators/gobgp/sessions.h"

#include <gtest/gtest.h>

namespace dots::adapters::mitigators::gobgp {
namespace {

using model::Family;

model::IpAddress address(const char* text) { return model::parse_ip_address(text).value(); }

PeerView up(const char* text, std::vector<std::pair<Family, RouteKind>> families) {
  return {address(text), true, "established", std::move(families), false};
}
PeerView down(const char* text) { return {address(text), false, "active", {}, false}; }

const std::vector<std::pair<Family, RouteKind>> kFlow4 = {{Family::ipv4, RouteKind::flow}};

// What GoBGP has taken is in force when a router can have it.
TEST(Sessions, WithoutNamedPeersOneIsEnough) {
  const auto why = [](const std::vector<PeerView>& peers) {
    return why_not_in_force(peers, {}, Family::ipv4, RouteKind::flow);
  };
  EXPECT_EQ(why({}), "gobgpd has no BGP peer");
  EXPECT_EQ(why({down("192.0.2.1")}), "BGP peer 192.0.2.1 is not established (active)");
  EXPECT_EQ(why({up("192.0.2.1", {{Family::ipv4, RouteKind::unicast}, {Family::ipv6, RouteKind::flow}})}),
            "BGP peer 192.0.2.1 takes no IPv4 flow specifications");
  EXPECT_EQ(why({down("192.0.2.1"), up("192.0.2.2", kFlow4)}), "");
  EXPECT_EQ(why({down("192.0.2.1"), down("2001:db8::1")}),
            "BGP peer 192.0.2.1 is not established (active); BGP peer 2001:db8::1 is not established (active)");
}

TEST(Sessions, NamedPeersAreAllNeeded) {
  const std::vector<model::IpAddress> needed = {address("192.0.2.1"), address("192.0.2.2")};
  const auto why = [&](const std::vector<PeerView>& peers) {
    return why_not_in_force(peers, needed, Family::ipv4, RouteKind::flow);
  };
  EXPECT_EQ(why({up("192.0.2.1", kFlow4), down("192.0.2.2")}), "BGP peer 192.0.2.2 is not established (active)");
  EXPECT_EQ(why({up("192.0.2.1", kFlow4)}), "BGP peer 192.0.2.2 is not established (gobgpd has no such neighbor)");
  EXPECT_EQ(why({up("192.0.2.1", kFlow4), up("192.0.2.2", kFlow4), down("192.0.2.3")}), "");
}

// With `gobgpd -r` an established session hears nothing until all neighbors have sent their End-of-RIB.
TEST(Sessions, WhatGobgpdHoldsBackIsNotInForce) {
  PeerView waiting = up("192.0.2.1", kFlow4);
  waiting.held_back = true;
  EXPECT_EQ(why_not_in_force({waiting}, {}, Family::ipv4, RouteKind::flow),
            "gobgpd restarts gracefully and holds its routes back for BGP peer 192.0.2.1");
}

TEST(Sessions, AreLinksWithTheirFamilies) {
  const auto links = links_of({up("192.0.2.1", kFlow4), down("192.0.2.2"), up("192.0.2.3", {})}, {address("192.0.2.9")},
                              RouteKind::flow);
  EXPECT_EQ(links,
            (std::vector<ports::BackEndLink>{{"BGP peer 192.0.2.1", true, "established with IPv4 flow specifications"},
                                             {"BGP peer 192.0.2.2", false, "active"},
                                             {"BGP peer 192.0.2.3", false, "established without flow specifications"},
                                             {"BGP peer 192.0.2.9", false, "gobgpd has no such neighbor"}}));
}

}  // namespace
}  // namespace dots::adapters::mitigators::gobgp
