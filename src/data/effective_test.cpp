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
  std::vector<EffectiveFilter> effective() const {
    return domain->effective([&](const base::Cuid& cuid) { return mitigating.count(cuid.value) > 0; });
  }
  std::vector<model::FilterList> lists() const { return lists_of(policy().id, effective(), policy().prefixes); }
  // "list/entry" of what decides, "-" for none.
  std::string decides(const model::PacketHeader& packet) const {
    const auto all = lists();
    const auto decision = first_match(all, packet);
    return decision ? decision->list->key.list + "/" + decision->rule->entry.name : "-";
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
  const auto names = [&] {
    std::set<std::string> out;
    for (const auto& list : lists()) out.insert(list.key.cuid.value + "/" + list.key.list);
    return out;
  };
  using Names = std::set<std::string>;
  EXPECT_EQ(names(), (Names{"a/now"}));
  mitigating = {"a"};
  EXPECT_EQ(names(), (Names{"a/when", "a/now"}));
  mitigating = {"b"};
  EXPECT_EQ(names(), (Names{"a/now", "b/theirs"}));
  mitigating = {"a", "b"};
  EXPECT_EQ(names(), (Names{"a/when", "a/now", "b/theirs"}));
  mitigating = {};
  EXPECT_EQ(names(), (Names{"a/now"}));
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
  const auto all = lists();
  ASSERT_EQ(all.size(), 1u);
  ASSERT_EQ(all[0].rules.size(), 2u);
  EXPECT_EQ(all[0].rules[0].destinations.size(), 2u);
  EXPECT_EQ(all[0].rules[1].destinations.size(), 3u);
  EXPECT_EQ(decides(packet("192.0.2.1", "198.51.100.9")), "l/v4");
  EXPECT_EQ(decides(packet("2001:db9::1", "2001:db8::1")), "l/all");
  EXPECT_EQ(decides(packet("192.0.2.1", "192.0.2.200")), "-") << "to somebody else";
  const auto less = lists_of(policy().id, effective(), std::vector{*model::parse_prefix("2001:db8::/32")});
  ASSERT_EQ(less.size(), 1u);
  ASSERT_EQ(less[0].rules.size(), 1u) << "an entry for IPv4 has nothing to protect here";
  EXPECT_EQ(less[0].rules[0].entry.name, "all");
  EXPECT_TRUE(lists_of(policy().id, effective(), {}).empty()) << "a list of which nothing is left";
}

TEST_F(Effective, OfNestedPrefixesTheOuterOnesAreMeant) {
  std::vector<model::Prefix> owned;
  for (const char* text : {"192.0.2.0/25", "192.0.2.64/26", "192.0.3.0/24", "192.0.2.0/24", "192.0.2.128/32",
                           "2001:db8::/32", "2001:db8:1::/48"}) {
    owned.push_back(*model::parse_prefix(text));
  }
  auto filter = std::make_shared<model::Filter>();
  filter->name = "all";
  filter->entries.resize(1);
  const auto made = list_of(base::DomainId{"d"}, {base::ClientId{"c"}, base::Cuid{"a"}, filter, 0}, owned);
  ASSERT_EQ(made.rules.size(), 1u);
  std::vector<std::string> meant;
  for (const auto& prefix : made.rules[0].destinations) meant.push_back(model::to_string(prefix));
  EXPECT_EQ(meant, (std::vector<std::string>{"192.0.2.0/24", "192.0.3.0/24", "2001:db8::/32"}));
}

