#include "data/domain_fixture.h"

namespace dots::data {
namespace {

using namespace std::chrono_literals;

class Aliases : public DomainTest {
 protected:
  void SetUp() override { ASSERT_EQ(register_me(), 201); }
  int try_alias(const std::string& members) {
    return post(aliases(alias("tried" + std::to_string(++tried_), members)));
  }
  int tried_ = 0;
};

const char* const kFigure17 =
    R"({"ietf-dots-data-channel:aliases":{"alias":[{"name":"https1","target-protocol":[6],)"
    R"("target-prefix":["2001:db8:6401::1/128","2001:db8:6401::2/128"],"target-port-range":[{"lower-port":443}]}]}})";

// D8783-6.1-01, D8783-6.1-17, D8783-6.2-02, D8783-6.2-04, D8783-6.2-06, D8783-4.3-28, D8783-6.1-13, R7951-5.3-01
TEST_F(Aliases, ThePostOfTheRfcIsStoredAndGivenBack) {
  EXPECT_EQ(post(kFigure17), 201);
  EXPECT_EQ(answer.body, "");
  EXPECT_EQ(header("Location"), me("/aliases/alias=https1"));
  EXPECT_EQ(get(me("/aliases/alias=https1")).status, 200);
  EXPECT_EQ(header("Content-Type"), kType);
  EXPECT_EQ(answer.body,
            R"({"ietf-dots-data-channel:aliases":{"alias":[{"name":"https1",)"
            R"("target-prefix":["2001:db8:6401::1/128","2001:db8:6401::2/128"],)"
            R"("target-port-range":[{"lower-port":443}],"target-protocol":[6],"pending-lifetime":10080}]}})");
  get(me("/aliases"));
  EXPECT_TRUE(says(R"({"ietf-dots-data-channel:aliases":{"alias":[{"name":"https1")")) << answer.body;
  const auto alias = domain->alias(base::ClientId("a"), base::Cuid("a"), "https1");
  ASSERT_TRUE(alias);
  EXPECT_EQ(alias->targets.target_port_range, (std::vector<model::PortRange>{{443, 443}}));
  EXPECT_EQ(alias->targets.target_protocol, std::vector<std::uint8_t>{6});
  EXPECT_EQ(alias->targets.target_prefix.size(), 2u);
}

// D8783-3.1-08, R7951-4-01: the top-level member bears its module, and only known ones are taken
TEST_F(Aliases, TheOutermostMemberBearsItsModule) {
  post(R"({"aliases":{"alias":[{"name":"x","target-fqdn":["www.example.net"]}]}})");
  EXPECT_EQ(refusal(), "400 unknown-element");
  post(R"({"ietf-foreign:aliases":{"alias":[]}})");
  EXPECT_EQ(refusal(), "400 unknown-namespace");
  post(R"({"ietf-dots-data-channel:nothing":{}})");
  EXPECT_EQ(refusal(), "400 unknown-element");
}

// R7951-4-02, R7951-5.4-01, R7951-5.7-01: the own module inside is taken; order does not matter; metadata is passed
// over
TEST_F(Aliases, MembersInAnyOrderWithOrWithoutTheirModule) {
  EXPECT_EQ(post(R"({"ietf-dots-data-channel:aliases":{"@alias":[{}],"ietf-dots-data-channel:alias":[)"
                 R"({"target-fqdn":["www.example.net"],"@name":{"a:b":1},"name":"x"}]}})"),
            201);
  EXPECT_EQ(get(me("/aliases/alias=x")).status, 200);
}

// D8783-6.1-15: parameters of unknown modules are passed over (A8783-09), bare unknown ones are not
TEST_F(Aliases, VendorParametersArePassedOver) {
  EXPECT_EQ(try_alias(R"("target-fqdn":["www.example.net"],"example-vendor:x":{"deep":[1]})"), 201);
  EXPECT_EQ(try_alias(R"("target-fqdn":["www.example.net"],"x":1)"), 400);
  EXPECT_EQ(error(), "unknown-element");
}

// D8783-6.1-03, D8783-6.1-04, D8783-6.1-19, R8040-7-01
TEST_F(Aliases, WhatIsMissingIsNamed) {
  post(aliases(R"({"target-fqdn":["www.example.net"]})"));
  EXPECT_EQ(refusal(), "400 missing-attribute");
  EXPECT_NE(error("error-message").find("name"), std::string::npos);
  for (const char* members :
       {"", R"("target-protocol":[6])", R"("target-port-range":[{"lower-port":1}])", R"("target-prefix":[])"}) {
    EXPECT_EQ(try_alias(members), 400) << members;
    EXPECT_EQ(error(), "missing-attribute") << members;
  }
  post(aliases(""));
  EXPECT_EQ(refusal(), "400 missing-attribute");
}

// D8783-4.3-14, D8783-4.3-15
TEST_F(Aliases, PortRangesHaveALowerPortAndAreNotReversed) {
  const auto range = [&](const std::string& members) {
    try_alias(R"("target-fqdn":["www.example.net"],"target-port-range":[)" + members + "]");
    return answer.status == 201 ? std::string("taken") : error();
  };
  EXPECT_EQ(range(R"({"lower-port":80,"upper-port":80},{"lower-port":0},{"lower-port":65535})"), "taken");
  EXPECT_EQ(range(R"({"lower-port":443,"upper-port":80})"), "invalid-value");
  EXPECT_EQ(range(R"({"upper-port":80})"), "missing-attribute");
  EXPECT_EQ(range(R"({"lower-port":80},{"lower-port":80,"upper-port":90})"), "invalid-value");
  EXPECT_EQ(range(R"({"lower-port":65536})"), "invalid-value");
  EXPECT_EQ(range(R"({"lower-port":"80"})"), "invalid-value");  // R7951-6.1-01
  EXPECT_EQ(range(R"({"lower-port":80.5})"), "invalid-value");
  EXPECT_EQ(range(R"({"lower-port":-1})"), "invalid-value");
}

// S8811-2.2.2-04, D8783-6.1-06, D8783-6.1-08, D8783-6.1-09, D8783-10-08, R7951-5.3-01
TEST_F(Aliases, PrefixesAreTheDomainsOwnAndCanBeTargets) {
  for (const char* good : {"198.51.100.0/24", "198.51.100.7/32", "2001:db8::/32", "2001:db8:1::/48"}) {
    EXPECT_EQ(try_alias(R"("target-prefix":[")" + std::string(good) + "\"]"), 201) << good;
  }
  for (const char* bad : {"198.51.100.1/33", "2001:db8::1/129", "198.51.100.1", "198.51.100.0/", "198.51.100/24", "",
                          "255.255.255.255/32", "127.0.0.1/32", "::1/128", "224.0.0.1/32", "ff02::1/128", "0.0.0.0/0",
                          "192.0.2.0/24", "198.51.0.0/16", "2001:db9::/32"}) {
    EXPECT_EQ(try_alias(R"("target-prefix":["198.51.100.1/32",")" + std::string(bad) + "\"]"), 400) << bad;
    EXPECT_EQ(error(), "invalid-value") << bad;
  }
  EXPECT_EQ(try_alias(R"("target-prefix":"198.51.100.1/32")"), 400);
  EXPECT_EQ(try_alias(R"("target-prefix":["198.51.100.1/32","198.51.100.1/32"])"), 400);
  EXPECT_EQ(error(), "invalid-value");
}

