// Match fields: ranges, names, what excludes what, and what they mean for a packet.
#include "data/domain_fixture.h"

namespace dots::data {
namespace {

class Fields : public DomainTest {
 protected:
  Fields() { options.capabilities = Capabilities::everything(), restart(); }
  void SetUp() override { ASSERT_EQ(register_me(), 201); }

  std::string verdict(const std::string& matches, const std::string& rest = {}) {
    const int status = try_matches(matches, R"("forwarding":"drop")", rest);
    return status == 201 ? "taken" : std::to_string(status) + " " + error();
  }
  // The only entry of a list with these matches.
  model::FilterMatch match(const std::string& matches, const std::string& rest = {}) {
    EXPECT_EQ(post(acls(acl("l", ace("r", matches), rest))), 201) << answer.body;
    const auto filters = domain->effective([](const auto&) { return true; });
    const model::FilterMatch found = filters.empty() ? model::FilterMatch{} : filters[0].filter->entries[0].match;
    ask("DELETE", me("/acls/acl=l"));
    return found;
  }
  void takes(const std::string& container, const std::string& field, std::initializer_list<const char*> good,
             std::initializer_list<const char*> bad) {
    const auto with = [&](const char* value) { return "\"" + container + "\":{\"" + field + "\":" + value + "}"; };
    for (const char* value : good) EXPECT_EQ(verdict(with(value)), "taken") << field << value << answer.body;
    for (const char* value : bad) EXPECT_EQ(verdict(with(value)), "400 invalid-value") << field << value;
  }
};

constexpr const char* kTooLarge = "18446744073709551616";

// D8783-4.3-29, D8783-4.2-02, D8783-4.2-03, D8783-4.1-01
TEST_F(Fields, CommonHeaderFields) {
  for (const char* ip : {"ipv4", "ipv6"}) {
    takes(ip, "dscp", {"0", "63"}, {"64", "-1", "\"1\"", "1.0", kTooLarge});
    takes(ip, "ecn", {"0", "3"}, {"4"});
    takes(ip, "length", {"0", "65535"}, {"65536"});
    takes(ip, "ttl", {"0", "255"}, {"256"});
    takes(ip, "protocol", {"0", "255"}, {"256", "\"tcp\"", "true", "null", "[6]"});
  }
}

// D8783-4.3-30, D8783-4.3-31, D8783-4.3-32, R7951-6.5-01, R7951-6.6-01
TEST_F(Fields, FieldsOfOneHeader) {
  takes("ipv4", "ihl", {"5", "60"}, {"4", "61"});
  takes("ipv4", "flags", {"\"reserved fragment more\"", "\"\""}, {"\"df\"", "\"more more\"", "1"});
  takes("ipv4", "offset", {"20", "65535"}, {"19", "65536"});
  takes("ipv4", "identification", {"0", "65535"}, {"65536"});
  takes("ipv6", "flow-label", {"0", "1048575"}, {"1048576"});
  takes("tcp", "sequence-number", {"4294967295"}, {"4294967296"});
  takes("tcp", "acknowledgement-number", {"0"}, {"-1"});
  takes("tcp", "data-offset", {"5", "15"}, {"4", "16"});
  takes("tcp", "reserved", {"255"}, {"256"});
  takes("tcp", "flags", {"\"cwr ece urg ack psh rst syn fin\""}, {"\"ns\"", "2"});
  takes("tcp", "window-size", {"65535"}, {"65536"});
  takes("tcp", "urgent-pointer", {"65535"}, {"65536"});
  takes("tcp", "options", {"\"AA==\"", "\"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJw==\""},
        {"\"\"", "\"A\"", "\"AA=\"", "\"AB==\"", "\"A-==\"",
         "\"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJyg=\""});
  takes("udp", "length", {"0", "65535"}, {"65536"});
  takes("icmp", "type", {"0", "255"}, {"256"});
  takes("icmp", "code", {"0", "255"}, {"256"});
  takes("icmp", "rest-of-header", {"\"AAAAAA==\""}, {"\"?\"", "7"});
}

// D8783-4.3-33, D8783-4.3-34
TEST_F(Fields, NetworksAreCanonicalPrefixes) {
  takes("ipv4", "source-ipv4-network", {"\"192.0.2.0/24\"", "\"0.0.0.0/0\"", "\"192.0.2.1/32\""},
        {"\"192.0.2.1\"", "\"192.0.2.0/33\"", "\"2001:db8::/32\"", "\"192.0.2/24\"", "\"192.0.2.0/024\""});
  takes("ipv6", "source-ipv6-network", {"\"::/0\"", "\"2001:DB8::/128\""},
        {"\"2001:db8::\"", "\"::/129\"", "\"192.0.2.0/24\""});
  ASSERT_EQ(post(acls(acl("l", ace("r", R"("ipv4":{"source-ipv4-network":"192.0.2.7/24"})") + "," +
                                   ace("s", R"("ipv6":{"source-ipv6-network":"2001:0DB8:0:0::7/64"})")))),
            201);
  get(me("/acls"));
  EXPECT_TRUE(says(R"("192.0.2.0/24")") && says(R"("2001:db8::/64")")) << answer.body;
}

// D8783-4.3-04, D8783-4.3-05, D8783-4.3-06, D8783-4.3-10, D8783-4.3-12, D8783-4.3-13 (A8783-17)
TEST_F(Fields, OperatorsOfBits) {
  const auto bitmask = [](const std::string& members) { return R"("tcp":{"flags-bitmask":{)" + members + "}}"; };
  const auto fragment = [](const std::string& members, const std::string& ip = "ipv4") {
    return "\"" + ip + R"(":{"fragment":{)" + members + "}}";
  };
  for (const char* good : {"\"match\"", "\"any\"", "\"not any\"", "\"match not\""}) {
    EXPECT_EQ(verdict(bitmask(R"("bitmask":2,"operator":)" + std::string(good))), "taken") << good;
    EXPECT_EQ(verdict(fragment(R"("type":"isf","operator":)" + std::string(good))), "taken") << good;
  }
  for (const char* bad : {"\"match any\"", "\"not\"", "\"\"", "\"eq\"", "\"any any\"", "2", "\"not match any\""}) {
    EXPECT_EQ(verdict(bitmask(R"("bitmask":2,"operator":)" + std::string(bad))), "400 invalid-value") << bad;
    EXPECT_EQ(verdict(fragment(R"("type":"isf","operator":)" + std::string(bad))), "400 invalid-value") << bad;
  }
  EXPECT_EQ(verdict(bitmask(R"("operator":"match")")), "400 missing-attribute");
  EXPECT_EQ(verdict(bitmask(R"("bitmask":65535)")), "taken");
  EXPECT_EQ(verdict(bitmask(R"("bitmask":65536)")), "400 invalid-value");
  EXPECT_EQ(verdict(fragment(R"("operator":"match")")), "400 missing-attribute");
  EXPECT_EQ(verdict(fragment(R"("type":"df isf ff lf")")), "taken");
  EXPECT_EQ(verdict(fragment(R"("type":"mf")")), "400 invalid-value");
  EXPECT_EQ(verdict(fragment(R"("type":"")")), "400 invalid-value");
  EXPECT_EQ(verdict(fragment(R"("type":"isf lf")", "ipv6")), "taken");
  EXPECT_EQ(verdict(fragment(R"("type":"df")", "ipv6")), "400 invalid-value");
  EXPECT_EQ(match(bitmask(R"("bitmask":2)")).tcp->flags_bitmask, (model::BitsMatch{false, false, 2}));
  ASSERT_EQ(post(acls(acl("l", ace("r", bitmask(R"("bitmask":2,"operator":"any not")"))))), 201);
  get(me("/acls/acl=l"));
  EXPECT_TRUE(says(R"("operator":"not any")")) << answer.body;
}

// D8783-4.3-07, D8783-4.3-08, D8783-4.3-09, D8783-4.3-11, D8783-B.1-01, D8783-B.2-01, D8783-B.3-01
TEST_F(Fields, TcpFlagsOfAPacket) {
  const auto bits = [&](const std::string& members) {
    return *match(R"("tcp":{"flags-bitmask":{)" + members + "}}").tcp->flags_bitmask;
  };
  constexpr std::uint16_t kFin = 1, kSyn = 2, kAck = 16, kSynAck = 18, kFinAck = 17;
  const auto syn = bits(R"("bitmask":2,"operator":"match")");
  EXPECT_TRUE(syn.matches(kSyn) && syn.matches(kSynAck));
  EXPECT_FALSE(syn.matches(kAck) || syn.matches(0));
  EXPECT_TRUE(bits(R"("bitmask":3,"operator":"any")").matches(kFin));
  EXPECT_FALSE(bits(R"("bitmask":3,"operator":"match")").matches(kFin));
  EXPECT_FALSE(bits(R"("bitmask":3,"operator":"any")").matches(kAck));
  EXPECT_TRUE(bits(R"("bitmask":16)").matches(kFinAck));
  for (const char* null_packet : {R"("bitmask":4095,"operator":"not any")", R"("bitmask":255,"operator":"not any")"}) {
    EXPECT_TRUE(bits(null_packet).matches(0));
    EXPECT_FALSE(bits(null_packet).matches(kSyn));
  }
  // The data offset takes no part: its four bits in the mask say nothing.
  EXPECT_EQ(bits(R"("bitmask":61442,"operator":"match")").bits, kSyn);
}

// D8783-4.3-16, D8783-4.3-17, D8783-4.3-18, D8783-4.3-19, D8783-4.2-04, D8783-4.2-05, D8783-7.1-07
TEST_F(Fields, PortsAreARangeOrAnOperator) {
  for (const char* transport : {"tcp", "udp"}) {
    for (const char* side : {"source", "destination"}) {
      const auto with = [&](const std::string& members) {
        return "\"" + std::string(transport) + "\":{\"" + side + "-port-range-or-operator\":{" + members + "}}";
      };
      EXPECT_EQ(verdict(with(R"("lower-port":80,"upper-port":80)")), "taken");
      EXPECT_EQ(verdict(with(R"("port":53)")), "taken");
      EXPECT_EQ(verdict(with(R"("lower-port":80)")), "400 missing-attribute");
      EXPECT_EQ(verdict(with(R"("upper-port":80)")), "400 missing-attribute");
      EXPECT_EQ(verdict(with(R"("operator":"lte")")), "400 missing-attribute");
      EXPECT_EQ(verdict(with(R"("lower-port":81,"upper-port":80)")), "400 invalid-value");
      EXPECT_EQ(verdict(with(R"("lower-port":80,"upper-port":81,"port":80)")), "400 invalid-value");
      EXPECT_EQ(verdict(with(R"("operator":"lt","port":80)")), "400 invalid-value");
      EXPECT_EQ(verdict(with(R"("port":65536)")), "400 invalid-value");
    }
  }
  const auto ports = [&](const std::string& members) {
    return *match(R"("udp":{"source-port-range-or-operator":{)" + members + "}}").udp->source_port;
  };
  const auto which = [](const model::PortMatch& match) {
    std::string hits;
    for (std::uint16_t port = 52; port <= 54; ++port) hits += match.matches(port) ? '1' : '0';
    return hits;
  };
  EXPECT_EQ(which(ports(R"("port":53)")), "010");
  EXPECT_EQ(which(ports(R"("port":53,"operator":"eq")")), "010");
  EXPECT_EQ(which(ports(R"("port":53,"operator":"neq")")), "101");
  EXPECT_EQ(which(ports(R"("port":53,"operator":"lte")")), "110");
  EXPECT_EQ(which(ports(R"("port":53,"operator":"gte")")), "011");
  EXPECT_EQ(which(ports(R"("lower-port":53,"upper-port":54)")), "011");
}

// D8783-4.3-20, D8783-4.3-21 (A8783-03)
TEST_F(Fields, OneNetworkAndOneTransportHeader) {
  EXPECT_EQ(verdict(R"("ipv4":{},"ipv6":{})"), "400 invalid-value");
  EXPECT_EQ(verdict(R"("tcp":{},"udp":{})"), "400 invalid-value");
  EXPECT_EQ(verdict(R"("icmp":{},"udp":{})"), "400 invalid-value");
  for (const char* l3 : {"ipv4", "ipv6"}) {
    for (const char* l4 : {"tcp", "udp", "icmp"}) {
      EXPECT_EQ(verdict("\"" + std::string(l3) + "\":{},\"" + l4 + "\":{}"), "taken");
    }
  }
  EXPECT_EQ(verdict(R"("ipv4":{})", R"("type":"ipv4-acl-type")"), "taken");
  EXPECT_EQ(verdict(R"("ipv4":{})", R"("type":"ietf-access-control-list:ipv4-acl-type")"), "taken");
  EXPECT_EQ(verdict(R"("ipv4":{})", R"("type":"ipv6-acl-type")"), "400 invalid-value");
  EXPECT_EQ(verdict(R"("ipv6":{})", R"("type":"ipv4-acl-type")"), "400 invalid-value");
  EXPECT_EQ(verdict(R"("ipv6":{})", R"("type":"eth-acl-type")"), "400 invalid-value");
}

// D8783-4.2-11 (A8783-10)
TEST_F(Fields, FieldsThatExcludeEachOther) {
  EXPECT_EQ(verdict(R"("ipv4":{"flags":"more","fragment":{"type":"isf"}})"), "400 invalid-value");
  EXPECT_EQ(verdict(R"("tcp":{"flags":"syn","flags-bitmask":{"bitmask":2}})"), "400 invalid-value");
}

// D8783-4.2-06, D8783-4.2-07
TEST_F(Fields, IcmpIsOfTheFamilyOfItsEntryOrList) {
  EXPECT_EQ(match(R"("ipv6":{},"icmp":{"type":128})").icmp->family, model::Family::ipv6);
  EXPECT_EQ(match(R"("icmp":{"type":128})", R"("type":"ipv6-acl-type")").icmp->family, model::Family::ipv6);
  EXPECT_EQ(match(R"("icmp":{"type":8,"code":0})", R"("type":"ipv4-acl-type")").icmp->family, model::Family::ipv4);
  EXPECT_EQ(match(R"("icmp":{"type":8})").icmp->family, std::nullopt);
}

// D8783-4.3-35
TEST_F(Fields, AnEmptyMatchMatchesEverything) {
  EXPECT_EQ(match(""), model::FilterMatch{});
  const auto ip = match(R"("ipv4":{})");
  ASSERT_TRUE(ip.ip);
  EXPECT_FALSE(ip.ip->destination || ip.ip->protocol || ip.ip->fragment);
}

// D8783-A-01, D8783-A-02: fragments first, whole DNS packets after them; Figure 34 itself has actions in the wrong
// place
TEST_F(Fields, TheFragmentsOfAppendixA) {
  EXPECT_EQ(post(acls(acl("dns-fragments",
                          ace("drop-all-fragments", R"("ipv4":{"fragment":{"operator":"match","type":"isf"}})") + "," +
                              ace("allow-dns-packets",
                                  R"("ipv4":{"destination-ipv4-network":"198.51.100.0/24"},"udp":{)"
                                  R"("destination-port-range-or-operator":{"operator":"eq","port":53}})",
                                  R"("forwarding":"accept")"),
                          R"("type":"ipv4-acl-type")"))),
            201);
  const auto filters = domain->effective([](const auto&) { return true; });
  const auto& entries = filters[0].filter->entries;
  ASSERT_EQ(entries.size(), 2u);
  EXPECT_TRUE(entries[0].match.ip->fragment->matches(model::FragmentBits::kIsFragment));
  EXPECT_FALSE(entries[0].match.ip->fragment->matches(0));
  EXPECT_EQ(entries[1].match.udp->destination_port->port, 53);
  EXPECT_EQ(entries[1].forwarding, model::Forwarding::accept);
  EXPECT_EQ(verdict(R"("ipv6":{"fragment":{"operator":"match","type":"isf"}})"), "taken");
  post(acls(R"({"name":"l","aces":{"ace":[{"name":"r","matches":{"udp":{},"actions":{"forwarding":"accept"}}}]}})"));
  EXPECT_EQ(refusal(), "400 unknown-element");
}

class Abilities : public DomainTest {
 protected:
  void SetUp() override { ASSERT_EQ(register_me(), 201); }
  // A filter that uses what the capability announces; empty for one that is no field.
  static std::string using_capability(const Node& capability) {
    const std::string header(node(capability.parent).name);
    std::string field(capability.name);
    if (field == "hoplimit") field = "ttl";
    if (field == "destination-prefix" || field == "source-prefix") {
      const std::string side = field.substr(0, field.find('-'));
      field = side + "-" + header + "-network";
      return "\"" + header + "\":{\"" + field + "\":\"" + (header == "ipv4" ? "198.51.100.0/24" : "2001:db8::/32") +
             "\"}";
    }
    if (field == "fragment") return "\"" + header + R"(":{"fragment":{"type":"isf"}})";
    if (field == "flags-bitmask") return "\"" + header + R"(":{"flags-bitmask":{"bitmask":2}})";
    if (field == "source-port" || field == "destination-port") {
      return "\"" + header + "\":{\"" + field + R"(-range-or-operator":{"port":1}})";
    }
    if (field == "port-range") {
      return "\"" + header + R"(":{"source-port-range-or-operator":{"lower-port":1,"upper-port":2}})";
    }
    const Node* leaf = node(header == "ipv4"   ? NodeId::ipv4
                            : header == "ipv6" ? NodeId::ipv6
                            : header == "tcp"  ? NodeId::tcp
                            : header == "udp"  ? NodeId::udp
                                               : NodeId::icmp)
                           .child(field);
    EXPECT_NE(leaf, nullptr) << header << "/" << field;
    std::string value = std::to_string(leaf == nullptr ? 0 : leaf->min);
    if (leaf != nullptr && leaf->type == LeafType::bits) value = "\"" + std::string(leaf->names[0].name) + "\"";
    if (leaf != nullptr && leaf->type == LeafType::binary) value = "\"AA==\"";
    return "\"" + header + "\":{\"" + field + "\":" + value + "}";
  }
};