// D8783-7.2-11: also after the domain has lost a part of what it owned
TEST_F(Effective, ADestinationIsCutDownToWhatIsOwned) {
  mitigating = {"a"};
  ASSERT_EQ(post(acls(acl("l", ace("r", R"("ipv4":{"destination-ipv4-network":"198.51.100.0/24"})")))), 201);
  const auto left = [&](std::vector<std::string> owned) {
    std::vector<model::Prefix> prefixes;
    for (const auto& text : owned) prefixes.push_back(*model::parse_prefix(text));
    std::vector<std::string> out;
    for (const auto& list : lists_of(policy().id, effective(), prefixes)) {
      for (const auto& prefix : list.rules.at(0).destinations) out.push_back(model::to_string(prefix));
    }
    return out;
  };
  using Texts = std::vector<std::string>;
  EXPECT_EQ(left({"198.51.0.0/16"}), (Texts{"198.51.100.0/24"}));
  EXPECT_EQ(left({"198.51.100.128/25", "198.51.100.0/26", "198.51.100.0/27", "192.0.2.0/24"}),
            (Texts{"198.51.100.0/26", "198.51.100.128/25"}));
  EXPECT_EQ(left({"192.0.2.0/24"}), (Texts{}));
}

// D8783-7.2-16, D8783-4.1-08
TEST_F(Effective, ARateLimitDropsAboveItAndLeavesTheRestToMitigations) {
  mitigating = {"a"};
  ASSERT_EQ(post(acls(acl("l", ace("slow", from("192.0.2.1/32"), R"("forwarding":"accept","rate-limit":"20.00")") +
                                   "," + ace("let", from("192.0.2.2/32"), R"("forwarding":"accept")") + "," +
                                   ace("stop", from("192.0.2.0/24"))))),
            201);
  const auto all = lists();
  const auto fate = [&](const std::string& source, bool over) {
    return fate_of(*first_match(all, packet(source))->rule, over);
  };
  EXPECT_EQ(fate("192.0.2.1", true), Fate::dropped);
  EXPECT_EQ(fate("192.0.2.1", false), Fate::goes_on) << "and no later entry is asked";
  EXPECT_EQ(fate("192.0.2.2", true), Fate::passes);
  EXPECT_EQ(fate("192.0.2.3", false), Fate::dropped);
}

// D8783-4.1-03: lists of a client stand in its order, and a new one moves no other
TEST_F(Effective, PlacesFollowTheOrderOfAClientsLists) {
  mitigating = {"a"};
  for (const char* name : {"one", "two", "three"})
    ASSERT_EQ(post(acls(acl(name, ace("r", from("192.0.2.0/24"))))), 201);
  const auto order = [&] {
    std::string names;
    for (const auto& list : lists()) names += list.key.list + " ";
    return names;
  };
  const auto place = [&](const std::string& name) {
    for (const auto& list : lists())
      if (list.key.list == name) return list.place;
    return std::uint32_t{0};
  };
  EXPECT_EQ(order(), "one two three ");
  const auto one = place("one"), two = place("two");
  const auto body = [&](const std::string& name) { return acls(acl(name, ace("r", from("192.0.2.0/24")))); };
  const std::string point =
      "point=%2Fietf-dots-data-channel%3Adots-data%2Fdots-client%3D" + std::string("a") + "%2Facls%2Facl%3Done";
  ASSERT_EQ(ask("PUT", me("/acls/acl=between?insert=after&" + point), body("between")).status, 201);
  ASSERT_EQ(ask("PUT", me("/acls/acl=zero?insert=first"), body("zero")).status, 201);
  EXPECT_EQ(order(), "zero one between two three ");
  EXPECT_EQ(place("one"), one);
  EXPECT_EQ(place("two"), two);
  const auto between = place("between");
  ASSERT_EQ(ask("PUT", me("/acls/acl=off"),
                acls(acl("off", ace("r", from("192.0.2.0/24")), R"("activation-type":"deactivate")")))
                .status,
            201);
  EXPECT_EQ(place("between"), between);
}

TEST_F(Effective, PlacesGrowHoweverCloseTheRanksAre) {
  const std::vector<std::int64_t> ranks = {
      -(std::int64_t{1} << 62), -5, 0, 1, 2, std::int64_t{1} << 32, (std::int64_t{1} << 62) - 1, std::int64_t{1} << 62};
  const auto places = places_of(ranks);
  for (std::size_t i = 1; i < places.size(); ++i) EXPECT_LT(places[i - 1], places[i]) << i;
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