// D8783-6.1-10, D8783-6.1-11: names and URIs of the domain only; addresses of a name are checked when it is used
TEST_F(Aliases, NamesAndUrisAreTheDomainsOwn) {
  for (const char* good :
       {R"("target-fqdn":["www.example.net","example.net."])", R"("target-uri":["https://example.net/x"])",
        R"("target-uri":["https://198.51.100.7:8443/"])"}) {
    EXPECT_EQ(try_alias(good), 201) << good << answer.body;
  }
  for (const char* bad :
       {R"("target-fqdn":["www.example.com"])", R"("target-fqdn":["bad..name"])", R"("target-fqdn":[""])",
        R"("target-uri":["https://example.com/"])", R"("target-uri":["https://127.0.0.1/"])",
        R"("target-uri":["https://192.0.2.1/"])", R"("target-uri":["no uri"])"}) {
    EXPECT_EQ(try_alias(bad), 400) << bad;
    EXPECT_EQ(error(), "invalid-value") << bad;
  }
}

// D8783-6.1-16, D8783-6.1-14: all kinds of target in one alias
TEST_F(Aliases, AnAliasHoldsTargetsOfAllKinds) {
  ASSERT_EQ(post(aliases(alias("all", R"("target-prefix":["198.51.100.1/32"],"target-fqdn":["www.example.net"],)"
                                      R"("target-uri":["https://example.net/"],"target-protocol":[17,6])"))),
            201);
  const auto all = domain->alias(base::ClientId("a"), base::Cuid("a"), "all");
  ASSERT_TRUE(all);
  EXPECT_EQ(all->targets.target_prefix.size(), 1u);
  EXPECT_EQ(all->targets.target_fqdn, std::vector<std::string>{"www.example.net"});
  EXPECT_EQ(all->targets.target_uri, std::vector<std::string>{"https://example.net/"});
  EXPECT_EQ(all->targets.target_protocol, (std::vector<std::uint8_t>{17, 6}));
  EXPECT_FALSE(domain->alias(base::ClientId("b"), base::Cuid("b"), "all"));
  EXPECT_FALSE(domain->alias(base::ClientId("a"), base::Cuid("a"), "none"));
  EXPECT_FALSE(domain->alias(base::ClientId("b"), base::Cuid("a"), "all")) << "an alias is its client's";
}

// RFC 7951 4: a member with and without the name of its module is the same member; what stands twice is refused, and
// what is there can still be read.
TEST_F(Aliases, AMemberUnderBothItsNamesStandsTwice) {
  ASSERT_EQ(post(aliases(alias("x"))), 201);
  for (const char* twice :
       {R"("target-prefix":["198.51.100.1/32"],"ietf-dots-data-channel:target-prefix":["198.51.100.1/32"])",
        R"("target-protocol":[6],"ietf-dots-data-channel:target-protocol":[17])",
        R"("ietf-dots-data-channel:name":"y")"}) {
    EXPECT_EQ(
        ask("PUT", me("/aliases/alias=y"), R"({"ietf-dots-data-channel:alias":[)" + alias("y", twice) + "]}").status,
        400)
        << twice;
    EXPECT_EQ(error(), "invalid-value");
  }
  EXPECT_EQ(get(me("/aliases")).status, 200);
}

TEST_F(Aliases, ThePortsOfAnAliasAreBounded) {
  std::string ranges;
  for (int port = 1; port <= 2 * 1025; port += 2)
    ranges += (ranges.empty() ? "" : ",") + std::string(R"({"lower-port":)") + std::to_string(port) + "}";
  EXPECT_EQ(post(aliases(alias("x", R"("target-prefix":["198.51.100.1/32"],"target-port-range":[)" + ranges + "]"))),
            409);
}

// D8783-6.1-18, D8783-6.1-29, R8040-4.4.1-04
TEST_F(Aliases, ASecondPostAddsAndAnExistingNameIsRefused) {
  EXPECT_EQ(post(aliases(alias("one"))), 201);
  EXPECT_EQ(post(aliases(alias("two"))), 201);
  post(aliases(alias("one", R"("target-prefix":["198.51.100.2/32"])")));
  EXPECT_EQ(refusal(), "409 resource-denied");
  get(me("/aliases/alias=one"));
  EXPECT_TRUE(says("198.51.100.1/32")) << answer.body;
  EXPECT_EQ(get(me("/aliases/alias=two")).status, 200);
}

// D8783-6.1-28, D8783-4.3-23
TEST_F(Aliases, ARefusedRequestLeavesNothing) {
  const std::string good = alias("good");
  for (const std::string& bad : {alias("bad", R"("target-prefix":["192.0.2.0/24"])"), alias("bad", ""), alias("good"),
                                 alias(std::string(256, 'n'))}) {
    EXPECT_EQ(post(aliases(good + "," + bad)), 400) << bad;
    EXPECT_TRUE(changes.empty());
    EXPECT_EQ(get(me("/aliases")).body, R"({"ietf-dots-data-channel:aliases":{}})");
  }
}

// D8783-6.1-02, D8783-4.1-11
TEST_F(Aliases, EachClientHasItsOwnNames) {
  ASSERT_EQ(post(aliases(alias("x"))), 201);
  as("b");
  ASSERT_EQ(register_me(), 201);
  EXPECT_EQ(post(aliases(alias("x", R"("target-fqdn":["www.example.net"])"))), 201);
  EXPECT_EQ(ask("DELETE", me("/aliases/alias=x")).status, 204);
  as("a");
  get(me("/aliases/alias=x"));
  EXPECT_TRUE(says("198.51.100.1/32"));
}

// D8783-6.1-22, D8783-6.1-23, D8783-6.1-27, R8040-4.5-01, R8040-4.5-07: PUT in both forms (A8783-01)
TEST_F(Aliases, APutReplacesTheWholeEntry) {
  const std::string target = me("/aliases/alias=x");
  EXPECT_EQ(
      ask("PUT", target, aliases(alias("x", R"("target-prefix":["198.51.100.1/32"],"target-protocol":[6])"))).status,
      201);
  EXPECT_EQ(header("Location"), target);
  pass(48h);
  get(target);
  EXPECT_TRUE(says(R"("pending-lifetime":7200)")) << answer.body;
  EXPECT_EQ(ask("PUT", target, R"({"ietf-dots-data-channel:alias":[)" + alias("x") + "]}").status, 204);
  EXPECT_EQ(answer.body, "");
  get(target);
  EXPECT_FALSE(says("target-protocol")) << answer.body;
  EXPECT_TRUE(says(R"("pending-lifetime":10080)")) << answer.body;
}

// R8040-4.5-02, R8040-4.5-05, R8040-3.5.3-02
TEST_F(Aliases, ThePutBodyIsTheTargetAndNothingElse) {
  const std::string target = me("/aliases/alias=x");
  ask("PUT", target);
  EXPECT_EQ(refusal(), "400 invalid-value");
  for (const std::string& body : {aliases(alias("y")), aliases(alias("x") + "," + alias("y")), aliases(""),
                                  std::string(R"({"ietf-dots-data-channel:alias":[]})"), std::string("{}"),
                                  std::string("[]"), std::string("7"), acls(drop_list("x"))}) {
    EXPECT_EQ(ask("PUT", target, body).status, 400) << body;
    EXPECT_TRUE(changes.empty());
  }
  ask("PUT", target, aliases(R"({"target-fqdn":["www.example.net"]})"));
  EXPECT_EQ(refusal(), "400 missing-attribute");
}

// R8040-4.6-01, R8040-4.6-02, R8040-4.6-03, R8040-4.6.1-01, R8040-4.6.1-02, R8040-4.6.1-03
TEST_F(Aliases, APatchMerges) {
  const std::string target = me("/aliases/alias=x");
  ask("PATCH", target, aliases(alias("x")));
  EXPECT_EQ(refusal(), "404 invalid-value");
  ASSERT_EQ(post(aliases(alias("x", R"("target-prefix":["198.51.100.1/32"],"target-port-range":[{"lower-port":80}])"))),
            201);
  EXPECT_EQ(ask("PATCH", target,
                R"({"ietf-dots-data-channel:alias":[{"name":"x","target-protocol":[6],)"
                R"("target-port-range":[{"lower-port":80,"upper-port":81},{"lower-port":443}]}]})")
                .status,
            204);
  EXPECT_EQ(answer.body, "");
  get(target + "?content=config");
  EXPECT_EQ(answer.body,
            R"({"ietf-dots-data-channel:aliases":{"alias":[{"name":"x","target-prefix":["198.51.100.1/32"],)"
            R"("target-port-range":[{"lower-port":80,"upper-port":81},{"lower-port":443}],"target-protocol":[6]}]}})");
  ask("PATCH", target, aliases(alias("y")));
  EXPECT_EQ(refusal(), "400 invalid-value");
  ask("PATCH", target);
  EXPECT_EQ(refusal(), "400 invalid-value");
  ask("PATCH", target, aliases(alias("x")), {{"Content-Type", "application/yang-patch+json"}});
  EXPECT_EQ(answer.status, 415);
}

// D8783-6.2-01, D8783-6.2-03, D8783-6.2-05, R8040-4.3-04, R8040-4.8.1-01
TEST_F(Aliases, ContentSelectsConfigurationOrState) {
  ASSERT_EQ(post(aliases(alias("x") + "," + alias("y"))), 201);
  EXPECT_EQ(get(me("/aliases?content=config")).body,
            R"({"ietf-dots-data-channel:aliases":{"alias":[{"name":"x","target-prefix":["198.51.100.1/32"]},)"
            R"({"name":"y","target-prefix":["198.51.100.1/32"]}]}})");
  EXPECT_EQ(get(me("/aliases?content=nonconfig")).body,
            R"({"ietf-dots-data-channel:aliases":{"alias":[{"name":"x","pending-lifetime":10080},)"
            R"({"name":"y","pending-lifetime":10080}]}})");
  const std::string all = get(me("/aliases?content=all")).body;
  EXPECT_EQ(get(me("/aliases")).body, all);
  get(me("/aliases/alias=z"));
  EXPECT_EQ(refusal(), "404 invalid-value");
}

// D8783-6.3-01, D8783-6.3-02, R8040-4.7-01, R8040-4.7-02
TEST_F(Aliases, ADeletedAliasIsGoneAndTheOthersStay) {
  ASSERT_EQ(post(aliases(alias("x") + "," + alias("y"))), 201);
  EXPECT_EQ(ask("DELETE", me("/aliases/alias=x")).status, 204);
  EXPECT_EQ(answer.body, "");
  EXPECT_EQ(get(me("/aliases/alias=x")).status, 404);
  EXPECT_EQ(get(me("/aliases/alias=y")).status, 200);
  ask("DELETE", me("/aliases/alias=x"));
  EXPECT_EQ(refusal(), "404 invalid-value");
}

// D8783-6.1-25, D8783-6.1-26, D8783-6.2-08, D8783-3.5-01
TEST_F(Aliases, LiveForAWeekWithoutARefresh) {
  ASSERT_EQ(post(aliases(alias("x") + "," + alias("y"))), 201);
  pass(10079min + 59s);
  get(me("/aliases/alias=x"));
  EXPECT_TRUE(says(R"("pending-lifetime":1})")) << answer.body;
  EXPECT_EQ(ask("PUT", me("/aliases/alias=y"), aliases(alias("y"))).status, 204);
  pass(1s);
  EXPECT_EQ(get(me("/aliases/alias=x")).status, 404);
  EXPECT_EQ(get(me("/aliases/alias=y")).status, 200);
  EXPECT_EQ(store.data_entries.size(), 1u);
  pass(10080min);
  EXPECT_EQ(get(me("/aliases")).body, R"({"ietf-dots-data-channel:aliases":{}})");
  EXPECT_FALSE(domain->next_deadline());
}

// A8783-15: what was read is what can be sent back
TEST_F(Aliases, AnEchoOfAGetIsARefresh) {
  ASSERT_EQ(post(kFigure17), 201);
  pass(1000min);
  const std::string echoed = get(me("/aliases/alias=https1")).body;
  EXPECT_EQ(ask("PUT", me("/aliases/alias=https1"), echoed).status, 204);
  get(me("/aliases/alias=https1/pending-lifetime"));
  EXPECT_EQ(answer.body, R"({"ietf-dots-data-channel:pending-lifetime":10080})");
}

// R8040-3.5.3-03, R8040-5.2-01, R8040-5.1-02: names with reserved characters and beyond ASCII
TEST_F(Aliases, NamesAreEncodedInPaths) {
  ASSERT_EQ(post(aliases(alias("a/b,c d=\xC3\xA9%"))), 201);
  EXPECT_EQ(header("Location"), me("/aliases/alias=a%2Fb%2Cc%20d%3D%C3%A9%25"));
  EXPECT_EQ(get(header("Location")).status, 200);
  EXPECT_TRUE(says("a/b,c d=\xC3\xA9%")) << answer.body;
  EXPECT_EQ(ask("DELETE", me("/aliases/alias=a%2fb%2Cc%20d=%c3%a9%25")).status, 204);
  get(me("/aliases/alias=a,b"));
  EXPECT_EQ(refusal(), "400 invalid-value");
  get(me("/aliases/alias=a%2"));
  EXPECT_EQ(refusal(), "400 invalid-value");
}

// A set at once: PUT replaces, PATCH adds
TEST_F(Aliases, AllAtOnce) {
  ASSERT_EQ(post(aliases(alias("x") + "," + alias("y"))), 201);
  EXPECT_EQ(
      ask("PUT", me("/aliases"), aliases(alias("y", R"("target-fqdn":["example.net"])") + "," + alias("z"))).status,
      204);
  EXPECT_EQ(get(me("/aliases/alias=x")).status, 404);
  EXPECT_EQ(ask("PATCH", me("/aliases"), aliases(alias("y") + "," + alias("w"))).status, 204);
  get(me("/aliases?content=config"));
  EXPECT_EQ(answer.body,
            R"({"ietf-dots-data-channel:aliases":{"alias":[{"name":"y","target-prefix":["198.51.100.1/32"],)"
            R"("target-fqdn":["example.net"]},{"name":"z","target-prefix":["198.51.100.1/32"]},)"
            R"({"name":"w","target-prefix":["198.51.100.1/32"]}]}})");
  restart();
  EXPECT_EQ(get(me("/aliases?content=config")).status, 200);
  EXPECT_TRUE(says("\"w\"") && says("\"y\"") && says("\"z\"") && !says("\"x\"")) << answer.body;
  EXPECT_EQ(ask("PUT", me("/aliases"), R"({"ietf-dots-data-channel:aliases":{}})").status, 204);
  EXPECT_EQ(get(me("/aliases")).body, R"({"ietf-dots-data-channel:aliases":{}})");
}

// Parts of an alias are resources too (R8040-3.5-01, R8040-3.5.3-04, R8040-4.3-01, R8040-4.4-01)
TEST_F(Aliases, PartsAreResources) {
  ASSERT_EQ(post(aliases(alias("x", R"("target-prefix":["198.51.100.1/32"],"target-port-range":[{"lower-port":80}])"))),
            201);
  const std::string x = me("/aliases/alias=x");
  EXPECT_EQ(get(x + "/target-port-range=0080/lower-port").body, R"({"ietf-dots-data-channel:lower-port":80})");
  EXPECT_EQ(get(x + "/target-prefix=198.51.100.1%2F32").body,
            R"({"ietf-dots-data-channel:target-prefix":["198.51.100.1/32"]})");
  EXPECT_EQ(ask("POST", x, R"({"ietf-dots-data-channel:target-protocol":[6]})").status, 201);
  EXPECT_EQ(header("Location"), x + "/target-protocol=6");
  EXPECT_EQ(ask("POST", x, R"({"ietf-dots-data-channel:target-protocol":[6]})").status, 409);
  EXPECT_EQ(ask("PUT", x + "/target-protocol=17", R"({"ietf-dots-data-channel:target-protocol":[17]})").status, 201);
  EXPECT_EQ(get(x + "/target-protocol").body, R"({"ietf-dots-data-channel:target-protocol":[6,17]})");
  EXPECT_EQ(ask("DELETE", x + "/target-protocol=6").status, 204);
  EXPECT_EQ(get(x + "/target-protocol=6").status, 404);
  EXPECT_EQ(ask("PUT", x + "/target-port-range=80/upper-port", R"({"ietf-dots-data-channel:upper-port":79})").status,
            400);
  EXPECT_EQ(ask("PUT", x + "/target-port-range=80/upper-port", R"({"ietf-dots-data-channel:upper-port":90})").status,
            201);
  EXPECT_EQ(ask("DELETE", x + "/target-port-range=80").status, 204);
  // the last target stays
  EXPECT_EQ(ask("DELETE", x + "/target-prefix=198.51.100.1%2F32").status, 400);
  EXPECT_EQ(error(), "missing-attribute");
  EXPECT_EQ(get(x).status, 200);
}

}  // namespace
}  // namespace dots::data
