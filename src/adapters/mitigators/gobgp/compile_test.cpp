#include <gtest/gtest.h>

#include <random>
#include <set>

#include "adapters/mitigators/gobgp/announce.h"
#include "model/filter_match.h"
#include "tests/support/filters.h"

namespace dots::adapters::mitigators::gobgp {
namespace {

using model::Family;
using model::FilterRule;
using model::Forwarding;
using model::PacketHeader;
using model::PortMatch;
using model::RefusalReason;
using tests::filter_rule;
using tests::list_key;
using tests::list_of;

model::FilterList list(std::vector<FilterRule> rules) { return list_of(list_key("a", "c", "l"), 0, std::move(rules)); }

FilterRule to_port(std::uint16_t port, const char* destination = "192.0.2.0/24") {
  auto rule = filter_rule("port " + std::to_string(port), {destination});
  rule.entry.match.udp.emplace().destination_port = PortMatch{PortMatch::Operator::eq, port, 0};
  return rule;
}
FilterRule limited(FilterRule rule, std::uint64_t hundredths) {
  rule.entry.forwarding = Forwarding::accept;
  rule.entry.rate_limit_hundredths = hundredths;
  return rule;
}

// RFC 8955 4.2.2 on a packet, read independently of how entries are compiled.
bool hits(const FlowSpec& flow, const PacketHeader& packet) {
  if (flow.family != packet.destination.family) return false;
  if (flow.destination && !flow.destination->contains(packet.destination)) return false;
  if (flow.source && !flow.source->contains(packet.source)) return false;
  const bool fragment = (packet.fragment & 2) != 0, first = (packet.fragment & 4) != 0;
  const bool has_transport = !fragment || first;
  const bool tcp = packet.protocol == 6, udp = packet.protocol == 17,
             icmp = packet.protocol == 1 || packet.protocol == 58;
  for (const auto& [type, ranges] : flow.numbers) {
    std::uint32_t value = 0;
    bool there = true;
    switch (type) {
      case FlowType::protocol:
        value = packet.protocol;
        break;
      case FlowType::destination_port:
        value = packet.destination_port, there = has_transport && (tcp || udp);
        break;
      case FlowType::source_port:
        value = packet.source_port, there = has_transport && (tcp || udp);
        break;
      case FlowType::icmp_type:
        value = packet.icmp_type, there = has_transport && icmp;
        break;
      case FlowType::icmp_code:
        value = packet.icmp_code, there = has_transport && icmp;
        break;
      case FlowType::length:
        value = packet.length + (flow.family == Family::ipv6 ? 40u : 0u);
        break;
      case FlowType::dscp:
        value = packet.dscp;
        break;
      case FlowType::flow_label:
        value = packet.flow_label;
        break;
      default:
        ADD_FAILURE();
    }
    bool in = false;
    for (const auto& range : ranges) in = in || (range.lower <= value && value <= range.upper);
    if (!there || !in) return false;
  }
  for (const auto& [type, tests] : flow.bits) {
    if (type == FlowType::tcp_flags && !(tcp && has_transport)) return false;
    // The header of RFC 8955 4.2.2.12: "is a fragment" is an offset that is not 0.
    const unsigned offset_set = fragment && !first ? 2u : 0u;
    const unsigned data = type == FlowType::tcp_flags ? packet.tcp_flags : (packet.fragment & 13u) | offset_set;
    bool any_of = false, term = true;
    for (std::size_t i = 0; i < tests.size(); ++i) {
      const auto& test = tests[i];
      const bool set = test.all ? (data & test.bits) == test.bits : (data & test.bits) != 0;
      if (i > 0 && !test.and_before) any_of = any_of || term, term = true;
      term = term && set != test.negated;
    }
    if (!(any_of || term)) return false;
  }
  return true;
}

class Dice {
 public:
  explicit Dice(unsigned seed) : random_(seed) {}
  unsigned below(unsigned n) { return static_cast<unsigned>(random_() % n); }
  bool often() { return below(3) != 0; }
  std::uint16_t port() { return static_cast<std::uint16_t>(below(6)); }

