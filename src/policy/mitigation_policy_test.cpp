#include "policy/mitigation_policy.h"

#include <gtest/gtest.h>

#include "policy/prefix_split.h"

namespace dots::policy {
namespace {

model::Prefix prefix(const std::string& text) { return *model::parse_prefix(text); }

PolicyRule rule(const std::string& name) {
  PolicyRule r;
  r.name = name;
  return r;
}

PolicyRequest request(std::vector<model::Prefix> targets) {
  PolicyRequest r;
  r.domain = "example-net";
  r.targets = std::move(targets);
  r.parts.emplace_back();
  return r;
}

TEST(MitigationPolicy, WithoutRulesEverythingGoesToEveryBackEnd) {
  const PolicyRule& chosen = decide({}, request({prefix("203.0.113.0/24")}));
  EXPECT_EQ(chosen, default_rule());
  EXPECT_TRUE(chosen.use.empty());
  EXPECT_EQ(action_text(chosen), "mitigate as asked at every back end");
}

TEST(MitigationPolicy, TheFirstRuleThatMatchesDecidesAndTheOthersSayWhyNot) {
  PolicyRule hosts = rule("hosts");
  hosts.v4_lengths = LengthRange{32, 32};
  hosts.v6_lengths = LengthRange{128, 128};
  hosts.action = PolicyAction::blackhole;
  hosts.use = {"routers"};
  hosts.overflow = {"core", "edge"};
  PolicyRule dns = rule("dns");
  dns.protocols = {17};
  dns.ports = {{53, 53}};
  dns.use = {"scrubber"};
  const PolicyChain chain{hosts, dns};

  EXPECT_EQ(decide(chain, request({prefix("203.0.113.7/32")})).name, "hosts");
  auto wide = request({prefix("203.0.113.7/32"), prefix("203.0.113.0/28")});
  wide.parts[0].protocols = {17};
  wide.parts[0].ports = {{53, 53}};
  EXPECT_EQ(decide(chain, wide).name, "dns");
  const auto seen = considerations(chain, wide);
  ASSERT_EQ(seen.size(), 2U);
  EXPECT_EQ(seen[0].text, "the widest IPv4 target is 203.0.113.0/28, and it wants /32");
  EXPECT_FALSE(seen[0].matches);
  EXPECT_EQ(seen[1].text, "mitigate as asked at 'scrubber'");
  EXPECT_TRUE(seen[1].matches);
  EXPECT_EQ(action_text(hosts), "blackhole at 'routers', without room there at 'core', then 'edge'");
  EXPECT_EQ(selector_text(hosts), "when IPv4 targets are /32 and IPv6 targets are /128");
}

TEST(MitigationPolicy, ALengthForOneFamilyAloneKeepsTheOtherOut) {
  PolicyRule hosts = rule("hosts");
  hosts.v4_lengths = LengthRange{32, 32};
  hosts.action = PolicyAction::blackhole;
  EXPECT_EQ(mismatch(hosts, request({prefix("203.0.113.7/32"), prefix("2001:db8::/48")})),
            "it is for no IPv6 targets, and 2001:db8::/48 is one");
  EXPECT_EQ(mismatch(hosts, request({prefix("203.0.113.7/32")})), "");
}

TEST(MitigationPolicy, ProtocolsAndPortsMustAllBeAmongThoseOfTheRule) {
  PolicyRule web = rule("web");
  web.protocols = {6};
  web.ports = {{80, 80}, {443, 445}};
  auto asked = request({prefix("203.0.113.7/32")});
  EXPECT_EQ(mismatch(web, asked), "the request names no protocol, and it wants tcp alone");
  asked.parts[0].protocols = {6, 17};
  EXPECT_EQ(mismatch(web, asked), "the request names udp, and it wants tcp alone");
  asked.parts[0].protocols = {6};
  EXPECT_EQ(mismatch(web, asked), "the request names no port, and it wants ports 80 or 443-445 alone");
  asked.parts[0].ports = {{443, 446}};
  EXPECT_EQ(mismatch(web, asked), "the request names port 443-446, and it wants ports 80 or 443-445 alone");
  asked.parts[0].ports = {{444, 445}, {80, 80}};
  EXPECT_EQ(mismatch(web, asked), "");
}

// An alias with a protocol beside one without: what is broad stays broad.
TEST(MitigationPolicy, ANarrowPartDoesNotHideABroadOne) {
  PolicyRule broad = rule("broad");
  broad.scope = ScopeKind::broad;
  PolicyRule narrow = rule("narrow");
  narrow.scope = ScopeKind::narrow;
  PolicyRule dns = rule("dns");
  dns.protocols = {17};
  PolicyRule domain = rule("domain");
  domain.ports = {{53, 53}};
  auto asked = request({prefix("203.0.113.7/32"), prefix("203.0.113.9/32")});
  asked.parts = {{{17}, {{53, 53}}}, {}};
  EXPECT_EQ(mismatch(broad, asked), "");
  EXPECT_EQ(mismatch(narrow, asked), "a part of the request names neither protocols nor ports");
  EXPECT_EQ(mismatch(dns, asked), "the request names no protocol, and it wants udp alone");
  EXPECT_EQ(mismatch(domain, asked), "the request names no port, and it wants ports 53 alone");
  asked.parts[1] = {{17}, {}};
  EXPECT_EQ(mismatch(broad, asked), "the request names protocols or ports, and it wants one without");
  EXPECT_EQ(mismatch(narrow, asked), "");
  EXPECT_EQ(mismatch(dns, asked), "");
  EXPECT_EQ(mismatch(domain, asked), "the request names no port, and it wants ports 53 alone");
}

TEST(MitigationPolicy, BreadthVolumeServiceContractAndDomainSelect) {
  PolicyRule r = rule("r");
  auto asked = request({prefix("203.0.113.7/32")});
  r.scope = ScopeKind::narrow;
  EXPECT_EQ(mismatch(r, asked), "the request names neither protocols nor ports");
  r.scope = ScopeKind::broad;
  EXPECT_EQ(mismatch(r, asked), "");
  r.volume_from_bps = 2'000'000'000;
  EXPECT_EQ(mismatch(r, asked), "no attack volume is known, and it wants 2 Gbit/s or more");
  asked.volume_bps = 1'500'000'000;
  EXPECT_EQ(mismatch(r, asked), "the attack has 1500 Mbit/s, and it wants 2 Gbit/s or more");
  asked.volume_bps = 2'000'000'000;
  EXPECT_EQ(mismatch(r, asked), "");
  r.volume_below_bps = 2'000'000'000;
  EXPECT_EQ(mismatch(r, asked), "the attack has 2 Gbit/s, and it wants less than 2 Gbit/s");
  r.volume_below_bps = 0;
  r.services = {"scrub"};
  EXPECT_EQ(mismatch(r, asked), "no service is named, and it wants 'scrub'");
  asked.service = "scrub";
  r.contracts = {"gold", "silver"};
  asked.contract = "bronze";
  EXPECT_EQ(mismatch(r, asked), "the contract is 'bronze', and it wants 'gold' or 'silver'");
  asked.contract = "silver";
  r.domains = {"other"};
  EXPECT_EQ(mismatch(r, asked), "the domain is 'example-net', and it wants 'other'");
  r.domains = {"other", "example-net"};
  EXPECT_EQ(mismatch(r, asked), "");
}

TEST(MitigationPolicy, WideningNeverLeavesWhatTheDomainOwns) {
  DomainPolicy domain;
  domain.prefixes = {prefix("203.0.113.0/24"), prefix("198.51.100.64/26"), prefix("2001:db8:7::/48")};
  Widening to_24;
  to_24.v4_length = 24;
  EXPECT_EQ(widened(to_24, {prefix("203.0.113.9/32"), prefix("203.0.113.77/32")}, domain),
            std::vector{prefix("203.0.113.0/24")});
  // The domain owns a quarter of that /24 alone.
  EXPECT_EQ(widened(to_24, {prefix("198.51.100.70/32")}, domain), std::vector{prefix("198.51.100.64/26")});
  EXPECT_EQ(widened(to_24, {prefix("2001:db8:7::1/128")}, domain), std::vector{prefix("2001:db8:7::1/128")});
  Widening all;
  all.domain = true;
  EXPECT_EQ(widened(all, {prefix("203.0.113.9/32")}, domain), outermost(domain.prefixes));
  EXPECT_EQ(widened({}, {prefix("203.0.113.9/32")}, domain), std::vector{prefix("203.0.113.9/32")});
}

}  // namespace
}  // namespace dots::policy
