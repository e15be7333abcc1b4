#include "data/effective.h"

#include <set>

#include "data/domain_fixture.h"

namespace dots::data {
namespace {

class Effective : public DomainTest {
 protected:
  void SetUp() override {
    ASSERT_EQ(register_me(), 201);
    as("b");
    ASSERT_EQ(register_me(), 201);
    as("a");
  }
  std::vector<EffectiveEntry> entries() const {
    const auto filters = domain->effective([&](const base::Cuid& cuid) { return mitigating.count(cuid.value) > 0; });
    return effective_entries(filters, policy().prefixes);
  }
  // "list/entry" of what decides, "-" for none.
  std::string decides(const model::PacketHeader& packet) const {
    const auto all = entries();
    const EffectiveEntry* entry = first_match(all, packet);
    return entry == nullptr ? "-" : entry->list + "/" + entry->entry.name;
  }
  static model::PacketHeader packet(const std::string& source, const std::string& destination = "198.51.100.1") {
    model::PacketHeader packet;
    packet.source = *model::parse_ip_address(source);
    packet.destination = *model::parse_ip_address(destination);
    packet.protocol = 17;
    packet.source_port = 123;
    packet.destination_port = 53;
    return packet;
  }
  static std::string from(const std::string& source) { return R"("ipv4":{"source-ipv4-network":")" + source + "\"}"; }

