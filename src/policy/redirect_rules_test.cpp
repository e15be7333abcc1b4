#include "policy/redirect_rules.h"

#include <gtest/gtest.h>

namespace dots::policy {
namespace {

model::RedirectedSignal to(const std::string& name, std::size_t records = 0) {
  return {name, std::vector<model::IpAddress>(records)};
}

// S8612-SIG-005-04: a target outside the administrative domain is refused unless that is allowed.
TEST(RedirectRules, TheAdministrativeDomainIsTheLimit) {
  const RedirectRules own{{"Example.net.", "dots.example.org"}, false};
  for (const char* name : {"example.net", "alt.example.net", "ALT.EXAMPLE.NET.", "a.dots.example.org"}) {
    EXPECT_TRUE(may_redirect_to(own, to(name))) << name;
  }
  for (const char* name : {"badexample.net", "example.org", "net", "alt.example.com"}) {
    EXPECT_FALSE(may_redirect_to(own, to(name))) << name;
  }
  EXPECT_FALSE(may_redirect_to({}, to("alt.example.net")));
  EXPECT_TRUE(may_redirect_to({{}, true}, to("alt.example.com")));
}

// S9132-4.6-02: a name is always there, and it is one.
TEST(RedirectRules, OnlyNamesOfServers) {
  for (const char* name : {"", "192.0.2.1", "2001:db8::1", "a b", "-x.example"}) {
    EXPECT_FALSE(may_redirect_to({{}, true}, to(name))) << name;
  }
  EXPECT_TRUE(may_redirect_to({{}, true}, to("a.example", 16)));
  EXPECT_FALSE(may_redirect_to({{}, true}, to("a.example", 17)));
}

}  // namespace
}  // namespace dots::policy
