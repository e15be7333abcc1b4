#include "wire/messages.h"

#include <gtest/gtest.h>

namespace dots::wire {
namespace {

using namespace model;

base::Bytes hex(std::string_view text) {
  auto bytes = base::from_hex(text);
  EXPECT_TRUE(bytes) << text;
  return bytes.value_or(base::Bytes{});
}

std::string diagnostic(std::string_view body) {
  const auto request = decode_mitigation_request(hex(body));
  if (request) return "accepted";
  EXPECT_EQ(request.error().code, ResponseCode::bad_request);
  return request.error().diagnostic;
}

// A request whose scope entry holds these members (hexadecimal), their number given.
std::string scope(int members, std::string_view content) {
  const char digits[] = "0123456789abcdef";
  return "a1 01 a1 02 81 a" + std::string(1, digits[members]) + std::string(content);
}
constexpr const char* kPrefix = " 06 81 6c 3139322e302e322e312f3332";  // 192.0.2.1/32
constexpr const char* kLifetime = " 0e 19 0e10";

std::string with(std::string_view content, int more = 1) {
  return scope(2 + more, std::string(kPrefix) + kLifetime + std::string(content));
}

#define EXPECT_SAYS(body, part) \
  EXPECT_NE(diagnostic(body).find(part), std::string::npos) << "said: " << diagnostic(body)

MitigationRequest figure8() {
  MitigationRequest request;
  request.scope.target_prefix = {*parse_prefix("2001:db8:6401::1/128"), *parse_prefix("2001:db8:6401::2/128")};
  request.scope.target_port_range = {{80, 80}, {443, 443}, {8080, 8080}};
  request.scope.target_protocol = {6};
  request.lifetime = Lifetime{3600};
  return request;
}

// S9132-3-09, S9132-4.4.1.1-22, S9132-6-01
TEST(MitigationRequest, TheExampleOfTheRfc) {
  const base::Bytes bytes = encode(figure8());
  EXPECT_EQ(bytes.size(), 73U);
  EXPECT_EQ(base::to_hex(bytes),
            "a101a10281a40682"
            "74323030313a6462383a363430313a3a312f313238"
            "74323030313a6462383a363430313a3a322f313238"
            "0783a1081850a1081901bba108191f90"
            "0a81060e190e10");
  const auto back = decode_mitigation_request(bytes);
  ASSERT_TRUE(back) << back.error().diagnostic;
  EXPECT_EQ(*back, figure8());
}

// S8612-SIG-008-02, S8612-DM-004-01, S8612-DM-006-01
TEST(MitigationRequest, EveryAttributeSurvives) {
  MitigationRequest request = figure8();
  request.scope.target_prefix.push_back(*parse_prefix("192.0.2.77/24"));
  request.scope.target_port_range.push_back({0, 65535});
  request.scope.target_protocol = {0, 17, 255};
  request.scope.target_fqdn = {"www.example.com", "a_b.example."};
  request.scope.target_uri = {"https://www.example.com/a?b#c"};
  request.scope.alias_name = {"Server1", "T\xc3\xbcr"};
  request.lifetime = Lifetime{Lifetime::kIndefinite};
  request.trigger_mitigation = false;
  request.attack_status = AttackStatus::under_attack;
  const auto back = decode_mitigation_request(encode(request));
  ASSERT_TRUE(back) << back.error().diagnostic;
  EXPECT_EQ(*back, request);
}

// S9132-4.4.1.1-47, S8811-3.3.3-02
TEST(MitigationRequest, TriggerIsTrueWhenAbsentAndThenNotSent) {
  EXPECT_TRUE(decode_mitigation_request(hex(with("", 0)))->trigger_mitigation);
  EXPECT_TRUE(decode_mitigation_request(hex(with(" 18 2d f5")))->trigger_mitigation);
  EXPECT_FALSE(decode_mitigation_request(hex(with(" 18 2d f4")))->trigger_mitigation);
  EXPECT_EQ(base::to_hex(encode(figure8())).find("182d"), std::string::npos);
}

// S9132-10.5-01: tag 271 may stand before the object, once, and need not
TEST(MitigationRequest, TagIsAccepted) {
  EXPECT_TRUE(decode_mitigation_request(hex("d9 010f " + with("", 0))));
  EXPECT_SAYS("d9 010f d9 010f " + with("", 0), "must be one map");
  EXPECT_SAYS("d9 d9f7 " + with("", 0), "must be one map");
}

// S9132-4.4.1.1-20, S9132-4.4.1.1-21
TEST(MitigationRequest, IdentifiersDoNotBelongInTheBody) {
  EXPECT_SAYS(with(" 03 61 78"), "attribute 3 (cdid)");
  EXPECT_SAYS(with(" 04 61 78"), "attribute 4 (cuid)");
  EXPECT_SAYS(with(" 05 18 7b"), "attribute 5 (mid)");
  EXPECT_SAYS("a2 05 18 7b" + with("", 0).substr(2), "attribute 5 (mid)");
}

// S9132-4.4.1.1-23
TEST(MitigationRequest, OneScopeOnly) {
  const std::string entry = "a2" + std::string(kPrefix) + kLifetime;
  EXPECT_EQ(diagnostic("a1 01 a1 02 81" + entry), "accepted");
  EXPECT_SAYS("a1 01 a1 02 82" + entry + entry, "more than 1 entry");
}

// S9132-4.4.1.1-24
TEST(MitigationRequest, ATargetIsNeeded) {
  EXPECT_SAYS(scope(3, std::string(" 07 81 a1 08 18 50 0a 81 06") + kLifetime), "no target");
  EXPECT_EQ(diagnostic(scope(2, std::string(" 0b 81 65 612e636f6d") + kLifetime)), "accepted");
  EXPECT_EQ(diagnostic(scope(2, std::string(" 0c 81 6c 68747470733a2f2f612e636f") + kLifetime)), "accepted");
  EXPECT_EQ(diagnostic(scope(2, std::string(" 0d 81 61 61") + kLifetime)), "accepted");
}

// S9132-4.4.1.1-25, S9132-4.4.1.3-08
TEST(MitigationRequest, LifetimeIsNeededButInAnEfficacyUpdate) {
  EXPECT_SAYS(scope(1, kPrefix), "attribute 14 (lifetime) is missing");
  const auto update = decode_mitigation_request(hex(scope(2, std::string(kPrefix) + " 18 1d 01")));
  ASSERT_TRUE(update);
  EXPECT_FALSE(update->lifetime);
  EXPECT_EQ(update->attack_status, AttackStatus::under_attack);
}

// S9132-4.4.1.1-40, S9132-4.4.1.1-41, S9132-5.3-04, S8612-DM-005-01
TEST(MitigationRequest, LifetimeRange) {
  EXPECT_SAYS(scope(2, std::string(kPrefix) + " 0e 00"), "lifetime) must not be 0");
  EXPECT_SAYS(scope(2, std::string(kPrefix) + " 0e 21"), "must be -1 or from 0");
  EXPECT_SAYS(scope(2, std::string(kPrefix) + " 0e 1b0000000100000000"), "must be from 0 to 4294967295");
  EXPECT_EQ(decode_mitigation_request(hex(scope(2, std::string(kPrefix) + " 0e 1a ffffffff")))->lifetime->seconds,
            4294967295);
  EXPECT_TRUE(decode_mitigation_request(hex(scope(2, std::string(kPrefix) + " 0e 20")))->lifetime->indefinite());
}

// S9132-4.4.1.1-26
TEST(MitigationRequest, NothingIsEmpty) {
  EXPECT_SAYS(scope(2, std::string(" 06 80") + kLifetime), "attribute 6 (target-prefix) is empty");
  EXPECT_SAYS(scope(2, std::string(" 0d 81 60") + kLifetime), "attribute 13 (alias-name) is empty");
  EXPECT_SAYS(with(" 07 80"), "attribute 7 (target-port-range) is empty");
  EXPECT_SAYS(with(" 0a 80"), "attribute 10 (target-protocol) is empty");
  EXPECT_SAYS(with(" 0b 81 60"), "attribute 11 (target-fqdn) is empty");
  EXPECT_SAYS(with(" 0c 80"), "attribute 12 (target-uri) is empty");
  EXPECT_SAYS("a0", "attribute 1 (mitigation-scope) is missing");
  EXPECT_SAYS("a1 01 a0", "attribute 2 (scope) is missing");
  EXPECT_SAYS("a1 01 a1 02 80", "attribute 2 (scope) is empty");
  EXPECT_SAYS("a1 01 a1 02 81 a0", "attribute 2 (scope) is empty");
  EXPECT_SAYS("", "empty");
}

// S9132-4.4.1.1-27
TEST(MitigationRequest, PrefixesAreCidr) {
  EXPECT_SAYS(scope(2, std::string(" 06 81 6c 3139322e302e322e302f3333") + kLifetime), "192.0.2.0/33");
  EXPECT_SAYS(scope(2, std::string(" 06 81 69 3139322e302e322e30") + kLifetime), "write address/length");
  EXPECT_SAYS(scope(2, std::string(" 06 81 6e 323030313a6462383a3a2f313239") + kLifetime), "2001:db8::/129");
}

// S9132-4.4.1.1-28
TEST(MitigationRequest, SpecialAddressesAreNoTargets) {
  for (const char* prefix : {"127.0.0.1/32", "::1/128", "224.0.0.1/32", "ff02::1/128", "255.255.255.255/32", "::/0"}) {
    MitigationRequest request = figure8();
    request.scope.target_prefix.push_back(*parse_prefix(prefix));
    const auto back = decode_mitigation_request(encode(request));
    ASSERT_FALSE(back) << prefix;
    EXPECT_NE(back.error().diagnostic.find(prefix), std::string::npos) << back.error().diagnostic;
  }
}

// S9132-4.4.1.1-31, S9132-4.4.1.1-32
TEST(MitigationRequest, PortRanges) {
  const auto one = decode_mitigation_request(hex(with(" 07 81 a1 08 18 50")));
  ASSERT_TRUE(one);
  EXPECT_EQ(one->scope.target_port_range, (std::vector<PortRange>{{80, 80}}));
  EXPECT_SAYS(with(" 07 81 a2 08 18 5a 09 18 50"), "upper-port) 80 is below lower-port 90");
  EXPECT_EQ(diagnostic(with(" 07 81 a2 08 18 50 09 18 50")), "accepted");
  EXPECT_SAYS(with(" 07 81 a1 08 1a 00011170"), "lower-port) must be from 0 to 65535");
  EXPECT_SAYS(with(" 07 81 a1 09 18 50"), "lower-port) is missing");
  EXPECT_SAYS(with(" 07 82 a1 08 18 50 a2 08 18 50 09 18 5a"), "two entries with the same lower-port");
  EXPECT_SAYS(with(" 07 81 a0"), "lower-port) is missing");
}

// S9132-4.4.1.1-33
TEST(MitigationRequest, Protocols) {
  EXPECT_SAYS(with(" 0a 81 19 0100"), "target-protocol) must be from 0 to 255");
  EXPECT_TRUE(decode_mitigation_request(hex(with("", 0)))->scope.target_protocol.empty());
  EXPECT_EQ(diagnostic(with(" 0a 81 18 ff")), "accepted");
}

TEST(MitigationRequest, NamesAndUris) {
  for (const char* name : {"a b.example", "a..example", "-a.example", "exa\nmple", "example.com/"}) {
    MitigationRequest request = figure8();
    request.scope.target_fqdn = {name};
    EXPECT_FALSE(decode_mitigation_request(encode(request))) << name;
  }
  for (const char* uri : {"www.example.com", "https:", "://x", "https://a b", "1http://x", "https://a/\"b"}) {
    MitigationRequest request = figure8();
    request.scope.target_uri = {uri};
    EXPECT_FALSE(decode_mitigation_request(encode(request))) << uri;
  }
  MitigationRequest request = figure8();
  request.scope.alias_name = {"bell\a"};
  EXPECT_FALSE(decode_mitigation_request(encode(request)));
}

TEST(MitigationRequest, LengthsAreBounded) {
  const std::string label(63, 'a');
  MitigationRequest request = figure8();
  request.scope.target_fqdn = {label + "." + label + "." + label + "." + label.substr(2)};
  EXPECT_TRUE(decode_mitigation_request(encode(request)));
  request.scope.target_fqdn = {label + "." + label + "." + label + "." + label.substr(1)};
  EXPECT_FALSE(decode_mitigation_request(encode(request)));
  request.scope.target_fqdn.clear();
  request.scope.target_uri = {"https://a/" + std::string(2038, 'x')};
  EXPECT_TRUE(decode_mitigation_request(encode(request)));
  request.scope.target_uri[0] += 'x';
  EXPECT_FALSE(decode_mitigation_request(encode(request)));
  request.scope.target_uri.clear();
  request.scope.alias_name = {std::string(255, 'x')};
  EXPECT_TRUE(decode_mitigation_request(encode(request)));
  request.scope.alias_name[0] += 'x';
  EXPECT_FALSE(decode_mitigation_request(encode(request)));
}

TEST(MitigationRequest, ItemsAreBounded) {
  MitigationRequest request = figure8();
  request.scope.target_protocol.assign(900, 6);
  EXPECT_TRUE(decode_mitigation_request(encode(request)));
  request.scope.target_protocol.assign(1100, 6);
  const auto refused = decode_mitigation_request(encode(request));
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().diagnostic.find("too many items"), std::string::npos);
  EXPECT_FALSE(decode_mitigation_request(base::Bytes(20000, 0xa1)));
}

// S9132-5.3-01
TEST(MitigationRequest, ServerOnlyAttributesAreRefused) {
  EXPECT_SAYS(with(" 0f 1a 60000000"), "attribute 15 (mitigation-start)");
  EXPECT_SAYS(with(" 10 02"), "attribute 16 (status)");
  EXPECT_SAYS(with(" 11 a1 13 03"), "attribute 17 (conflict-information)");
  EXPECT_SAYS(with(" 18 19 00"), "attribute 25 (bytes-dropped)");
  EXPECT_SAYS(with(" 18 1a 00"), "attribute 26 (bps-dropped)");
  EXPECT_SAYS(with(" 18 1b 00"), "attribute 27 (pkts-dropped)");
  EXPECT_SAYS(with(" 18 1c 00"), "attribute 28 (pps-dropped)");
}

// S9132-5.3-02, S9132-5.3-03
TEST(MitigationRequest, OneMessageOfTheRightKind) {
  EXPECT_SAYS("a2" + with("", 0).substr(2) + " 18 1e a1 18 20 a1 18 21 a1 18 24 18 1e", "attribute 30 (signal-config)");
  EXPECT_SAYS("a1 18 1e a1 18 20 a1 18 21 a1 18 24 18 1e", "attribute 30 (signal-config)");
  EXPECT_SAYS("a1 18 31 a1 18 33 f5", "attribute 49 (heartbeat)");
}

// S9132-3.1-01, S9132-4.4.1.3-09, S9132-10.6.1-02, S8612-GEN-001-01, S8612-GEN-001-02, S8612-DM-004-01
TEST(MitigationRequest, UnknownOptionalAttributesAreSkipped) {
  for (const char* key :
       {"18 80", "18 fa", "18 ff", "19 4000", "19 4e20", "19 7fff", "19 8000", "19 9c40", "19 ea60", "19 ffff"}) {
    EXPECT_EQ(diagnostic(with(std::string(" ") + key + " 01")), "accepted") << key;
  }
  const auto skipped =
      decode_mitigation_request(hex(with(" 18 fa a3 61 78 f6 20 c1 fb3ff0000000000000 41 00 82 f97e00 80")));
  ASSERT_TRUE(skipped) << skipped.error().diagnostic;
  EXPECT_EQ(*skipped, *decode_mitigation_request(hex(with("", 0))));
}

TEST(MitigationRequest, SkippedValuesAreBounded) {
  std::string nested = " 18 fa";
  for (int i = 0; i < 15; ++i) nested += " 81";
  EXPECT_EQ(diagnostic(with(nested + " 00")), "accepted");
  nested += " 81 81 81";
  EXPECT_SAYS(with(nested + " 00"), "nested too deeply");
  std::string wide = " 18 fa 99 0500";
  for (int i = 0; i < 0x500; ++i) wide += "00";
  EXPECT_SAYS(with(wide), "too many items");
  EXPECT_SAYS(with(" 18 fa 9b ffffffffffffffff"), "ends too early");
  EXPECT_SAYS(with(" 18 fa bb ffffffffffffffff"), "ends too early");
  EXPECT_SAYS(with(" 18 fa 7f 61 61 ff"), "indefinite");
}

// S9132-4.4.1.3-10, S9132-6-06, S9132-10.6.1-02, S8612-GEN-001-03
TEST(MitigationRequest, UnknownRequiredAttributesAreNamed) {
  for (const auto& [key, name] : {std::pair{"18 36", "54"},
                                  {"18 64", "100"},
                                  {"18 7f", "127"},
                                  {"19 0100", "256"},
                                  {"19 012c", "300"},
                                  {"19 3fff", "16383"}}) {
    EXPECT_SAYS(with(std::string(" ") + key + " 01"), std::string("unknown comprehension-required attribute ") + name);
  }
}

// RFC 9133 is not supported: its attributes are comprehension-required.
TEST(MitigationRequest, FilterControlIsRefused) {
  EXPECT_SAYS(with(" 18 35 81 a2 17 61 78 18 34 03"), "attribute 53 (acl-list)");
}

// S9132-10.6.1-01
TEST(MitigationRequest, KeysOutsideTheRegistry) {
  EXPECT_SAYS(with(" 00 01"), "key 0 is outside");
  EXPECT_SAYS(with(" 20 01"), "integers from 1 to 65535");
  EXPECT_SAYS(with(" 1a 00010000 01"), "key 65536 is outside");
  EXPECT_SAYS(with(" 1a 00011170 01"), "key 70000 is outside");
  EXPECT_SAYS(with(" 63 6d6964 01"), "integers from 1 to 65535");
  EXPECT_SAYS(with(" f5 01"), "integers from 1 to 65535");
}

TEST(MitigationRequest, DuplicateKeys) {
  EXPECT_SAYS(scope(3, std::string(kPrefix) + kLifetime + kLifetime), "lifetime) is given twice");
  EXPECT_SAYS(scope(3, std::string(kLifetime) + kPrefix + kLifetime), "lifetime) is given twice");
}

TEST(MitigationRequest, OrderOfKeysDoesNotMatter) {
  EXPECT_EQ(*decode_mitigation_request(hex(scope(2, std::string(kLifetime) + kPrefix))),
            *decode_mitigation_request(hex(with("", 0))));
}

// S9132-6-01, S9132-6-05
TEST(MitigationRequest, WrongTypes) {
  EXPECT_SAYS(scope(2, std::string(" 06 6c 3139322e302e322e312f3332") + kLifetime), "array of text string");
  EXPECT_SAYS(scope(2, std::string(" 06 81 01") + kLifetime), "array of text string");
  EXPECT_SAYS(scope(2, std::string(" 06 81 41 31") + kLifetime), "not a byte string");
  EXPECT_SAYS(scope(2, std::string(kPrefix) + " 0e f93c00"), "not a float");
  EXPECT_SAYS(scope(2, std::string(kPrefix) + " 0e 64 33363030"), "lifetime) must be of type");
  EXPECT_SAYS(with(" 18 2d 01"), "trigger-mitigation) must be of type boolean");
  EXPECT_SAYS(with(" 18 2d 00"), "trigger-mitigation) must be of type boolean");
  EXPECT_SAYS(with(" 18 2d f6"), "simple value");
  EXPECT_SAYS(with(" 18 2d f8 14"), "not well-formed");
  EXPECT_SAYS(with(" 0a 06"), "array of unsigned integer");
  EXPECT_SAYS(with(" 0a 81 81 06"), "array of unsigned integer");
  EXPECT_SAYS(with(" 0a 81 20"), "array of unsigned integer");
  EXPECT_SAYS(with(" 07 81 18 50"), "array of map");
  EXPECT_SAYS(with(" 07 a1 08 18 50"), "array of map");
  EXPECT_SAYS("a1 01 81 00", "mitigation-scope) must be of type map");
  EXPECT_SAYS("80", "must be one map");
  EXPECT_SAYS("01", "must be one map");
}

// S9132-6-02
TEST(MitigationRequest, CodesOfEnumerations) {
  EXPECT_EQ(diagnostic(with(" 18 1d 02")), "accepted");
  EXPECT_SAYS(with(" 18 1d 00"), "unassigned code 0");
  EXPECT_SAYS(with(" 18 1d 03"), "unassigned code 3");
  EXPECT_SAYS(with(" 18 1d 6c 756e6465722d61747461636b"), "attack-status) must be of type unsigned integer");
}

TEST(MitigationRequest, Encodings) {
  EXPECT_EQ(diagnostic(scope(2, std::string(kPrefix) + " 1b 000000000000000e 1b 0000000000000e10")), "accepted")
      << "longer heads than needed";
  EXPECT_SAYS("bf" + with("", 0).substr(2) + " ff", "indefinite");
  EXPECT_SAYS(with("", 0) + " 00", "after the end");
  EXPECT_SAYS(with(" 1c 00"), "not well-formed");
  EXPECT_SAYS(with(" 0a 81 c2 06"), "not tag 2");
}

TEST(MitigationRequest, EveryTruncationIsRefused) {
  const base::Bytes whole = encode(figure8());
  for (std::size_t length = 0; length < whole.size(); ++length) {
    EXPECT_FALSE(decode_mitigation_request(base::ByteView{whole}.first(length))) << length;
  }
}

// S9132-4.7-04, S9132-6-05
TEST(Heartbeat, Body) {
  EXPECT_EQ(base::to_hex(encode(Heartbeat{true})), "a11831a11833f5");
  EXPECT_EQ(base::to_hex(encode(Heartbeat{false})), "a11831a11833f4");
  EXPECT_EQ(*decode_heartbeat(hex("a1 1831 a1 1833 f5")), Heartbeat{true});
  EXPECT_EQ(*decode_heartbeat(hex("d9010f a1 1831 a1 1833 f4")), Heartbeat{false});
  EXPECT_TRUE(decode_heartbeat(hex("a1 1831 a2 1833 f4 18fa 00"))) << "unknown optional attribute";
  for (const char* body :
       {"", "a0", "a1 1831 a0", "a1 1831 a1 1833 01", "a1 1831 f5", "a1 1831 a2 1833 f5 1833 f5", "a1 1831 a1 18fa 00",
        "a2 1831 a1 1833 f5 01 a0", "a1 1831 a1 1833 f5 00", "a1 1831 a2 1833 f5 1836 00"}) {
    const auto heartbeat = decode_heartbeat(hex(body));
    ASSERT_FALSE(heartbeat) << body;
    EXPECT_EQ(heartbeat.error().code, ResponseCode::bad_request);
    EXPECT_FALSE(heartbeat.error().diagnostic.empty());
  }
}

std::vector<MitigationEntry> one(MitigationEntry entry) { return {std::move(entry)}; }

// S9132-4.4.1.3-06, S9132-4.4.1.3-07
TEST(MitigationAnswer, CreatedCarriesMidAndLifetime) {
  MitigationEntry entry;
  entry.mid = base::Mid{123};
  entry.lifetime = Lifetime{3600};
  EXPECT_EQ(base::to_hex(encode(one(entry))), "a101a10281a205187b0e190e10");
  EXPECT_EQ(*decode_mitigation_answer(encode(one(entry))), one(entry));
  entry.lifetime = Lifetime{-1};
  EXPECT_EQ(base::to_hex(encode(one(entry))), "a101a10281a205187b0e20");
  EXPECT_EQ(*decode_mitigation_answer(encode(one(entry))), one(entry));
}

// S9132-4.4.1.3-29
TEST(MitigationAnswer, CuidCollisionSaysNothingElse) {
  MitigationEntry entry;
  entry.conflict = ConflictInformation{ConflictStatus::active, ConflictCause::cuid_collision, 30, ConflictScope{}};
  entry.conflict->scope->mid = base::Mid{1};
  EXPECT_EQ(base::to_hex(encode(one(entry))), "a101a10281a111a11303");
}

TEST(MitigationAnswer, OverlapNamesTheMid) {
  MitigationEntry entry;
  entry.conflict = ConflictInformation{{}, ConflictCause::overlapping_targets, {}, ConflictScope{}};
  entry.conflict->scope->mid = base::Mid{123};
  EXPECT_EQ(base::to_hex(encode(one(entry))), "a101a10281a111a2130115a105187b");
  EXPECT_EQ(*decode_mitigation_answer(encode(one(entry))), one(entry));
}

// S9132-4.4.1.3-18, S9132-5.3-06, S9132-5.3-07, S8612-DM-003-01
TEST(MitigationAnswer, ConflictScopeFitsTheCause) {
  MitigationEntry overlap;
  overlap.conflict =
      ConflictInformation{ConflictStatus::active, ConflictCause::overlapping_targets, 30, ConflictScope{}};
  ConflictScope& scope = *overlap.conflict->scope;
  scope.mid = base::Mid{5};
  scope.targets.target_port_range = {{80, 80}};
  scope.acl_names = {"acl"};
  const std::string ports = "0781a1081850";
  EXPECT_EQ(base::to_hex(encode(one(overlap))).find(ports), std::string::npos) << "ports alone are no conflict";
  scope.targets.target_prefix = {*parse_prefix("192.0.2.0/24")};
  EXPECT_NE(base::to_hex(encode(one(overlap))).find(ports), std::string::npos);

  MitigationEntry acl = overlap;
  acl.conflict->cause = ConflictCause::conflict_with_acceptlist;
  const auto back = decode_mitigation_answer(encode({overlap, acl}));
  ASSERT_TRUE(back) << back.error().diagnostic;
  ASSERT_EQ(back->size(), 2U);
  EXPECT_TRUE((*back)[0].conflict->scope->acl_names.empty());
  EXPECT_EQ((*back)[0].conflict->scope->targets, scope.targets);
  EXPECT_EQ((*back)[1].conflict->scope->acl_names, scope.acl_names);
  EXPECT_EQ((*back)[1].conflict->scope->targets, MitigationScope{});
  EXPECT_FALSE((*back)[1].conflict->scope->mid);
  EXPECT_EQ((*back)[1].conflict->retry_timer_s, 30U);
}

// S9132-6-02, S9132-6-03, S9132-4.4.2-19, S8612-SIG-006-06, S8612-DM-003-01
TEST(MitigationAnswer, StatusOfAMitigation) {
  MitigationEntry entry;
  entry.mid = base::Mid{12332};
  entry.mitigation_start_s = 1507818434;
  entry.scope = figure8().scope;
  entry.lifetime = Lifetime{1756};
  entry.status = MitigationStatus::successfully_mitigated;
  entry.counters = {134334555, 43344, 333334444, UINT64_MAX};
  entry.trigger_mitigation = true;
  const base::Bytes bytes = encode({entry, entry});
  const std::string text = base::to_hex(bytes);
  EXPECT_NE(text.find("1002"), std::string::npos);
  EXPECT_NE(text.find("181c1bffffffffffffffff"), std::string::npos);
  EXPECT_NE(text.find("0f1a59df7bc2"), std::string::npos) << "no tag 1";
  EXPECT_EQ(*decode_mitigation_answer(bytes), (std::vector<MitigationEntry>{entry, entry}));
}

// S9132-10.6.2-01: an unknown status is shown as unknown
TEST(MitigationAnswer, QuirksOfServersAreTaken) {
  // empty arrays, tag 1 before mitigation-start, cuid in the body, an unknown required key, an unknown code
  const auto answer = decode_mitigation_answer(
      hex("a2 01 a1 02 82 a8 05 18 7b 04 61 78 06 80 0b 80 0f c1 1a 60000000 10 18 63 13 03 18 36 00 a0 18 40 f6"));
  ASSERT_TRUE(answer) << answer.error().diagnostic;
  ASSERT_EQ(answer->size(), 2U);
  EXPECT_EQ((*answer)[0].mid, base::Mid{123});
  EXPECT_FALSE((*answer)[0].scope);
  EXPECT_EQ((*answer)[0].mitigation_start_s, 0x60000000U);
  EXPECT_EQ(static_cast<int>(*(*answer)[0].status), 99);
  EXPECT_EQ(name_of(*(*answer)[0].status), "unknown");
  EXPECT_EQ((*answer)[1], MitigationEntry{});
  EXPECT_EQ(static_cast<int>(*(*decode_mitigation_answer(hex("a1 01 a1 02 81 a1 10 19 0132")))[0].status), 0);
  EXPECT_TRUE(decode_mitigation_answer(hex("a1 01 a1 02 80"))->empty());
  EXPECT_TRUE(decode_mitigation_answer(hex("a0"))->empty());
}

TEST(MitigationAnswer, BrokenAnswersAreRefused) {
  for (const char* body :
       {"", "a1 01 a1 02 81 a1 05 1b0000000100000000", "a1 01 a1 02 81 a1 05 61 31", "a1 01 a1 02 81 a2 05 01 05 01",
        "a1 01 a1 02 81 a1 00 01", "a1 01 a1 02 81 a1 06 81 63 312f38", "a1 01 a1 02 81 a1 05 01 00",
        "a1 01 a1 02 81 a1 07 81 a1 09 01", "a1 01 a1 02 81 a1 0d 81 62 c328", "a1 01 a1 02 81 a1 0e 21"}) {
    EXPECT_FALSE(decode_mitigation_answer(hex(body))) << body;
  }
}

// S9132-5.3-01: attack-status travels from the client to the server only
TEST(MitigationAnswer, AttackStatusIsIgnoredInAnswers) {
  EXPECT_EQ(*decode_mitigation_answer(hex("a1 01 a1 02 81 a2 05 01 18 1d 01")),
            *decode_mitigation_answer(hex("a1 01 a1 02 81 a1 05 01")));
}

TEST(MitigationAnswer, ManyMitigationsFitOneBody) {
  MitigationEntry entry;
  entry.scope = figure8().scope;
  std::vector<MitigationEntry> entries(2000, entry);
  for (std::uint32_t i = 0; i < entries.size(); ++i) entries[i].mid = base::Mid{i};
  const auto back = decode_mitigation_answer(encode(entries));
  ASSERT_TRUE(back) << back.error().diagnostic;
  EXPECT_EQ(*back, entries);
}

// S9132-4.6-02, S9132-9-11: the example of Figure 26, as bytes.
TEST(Redirects, TheAlternateWithItsAddresses) {
  RedirectedSignal signal;
  signal.alt_server = "alt-server.example";
  signal.alt_server_record = {*parse_ip_address("2001:db8:6401::1"), *parse_ip_address("2001:db8:6401::2")};
  const base::Bytes body = encode(signal);
  EXPECT_EQ(base::to_hex(body),
            "a1182ea2182f72616c742d7365727665722e6578616d706c65183082"
            "70323030313a6462383a363430313a3a3170323030313a6462383a363430313a3a32");
  EXPECT_EQ(decode_redirected_signal(body).value(), signal);
  signal.alt_server_record.clear();
  EXPECT_EQ(base::to_hex(encode(signal)), "a1182ea1182f72616c742d7365727665722e6578616d706c65");
  EXPECT_EQ(decode_redirected_signal(encode(signal)).value(), signal);
}

// S9132-4.6-02: addresses without a name are invalid; so is a body that redirects nowhere.
TEST(Redirects, WithoutANameItIsNone) {
  for (const char* body : {"a1 182e a1 1830 81 69 3139322e302e322e31", "a1 182e a0", "a0", "a1 182e 01", "ff",
                           "a1 182e a2 182f 65 612e636f6d 1830 81 61 61"}) {
    EXPECT_FALSE(decode_redirected_signal(hex(body))) << body;
  }
}

// Of too many addresses the first ones are taken.
TEST(Redirects, AddressesAreBounded) {
  RedirectedSignal signal{"a.example", {}};
  for (int i = 0; i < 100; ++i) signal.alt_server_record.push_back(*parse_ip_address("192.0.2." + std::to_string(i)));
  EXPECT_EQ(decode_redirected_signal(encode(signal)).value().alt_server_record.size(), kMaxAltServerRecords);
}

// S9133-3.2.1-01, S9133-3.2.2-02, S9133-5.1-01: the body of the checklist's example; keys are sent in ascending order.
TEST(FilterControl, TheExample) {
  const base::Bytes body =
      hex("a1 01 a1 02 81 a4 06 81 74 323030313a6462383a363430313a3a322f313237 0a 81 11"
          "1835 81 a2 17 6e 616e2d6163636570742d6c697374 1834 03 0e 190e10");
  const auto request = decode_mitigation_request(body, FilterControl::on);
  ASSERT_TRUE(request) << request.error().diagnostic;
  EXPECT_EQ(request->acl_list, (std::vector<AclActivation>{{"an-accept-list", ActivationType::deactivate}}));
  EXPECT_EQ(request->scope.target_prefix.size(), 1U);
  EXPECT_EQ(base::to_hex(encode(*request)),
            "a101a10281a4"
            "068174323030313a6462383a363430313a3a322f313237"
            "0a8111"
            "0e190e10"
            "183581a2176e616e2d6163636570742d6c697374183403");
  // S9133-3.2.1-17: a server that does not know it must refuse.
  const auto refused = decode_mitigation_request(body, FilterControl::off);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ResponseCode::bad_request);
  EXPECT_NE(refused.error().diagnostic.find("53"), std::string::npos) << refused.error().diagnostic;
}