  std::set<std::string> mitigating;
};

// D8783-7.2-05, D8783-7.2-06, D8783-7.2-07, D8783-7.2-08, D8783-3.1-10
TEST_F(Effective, ActivationFollowsTheMitigationsOfTheFiltersOwnClient) {
  const std::string to_us = R"("ipv4":{"destination-ipv4-network":"198.51.100.0/24"})";
  ASSERT_EQ(post(acls(acl("when", ace("r", from("192.0.2.1/32"))) + "," +
                      acl("now", ace("r", to_us), R"("activation-type":"immediate")") + "," +
                      acl("never", ace("r", from("192.0.2.3/32")), R"("activation-type":"deactivate")"))),
            201);
  as("b");
  ASSERT_EQ(post(acls(acl("theirs", ace("r", from("192.0.2.4/32"))))), 201);
  const auto lists = [&] {
    std::string names;
    for (const auto& entry : entries()) names += entry.list + " ";
    return names;
  };
  EXPECT_EQ(lists(), "now ");
  mitigating = {"a"};
  EXPECT_EQ(lists(), "when now ");
  mitigating = {"b"};
  EXPECT_EQ(lists(), "now theirs ");
  mitigating = {"a", "b"};
  EXPECT_EQ(lists(), "when now theirs ");
  mitigating = {};
  EXPECT_EQ(lists(), "now ");
  as("a");
  get(me("/acls/acl=never"));
  EXPECT_EQ(answer.status, 200);
}

// D8783-4.1-03, D8783-4.1-04, D8783-4.1-05, D8783-4.1-08
TEST_F(Effective, TheFirstEntryThatMatchesDecides) {
  mitigating = {"a"};
  ASSERT_EQ(post(acls(acl("one", ace("let", from("192.0.2.7/32"), R"("forwarding":"accept")") + "," +
                                     ace("stop", from("192.0.2.0/24"))) +
                      "," +
                      acl("two", ace("late", from("192.0.2.0/24"), R"("forwarding":"accept")") + "," +
                                     ace("other", from("203.0.113.0/24"))))),
            201);
  EXPECT_EQ(decides(packet("192.0.2.7")), "one/let");
  EXPECT_EQ(decides(packet("192.0.2.8")), "one/stop");
  EXPECT_EQ(decides(packet("203.0.113.1")), "two/other");
  // no match is no verdict: neither an accept nor a drop, whether a mitigation runs or not
  EXPECT_EQ(decides(packet("198.18.0.1")), "-");
  mitigating = {};
  EXPECT_EQ(decides(packet("192.0.2.8")), "-");
  mitigating = {"a"};
  ASSERT_EQ(ask("PUT", me("/acls/acl=two?insert=first"),
                acls(acl("two", ace("late", from("192.0.2.0/24"), R"("forwarding":"accept")"))))
                .status,
            204);
  EXPECT_EQ(decides(packet("192.0.2.8")), "two/late");
}

// D8783-7.2-11, D8783-4.1-06, D8783-4.1-07
TEST_F(Effective, WithoutADestinationTheDomainIsMeantAndNothingElse) {
  mitigating = {"a"};
  ASSERT_EQ(post(acls(acl("l", ace("v4", from("192.0.2.0/24")) + "," + ace("all", R"("udp":{})")))), 201);
  const auto all = entries();
  ASSERT_EQ(all.size(), 2u);
  EXPECT_EQ(all[0].destinations.size(), 2u);
  EXPECT_EQ(all[1].destinations.size(), 3u);
  EXPECT_EQ(decides(packet("192.0.2.1", "198.51.100.9")), "l/v4");
  EXPECT_EQ(decides(packet("2001:db9::1", "2001:db8::1")), "l/all");
  EXPECT_EQ(decides(packet("192.0.2.1", "192.0.2.200")), "-") << "to somebody else";
  const auto nothing = effective_entries(domain->effective([](const auto&) { return true; }),
                                         std::vector{*model::parse_prefix("2001:db8::/32")});
  ASSERT_EQ(nothing.size(), 1u) << "an entry for IPv4 has nothing to protect here";
  EXPECT_EQ(nothing[0].entry.name, "all");
}

// D8783-A-01, D8783-A-02, D8783-4.2-01: the filters of appendix A, and matches of two headers
TEST_F(Effective, PacketsOfAppendixA) {
  mitigating = {"a"};
  ASSERT_EQ(post(acls(acl("frags",
                          ace("drop-all-fragments", R"("ipv4":{"fragment":{"operator":"match","type":"isf"}})") + "," +
                              ace("allow-dns",
                                  R"("ipv4":{"destination-ipv4-network":"198.51.100.0/24"},)"
                                  R"("udp":{"destination-port-range-or-operator":{"operator":"eq","port":53}})",
                                  R"("forwarding":"accept")") +
                              "," + ace("v6", R"("ipv6":{"fragment":{"type":"isf"}})")))),
            201);
  auto dns = packet("192.0.2.1");
  EXPECT_EQ(decides(dns), "frags/allow-dns");
  dns.fragment = model::FragmentBits::kIsFragment;
  EXPECT_EQ(decides(dns), "frags/drop-all-fragments");
  dns.fragment = model::FragmentBits::kIsFragment | model::FragmentBits::kFirst;
  EXPECT_EQ(decides(dns), "frags/drop-all-fragments");
  dns.fragment = 0;
  dns.destination_port = 54;
  EXPECT_EQ(decides(dns), "-");
  auto six = packet("2001:db9::1", "2001:db8::1");
  EXPECT_EQ(decides(six), "-");
  six.fragment = model::FragmentBits::kIsFragment | model::FragmentBits::kFirst | model::FragmentBits::kLast;  // atomic
  EXPECT_EQ(decides(six), "frags/v6");
}

TEST_F(Effective, TransportHeadersOfTheirProtocolOnly) {
  mitigating = {"a"};
  ASSERT_EQ(post(acls(acl("l", ace("syn", R"("tcp":{"flags-bitmask":{"bitmask":2}})") + "," +
                                   ace("ntp", R"("udp":{"source-port-range-or-operator":{"port":123},"length":468})") +
                                   "," + ace("ping", R"("icmp":{"type":8,"code":0})") + "," +
                                   ace("ping6", R"("ipv6":{},"icmp":{"type":128})")))),
            201);
  auto p = packet("192.0.2.1");
  EXPECT_EQ(decides(p), "-");
  p.udp_length = 468;
  EXPECT_EQ(decides(p), "l/ntp");
  p.fragment = model::FragmentBits::kIsFragment;  // not the first: no ports in it
  EXPECT_EQ(decides(p), "-");
  p = packet("192.0.2.1");
  p.tcp_flags = 18;
  EXPECT_EQ(decides(p), "-");
  p.protocol = 6;
  EXPECT_EQ(decides(p), "l/syn");
  p.protocol = 1;
  p.icmp_type = 8;
  EXPECT_EQ(decides(p), "l/ping");
  p.icmp_type = 128;
  EXPECT_EQ(decides(p), "-");
  auto six = packet("2001:db9::1", "2001:db8::1");
  six.protocol = 58;
  six.icmp_type = 128;
  EXPECT_EQ(decides(six), "l/ping6");
}

}  // namespace
}  // namespace dots::data
