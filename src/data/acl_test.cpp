#include "data/domain_fixture.h"

namespace dots::data {
namespace {

using namespace std::chrono_literals;

class Acls : public DomainTest {
 protected:
  void SetUp() override { ASSERT_EQ(register_me(), 201); }
  // Names in the order of the answer.
  std::string order(const std::string& target = "/acls") {
    get(me(target + "?content=nonconfig&fields=" + (target == "/acls" ? "acl(name)" : "ace(name)")));
    std::string names;
    for (std::size_t at = 0; (at = answer.body.find(R"("name":")", at)) != std::string::npos;) {
      at += 8;
      names += answer.body.substr(at, answer.body.find('"', at) - at) + " ";
    }
    return names;
  }
  int put(const std::string& name, const std::string& query = {}) {
    return ask("PUT", me("/acls/acl=" + name + query), acls(drop_list(name))).status;
  }
  std::string point(const std::string& name) {
    return "%2Fietf-dots-data-channel%3Adots-data%2Fdots-client%3Da%2Facls%2Facl%3D" + name;
  }
};

// D8783-7.2-01, D8783-7.2-17, D8783-7.2-13, D8783-7.3-03, D8783-4.3-27, D8783-4.3-28, D8783-3.1-03, D8783-4.2-01
TEST_F(Acls, ThePostOfTheRfcIsStoredAndGivenBack) {
  EXPECT_EQ(post(kFigure24), 201);
  EXPECT_EQ(header("Location"), me("/acls/acl=sample-ipv4-acl"));
  get(me("/acls/acl=sample-ipv4-acl?content=all"));
  EXPECT_EQ(answer.body,
            R"({"ietf-dots-data-channel:acls":{"acl":[{"name":"sample-ipv4-acl","type":"ipv4-acl-type",)"
            R"("activation-type":"activate-when-mitigating","pending-lifetime":10080,"aces":{"ace":[{"name":"rule1",)"
            R"("matches":{"ipv4":{"destination-ipv4-network":"198.51.100.0/24","source-ipv4-network":"192.0.2.0/24"}},)"
            R"("actions":{"forwarding":"drop"},"statistics":{"matched-packets":"0","matched-octets":"0"}}]}}]}})");
  ASSERT_EQ(domain->effective([](const auto&) { return true; }).size(), 1u);
  const model::Filter& filter = *domain->effective([](const auto&) { return true; })[0].filter;
  ASSERT_EQ(filter.entries.size(), 1u);
  EXPECT_EQ(filter.entries[0].match.ip->destination, *model::parse_prefix("198.51.100.0/24"));
  EXPECT_EQ(filter.entries[0].match.ip->source, *model::parse_prefix("192.0.2.0/24"));
  EXPECT_EQ(filter.entries[0].forwarding, model::Forwarding::drop);
}

// D8783-7.3-04, D8783-7.3-05, D8783-7.3-02, R8040-4.8.1-03
TEST_F(Acls, ContentSelectsConfigurationOrState) {
  ASSERT_EQ(post(kFigure24), 201);
  domain->count(base::Cuid("a"), "sample-ipv4-acl", "rule1", 12, 18446744073709551615u);
  EXPECT_EQ(
      get(me("/acls?content=nonconfig")).body,
      R"({"ietf-dots-data-channel:acls":{"acl":[{"name":"sample-ipv4-acl","pending-lifetime":10080,"aces":{"ace":[)"
      R"({"name":"rule1","statistics":{"matched-packets":"12","matched-octets":"18446744073709551615"}}]}}]}})");
  get(me("/acls?content=config"));
  EXPECT_FALSE(says("pending-lifetime") || says("statistics")) << answer.body;
  EXPECT_TRUE(says("source-ipv4-network"));
  get(me("/acls/acl=unknown"));
  EXPECT_EQ(refusal(), "404 invalid-value");
}

// D8783-7.3-06: the value is spelt nonconfig (A8783-11)
TEST_F(Acls, NonConfigWithAHyphenIsNoContent) {
  get(me("/acls?content=non-config"));
  EXPECT_EQ(refusal(), "400 invalid-value");
}

// D8783-7.2-02, D8783-7.2-03, D8783-7.2-14, D8783-7.2-15, D8783-4.3-24, D8783-7.2-18
TEST_F(Acls, WhatAListNeeds) {
  post(acls(R"({"aces":{"ace":[]}})"));
  EXPECT_EQ(refusal(), "400 missing-attribute");
  post(acls(R"({"name":"l","aces":{"ace":[{"actions":{"forwarding":"drop"}}]}})"));
  EXPECT_EQ(refusal(), "400 missing-attribute");
  post(acls(R"({"name":"l","aces":{"ace":[{"name":"r"}]}})"));
  EXPECT_EQ(refusal(), "400 missing-attribute");
  post(acls(R"({"name":"l","aces":{"ace":[{"name":"r","actions":{}}]}})"));
  EXPECT_EQ(refusal(), "400 missing-attribute");
  EXPECT_EQ(post(acls(acl("bare", ace("r", "")))), 201);
  EXPECT_EQ(post(acls(acl("l4", ace("r", R"("tcp":{"destination-port-range-or-operator":{"port":80}})")))), 201);
  EXPECT_EQ(post(acls(R"({"name":"empty"})")), 201);
}

// D8783-4.1-09, D8783-4.1-10, D8783-4.3-25, D8783-4.3-26, D8783-4.3-36, D8783-7.2-16, R7951-6.8-01, R7951-6.1-01
TEST_F(Acls, Actions) {
  const auto verdict = [&](const std::string& actions) {
    const int status = try_matches("", actions);
    return status == 201 ? std::string("taken") : error();
  };
  EXPECT_EQ(verdict(R"("forwarding":"accept")"), "taken");
  EXPECT_EQ(verdict(R"("forwarding":"ietf-access-control-list:accept","rate-limit":"20.00")"), "taken");
  EXPECT_EQ(verdict(R"("forwarding":"accept","rate-limit":"20")"), "taken");
  EXPECT_EQ(verdict(R"("forwarding":"ietf-access-control-list:drop")"), "taken");
  EXPECT_EQ(verdict(R"("forwarding":"reject")"), "invalid-value");
  EXPECT_EQ(verdict(R"("forwarding":"ietf-access-control-list:reject")"), "invalid-value");
  EXPECT_EQ(verdict(R"("forwarding":"other-module:drop")"), "invalid-value");
  EXPECT_EQ(verdict(R"("forwarding":"drop","rate-limit":"20.00")"), "invalid-value");
  for (const char* bad : {"20", "20.5", "\"20.001\"", "\"-1.00\"", "\"\"", "\"1e3\"", "\".5\"", "\"5.\""}) {
    EXPECT_EQ(verdict(R"("forwarding":"accept","rate-limit":)" + std::string(bad)), "invalid-value") << bad;
  }
  ASSERT_EQ(post(acls(acl("l", ace("r", "", R"("forwarding":"ietf-access-control-list:accept","rate-limit":"20.5")")))),
            201);
  get(me("/acls/acl=l/aces/ace=r/actions"));
  EXPECT_EQ(answer.body, R"({"ietf-dots-data-channel:actions":{"forwarding":"accept","rate-limit":"20.50"}})");
  EXPECT_EQ(domain->effective([](const auto&) { return true; })[0].filter->entries[0].rate_limit_hundredths, 2050u);
}

// D8783-4.3-02, D8783-4.3-03, D8783-7.2-04, R8040-3.5.4-01, R8040-3.5.4-02, R7951-6.4-01
TEST_F(Acls, ActivationTypes) {
  for (const char* good : {R"("activate-when-mitigating")", R"("deactivate")"}) {
    EXPECT_EQ(try_matches("", R"("forwarding":"drop")", R"("activation-type":)" + std::string(good)), 201) << good;
  }
  for (const char* bad : {R"("active")", "2", R"("Immediate")", "null", "true", R"("")"}) {
    EXPECT_EQ(try_matches("", R"("forwarding":"drop")", R"("activation-type":)" + std::string(bad)), 400) << bad;
    EXPECT_EQ(error(), "invalid-value") << bad;
  }
  ASSERT_EQ(put("l"), 201);
  get(me("/acls/acl=l?content=config"));
  EXPECT_FALSE(says("activation-type"));
  EXPECT_EQ(get(me("/acls/acl=l/activation-type")).body,
            R"({"ietf-dots-data-channel:activation-type":"activate-when-mitigating"})");
  EXPECT_EQ(domain->effective([](const auto&) { return false; }).size(), 0u);
  EXPECT_EQ(domain->effective([](const auto&) { return true; }).size(), 1u);
}

// D8783-7.2-12: an immediate filter names its destination (A8783-05)
TEST_F(Acls, ImmediateNeedsADestination) {
  const std::string immediate = R"("activation-type":"immediate")";
  const std::string drop = R"("forwarding":"drop")";
  EXPECT_EQ(try_matches(R"("ipv4":{"destination-ipv4-network":"198.51.100.0/24"})", drop, immediate), 201);
  for (const char* open : {R"("ipv4":{"source-ipv4-network":"192.0.2.0/24"})", R"("ipv6":{})", ""}) {
    EXPECT_EQ(try_matches(open, drop, immediate), 400) << open;
    EXPECT_EQ(error(), "missing-attribute") << open;
  }
  EXPECT_EQ(try_matches(R"("tcp":{"flags-bitmask":{"bitmask":2}})", drop, immediate), 201);
  options.filter_rules.immediate_needs_ip = true;
  restart();
  EXPECT_EQ(try_matches(R"("tcp":{"flags-bitmask":{"bitmask":2}})", drop, immediate), 400);
  // also when the type comes later
  ASSERT_EQ(put("l"), 201);
  ask("PUT", me("/acls/acl=l/activation-type"), R"({"ietf-dots-data-channel:activation-type":"immediate"})");
  EXPECT_EQ(refusal(), "400 missing-attribute");
}

// S8811-2.2.2-04, D8783-7.2-09, D8783-10-08, D8783-7.2-10, D8783-7.2-33
TEST_F(Acls, DestinationsLieInTheDomain) {
  for (const char* good : {R"("ipv4":{"destination-ipv4-network":"203.0.113.5/32"})",
                           R"("ipv6":{"destination-ipv6-network":"2001:db8:1::/48","source-ipv6-network":"::/0"})",
                           R"("ipv4":{"source-ipv4-network":"0.0.0.0/0"})"}) {
    EXPECT_EQ(try_matches(good), 201) << good;
  }
  for (const char* bad : {R"("ipv4":{"destination-ipv4-network":"192.0.2.0/24"})",
                          R"("ipv4":{"destination-ipv4-network":"198.51.0.0/16"})",
                          R"("ipv6":{"destination-ipv6-network":"2001:db9::/32"})",
                          R"("ipv4":{"destination-ipv4-network":"224.0.0.1/32"})"}) {
    post(acls(acl("l", ace("good", "") + "," + ace("bad", bad))));
    EXPECT_EQ(refusal(), "400 invalid-value") << bad;
    EXPECT_EQ(get(me("/acls/acl=l")).status, 404);
  }
}

// D8783-4.3-22, D8783-4.3-23
TEST_F(Acls, NamesOfListsAndEntries) {
  for (const std::string& name :
       {std::string(64, 'n'), std::string("\xC3\xA9") + std::string(63, 'x'), std::string(" ")}) {
    EXPECT_EQ(post(acls(acl(name, ace(name, "")))), 201) << name;
  }
  for (const std::string& name : {std::string(), std::string(65, 'n')}) {
    post(acls(acl(name, ace("r", ""))));
    EXPECT_EQ(refusal(), "400 invalid-value") << name;
    post(acls(acl("l", ace(name, ""))));
    EXPECT_EQ(refusal(), "400 invalid-value") << name;
  }
  post(acls(acl("l", ace("r", "") + "," + ace("r", ""))));
  EXPECT_EQ(refusal(), "400 invalid-value");
  post(acls(drop_list("l") + "," + drop_list("l")));
  EXPECT_EQ(refusal(), "400 invalid-value");
  EXPECT_EQ(get(me("/acls/acl=l")).status, 404);
}

// D8783-7.2-22, D8783-7.2-25, R8040-4.4.1-04
TEST_F(Acls, AnExistingNameIsRefusedByPostAndReplacedByPut) {
  ASSERT_EQ(put("l"), 201);
  post(acls(drop_list("l")));
  EXPECT_EQ(refusal(), "409 resource-denied");
  EXPECT_EQ(ask("PUT", me("/acls/acl=l"), acls(drop_list("l", "192.0.2.7/32"))).status, 204);
  get(me("/acls/acl=l"));
  EXPECT_TRUE(says("192.0.2.7/32")) << answer.body;
}

// D8783-4.1-02, D8783-7.2-23, D8783-7.2-24, D8783-7.2-26, D8783-7.3-07, R8040-4.4.1-02, R8040-4.5-04, R8040-4.8.5-01,
// R8040-4.8.5-02, R8040-4.8.6-01
TEST_F(Acls, TheClientOrdersItsLists) {
  for (const char* name : {"one", "two", "three"}) ASSERT_EQ(put(name), 201);
  EXPECT_EQ(order(), "one two three ");
  EXPECT_EQ(put("first", "?insert=first"), 201);
  EXPECT_EQ(put("last", "?insert=last"), 201);
  EXPECT_EQ(put("before", "?insert=before&point=" + point("two")), 201);
  EXPECT_EQ(put("after", "?point=" + point("two") + "&insert=after"), 201);
  EXPECT_EQ(order(), "first one before two after three last ");
  EXPECT_EQ(put("two"), 204);  // keeps its place (erratum 6277)
  EXPECT_EQ(order(), "first one before two after three last ");
  EXPECT_EQ(put("two", "?insert=first"), 204);
  EXPECT_EQ(put("one", "?insert=after&point=" + point("last")), 204);
  EXPECT_EQ(order(), "two first before after three last one ");
  ASSERT_EQ(ask("POST", me("?insert=first"), acls(drop_list("posted"))).status, 201);
  ASSERT_EQ(ask("POST", me("/acls?insert=before&point=" + point("one")),
                R"({"ietf-dots-data-channel:acl":[)" + drop_list("zero") + "]}")
                .status,
            201);
  EXPECT_EQ(order(), "posted two first before after three last zero one ");
  restart();
  EXPECT_EQ(order(), "posted two first before after three last zero one ");
}

// D8783-4.1-02: between two entries there is always room
TEST_F(Acls, AThousandListsFitBetweenTwo) {
  options.limits.acls_per_client = 10000;
  restart();
  ASSERT_EQ(put("low"), 201);
  ASSERT_EQ(put("high"), 201);
  std::string expected;
  for (int i = 0; i < 70; ++i) {
    ASSERT_EQ(put(std::to_string(i), "?insert=before&point=" + point("high")), 201);
    expected += std::to_string(i) + " ";
  }
  EXPECT_EQ(order(), "low " + expected + "high ");
  for (int i = 0; i < 70; ++i) ASSERT_EQ(put("b" + std::to_string(i), "?insert=after&point=" + point("low")), 201);
  restart();
  EXPECT_EQ(order().substr(0, 12), "low b69 b68 ");
}

// However often clients insert at one place, the others are left alone.
TEST_F(Acls, InsertionsWriteFewOthers) {
  options.limits.acls_per_client = 10000;
  restart();
  for (int i = 0; i < 500; ++i) ASSERT_EQ(put("l" + std::to_string(i)), 201);
  std::size_t written = 0, most = 0;
  for (int i = 0; i < 1000; ++i) {
    ASSERT_EQ(put("n" + std::to_string(i), "?insert=before&point=" + point("l250")), 201);
    std::size_t entries = 0;
    for (const auto& change : changes) entries += std::holds_alternative<ports::PutDataEntry>(change) ? 1 : 0;
    written += entries;
    most = std::max(most, entries);
  }
  EXPECT_LE(written, 12000u);
  EXPECT_LE(most, 300u);
  const std::string before = order();
  restart();
  EXPECT_EQ(order(), before);
  const auto at = before.find("l249 n0 n1 n2 ");
  EXPECT_NE(at, std::string::npos);
  EXPECT_NE(before.find("n998 n999 l250 l251 "), std::string::npos);
}

// R8040-4.8.5-03, R8040-4.8.5-04, R8040-4.8.6-02
TEST_F(Acls, WrongPlacesAreRefused) {
  ASSERT_EQ(put("one"), 201);
  for (const std::string& query :
       {std::string("?insert=before"), std::string("?insert=after"), std::string("?insert=middle"),
        "?insert=first&point=" + point("one"), "?point=" + point("one"), "?insert=before&point=" + point("unknown"),
        "?insert=before&point=" + point("new"), std::string("?insert=before&point=%2Fnothing"),
        std::string("?insert=before&point=one"),
        std::string("?insert=after&point=%2Fietf-dots-data-channel%3Adots-data%2Fdots-client%3Db%2Facls%2Facl%3Done"),
        std::string("?insert=first&insert=first")}) {
    EXPECT_EQ(put("new", query), 400) << query;
    EXPECT_EQ(error(), "invalid-value") << query;
  }
  EXPECT_EQ(get(me("/acls/acl=new")).status, 404);
  ask("PUT", me("/aliases/alias=x?insert=first"), aliases(alias("x")));
  EXPECT_EQ(refusal(), "400 invalid-value");
  ask("POST", me("?insert=first"), acls(drop_list("x") + "," + drop_list("y")));
  EXPECT_EQ(refusal(), "400 invalid-value");
  ask("PATCH", me("/acls/acl=one?insert=first"), acls(drop_list("one")));
  EXPECT_EQ(refusal(), "400 invalid-value");
  ask("PUT", me("/acls/acl=one/activation-type?insert=first"),
      R"({"ietf-dots-data-channel:activation-type":"deactivate"})");
  EXPECT_EQ(refusal(), "400 invalid-value");
  get(me("/acls?insert=first"));
  EXPECT_EQ(refusal(), "400 invalid-value");
}

// D8783-7.2-24, R8040-3.5-01, R8040-4.8.6-01: entries of a list are placed in the same way
TEST_F(Acls, TheClientOrdersTheEntriesOfAList) {
  ASSERT_EQ(post(acls(acl("l", ace("one", "") + "," + ace("two", "")))), 201);
  const std::string aces = me("/acls/acl=l/aces");
  const auto body = [&](const std::string& name) {
    return R"({"ietf-dots-data-channel:ace":[)" + ace(name, "") + "]}";
  };
  const std::string two = point("l") + "%2Faces%2Face%3Dtwo";
  EXPECT_EQ(ask("POST", aces + "?insert=before&point=" + two, body("middle")).status, 201);
  EXPECT_EQ(header("Location"), aces + "/ace=middle");
  EXPECT_EQ(ask("PUT", aces + "/ace=first?insert=first", body("first")).status, 201);
  EXPECT_EQ(ask("PUT", aces + "/ace=end?insert=after&point=" + two, body("end")).status, 201);
  EXPECT_EQ(ask("POST", aces, body("last")).status, 201);
  EXPECT_EQ(order("/acls/acl=l/aces"), "first one middle two end last ");
  EXPECT_EQ(ask("PUT", aces + "/ace=middle", body("middle")).status, 204);
  EXPECT_EQ(ask("PUT", aces + "/ace=one?insert=last", body("one")).status, 204);
  EXPECT_EQ(order("/acls/acl=l/aces"), "first middle two end last one ");
  EXPECT_EQ(ask("POST", aces, body("one")).status, 409);
  EXPECT_EQ(ask("PUT", aces + "/ace=x?insert=after&point=" + point("l") + "%2Faces%2Face%3Dnone", body("x")).status,
            400);
  EXPECT_EQ(ask("DELETE", aces + "/ace=middle").status, 204);
  EXPECT_EQ(ask("DELETE", aces + "/ace=middle").status, 404);
  restart();
  EXPECT_EQ(order("/acls/acl=l/aces"), "first two end last one ");
}

// A set at once: the order of the body is the order from then on
TEST_F(Acls, AllAtOnce) {
  for (const char* name : {"one", "two", "three"}) ASSERT_EQ(put(name), 201);
  EXPECT_EQ(ask("PUT", me("/acls"), acls(drop_list("three") + "," + drop_list("new") + "," + drop_list("one"))).status,
            204);
  EXPECT_EQ(order(), "three new one ");
  get(me("/acls"));
  const std::string tag = header("ETag");
  EXPECT_EQ(ask("PUT", me("/acls"), acls(drop_list("three") + "," + drop_list("new") + "," + drop_list("one"))).status,
            204);
  EXPECT_EQ(header("ETag"), tag);  // the same again is a refresh
  EXPECT_EQ(ask("PATCH", me("/acls"), acls(drop_list("two"))).status, 204);
  EXPECT_EQ(order(), "three new one two ");
}

// D8783-7.2-28, D8783-7.2-29, D8783-7.2-30
TEST_F(Acls, LiveForAWeekWithoutARefresh) {
  ASSERT_EQ(post(acls(drop_list("old"))), 201);
  ASSERT_EQ(post(kFigure24), 201);
  pass(10079min);
  EXPECT_EQ(get(me("/acls/acl=old")).status, 200);
  const std::string echoed = get(me("/acls/acl=sample-ipv4-acl?content=all")).body;
  EXPECT_TRUE(says(R"("pending-lifetime":1,)")) << echoed;
  EXPECT_EQ(ask("PUT", me("/acls/acl=sample-ipv4-acl"), echoed).status, 204);
  pass(1min);
  EXPECT_EQ(order(), "sample-ipv4-acl ");
  EXPECT_EQ(events.size(), 0u);
  get(me("/acls"));
  EXPECT_TRUE(says(R"("pending-lifetime":10079,)")) << answer.body;
  EXPECT_EQ(domain->effective([](const auto&) { return true; }).size(), 1u);
  pass(10079min);
  EXPECT_TRUE(domain->effective([](const auto&) { return true; }).empty());
}

// D8783-7.4-01, D8783-7.4-02, D8783-7.4-03
TEST_F(Acls, ADeletedListIsGoneFromStoreAndEnforcement) {
  ASSERT_EQ(put("l"), 201);
  ASSERT_EQ(put("m"), 201);
  EXPECT_EQ(ask("DELETE", me("/acls/acl=l")).status, 204);
  EXPECT_EQ(answer.body, "");
  EXPECT_TRUE(events.back().filters);
  EXPECT_EQ(domain->effective([](const auto&) { return true; }).size(), 1u);
  EXPECT_EQ(store.data_entries.size(), 1u);
  ask("DELETE", me("/acls/acl=l"));
  EXPECT_EQ(refusal(), "404 invalid-value");
}

// D8783-3.1-16, D8783-3.1-17, D8783-3.1-18, D8783-7.2-21
TEST_F(Acls, ContradictionsOfTwoClients) {
  const std::string matches =
      R"("ipv4":{"source-ipv4-network":"192.0.2.0/24","destination-ipv4-network":"198.51.100.0/24"})";
  const std::string same =
      R"("ipv4":{"destination-ipv4-network":"198.51.100.9/24","source-ipv4-network":"192.0.2.1/24"})";
  ASSERT_EQ(post(acls(acl("mine", ace("r", matches)))), 201);
  EXPECT_EQ(post(acls(acl("also-mine", ace("r", matches, R"("forwarding":"accept")")))), 201);
  EXPECT_EQ(ask("DELETE", me("/acls/acl=also-mine")).status, 204);
  as("b");
  ASSERT_EQ(register_me(), 201);
  EXPECT_EQ(post(acls(acl("same-side", ace("r", same)))), 201);
  post(acls(acl("other-side", ace("r", same, R"("forwarding":"accept")"))));
  EXPECT_EQ(refusal(), "409 resource-denied");
  EXPECT_FALSE(says("mine")) << "nothing about others leaks: " << answer.body;
  EXPECT_EQ(events.front().kind, Event::Kind::conflict);
  EXPECT_NE(events.front().text.find("mine"), std::string::npos);
  as("a");
  EXPECT_EQ(get(me("/acls/acl=mine")).status, 200);
  options.conflicts = FilterConflict::accept;
  restart();
  as("b");
  EXPECT_EQ(post(acls(acl("other-side", ace("r", same, R"("forwarding":"accept")")))), 201);
  EXPECT_EQ(events.front().kind, Event::Kind::conflict);
  options.conflicts = FilterConflict::refuse;
  as("a");
  restart();
  EXPECT_EQ(ask("PUT", me("/acls/acl=mine"), acls(acl("mine", ace("r", matches)))).status, 409);
  as("b");
  ASSERT_EQ(ask("DELETE", me("/acls/acl=other-side")).status, 204);
  as("a");
  EXPECT_EQ(ask("PUT", me("/acls/acl=mine"), acls(acl("mine", ace("r", matches)))).status, 204);
}

// R8040-4.6.1-01: many entries at once find their places
TEST_F(Acls, APatchOfALongListMerges) {
  std::string before;
  std::string patch;
  for (int i = 0; i < 60; ++i) before += (i == 0 ? "" : ",") + ace("r" + std::to_string(i), "");
  for (int i = 30; i < 90; ++i)
    patch += (i == 30 ? "" : ",") + ace("r" + std::to_string(i), "", R"("forwarding":"accept")");
  ASSERT_EQ(post(acls(acl("l", before))), 201);
  EXPECT_EQ(ask("PATCH", me("/acls/acl=l"), acls(acl("l", patch))).status, 204);
  const auto filters = domain->effective([](const auto&) { return true; });
  const auto& entries = filters[0].filter->entries;
  ASSERT_EQ(entries.size(), 90u);
  for (std::size_t i = 0; i < entries.size(); ++i) {
    EXPECT_EQ(entries[i].name, "r" + std::to_string(i));
    EXPECT_EQ(entries[i].forwarding, i < 30 ? model::Forwarding::drop : model::Forwarding::accept);
  }
}

// R8040-3.5-01, R8040-4.6-01: leaves and containers of a list
TEST_F(Acls, PartsAreResources) {
  ASSERT_EQ(post(kFigure24), 201);
  const std::string l = me("/acls/acl=sample-ipv4-acl");
  EXPECT_EQ(ask("PUT", l + "/activation-type", R"({"ietf-dots-data-channel:activation-type":"deactivate"})").status,
            204);
  EXPECT_TRUE(domain->effective([](const auto&) { return true; }).empty());
  EXPECT_EQ(ask("DELETE", l + "/activation-type").status, 204);
  EXPECT_EQ(ask("DELETE", l + "/activation-type").status, 404);
  EXPECT_EQ(ask("PUT", l + "/aces/ace=rule1/matches/udp", R"({"ietf-dots-data-channel:udp":{"length":100}})").status,
            201);
  EXPECT_EQ(ask("PUT", l + "/aces/ace=rule1/matches/tcp/flags-bitmask",
                R"({"ietf-dots-data-channel:flags-bitmask":{"bitmask":2}})")
                .status,
            201);
  get(l + "/aces/ace=rule1/matches/udp");
  EXPECT_EQ(answer.status, 404) << "the other case of the choice is gone";
  EXPECT_EQ(get(l + "/aces/ace=rule1/matches/tcp/flags-bitmask/operator").body,
            R"({"ietf-dots-data-channel:operator":"match"})");
  EXPECT_EQ(
      ask("PATCH", l + "/aces/ace=rule1/actions", R"({"ietf-dots-data-channel:actions":{"rate-limit":"1.00"}})").status,
      400);
  EXPECT_EQ(ask("PATCH", l + "/aces/ace=rule1/actions",
                R"({"ietf-dots-data-channel:actions":{"forwarding":"accept","rate-limit":"1.00"}})")
                .status,
            204);
  EXPECT_EQ(ask("DELETE", l + "/aces/ace=rule1/actions").status, 400);
  EXPECT_EQ(error(), "missing-attribute");
  EXPECT_EQ(ask("DELETE", l + "/aces/ace=rule1/matches").status, 204);
  EXPECT_EQ(get(l + "/aces/ace=rule1/matches").body, R"({"ietf-dots-data-channel:matches":{}})");
  EXPECT_EQ(ask("POST", l + "/aces/ace=rule1", R"({"ietf-dots-data-channel:matches":{"icmp":{"type":8}}})").status,
            201);
  EXPECT_EQ(
      ask("PUT", l + "/aces/ace=none/actions/forwarding", R"({"ietf-dots-data-channel:forwarding":"drop"})").status,
      404);
  const auto filters = domain->effective([](const auto&) { return true; });
  EXPECT_EQ(filters[0].filter->entries[0].match.icmp->type, 8);
  EXPECT_EQ(filters[0].filter->entries[0].rate_limit_hundredths, 100u);
}

}  // namespace
}  // namespace dots::data
