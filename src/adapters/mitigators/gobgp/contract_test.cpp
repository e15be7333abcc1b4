#include "tests/contract/mitigator_contract.h"

#include "adapters/mitigators/gobgp/gobgp_mitigator.h"
#include "tests/support/gobgpd.h"

namespace dots::tests {
namespace {

namespace gobgp = adapters::mitigators::gobgp;

// One for all tests: what one leaves behind the next one finds.
Gobgpd& speaker() {
  static Gobgpd gobgpd;
  return gobgpd;
}

template <gobgp::RouteKind kKind>
struct Harness {
  static constexpr bool kSurvives = true;
  static constexpr bool kNamesSurvive = false;
  static constexpr bool kToEverybody = false;

  bool ready(std::string& why_not) {
    why_not = Gobgpd::missing();
    return why_not.empty();
  }
  std::unique_ptr<ports::Mitigator> make() {
    gobgp::GobgpOptions options;
    options.kind = kKind;
    options.speaker.api = speaker().api();
    options.announcement.next_hop_v4 = model::parse_ip_address("198.18.0.1").value();
    options.announcement.next_hop_v6 = model::parse_ip_address("100::1").value();
    return std::make_unique<gobgp::GobgpMitigator>(options);
  }
  static model::FilterList list_of_each_field(model::FilterListKey key) {
    using model::PortMatch;
    const std::vector<std::string> both = {"192.0.2.0/24", "2001:db8::/48"};
    std::vector<model::FilterRule> rules;
    const auto add = [&](std::string name, const std::vector<std::string>& to = {}) -> model::FilterEntry& {
      return rules.emplace_back(filter_rule(std::move(name), to.empty() ? both : to)).entry;
    };
    auto& v4 = add("every field of IPv4").match.ip.emplace();
    v4.dscp = 46, v4.protocol = 6, v4.length = 65535, v4.fragment = model::BitsMatch{true, true, 15};
    v4.source = model::parse_prefix("203.0.113.5/32").value();
    v4.destination = model::parse_prefix("192.0.2.0/25").value();
    auto& v6 = add("every field of IPv6").match.ip.emplace();
    v6.family = model::Family::ipv6;
    v6.dscp = 0, v6.protocol = 17, v6.length = 65495, v6.flow_label = 0xfffff;
    v6.fragment = model::BitsMatch{false, false, 2}, v6.source = model::parse_prefix("2001:db8:9::7/64").value();
    auto& tcp = add("every field of TCP").match.tcp.emplace();
    tcp.source_port = PortMatch{PortMatch::Operator::range, 1024, 65535};
    tcp.destination_port = PortMatch{PortMatch::Operator::neq, 80, 0};
    tcp.flags_bitmask = model::BitsMatch{true, true, 0xff};
    add("exact flags of TCP").match.tcp.emplace().flags = 0x082;
    auto& udp = add("every field of UDP").match.udp.emplace();
    udp.source_port = PortMatch{PortMatch::Operator::lte, 1023, 0};
    udp.destination_port = PortMatch{PortMatch::Operator::gte, 0, 0};
    auto& icmp = add("every field of ICMP").match.icmp.emplace();
    icmp.type = 8, icmp.code = 255;
    add("what has no field");
    std::uint16_t port = 1;
    for (const std::uint64_t hundredths : {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{1'600'000'000'000}}) {
      auto& limit = add("a limit of " + std::to_string(hundredths), {"198.51.100.0/24", "2001:db8:1::/48"});
      limit.match.tcp.emplace().destination_port = PortMatch{PortMatch::Operator::eq, port++, 0};
      limit.forwarding = model::Forwarding::accept;
      limit.rate_limit_hundredths = hundredths;
    }
    return list_of(std::move(key), 7, std::move(rules));
  }
};

INSTANTIATE_TYPED_TEST_SUITE_P(Rtbh, MitigatorContract, Harness<gobgp::RouteKind::unicast>);
INSTANTIATE_TYPED_TEST_SUITE_P(Flowspec, MitigatorContract, Harness<gobgp::RouteKind::flow>);

}  // namespace
}  // namespace dots::tests