  std::optional<PortMatch> ports() {
    if (!often()) return std::nullopt;
    PortMatch match{static_cast<PortMatch::Operator>(below(5)), port(), 0};
    match.upper = static_cast<std::uint16_t>(match.port + below(3));
    return match;
  }
  FilterRule rule(Family family) {
    const bool v4 = family == Family::ipv4;
    auto rule = filter_rule("e", {v4 ? "192.0.2.0/24" : "2001:db8::/48"});
    if (often()) {
      auto& ip = rule.entry.match.ip.emplace();
      ip.family = family;
      if (!often()) ip.dscp = static_cast<std::uint8_t>(below(2));
      if (!often()) ip.length = static_cast<std::uint16_t>(100 + below(2));
      if (!often()) ip.source = model::parse_prefix(v4 ? "203.0.113.0/25" : "2001:db8:9::/64").value();
      if (!often()) ip.destination = model::parse_prefix(v4 ? "192.0.2.128/25" : "2001:db8:0:1::/64").value();
      if (!often() && !v4) ip.flow_label = below(2);
      if (!often())
        ip.fragment =
            model::BitsMatch{below(2) == 0, below(2) == 0, static_cast<std::uint16_t>(v4 ? below(16) : below(8) * 2)};
    }
    switch (below(4)) {
      case 0: {
        auto& tcp = rule.entry.match.tcp.emplace();
        tcp.destination_port = ports();
        if (below(2) == 0) {
          tcp.flags_bitmask = model::BitsMatch{below(2) == 0, below(2) == 0, static_cast<std::uint16_t>(below(16))};
        } else if (below(2) == 0) {
          tcp.flags = static_cast<std::uint16_t>(below(4) << 7 | below(2) << 1);
        }
        break;
      }
      case 1: {
        auto& udp = rule.entry.match.udp.emplace();
        udp.source_port = ports();
        udp.destination_port = ports();
        break;
      }
      case 2: {
        auto& icmp = rule.entry.match.icmp.emplace();
        if (often()) icmp.type = static_cast<std::uint8_t>(below(3));
        if (!often()) icmp.code = static_cast<std::uint8_t>(below(2));
        break;
      }
      default:
        break;
    }
    return rule;
  }
  PacketHeader packet(Family family) {
    const bool v4 = family == Family::ipv4;
    PacketHeader packet;
    const char* const to[] = {"192.0.2.1", "192.0.2.200", "2001:db8::1", "2001:db8:0:1::1"};
    const char* const from[] = {"203.0.113.1", "203.0.113.200", "2001:db8:9::1", "2001:db8:a::1"};
    packet.destination = model::parse_ip_address(to[below(2) + (v4 ? 0 : 2)]).value();
    packet.source = model::parse_ip_address(from[below(2) + (v4 ? 0 : 2)]).value();
    const std::uint8_t protocols[] = {6, 17, static_cast<std::uint8_t>(v4 ? 1 : 58)};
    packet.protocol = protocols[below(3)];
    packet.length = static_cast<std::uint16_t>(100 + below(2));
    packet.dscp = static_cast<std::uint8_t>(below(2));
    packet.flow_label = below(2);
    // Whole, first, middle, last; only IPv4 may say don't-fragment.
    const std::uint16_t fragments[] = {0, 0, 2 | 4, 2, 2 | 8};
    packet.fragment = fragments[below(5)];
    if (v4 && packet.fragment == 0 && below(2) == 0) packet.fragment = 1;
    packet.source_port = port();
    packet.destination_port = port();
    packet.tcp_flags = static_cast<std::uint16_t>(below(16) | below(2) << 7);
    packet.icmp_type = static_cast<std::uint8_t>(below(3));
    packet.icmp_code = static_cast<std::uint8_t>(below(2));
    return packet;
  }