// D8783-7.1-01, D8783-7.1-02, D8783-7.1-03, D8783-7.1-05, D8783-7.1-06, D8783-4.2-13, R7951-6.3-01
TEST_F(Abilities, TheMandatoryFieldsAreThere) {
  EXPECT_EQ(get(dots("/capabilities")).status, 200);
  EXPECT_EQ(answer.body,
            R"({"ietf-dots-data-channel:capabilities":{"address-family":["ipv4","ipv6"],)"
            R"("forwarding-actions":["drop","accept"],"rate-limit":true,"transport-protocols":[1,6,17,58],)"
            R"("ipv4":{"dscp":false,"ecn":false,"length":true,"ttl":false,"protocol":true,"ihl":false,"flags":false,)"
            R"("offset":false,"identification":false,"source-prefix":true,"destination-prefix":true,"fragment":true},)"
            R"("ipv6":{"dscp":false,"ecn":false,"length":true,"hoplimit":false,"protocol":true,)"
            R"("destination-prefix":true,"source-prefix":true,"flow-label":false,"fragment":true},)"
            R"("tcp":{"sequence-number":false,"acknowledgement-number":false,"data-offset":false,"reserved":false,)"
            R"("flags":false,"window-size":false,"urgent-pointer":false,"options":false,"flags-bitmask":true,)"
            R"("source-port":true,"destination-port":true,"port-range":true},)"
            R"("udp":{"length":true,"source-port":true,"destination-port":true,"port-range":true},)"
            R"("icmp":{"type":true,"code":true,"rest-of-header":false}}})");
}