std::string filters(const std::string& list) {
  const auto request = decode_mitigation_request(hex(with(" 1835" + list)), FilterControl::on);
  if (!request) return request.error().diagnostic;
  std::string out;
  for (const auto& acl : request->acl_list) out += acl.acl_name + " " + std::string(name_of(acl.type)) + ";";
  return out;
}

// S9133-3.2.1-02, S9133-3.2.1-03, S9133-3.2.1-04, S9133-3.2.1-05, S9133-3.2.1-07, S9133-6-01
TEST(FilterControl, WhatAnEntryMayHold) {
  EXPECT_EQ(filters(" 83 a2 17 6161 183401 a2 17 6162 183402 a2 17 6163 183403"),
            "a activate-when-mitigating;b immediate;c deactivate;");
  EXPECT_EQ(filters(" 81 a1 17 6161"), "a activate-when-mitigating;") << "the default";
  for (const char* wrong :
       {" 81 a1 183401", " 81 a2 17 6161 183400", " 81 a2 17 6161 183404", " 80", " 81 a0", " 82 a1 17 6161 a1 17 6161",
        " 81 a2 17 6161 1834 6131", " a1 17 6161", " 81 a2 17 6161 06 81 6c 3139322e302e322e312f3332"}) {
    EXPECT_FALSE(decode_mitigation_request(hex(with(std::string(" 1835") + wrong)), FilterControl::on)) << wrong;
  }
  EXPECT_FALSE(decode_mitigation_request(hex(with(" 16 81 a1 17 6161")), FilterControl::on)) << "of a conflict";
}

// S9133-3.2.1-24: as a server says which filters it could not switch.
TEST(FilterControl, TheFailedUpdate) {
  MitigationEntry entry;
  entry.mid = base::Mid{124};
  entry.acl_list = {{"x", ActivationType::immediate}};
  const base::Bytes bytes = encode(std::vector{entry});
  EXPECT_EQ(base::to_hex(bytes), "a101a10281a205187c183581a2176178183402");
  EXPECT_EQ(decode_mitigation_answer(bytes).value(), std::vector{entry});
  EXPECT_FALSE(decode_redirected_signal(bytes));
}

}  // namespace
}  // namespace dots::wire
