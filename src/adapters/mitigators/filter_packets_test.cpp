// Real packets against lists of filters: what the packet filter counts is what model::matches() says.
#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <map>
#include <random>
#include <thread>

#include "adapters/mitigators/nftables_mitigator.h"
#include "model/filter_match.h"
#include "tests/support/filters.h"
#include "tests/support/network_namespace.h"
#include "tests/support/packets.h"
#include "tests/support/rules.h"

namespace dots::adapters::mitigators {
namespace {

using model::FilterList;
using model::FilterRule;
using model::PacketHeader;
using tests::filter_rule;
using tests::list_key;
using tests::list_of;
using tests::put_list;

struct Packet {
  PacketHeader header;
  tests::Octets octets;
};

// Two ends of a wire in a namespace of our own: what is sent into one arrives at the packet filter through the other.
class FilterPackets : public testing::Test {
 protected:
  void SetUp() override {
    if (!tests::own_network_namespace().empty()) GTEST_SKIP() << tests::own_network_namespace();
    const char* make =
        "ip link del twp0 2>/dev/null; ip link add twp0 address 02:00:00:00:00:01 type veth peer name twp1 address "
        "02:00:00:00:00:02 && sysctl -qw net.ipv6.conf.twp1.disable_ipv6=0 && ip link set twp0 up && ip link set twp1 "
        "up";
    if (std::system(make) != 0) GTEST_SKIP() << "no veth pair can be made here";
    socket_ = ::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
    ASSERT_GE(socket_, 0);
    index_ = static_cast<int>(::if_nametoindex("twp0"));
    const auto opened = mitigator.open();
    ASSERT_TRUE(opened.ok()) << opened.error().message;
  }
  void TearDown() override {
    if (socket_ < 0) return;
    ::close(socket_);
    EXPECT_TRUE(mitigator.clear().ok());
    EXPECT_EQ(std::system("ip link del twp0"), 0);
  }

  void send(const Packet& packet) {
    const bool v4 = packet.header.destination.family == model::Family::ipv4;
    tests::Octets frame = {2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1};
    tests::put16(frame, v4 ? ETH_P_IP : ETH_P_IPV6);
    frame.insert(frame.end(), packet.octets.begin(), packet.octets.end());
    sockaddr_ll to{};
    to.sll_family = AF_PACKET;
    to.sll_ifindex = index_;
    ASSERT_EQ(::sendto(socket_, frame.data(), frame.size(), 0, reinterpret_cast<const sockaddr*>(&to), sizeof to),
              static_cast<ssize_t>(frame.size()));
  }

  // "list/entry" -> what was counted, without zeros; waits until `packets` are.
  using Counts = std::map<std::string, model::RuleCounters>;
  Counts counted(std::uint64_t packets) {
    Counts out;
    for (int tries = 0; tries < 100; ++tries) {
      const auto listing = mitigator.list();
      EXPECT_TRUE(listing.ok()) << listing.error().message;
      if (!listing.ok()) return out;
      out.clear();
      std::uint64_t seen = 0;
      for (const auto& list : listing->filters) {
        for (const auto& entry : list.counters) {
          if (entry.counters != model::RuleCounters{}) out[list.key.list + "/" + entry.entry] = entry.counters;
          seen += entry.counters.packets;
        }
      }
      if (seen >= packets) return out;
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    return out;
  }
  void put(const std::vector<FilterList>& lists) {
    std::vector<ports::FilterChange> changes;
    for (const auto& list : lists) changes.push_back(put_list(list));
    const auto applied = mitigator.apply_filters(changes);
    ASSERT_TRUE(applied.ok()) << applied.error().message;
  }

  NftablesMitigator mitigator{NftablesOptions{.helper = DOTS_BINARY_DIR "/bin/dots-nft-helper"}};

 private:
  int socket_ = -1;
  int index_ = 0;
};

model::IpAddress address(const char* text) { return model::parse_ip_address(text).value(); }
model::Prefix prefix(const char* text) { return model::parse_prefix(text).value(); }

// Values are few, so that they meet.
class Dice {
 public:
  explicit Dice(unsigned seed) : random_(seed) {}
  bool one_in(unsigned n) { return random_() % n == 0; }
  template <class T, std::size_t N>
  T of(const T (&choices)[N]) {
    return choices[random_() % N];
  }
  template <class T, std::size_t N>
  void maybe(std::optional<T>& field, const T (&choices)[N], unsigned one_in_n) {
    if (one_in(one_in_n)) field = of(choices);
  }
  std::mt19937& random() { return random_; }

