#include "model/ip.h"

#include <gtest/gtest.h>

namespace dots::model {
namespace {

std::string again(std::string_view text) {
  const auto address = parse_ip_address(text);
  return address ? to_string(*address) : "refused: " + address.error().message;
}

Prefix prefix(std::string_view text) {
  auto parsed = parse_prefix(text);
  EXPECT_TRUE(parsed) << text;
  return parsed ? *parsed : Prefix{};
}

TEST(IpAddress, TextIsCanonical) {
  const std::pair<const char*, const char*> cases[] = {
      {"192.0.2.1", "192.0.2.1"},
      {"0.0.0.0", "0.0.0.0"},
      {"255.255.255.255", "255.255.255.255"},
      {"::", "::"},
      {"::1", "::1"},
      {"1::", "1::"},
      {"2001:db8::1", "2001:db8::1"},
      {"2001:0DB8:0000:0000:0000:0000:0000:0001", "2001:db8::1"},
      // RFC 5952: the longest run, the first of equals, no "::" for one group
      {"2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"},
      {"2001:0:0:1:0:0:0:1", "2001:0:0:1::1"},
      {"2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"},
      {"1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"},
      {"::2:3:4:5:6:7:8", "0:2:3:4:5:6:7:8"},
      {"1:0:0:0:0:0:0:0", "1::"},
      {"0:0:0:0:0:0:0:8", "::8"},
      {"::ffff:192.0.2.1", "::ffff:192.0.2.1"},
      {"64:ff9b::192.0.2.33", "64:ff9b::c000:221"},
      {"1:2:3:4:5:6:192.0.2.1", "1:2:3:4:5:6:c000:201"},
  };
  for (const auto& [text, canonical] : cases) {
    EXPECT_EQ(again(text), canonical);
    EXPECT_EQ(again(canonical), canonical);
  }
}

TEST(IpAddress, RefusesWhatIsNone) {
  for (const char* text : {"",
                           " ",
                           "1",
                           "1.2.3",
                           "1.2.3.4.5",
                           "1.2.3.256",
                           "1.2.3.04",
                           "1.2.3.",
                           ".1.2.3",
                           "1..2.3",
                           "+1.2.3.4",
                           "1.2.3.4 ",
                           "a.b.c.d",
                           ":",
                           ":::",
                           "1:",
                           ":1",
                           "1:2:3:4:5:6:7",
                           "1:2:3:4:5:6:7:8:9",
                           "1::2::3",
                           "12345::",
                           "g::",
                           "::1%eth0",
                           "[::1]",
                           "1:2:3:4:5:6:7:1.2.3.4",
                           "::1.2.3",
                           "::1.2.3.4:5",
                           "1:2:3:4:5:6:7:8::",
                           "::1:2:3:4:5:6:7:8",
                           "1:2:3:4::5:6:7:8",
                           "0000:0000:0000:0000:0000:0000:255.255.255.2555555"}) {
    EXPECT_FALSE(parse_ip_address(text)) << text;
  }
}

// S9132-4.4.1.1-27
TEST(Prefix, LengthIsRequiredAndBounded) {
  EXPECT_EQ(to_string(prefix("192.0.2.0/24")), "192.0.2.0/24");
  EXPECT_EQ(to_string(prefix("192.0.2.0/32")), "192.0.2.0/32");
  EXPECT_EQ(to_string(prefix("0.0.0.0/0")), "0.0.0.0/0");
  EXPECT_EQ(to_string(prefix("2001:DB8::/128")), "2001:db8::/128");
  EXPECT_EQ(to_string(prefix("192.0.2.77/24")), "192.0.2.77/24") << "host bits are kept";
  for (const char* text : {"192.0.2.0", "192.0.2.0/", "192.0.2.0/33", "192.0.2.0/024", "192.0.2.0/-1", "192.0.2.0/+1",
                           "192.0.2.0/1x", "192.0.2.0/24/24", "2001:db8::/129", "2001:db8::", "/24", "192.0.2.0/ 24",
                           "2001:db8::/1000", "192.0.2.0/4294967320"}) {
    EXPECT_FALSE(parse_prefix(text)) << text;
  }
}

TEST(Prefix, MaskingAndContainment) {
  EXPECT_EQ(to_string(prefix("192.0.2.255/25").masked()), "192.0.2.128/25");
  EXPECT_EQ(to_string(prefix("192.0.2.255/0").masked()), "0.0.0.0/0");
  EXPECT_EQ(to_string(prefix("192.0.2.255/32").masked()), "192.0.2.255/32");
  EXPECT_EQ(to_string(prefix("2001:db8:ffff::1/33").masked()), "2001:db8:8000::/33");
  EXPECT_TRUE(prefix("192.0.2.0/24").contains(prefix("192.0.2.128/25")));
  EXPECT_TRUE(prefix("192.0.2.7/24").contains(prefix("192.0.2.0/24")));
  EXPECT_FALSE(prefix("192.0.2.128/25").contains(prefix("192.0.2.0/24")));
  EXPECT_TRUE(prefix("192.0.2.128/25").overlaps(prefix("192.0.2.0/24")));
  EXPECT_FALSE(prefix("192.0.2.0/25").overlaps(prefix("192.0.2.128/25")));
  EXPECT_FALSE(prefix("0.0.0.0/0").overlaps(prefix("::/0"))) << "families do not mix";
  EXPECT_TRUE(prefix("0.0.0.0/0").contains(*parse_ip_address("203.0.113.9")));
  EXPECT_FALSE(prefix("203.0.113.8/30").contains(*parse_ip_address("203.0.113.12")));
  EXPECT_TRUE(prefix("203.0.113.8/30").contains(*parse_ip_address("203.0.113.11")));
  EXPECT_TRUE(host_prefix(*parse_ip_address("::1")).is_host());
}

// S9132-4.4.1.1-28
TEST(Prefix, ForbiddenTargets) {
  for (const char* text : {"127.0.0.1/32", "127.0.0.0/8", "::1/128", "224.0.0.1/32", "239.255.255.255/32",
                           "ff02::1/128", "255.255.255.255/32", "0.0.0.0/32", "::/128", "::/0", "0.0.0.0/0",
                           "126.0.0.0/7", "192.0.0.0/2", "fe00::/7", "::ffff:192.0.2.1/128"}) {
    EXPECT_TRUE(forbidden_target(prefix(text))) << text;
  }
  for (const char* text : {"192.0.2.1/32", "2001:db8::/32", "128.0.0.0/8", "126.0.0.0/8", "223.255.255.255/32",
                           "255.255.255.254/32", "fe80::1/128", "1.0.0.0/8", "::2/128"}) {
    const auto reason = forbidden_target(prefix(text));
    EXPECT_FALSE(reason) << text << ": " << reason.value_or("");
  }
  EXPECT_NE(forbidden_target(prefix("126.0.0.0/7"))->find("loopback"), std::string::npos);
}

}  // namespace
}  // namespace dots::model