// D8783-7.1-04, D8783-7.2-18, D8783-4.2-08: what is reported is accepted, what is not is refused; for each field
TEST_F(Abilities, WhatIsReportedIsWhatIsTaken) {
  int fields = 0;
  for (const Node* header : node(NodeId::capabilities).children) {
    if (header->kind != NodeKind::container) continue;
    for (const Node* capability : header->children) {
      const std::string matches = using_capability(*capability);
      for (const bool able : {true, false}) {
        options.capabilities = Capabilities::everything().with(capability->id, able);
        restart();
        if (able) {
          EXPECT_EQ(try_matches(matches), 201) << matches << answer.body;
        } else {
          EXPECT_EQ(try_matches(matches), 400) << matches;
          EXPECT_EQ(error(), "unknown-element") << matches;
        }
        get(dots("/capabilities/" + std::string(header->name) + "/" + std::string(capability->name)));
        EXPECT_TRUE(says(able ? "true" : "false"));
      }
      ++fields;
    }
  }
  EXPECT_EQ(fields, 12 + 9 + 12 + 4 + 3);
  options.capabilities = Capabilities::everything().with(NodeId::can_rate_limit, false);
  restart();
  EXPECT_EQ(try_matches("", R"("forwarding":"accept","rate-limit":"1.00")"), 400);
  EXPECT_EQ(error(), "unknown-element");
  EXPECT_EQ(try_matches("", R"("forwarding":"accept")"), 201);
}

// D8783-4.3-37
TEST_F(Abilities, AreState) {
  for (const char* method : {"PUT", "POST", "PATCH", "DELETE"}) {
    for (const char* rest : {"/capabilities", "/capabilities/rate-limit", "/capabilities/ipv4"}) {
      ask(method, dots(rest), method[0] == 'D' ? "" : R"({"ietf-dots-data-channel:capabilities":{}})");
      EXPECT_EQ(refusal(), "405 operation-not-supported") << method;
      EXPECT_EQ(header("Allow"), "GET, HEAD, OPTIONS");
    }
  }
}

}  // namespace
}  // namespace dots::data
