#include "policy/domain_policy.h"

#include <gtest/gtest.h>

namespace dots::policy {
namespace {

model::Prefix prefix(const std::string& text) { return *model::parse_prefix(text); }
model::IpAddress address(const std::string& text) { return *model::parse_ip_address(text); }

DomainPolicy some_policy() {
  DomainPolicy policy;
  policy.id = base::DomainId{"customer-a"};
  policy.prefixes = {prefix("192.0.2.0/24"), prefix("198.51.100.0/25"), prefix("2001:db8:6401::/48")};
  policy.names = {"Example.net.", "www.example.org"};
  policy.max_targets_per_request = 4;
  return policy;
}

model::MitigationScope scope_of(const std::string& target) {
  model::MitigationScope scope;
  scope.target_prefix = {prefix(target)};
  return scope;
}

// S9132-4.4.1.1-29, S9132-4.4-10, S9132-11-04, S8811-2.1-03, S8811-2.2.2-03
TEST(DomainRules, OnlyPrefixesInsideAnOwnedOne) {
  const DomainRules rules{some_policy()};
  EXPECT_TRUE(rules.may_target(prefix("192.0.2.0/24")).allowed);
  EXPECT_TRUE(rules.may_target(prefix("192.0.2.77/32")).allowed);
  EXPECT_TRUE(rules.may_target(prefix("2001:db8:6401::1/128")).allowed);
  EXPECT_FALSE(rules.may_target(prefix("192.0.2.0/23")).allowed);
  EXPECT_FALSE(rules.may_target(prefix("198.51.100.128/25")).allowed);
  EXPECT_FALSE(rules.may_target(prefix("0.0.0.0/0")).allowed);
  EXPECT_FALSE(rules.may_target(prefix("2001:db8:6402::/48")).allowed);
}

// S9132-4.4.1.1-28: forbidden space stays forbidden when the configuration owns it.
TEST(DomainRules, ForbiddenSpaceEvenWhenOwned) {
  DomainPolicy policy = some_policy();
  policy.prefixes = {prefix("0.0.0.0/0"), prefix("::/0")};
  const DomainRules rules{policy};
  for (const char* text :
       {"127.0.0.1/32", "::1/128", "224.0.0.1/32", "ff02::1/128", "255.255.255.255/32", "0.0.0.0/0", "::/0"}) {
    EXPECT_FALSE(rules.may_target(prefix(text)).allowed) << text;
  }
  EXPECT_TRUE(rules.may_target(prefix("203.0.113.1/32")).allowed);
}

// S9132-3-15, S8612-SEC-003-02: the peer learns which target was refused and nothing else; the operator learns what to
// do.
TEST(DomainRules, AVerdictExplainsItself) {
  const DomainRules rules{some_policy()};
  const Verdict verdict = rules.may_target(prefix("203.0.113.0/24"));
  EXPECT_EQ(verdict.code, model::ResponseCode::bad_request);
  EXPECT_NE(verdict.diagnostic.find("203.0.113.0/24"), std::string::npos);
  EXPECT_EQ(verdict.diagnostic.find("customer-a"), std::string::npos);
  EXPECT_NE(verdict.reason.find("customer-a"), std::string::npos);
  EXPECT_FALSE(verdict.next_step.empty());
}

// S8612-SEC-005-02, S8811-2.2.2-03
TEST(DomainRules, NamesByLabelNotByText) {
  const DomainRules rules{some_policy()};
  EXPECT_TRUE(rules.may_name("example.net").allowed);
  EXPECT_TRUE(rules.may_name("A.B.EXAMPLE.NET.").allowed);
  EXPECT_FALSE(rules.may_name("badexample.net").allowed);
  EXPECT_FALSE(rules.may_name("net").allowed);
  EXPECT_TRUE(rules.may_name("www.example.org").allowed);
  EXPECT_FALSE(rules.may_name("example.org").allowed);
  for (const char* text : {"", ".", "a..example.net", "-a.example.net", "a-.example.net", "*.example.net",
                           "a b.example.net", ".example.net"}) {
    EXPECT_FALSE(rules.may_name(text).allowed) << text;
  }
  EXPECT_FALSE(rules.may_name(std::string(64, 'a') + ".example.net").allowed);
  std::string deep;
  for (int i = 0; i < 130; ++i) deep += "a.";
  EXPECT_FALSE(rules.may_name(deep + "example.net").allowed);
}

// S9132-4.4.1.1-34, S9132-4.4.1.1-36, S9132-11-05
TEST(DomainRules, AddressesOfNamesPassTheSameChecks) {
  const DomainRules rules{some_policy()};
  EXPECT_TRUE(rules.may_resolve_to("example.net", {address("192.0.2.1"), address("2001:db8:6401::9")}).allowed);
  EXPECT_FALSE(rules.may_resolve_to("example.net", {address("192.0.2.1"), address("203.0.113.1")}).allowed);
  EXPECT_FALSE(rules.may_resolve_to("example.net", {address("127.0.0.1")}).allowed);
  EXPECT_FALSE(rules.may_resolve_to("example.net", {}).allowed);
}

// S9132-4.4.1.1-36, S9132-4.4.1.1-24, S8612-SEC-005-02
TEST(DomainRules, EveryTargetOfARequest) {
  const DomainRules rules{some_policy()};
  EXPECT_FALSE(rules.may_request({}).allowed);
  model::MitigationScope scope = scope_of("192.0.2.1/32");
  EXPECT_TRUE(rules.may_request(scope).allowed);
  scope.target_fqdn = {"www.example.net"};
  scope.target_uri = {"https://www.example.net/a"};
  EXPECT_TRUE(rules.may_request(scope).allowed);
  scope.target_uri = {"https://other.example/"};
  EXPECT_FALSE(rules.may_request(scope).allowed);
  scope.target_uri = {"https://203.0.113.1/"};
  EXPECT_FALSE(rules.may_request(scope).allowed);
  scope.target_uri = {"https://192.0.2.7/", "http://[2001:db8:6401::1]:8080/"};
  EXPECT_TRUE(rules.may_request(scope).allowed);
  scope.target_prefix.push_back(prefix("192.0.2.2/32"));
  EXPECT_FALSE(rules.may_request(scope).allowed) << "five targets, four are allowed";
}

TEST(DomainRules, ABroadScopeCanBeRefused) {
  DomainPolicy policy = some_policy();
  policy.broad_scope = BroadScopeAction::refuse;
  const DomainRules rules{policy};
  model::MitigationScope scope = scope_of("192.0.2.1/32");
  EXPECT_FALSE(rules.may_request(scope).allowed);
  scope.target_protocol = {17};
  EXPECT_TRUE(rules.may_request(scope).allowed);
  model::MitigationScope by_uri;
  by_uri.target_uri = {"https://www.example.net/"};
  EXPECT_TRUE(rules.may_request(by_uri).allowed);
  by_uri.target_uri = {"unknown://www.example.net/"};
  EXPECT_FALSE(rules.may_request(by_uri).allowed);
}

// S9132-4.4.1.1-42
TEST(DomainRules, GrantsLifetimes) {
  DomainPolicy policy = some_policy();
  policy.max_lifetime_s = 7200;
  policy.default_lifetime_s = 1800;
  const DomainRules strict{policy};
  EXPECT_EQ(strict.grant({3600}).seconds, 3600);
  EXPECT_EQ(strict.grant({100000}).seconds, 7200);
  EXPECT_EQ(strict.grant({-1}).seconds, 1800);
  policy.allow_indefinite = true;
  EXPECT_TRUE(DomainRules{policy}.grant({-1}).indefinite());
}

// S9132-4.4.1.1-37
TEST(TargetUri, HostSchemeAndPort) {
  const auto https = parse_target_uri("HTTPS://WWW.Example.net/index.html?q#f");
  ASSERT_TRUE(https);
  EXPECT_EQ(https->host, "www.example.net");
  EXPECT_EQ(https->protocol, 6);
  EXPECT_EQ(https->port, 443);
  const auto port = parse_target_uri("http://user:secret@192.0.2.1:8080");
  ASSERT_TRUE(port);
  EXPECT_EQ(port->address, address("192.0.2.1"));
  EXPECT_EQ(port->port, 8080);
  const auto v6 = parse_target_uri("coaps://[2001:db8::1]/x");
  ASSERT_TRUE(v6);
  EXPECT_EQ(v6->address, address("2001:db8::1"));
  EXPECT_EQ(v6->protocol, 17);
  EXPECT_EQ(v6->port, 5684);
  const auto empty_port = parse_target_uri("http://example.net:/");
  ASSERT_TRUE(empty_port);
  EXPECT_EQ(empty_port->port, 80);
  const auto unknown = parse_target_uri("game://example.net");
  ASSERT_TRUE(unknown);
  EXPECT_FALSE(unknown->protocol.has_value());
  EXPECT_FALSE(unknown->port.has_value());
}

TEST(TargetUri, RefusesWhatNamesNoHost) {
  for (const char* text : {"",
                           "example.net",
                           "//example.net",
                           "http:example.net",
                           "http://",
                           "http:///path",
                           "1http://example.net",
                           "http://exa mple.net",
                           "http://example.net:65536",
                           "http://example.net:99999999999999999999",
                           "http://a:b",
                           "http://[2001:db8::1",
                           "http://[2001:db8::1]x",
                           "http://2001:db8::1/",
                           "http://[192.0.2.1]/",
                           "http://[]/",
                           "http://%41.example.net/",
                           "http://*.example.net/",
                           "mailto:a@example.net",
                           "urn:x:y"}) {
    EXPECT_FALSE(parse_target_uri(text)) << text;
  }
  EXPECT_FALSE(parse_target_uri("http://example.net/" + std::string(3000, 'a')));
  EXPECT_FALSE(parse_target_uri("http://ex\xc3\xa4mple.net/"));
}

// S9132-4.4.1.3-25: the policy is the server's; the higher priority goes before the order of requests.
TEST(DomainRules, ArbitratesBetweenClients) {
  DomainPolicy policy;
  policy.clients = {
      {base::ClientId{"low"}, {}, {}, 10}, {base::ClientId{"one"}, {}, {}}, {base::ClientId{"two"}, {}, {}}};
  const base::ClientId low{"low"};
  const base::ClientId one{"one"};
  const base::ClientId two{"two"};
  for (const auto& [winner, among_equals] : {std::pair{ConflictWinner::first, ConflictOutcome::holder},
                                             std::pair{ConflictWinner::last, ConflictOutcome::newcomer},
                                             std::pair{ConflictWinner::nobody, ConflictOutcome::neither}}) {
    policy.conflict_winner = winner;
    const DomainRules rules{policy};
    EXPECT_EQ(rules.arbitrate(one, two), among_equals);
    EXPECT_EQ(rules.arbitrate(one, low), ConflictOutcome::newcomer);
    EXPECT_EQ(rules.arbitrate(low, one), ConflictOutcome::holder);
  }
  policy.conflict_winner = ConflictWinner::everybody;
  EXPECT_EQ(DomainRules{policy}.arbitrate(low, one), ConflictOutcome::both);
  EXPECT_EQ(DomainRules{policy}.priority_of(base::ClientId{"gone"}), 100U);
}

TEST(DomainRules, PortRangesAndProtocolsAreBounded) {
  const DomainRules rules{some_policy()};
  model::MitigationScope scope;
  scope.target_prefix = {*model::parse_prefix("192.0.2.1/32")};
  for (std::uint16_t port = 1; port <= 129; port = static_cast<std::uint16_t>(port + 2)) {
    scope.target_port_range.push_back({port, port});
  }
  EXPECT_FALSE(rules.may_request(scope).allowed) << "65 ranges";
  scope.target_port_range.pop_back();
  EXPECT_TRUE(rules.may_request(scope).allowed);
  scope.target_protocol.assign(65, 6);
  EXPECT_FALSE(rules.may_request(scope).allowed);
}

}  // namespace
}  // namespace dots::policy
