#include "adapters/mitigators/gobgp/sessions.h"

#include <gtest/gtest.h>

namespace dots::adapters::mitigators::gobgp {
namespace {

using model::Family;

model::IpAddress address(const char* text) { return model::parse_ip_address(text).value(); }

PeerView up(const char* text, std::vector<std::pair<Family, RouteKind>> families) {
  return {address(text), true, "established", std::move(families), false, {}};
}
PeerView down(const char* text) { return {address(text), false, "active", {}, false, {}}; }

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

// In force is what a router is sent: not what an export policy keeps back, nor what another route has outdone.
TEST(Sessions, TheSpeakersWordOnWhatItAnnouncesCounts) {
  SeenRoute route;
  route.nlri = {32, 192, 0, 2, 1};
  const Announced both = {{address("192.0.2.251"), {route.nlri}}, {address("192.0.2.252"), {{8, 10}}}};
  EXPECT_EQ(why_not_announced(both, false, route), "");
  EXPECT_EQ(why_not_announced(both, true, route),
            "gobgpd does not announce it to BGP peer 192.0.2.252: an export policy or its next hop forbids it");
  const Announced none = {{address("192.0.2.251"), {}}, {address("192.0.2.252"), {}}};
  EXPECT_EQ(why_not_announced(none, false, route),
            "gobgpd does not announce it to BGP peer 192.0.2.251, BGP peer 192.0.2.252: an export policy or its next "
            "hop forbids it");
  route.outdone = true;
  EXPECT_EQ(why_not_announced(both, false, route), "gobgpd has another route to it, not ours, and prefers that");
}

TEST(Sessions, WhoIsAskedIsWhoCouldHaveIt) {
  const std::vector<PeerView> peers = {up("192.0.2.1", kFlow4), up("192.0.2.2", {}), down("192.0.2.3")};
  EXPECT_EQ(receivers(peers, {}, Family::ipv4, RouteKind::flow), std::vector{address("192.0.2.1")});
  EXPECT_TRUE(receivers(peers, {}, Family::ipv6, RouteKind::flow).empty());
  EXPECT_EQ(receivers(peers, {address("192.0.2.9")}, Family::ipv4, RouteKind::flow), std::vector{address("192.0.2.9")});
}

// Drops and limits alike: a session that starves is reset, too.
TEST(Sessions, AFlowThatTakesPacketsOfASessionIsKnown) {
  PeerView peer = up("192.0.2.1", kFlow4);
  peer.local = address("198.51.100.1");
  const auto cut = [&](const char* to, std::map<FlowType, std::vector<FlowRange>> numbers, const char* from = nullptr) {
    FlowSpec flow;
    flow.destination = model::parse_prefix(to).value();
    if (from != nullptr) flow.source = model::parse_prefix(from).value();
    flow.numbers = std::move(numbers);
    return cut_by({peer}, flow) != nullptr;
  };
  EXPECT_TRUE(cut("192.0.2.0/24", {}));
  EXPECT_TRUE(cut("198.51.100.1/32", {})) << "our end";
  EXPECT_FALSE(cut("203.0.113.0/24", {}));
  EXPECT_TRUE(cut("192.0.2.0/24", {}, "198.51.100.0/24"));
  EXPECT_FALSE(cut("192.0.2.0/24", {}, "203.0.113.0/24")) << "packets of others";
  EXPECT_TRUE(cut("192.0.2.0/24", {{FlowType::protocol, {{6, 6}}}}));
  EXPECT_FALSE(cut("192.0.2.0/24", {{FlowType::protocol, {{17, 17}}}}));
  EXPECT_FALSE(cut("192.0.2.0/24", {{FlowType::icmp_type, {{8, 8}}}}));
  EXPECT_TRUE(cut("192.0.2.0/24", {{FlowType::destination_port, {{1, 1000}}}}));
  EXPECT_FALSE(cut("192.0.2.0/24", {{FlowType::destination_port, {{80, 80}, {443, 443}}}}));
  EXPECT_TRUE(cut("192.0.2.0/24", {{FlowType::destination_port, {{1024, 65535}}}})) << "the end without port 179";
  EXPECT_TRUE(cut("192.0.2.0/24", {{FlowType::source_port, {{179, 179}}}}));
  EXPECT_FALSE(cut("192.0.2.0/24", {{FlowType::source_port, {{53, 53}}}}));
  EXPECT_TRUE(cut("192.0.2.0/24", {{FlowType::port, {{179, 179}}}}));
  EXPECT_FALSE(cut("192.0.2.0/24", {{FlowType::port, {{53, 53}}}}));
}

}  // namespace
}  // namespace dots::adapters::mitigators::gobgp
