#include "model/mitigation.h"

#include <gtest/gtest.h>

#include "model/rule.h"
#include "model/text.h"

namespace dots::model {
namespace {

// RFC 9132 4.4.1.3: a refresh repeats "all other parameters"; compared as sets after normalising
TEST(Normalised, EqualScopesInOtherWords) {
  MitigationScope a;
  a.target_prefix = {*parse_prefix("192.0.2.77/24"), *parse_prefix("2001:db8::/32")};
  a.target_port_range = {{443, 443}, {80, 80}, {80, 80}};
  a.target_protocol = {17, 6};
  a.target_fqdn = {"WWW.Example.com.", "b.example"};
  a.target_uri = {"HTTPS://User:Pw@WWW.Example.com/Path?Q"};
  a.alias_name = {"Server1"};
  MitigationScope b;
  b.target_prefix = {*parse_prefix("2001:DB8:0::1/32"), *parse_prefix("192.0.2.0/24")};
  b.target_port_range = {{80, 80}, {443, 443}};
  b.target_protocol = {6, 17, 17};
  b.target_fqdn = {"b.example", "www.example.com"};
  b.target_uri = {"https://User:Pw@www.example.com/Path?Q"};
  b.alias_name = {"Server1"};
  EXPECT_NE(a, b);
  EXPECT_EQ(normalised(a), normalised(b));
}

TEST(Normalised, WhatDiffersStaysDifferent) {
  const auto with_uri = [](const char* uri) {
    MitigationScope scope;
    scope.target_uri = {uri};
    return normalised(scope);
  };
  EXPECT_NE(with_uri("https://a/B"), with_uri("https://a/b"));
  EXPECT_NE(with_uri("https://U@a/"), with_uri("https://u@a/"));
  EXPECT_EQ(with_uri("HTTPS://A"), with_uri("https://a"));
  EXPECT_EQ(with_uri("MAILTO:A"), with_uri("mailto:A"));
  MitigationScope alias_a;
  alias_a.alias_name = {"A"};
  MitigationScope alias_b;
  alias_b.alias_name = {"a"};
  EXPECT_NE(normalised(alias_a), normalised(alias_b));
}

TEST(Names, OfCodes) {
  EXPECT_EQ(name_of(MitigationStatus::in_progress), "attack-mitigation-in-progress");
  EXPECT_EQ(name_of(MitigationStatus::signal_loss), "attack-mitigation-signal-loss");
  EXPECT_EQ(name_of(ConflictStatus::all_inactive), "all-requests-inactive");
  EXPECT_EQ(name_of(ConflictCause::rejected_legitimate_traffic), "request-rejected-legitimate-traffic");
  EXPECT_EQ(name_of(AttackStatus::under_attack), "under-attack");
  EXPECT_EQ(name_of(static_cast<MitigationStatus>(200)), "unknown");
}

TEST(Rule, ReadsLikeASentence) {
  Rule rule;
  rule.match.target = *parse_prefix("192.0.2.1/32");
  EXPECT_EQ(to_string(rule), "drop all to 192.0.2.1/32");
  rule.match.protocol = 17;
  rule.match.ports = PortRange{53, 53};
  EXPECT_EQ(to_string(rule), "drop udp to 192.0.2.1/32 port 53");
  rule.match.protocol = 200;
  rule.match.ports = PortRange{1, 1024};
  rule.action = RuleAction::limit;
  rule.rate_limit_bps = 125000;
  EXPECT_EQ(to_string(rule), "limit protocol 200 to 192.0.2.1/32 ports 1-1024 at 125000 bytes/s");
}

TEST(Text, Utf8) {
  for (const char* good : {"", "a", "\xc3\xbc", "\xe2\x82\xac", "\xf0\x9f\x98\x80", "\xf4\x8f\xbf\xbf"}) {
    EXPECT_TRUE(is_utf8(good)) << good;
  }
  for (const char* bad : {"\x80", "\xc3", "\xc3\x28", "\xc0\xaf", "\xe0\x80\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80",
                          "\xf0\x80\x80\xaf", "\xff", "a\xe2\x82"}) {
    EXPECT_FALSE(is_utf8(bad));
  }
  EXPECT_TRUE(is_utf8("a\nb"));
  for (const char* control : {"a\nb", "\x1b[31m", "\x7f", "\xc2\x85"}) EXPECT_FALSE(is_plain_text(control));
  EXPECT_EQ(clip("a\xe2\x82\xac", 2), "a");
  EXPECT_EQ(clip("a\xe2\x82\xac", 4), "a\xe2\x82\xac");
}

}  // namespace
}  // namespace dots::model
