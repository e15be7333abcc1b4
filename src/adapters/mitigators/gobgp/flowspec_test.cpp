#include "adapters/mitigators/gobgp/flowspec.h"

#include <gtest/gtest.h>

#include "adapters/mitigators/gobgp/route.h"

namespace dots::adapters::mitigators::gobgp {
namespace {

model::Prefix prefix(const char* text) { return model::parse_prefix(text).value(); }

FlowSpec to(const char* destination) {
  FlowSpec flow;
  flow.destination = prefix(destination);
  flow.family = flow.destination->address.family;
  return flow;
}
FlowSpec with(FlowSpec flow, FlowType type, std::vector<FlowRange> ranges) {
  flow.numbers[type] = std::move(ranges);
  return canonical(std::move(flow));
}

// The octets are those of RFC 8955 4.4 for the same two meanings, without the length.
TEST(FlowSpecOctets, AreThoseOfTheStandard) {
  const auto mail = with(with(to("192.0.2.0/24"), FlowType::protocol, {{6, 6}}), FlowType::port, {{25, 25}});
  EXPECT_EQ(base::to_hex(encode(mail)),
            "0118c00002"
            "038106"
            "048119");
  auto web = to("192.0.2.0/24");
  web.source = prefix("203.0.113.0/24");
  web = with(web, FlowType::port, {{8080, 8080}, {137, 139}});
  EXPECT_EQ(base::to_hex(encode(web)),
            "0118c00002"
            "0218cb0071"
            "040389458b911f90");
}

TEST(FlowSpecOctets, OfIpv6HaveAnOffset) {
  auto flow = to("2001:db8:1::/44");
  flow.source = prefix("2001:db8::1/128");
  flow = with(with(flow, FlowType::protocol, {{58, 58}}), FlowType::flow_label, {{0x12345, 0x12345}});
  EXPECT_EQ(base::to_hex(encode(flow)),
            "012c0020010db80000"
            "02800020010db8000000000000000000000001"
            "03813a"
            "0da100012345");
}

TEST(FlowSpecOctets, OfEveryKindOfNumberAndBits) {
  auto flow = to("192.0.2.1/32");
  flow.numbers = {{FlowType::protocol, {{17, 17}}},
                  {FlowType::destination_port, {{0, 1023}}},
                  {FlowType::source_port, {{1024, 65535}}},
                  {FlowType::icmp_type, {{0, 255}}},
                  {FlowType::icmp_code, {{3, 4}}},
                  {FlowType::length, {{1400, 1500}}},
                  {FlowType::dscp, {{46, 46}}}};
  flow.bits = {{FlowType::tcp_flags, {{false, false, true, 0x02}, {true, true, false, 0x10}}},
               {FlowType::fragment, {{false, false, false, 0x02}}}};
  flow = canonical(flow);
  ASSERT_TRUE(validate(flow).ok());
  EXPECT_EQ(base::to_hex(encode(flow)),
            "0120c0000201"
            "038111"
            "059503ff"
            "06930400"
            "078300"
            "080303c504"
            "090102c210"
            "0a130578d505dc"
            "0b812e"
            "0c8002");
}

TEST(FlowSpecCanonical, SortsJoinsAndMasks) {
  const auto flow =
      with(to("192.0.2.77/24"), FlowType::destination_port, {{90, 99}, {5, 5}, {80, 89}, {6, 7}, {81, 82}});
  EXPECT_EQ(flow.numbers.at(FlowType::destination_port), (std::vector<FlowRange>{{5, 7}, {80, 99}}));
  EXPECT_EQ(flow.destination, prefix("192.0.2.0/24"));
  EXPECT_EQ(encode(flow), encode(with(to("192.0.2.0/24"), FlowType::destination_port, {{80, 99}, {5, 7}})));
  EXPECT_FALSE(canonical(to("0.0.0.0/0")).destination);
  EXPECT_EQ(canonical(flow), flow);
  // A range that ends before it begins says nothing that could match.
  EXPECT_FALSE(validate(with(to("192.0.2.0/24"), FlowType::destination_port, {{9, 8}})).ok());
}

TEST(FlowSpecValid, RefusesWhatAPeerWouldEndTheSessionFor) {
  const auto refused = [](FlowSpec flow, const char* why) {
    const auto valid = validate(canonical(std::move(flow)));
    ASSERT_FALSE(valid.ok()) << why;
    EXPECT_NE(valid.error().message.find(why), std::string::npos) << valid.error().message;
  };
  auto long_prefix = to("192.0.2.1/32");
  long_prefix.destination->length = 33;
  refused(long_prefix, "longer than an address");
  auto long_source = to("2001:db8::1/128");
  long_source.source = prefix("2001:db8::/32");
  long_source.source->length = 129;
  refused(long_source, "longer than an address");
  auto mixed = to("192.0.2.1/32");
  mixed.source = prefix("2001:db8::/32");
  refused(mixed, "the other family");
  refused(to("0.0.0.0/0"), "to everybody");
  refused(FlowSpec{}, "to everybody");
  refused(with(to("192.0.2.1/32"), FlowType::dscp, {{64, 64}}), "at most 63");
  refused(with(to("192.0.2.1/32"), FlowType::destination_port, {{1, 65536}}), "at most 65535");
  refused(with(to("192.0.2.1/32"), FlowType::flow_label, {{1, 1}}), "not here");
  refused(to("::ffff:192.0.2.0/120"), "IPv4 written as IPv6");
  auto no_such_flag = to("2001:db8::/32");
  no_such_flag.bits[FlowType::fragment] = {{false, false, true, 1}};
  refused(no_such_flag, "no such bits");
}

FlowSpec of_ports(std::size_t count, const char* destination = "192.0.2.1/32") {
  std::vector<FlowRange> ports;
  for (std::uint32_t i = 0; i < count; ++i) ports.push_back({1000 + 3 * i, 1000 + 3 * i});
  return with(with(to(destination), FlowType::protocol, {{17, 17}}), FlowType::destination_port, ports);
}

// NLRI of 240 octets and more, that of the length included, are written wrongly by the speaker and reset the session.
TEST(FlowSpecSplit, EveryPartHas239OctetsWithItsLengthAtMostAndNothingIsLost) {
  auto one_too_many = of_ports(75, "192.0.2.0/24");
  one_too_many.source = prefix("198.51.100.0/24");
  ASSERT_EQ(nlri_of(one_too_many).size(), 240u);
  EXPECT_FALSE(validate(one_too_many).ok());
  EXPECT_EQ(split(one_too_many).size(), 2u);
  const auto exact = of_ports(76);  // 6 + 3 + 1 + 76 * 3 = 238
  ASSERT_EQ(encode(exact).size(), 238u);
  EXPECT_EQ(split(exact), std::vector<FlowSpec>{exact});
  EXPECT_TRUE(validate(exact).ok());
  ASSERT_EQ(encode(of_ports(77)).size(), 241u);
  EXPECT_FALSE(validate(of_ports(77)).ok());
  for (const std::size_t count : {77u, 152u, 153u, 1000u}) {
    std::vector<FlowRange> ports;
    const auto whole = of_ports(count);
    const auto parts = split(whole);
    EXPECT_EQ(parts.size(), (count + 75) / 76);
    for (const auto& part : parts) {
      EXPECT_TRUE(validate(part).ok());
      EXPECT_LE(nlri_of(part).size(), 239u);
      EXPECT_EQ(part.destination, whole.destination);
      EXPECT_EQ(part.numbers.at(FlowType::protocol), whole.numbers.at(FlowType::protocol));
      const auto& own = part.numbers.at(FlowType::destination_port);
      ports.insert(ports.end(), own.begin(), own.end());
    }
    EXPECT_EQ(ports, whole.numbers.at(FlowType::destination_port));
  }
}

TEST(FlowSpecSplit, OfTwoLongComponentsIsEveryPairOnce) {
  auto flow = of_ports(150, "2001:db8::/48");
  for (std::uint32_t i = 0; i < 150; ++i) flow.numbers[FlowType::source_port].push_back({2000 + 3 * i, 2000 + 3 * i});
  flow = canonical(flow);
  std::size_t pairs = 0;
  for (const auto& part : split(flow)) {
    EXPECT_TRUE(validate(part).ok());
    pairs += part.numbers.at(FlowType::destination_port).size() * part.numbers.at(FlowType::source_port).size();
  }
  EXPECT_EQ(pairs, 150u * 150u);
}

TEST(FlowSpecRead, GivesBackWhatWasWritten) {
  auto full = to("192.0.2.0/25");
  full.source = prefix("203.0.113.128/25");
  full.numbers = {{FlowType::protocol, {{6, 6}, {17, 17}}},
                  {FlowType::destination_port, {{0, 65535}}},
                  {FlowType::source_port, {{0, 7}, {65535, 65535}}},
                  {FlowType::length, {{41, 65534}}}};
  full.bits = {{FlowType::tcp_flags, {{false, true, true, 0xff}, {false, false, false, 1}}},
               {FlowType::fragment, {{false, true, false, 6}}}};
  for (const auto& flow : {canonical(full), of_ports(76), of_ports(1, "2001:db8::/33"), to("2001:db8::1/128")}) {
    const auto back = decode_nlri(flow.family, nlri_of(flow));
    ASSERT_TRUE(back.ok()) << back.error().message;
    EXPECT_EQ(*back, flow);
  }
}

TEST(FlowSpecRead, NonsenseIsAnError) {
  const auto good = nlri_of(of_ports(3));
  for (std::size_t cut = 0; cut < good.size(); ++cut) {
    EXPECT_FALSE(decode_nlri(model::Family::ipv4, base::ByteView(good).first(cut)).ok()) << cut;
  }
  for (const char* octets : {"00ff", "050121c00002", "06038106038106",
                             "03"
                             "0e8101",
                             "03038406", "0120"}) {
    EXPECT_FALSE(decode_nlri(model::Family::ipv4, *base::from_hex(octets)).ok()) << octets;
  }
}

}  // namespace
}  // namespace dots::adapters::mitigators::gobgp