 private:
  std::mt19937 random_;
};

bool inside(const FilterRule& rule, const PacketHeader& packet) {
  return std::any_of(rule.destinations.begin(), rule.destinations.end(),
                     [&](const model::Prefix& prefix) { return prefix.contains(packet.destination); });
}

// Every packet meets the same end whether an entry or what became of it looks at it.
TEST(CompiledLists, MeanWhatTheirEntriesMean) {
  Dice dice(20261122);
  int dropped = 0, passed = 0;
  for (int round = 0; round < 1500; ++round) {
    const Family family = round % 2 == 0 ? Family::ipv4 : Family::ipv6;
    std::vector<FilterRule> rules;
    for (unsigned i = 0; i <= dice.below(4); ++i) rules.push_back(dice.rule(family));
    const auto compiled = compile(list(rules));
    ASSERT_TRUE(compiled.ok()) << compiled.error().message;
    for (int i = 0; i < 40; ++i) {
      const auto packet = dice.packet(family);
      const bool expected = std::any_of(rules.begin(), rules.end(), [&](const FilterRule& rule) {
        return inside(rule, packet) && model::matches(rule.entry.match, packet);
      });
      const bool real = std::any_of(compiled->begin(), compiled->end(),
                                    [&](const FlowEntry& entry) { return hits(entry.flow, packet); });
      ASSERT_EQ(real, expected) << "round " << round << ", packet " << i << " of protocol " << int{packet.protocol}
                                << ", fragment " << packet.fragment;
      (expected ? dropped : passed)++;
    }
  }
  EXPECT_GT(dropped, 2000);
  EXPECT_GT(passed, 2000);
}

TEST(CompiledLists, EntriesThatDifferInOneValueAreOneSpecification) {
  std::vector<FilterRule> rules;
  for (std::uint16_t port = 100; port < 110; ++port) rules.push_back(to_port(port));
  rules.push_back(to_port(500));
  rules.push_back(to_port(7, "198.51.100.0/24"));
  const auto compiled = compile(list(rules));
  ASSERT_TRUE(compiled.ok());
  ASSERT_EQ(compiled->size(), 2u);
  const auto& joined = compiled->front().flow.destination == model::parse_prefix("192.0.2.0/24").value()
                           ? compiled->front().flow
                           : compiled->back().flow;
  EXPECT_EQ(joined.numbers.at(FlowType::destination_port), (std::vector<FlowRange>{{100, 109}, {500, 500}}));
}

TEST(CompiledLists, ManyValuesAreSplitAt239Octets) {
  std::vector<FilterRule> rules;
  for (std::uint16_t i = 0; i < 1000; ++i) rules.push_back(to_port(static_cast<std::uint16_t>(1000 + 2 * i)));
  const auto compiled = compile(list(rules));
  ASSERT_TRUE(compiled.ok());
  EXPECT_EQ(compiled->size(), 14u);
  std::size_t ports = 0;
  for (const auto& entry : *compiled) {
    EXPECT_LE(nlri_of(entry.flow).size(), 239u);
    ports += entry.flow.numbers.at(FlowType::destination_port).size();
  }
  EXPECT_EQ(ports, 1000u);
}

// A list is whole when all its routes are there: two for one place would be one too many for ever.
TEST(CompiledLists, ADropKeepsItsPlaceAlsoWhenItWasSplit) {
  bool met = false;
  for (std::uint16_t count = 60; count < 120 && !met; ++count) {
    std::vector<FilterRule> rules;
    for (std::uint16_t i = 0; i < count; ++i) rules.push_back(to_port(static_cast<std::uint16_t>(1000 + 2 * i)));
    rules.push_back(limited(to_port(static_cast<std::uint16_t>(1000 + 2 * (count - 1))), 100));
    const auto compiled = compile(list(rules));
    ASSERT_TRUE(compiled.ok());
    std::set<base::Bytes> places;
    bool limits = false;
    for (const FlowEntry& entry : *compiled) {
      places.insert(nlri_of(entry.flow));
      limits = limits || entry.limit_bps;
    }
    ASSERT_EQ(places.size(), compiled->size());
    met = compiled->size() > 1 && !limits;
  }
  EXPECT_TRUE(met) << "no count gave a part with one value";
}

TEST(CompiledLists, OnlySuchAsNeedNoOrderAreTaken) {
  const auto refused = [](std::vector<FilterRule> rules, const char* entry, const char* why) {
    const auto compiled = compile(list(std::move(rules)));
    ASSERT_FALSE(compiled.ok()) << why;
    EXPECT_EQ(compiled.error().reason, RefusalReason::function);
    EXPECT_NE(compiled.error().message.find("'" + std::string(entry) + "'"), std::string::npos)
        << compiled.error().message;
    EXPECT_NE(compiled.error().message.find(why), std::string::npos) << compiled.error().message;
  };
  const auto accept = filter_rule("friend", {"192.0.2.0/24"}, Forwarding::accept);
  refused({to_port(1), accept}, "friend", "an accept cannot be kept before the drops");
  // A limit lets part through, which a later entry would drop: in the list it does not.
  refused({limited(to_port(53), 1000), filter_rule("rest", {"192.0.2.0/24"})}, "rest", "'port 53' limits");
  refused({limited(to_port(53), 1000), limited(filter_rule("rest", {"192.0.2.0/25"}), 5)}, "rest", "'port 53' limits");
  // The other way round, and side by side, no order is needed.
  for (const auto& rules : {std::vector{filter_rule("all", {"192.0.2.0/25"}), limited(to_port(53), 1000)},
                            std::vector{limited(to_port(53), 1000), to_port(54)},
                            std::vector{limited(to_port(53), 1000), to_port(53, "198.51.100.0/24")},
                            std::vector{limited(to_port(53), 1000), filter_rule("six", {"2001:db8::/48"})}}) {
    EXPECT_TRUE(compile(list(rules)).ok());
  }
}

TEST(CompiledLists, RatesAreWholeBytesAndNothingIsADrop) {
  const auto rate = [](std::uint64_t hundredths) {
    return compile(list({limited(to_port(53), hundredths)}))->at(0).limit_bps;
  };
  EXPECT_EQ(rate(0), std::nullopt);
  EXPECT_EQ(rate(1), 1u);
  EXPECT_EQ(rate(149), 1u);
  EXPECT_EQ(rate(150), 2u);
  EXPECT_EQ(rate(1'600'000'000'000), 16'000'000'000u);
  EXPECT_FALSE(compile(list({limited(to_port(53), 1'600'000'000'100)})).ok());
}

TEST(CompiledLists, WhatCannotBeMatchedIsRefusedWithItsField) {
  const auto refused = [](const char* field, const auto& spoil) {
    auto rule = filter_rule("e", {"192.0.2.0/24", "2001:db8::/48"});
    spoil(rule.entry.match);
    const auto compiled = compile(list({rule}));
    ASSERT_FALSE(compiled.ok()) << field;
    EXPECT_EQ(compiled.error().reason, RefusalReason::function);
    EXPECT_NE(compiled.error().message.find("'e': " + std::string(field)), std::string::npos)
        << compiled.error().message;
  };
  using model::FilterMatch;
  refused("ipv4/ttl", [](FilterMatch& m) { m.ip.emplace().ttl = 1; });
  refused("ipv4/ecn", [](FilterMatch& m) { m.ip.emplace().ecn = 1; });
  refused("ipv4/ihl", [](FilterMatch& m) { m.ip.emplace().header_length = 5; });
  refused("ipv4/flags", [](FilterMatch& m) { m.ip.emplace().flags = 2; });
  refused("ipv4/offset", [](FilterMatch& m) { m.ip.emplace().offset = 0; });
  refused("ipv4/identification", [](FilterMatch& m) { m.ip.emplace().identification = 0; });
  refused("ipv6/hop-limit", [](FilterMatch& m) {
    m.ip.emplace().family = Family::ipv6;
    m.ip->ttl = 1;
  });
  refused("ipv6/fragment", [](FilterMatch& m) {
    m.ip.emplace().family = Family::ipv6;
    m.ip->fragment = model::BitsMatch{true, false, 1};
  });
  refused("tcp/sequence-number", [](FilterMatch& m) { m.tcp.emplace().sequence_number = 0; });
  refused("tcp/acknowledgement-number", [](FilterMatch& m) { m.tcp.emplace().acknowledgement_number = 0; });
  refused("tcp/data-offset", [](FilterMatch& m) { m.tcp.emplace().data_offset = 5; });
  refused("tcp/reserved", [](FilterMatch& m) { m.tcp.emplace().reserved = 0; });
  refused("tcp/window-size", [](FilterMatch& m) { m.tcp.emplace().window_size = 0; });
  refused("tcp/urgent-pointer", [](FilterMatch& m) { m.tcp.emplace().urgent_pointer = 0; });
  refused("udp/length", [](FilterMatch& m) { m.udp.emplace().length = 8; });
  refused("icmp/rest-of-header", [](FilterMatch& m) { m.icmp.emplace().rest_of_header = "x"; });
}

TEST(CompiledLists, AreNeverAboutEverybody) {
  EXPECT_FALSE(compile(list({filter_rule("e", {"0.0.0.0/0"})})).ok());
  EXPECT_FALSE(compile(list({filter_rule("e", {})})).ok());
  // Destinations inside another one of the same entry need no specification of their own.
  EXPECT_EQ(compile(list({filter_rule("e", {"192.0.2.7/32", "192.0.2.0/24", "192.0.2.128/25"})}))->size(), 1u);
}

TEST(CompiledLists, HaveABound) {
  std::vector<FilterRule> rules;
  for (std::uint32_t i = 0; i < 600; ++i) {
    rules.push_back(limited(to_port(static_cast<std::uint16_t>(i)), 100));
  }
  const auto compiled = compile(list(rules));
  ASSERT_FALSE(compiled.ok());
  EXPECT_EQ(compiled.error().reason, RefusalReason::capacity);
}

}  // namespace
}  // namespace dots::adapters::mitigators::gobgp