 private:
  std::mt19937 random_;
};

constexpr std::uint8_t kDscp[] = {0, 46, 63}, kEcn[] = {0, 1, 3}, kTtl[] = {0, 64, 255};
constexpr std::uint8_t kProtocols[] = {1, 6, 6, 6, 17, 17, 17, 58, 47}, kWords[] = {5, 6, 15}, kOffsets[] = {5, 15};
constexpr std::uint8_t kReserved[] = {0, 9}, kTypes[] = {0, 8, 128}, kCodes[] = {0, 3};
constexpr std::uint16_t kIds[] = {0, 1, 65535}, kFragmentOffsets[] = {0, 0, 1, 8191}, kFlags[] = {0, 0, 1, 2, 4, 6, 7};
constexpr std::uint16_t kPorts[] = {0, 53, 80, 1024, 65535, 0x3535}, kTcpFlags[] = {0, 2, 18, 16, 0x9ff, 1, 0x10};
constexpr std::uint16_t kWindows[] = {0, 1000}, kLengths[] = {8, 72, 92};
constexpr std::uint32_t kNumbers[] = {0, 0x01020304, 0xffffffff}, kLabels[] = {0, 0x12345, 0xfffff};
const char* const kRests[] = {"\x01\x02\x03\x04\x05\x06\x07\x08", "\x01\x02\x03\x04\xff\xff\xff\xff",
                              "\x35\x35\x35\x35"};

Packet packet_of(Dice& dice) {
  Packet packet;
  PacketHeader& header = packet.header;
  const bool v4 = dice.one_in(2);
  static const model::IpAddress kTo4[] = {address("192.0.2.1"), address("192.0.2.65"), address("192.0.2.200"),
                                          address("198.51.100.1")};
  static const model::IpAddress kTo6[] = {address("2001:db8:1::1"), address("2001:db8:1:5::1"),
                                          address("2001:db8:2::1")};
  static const model::IpAddress kFrom4[] = {address("203.0.113.1"), address("203.0.113.77")};
  static const model::IpAddress kFrom6[] = {address("2001:db8:9::1"), address("2001:db8:9:9::1")};
  header.destination = v4 ? dice.of(kTo4) : dice.of(kTo6);
  header.source = v4 ? dice.of(kFrom4) : dice.of(kFrom6);
  header.protocol = dice.of(kProtocols);
  header.dscp = dice.of(kDscp), header.ecn = dice.of(kEcn), header.ttl = dice.of(kTtl);
  header.source_port = dice.of(kPorts), header.destination_port = dice.of(kPorts);
  header.tcp_flags = dice.of(kTcpFlags), header.data_offset = dice.of(kOffsets);
  header.sequence_number = dice.of(kNumbers), header.acknowledgement_number = dice.of(kNumbers);
  header.window_size = dice.of(kWindows), header.urgent_pointer = dice.of(kWindows);
  header.udp_length = dice.of(kLengths);
  header.icmp_type = dice.of(kTypes), header.icmp_code = dice.of(kCodes);
  header.icmp_rest = dice.of(kRests);
  if (v4) {
    header.header_length = dice.of(kWords), header.flags = dice.of(kFlags);
    header.offset = dice.of(kFragmentOffsets), header.identification = dice.of(kIds);
    packet.octets = tests::ipv4_octets(header);
  } else {
    using tests::Ipv6Fragment;
    constexpr Ipv6Fragment kKinds[] = {Ipv6Fragment::none,  Ipv6Fragment::none,   Ipv6Fragment::atomic,
                                       Ipv6Fragment::first, Ipv6Fragment::middle, Ipv6Fragment::last};
    header.flow_label = dice.of(kLabels);
    packet.octets = tests::ipv6_octets(header, dice.of(kKinds), dice.one_in(4));
  }
  return packet;
}

model::BitsMatch bits_of(Dice& dice, std::uint16_t bits) { return {dice.one_in(2), dice.one_in(2), bits}; }
void maybe_port(Dice& dice, std::optional<model::PortMatch>& port) {
  if (!dice.one_in(3)) return;
  using Operator = model::PortMatch::Operator;
  constexpr Operator kOperators[] = {Operator::range, Operator::lte, Operator::gte, Operator::eq, Operator::neq};
  port = model::PortMatch{dice.of(kOperators), dice.of(kPorts), dice.of(kPorts)};
  if (port->op == Operator::range && port->upper < port->port) std::swap(port->port, port->upper);
}

model::FilterMatch match_of(Dice& dice) {
  model::FilterMatch match;
  constexpr unsigned kRare = 6;
  if (dice.one_in(2)) {
    auto& ip = match.ip.emplace();
    const bool v4 = dice.one_in(2);
    ip.family = v4 ? model::Family::ipv4 : model::Family::ipv6;
    dice.maybe(ip.dscp, kDscp, kRare), dice.maybe(ip.ecn, kEcn, kRare), dice.maybe(ip.ttl, kTtl, kRare);
    dice.maybe(ip.protocol, kProtocols, 3);
    constexpr std::uint16_t kAll[] = {72, 80, 88, 92, 96, 132};
    dice.maybe(ip.length, kAll, kRare);
    if (dice.one_in(3)) ip.fragment = bits_of(dice, static_cast<std::uint16_t>(dice.random()() % (v4 ? 16 : 15)));
    if (dice.one_in(3)) ip.source = prefix(v4 ? "203.0.113.0/26" : "2001:db8:9::/64");
    if (dice.one_in(4)) ip.destination = prefix(v4 ? "192.0.2.0/25" : "2001:db8:1::/48");
    if (v4) {
      dice.maybe(ip.header_length, kWords, kRare), dice.maybe(ip.flags, kFlags, kRare);
      dice.maybe(ip.offset, kFragmentOffsets, kRare), dice.maybe(ip.identification, kIds, kRare);
    } else {
      dice.maybe(ip.flow_label, kLabels, kRare);
    }
  }
  switch (dice.random()() % 4) {
    case 0: {
      auto& tcp = match.tcp.emplace();
      maybe_port(dice, tcp.source_port), maybe_port(dice, tcp.destination_port);
      if (dice.one_in(3)) tcp.flags_bitmask = bits_of(dice, dice.of(kTcpFlags));
      dice.maybe(tcp.sequence_number, kNumbers, kRare), dice.maybe(tcp.acknowledgement_number, kNumbers, kRare);
      dice.maybe(tcp.data_offset, kOffsets, kRare), dice.maybe(tcp.reserved, kReserved, kRare);
      constexpr std::uint16_t kModule[] = {0, 0x80, 0x90, 0x1fe};
      dice.maybe(tcp.flags, kModule, kRare);
      dice.maybe(tcp.window_size, kWindows, kRare), dice.maybe(tcp.urgent_pointer, kWindows, kRare);
      break;
    }
    case 1: {
      auto& udp = match.udp.emplace();
      maybe_port(dice, udp.source_port), maybe_port(dice, udp.destination_port);
      dice.maybe(udp.length, kLengths, kRare);
      break;
    }
    case 2: {
      auto& icmp = match.icmp.emplace();
      constexpr model::Family kFamilies[] = {model::Family::ipv4, model::Family::ipv6};
      dice.maybe(icmp.family, kFamilies, 3);
      dice.maybe(icmp.type, kTypes, 2), dice.maybe(icmp.code, kCodes, 3);
      if (dice.one_in(4)) icmp.rest_of_header = std::string(dice.of(kRests)).substr(0, 1 + dice.random()() % 8);
      break;
    }
    default:
      break;
  }
  return match;
}

FilterRule rule_of(Dice& dice, int number, bool inner) {
  static const std::vector<std::string> kOuter[] = {{"192.0.2.0/24", "2001:db8:1::/48"},
                                                    {"192.0.2.0/24"},
                                                    {"192.0.2.1/32"},
                                                    {"192.0.2.0/26", "192.0.2.200/32", "2001:db8:1:5::/64"},
                                                    {"2001:db8:1::/48"}};
  static const std::vector<std::string> kInner[] = {{"192.0.2.0/26", "192.0.2.200/32"}, {"2001:db8:1:5::/64"}};
  FilterRule rule = filter_rule("e" + std::to_string(number), inner ? dice.of(kInner) : dice.of(kOuter));
  rule.entry.match = match_of(dice);
  if (!dice.one_in(2)) return rule;
  rule.entry.forwarding = model::Forwarding::accept;
  // Nothing is above the one rate, everything above the other.
  constexpr std::uint64_t kRates[] = {1'600'000'000'000, 0};
  if (dice.one_in(2)) rule.entry.rate_limit_hundredths = dice.of(kRates);
  return rule;
}

bool takes(const FilterRule& rule, const PacketHeader& packet) {
  return model::matches(rule.entry.match, packet) &&
         std::any_of(rule.destinations.begin(), rule.destinations.end(),
                     [&](const auto& one) { return one.contains(packet.destination); });
}

// D8783-4.1-03, D8783-4.1-06, D8783-4.2-01, D8783-4.2-02, D8783-4.2-03, D8783-4.2-04, D8783-4.2-05, D8783-4.2-06,
// D8783-4.2-07, D8783-7.2-11, D8783-7.2-13, D8783-7.2-14, D8783-4.3-35, D8783-A-02
TEST_F(FilterPackets, TheFirstEntryThatMatchesCountsThePacket) {
  std::map<std::string, int> decided;
  for (unsigned seed = 1; seed <= 40; ++seed) {
    Dice dice(seed);
    // Tried in this order: the domain with the longer prefixes, then the places of the other.
    std::vector<FilterList> lists;
    for (const auto& [domain, place, name] : {std::tuple("b", 9u, "first"), {"a", 1u, "second"}, {"a", 2u, "third"}}) {
      std::vector<FilterRule> rules;
      for (int i = 0; i < 8; ++i) rules.push_back(rule_of(dice, i, name == std::string("first")));
      lists.push_back(list_of(list_key(domain, "c", name), place, std::move(rules)));
    }
    lists[2].rules.push_back(filter_rule("rest", {"192.0.2.0/24", "2001:db8:1::/48"}));
    put({lists[2], lists[0], lists[1]});
    std::vector<Packet> packets;
    Counts expected;
    std::uint64_t total = 0;
    for (int i = 0; i < 400; ++i) {
      const Packet& packet = packets.emplace_back(packet_of(dice));
      for (std::size_t at = 0, list = 0; list < lists.size(); ++list) {
        const auto& rules = lists[list].rules;
        for (at = 0; at < rules.size() && !takes(rules[at], packet.header); ++at) {
        }
        if (at == rules.size()) continue;
        const auto& entry = rules[at].entry;
        if (entry.rate_limit_hundredths.value_or(0) == 0) {
          auto& count = expected[lists[list].key.list + "/" + entry.name];
          ++count.packets;
          ++total;
          count.bytes += packet.octets.size();
        }
        ++decided[lists[list].key.list + (entry.match.tcp    ? "/tcp"
                                          : entry.match.udp  ? "/udp"
                                          : entry.match.icmp ? "/icmp"
                                                             : "/")];
        break;
      }
    }
    for (const Packet& packet : packets) send(packet);
    ASSERT_EQ(counted(total), expected) << "seed " << seed;
    std::vector<ports::FilterChange> removals;
    for (const auto& list : lists) removals.push_back(tests::remove_list(list.key));
    ASSERT_TRUE(mitigator.apply_filters(removals).ok());
  }
  // The dice were not all on one side.
  for (const char* list : {"first", "second", "third"}) {
    for (const char* header : {"/", "/tcp", "/udp", "/icmp"}) {
      EXPECT_GT(decided[std::string(list) + header], 20) << list << header;
    }
  }
}

}  // namespace
}  // namespace dots::adapters::mitigators
