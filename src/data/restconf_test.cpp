// What RFC 8040 asks of every resource: methods, queries, media types, errors, discovery.
#include <set>

#include "data/domain_fixture.h"

namespace dots::data {
namespace {

class Restconf : public DomainTest {
 protected:
  void SetUp() override { ASSERT_EQ(register_me(), 201); }
};

// R8040-3.1-01, D8783-3.1-05, R8040-3.1-04
TEST_F(Restconf, HostMetaNamesTheRoot) {
  options.root = "/top/restconf";
  restart();
  EXPECT_EQ(get("/.well-known/host-meta", {{"Accept", "application/xrd+xml"}}).status, 200);
  EXPECT_EQ(header("Content-Type"), "application/xrd+xml");
  EXPECT_TRUE(says("<XRD xmlns=\"http://docs.oasis-open.org/ns/xri/xrd-1.0\">")) << answer.body;
  EXPECT_TRUE(says("<Link rel=\"restconf\" href=\"/top/restconf\"/>")) << answer.body;
  EXPECT_EQ(answer.body.find("<Link"), answer.body.rfind("<Link"));
  EXPECT_EQ(get("/.well-known/host-meta").status, 200);
  EXPECT_EQ(header("Content-Type"), "application/xrd+xml");
  for (const char* target : {"/.well-known/host-meta.json", "/.well-known/host-meta"}) {
    EXPECT_EQ(get(target, {{"Accept", "application/json"}}).status, 200);
    EXPECT_EQ(answer.body, R"({"links":[{"rel":"restconf","href":"/top/restconf"}]})");
  }
  get("/.well-known/host-meta", {{"Accept", "text/html"}});
  EXPECT_EQ(refusal(), "406 invalid-value");
  // every other path starts at this root
  EXPECT_EQ(get("/top/restconf/data/ietf-dots-data-channel:dots-data/capabilities").status, 200);
  EXPECT_EQ(get(dots("/capabilities")).status, 404);
}

// R8040-3.3-01, R8040-3.3.1-01, R8040-3.3.2-01, R8040-3.3.3-01, R8040-3.6-01, R8040-3.4-01
TEST_F(Restconf, TheApiResource) {
  EXPECT_EQ(get("/restconf").body,
            R"({"ietf-restconf:restconf":{"data":{},"operations":{},"yang-library-version":"2019-01-04"}})");
  EXPECT_EQ(get("/restconf/yang-library-version").body, R"({"ietf-restconf:yang-library-version":"2019-01-04"})");
  EXPECT_EQ(get("/restconf/operations").body, R"({"ietf-restconf:operations":{}})");
  ask("POST", "/restconf/operations/x:y", R"({"x:input":{}})");
  EXPECT_EQ(refusal(), "404 invalid-value");
  get("/restconf/data");
  EXPECT_TRUE(says(R"({"ietf-restconf:data":{"ietf-dots-data-channel:dots-data":{"dots-client":[{"cuid":"a")"))
      << answer.body;
  for (const char* method : {"DELETE", "PUT"}) {
    ask(method, "/restconf/data", method[0] == 'P' ? "{}" : "");
    EXPECT_EQ(refusal(), "405 operation-not-supported");
  }
  ask("POST", "/restconf/data", R"({"ietf-dots-data-channel:dots-data":{}})");
  EXPECT_EQ(refusal(), "409 resource-denied");
}

// R8040-4.1-01, R8040-4.1-02
TEST_F(Restconf, OptionsListsTheMethods) {
  const auto allow = [&](const std::string& target) {
    EXPECT_EQ(ask("OPTIONS", target).status, 204);
    EXPECT_EQ(header("Accept-Patch"), kType);
    EXPECT_EQ(answer.body, "");
    return header("Allow");
  };
  EXPECT_EQ(allow(me("/aliases/alias=x")), "GET, HEAD, OPTIONS, POST, PUT, PATCH, DELETE");
  EXPECT_EQ(allow(me("/acls")), "GET, HEAD, OPTIONS, POST, PUT, PATCH");
  EXPECT_EQ(allow(me("/acls/acl=x/activation-type")), "GET, HEAD, OPTIONS, PUT, PATCH, DELETE");
  EXPECT_EQ(allow(dots("/capabilities")), "GET, HEAD, OPTIONS");
  EXPECT_EQ(allow(me("/acls/acl=x/pending-lifetime")), "GET, HEAD, OPTIONS");
  EXPECT_EQ(allow(dots()), "GET, HEAD, OPTIONS, POST, PATCH");
  ask("OPTIONS", "*");
  EXPECT_EQ(answer.status, 204);
  EXPECT_NE(header("Allow"), "");
}

// R8040-7-02, R8040-4.7-03, R8040-4.2-01: what a resource does not take, and what nobody takes
TEST_F(Restconf, OtherMethods) {
  ASSERT_EQ(post(aliases(alias("x"))), 201);
  ASSERT_EQ(post(acls(drop_list("l"))), 201);
  const std::pair<const char*, std::string> refused[] = {{"DELETE", me("/aliases/alias")},
                                                         {"DELETE", me("/acls/acl")},
                                                         {"DELETE", me("/acls/acl=l/aces/ace")},
                                                         {"DELETE", me("/acls")},
                                                         {"DELETE", me("/acls/acl=l/aces")},
                                                         {"DELETE", dots()},
                                                         {"DELETE", dots("/dots-client")},
                                                         {"PUT", me("/aliases/alias=x/name")},
                                                         {"PUT", me("/cuid")},
                                                         {"PUT", me("/cdid")},
                                                         {"PATCH", me("/aliases/alias=x/pending-lifetime")},
                                                         {"POST", me("/acls/acl=l/activation-type")},
                                                         {"PUT", "/restconf"},
                                                         {"POST", "/restconf/yang-library-version"}};
  for (const auto& [method, target] : refused) {
    ask(method, target, *method == 'D' ? "" : "{}");
    EXPECT_EQ(refusal(), "405 operation-not-supported") << method << " " << target;
    EXPECT_NE(header("Allow"), "");
  }
  EXPECT_EQ(get(me("/acls/acl=l")).status, 200);
  for (const char* method : {"TRACE", "CONNECT", "BREW", "get", ""}) {
    ask(method, me());
    EXPECT_EQ(refusal(), "501 operation-not-supported") << method;
  }
}

// R8040-4.2-01
TEST_F(Restconf, HeadIsGetWithoutItsBody) {
  ASSERT_EQ(post(aliases(alias("x"))), 201);
  for (const std::string& target : {me(), me("/aliases?content=config&depth=1"), std::string("/restconf"),
                                    dots("/capabilities"), me("/aliases/alias=none"), me("?content=wrong")}) {
    const ports::HttpAnswer got = get(target);
    ask("HEAD", target);
    EXPECT_EQ(answer.status, got.status);
    EXPECT_EQ(answer.headers, got.headers) << target;
    EXPECT_EQ(answer.body.size(), got.body.size());
  }
}

// R8040-3.5.3-01, R8040-3.5.3-02, R8040-4.4.1-06
TEST_F(Restconf, PathsThatNameNothing) {
  for (const std::string& target :
       {std::string("/"), std::string("/other"), std::string("/restconfx"), std::string("/restconf/data/dots-data"),
        std::string("/restconf/data/ietf-foreign:dots-data"), dots("/nothing"), me("/nothing"), me("/aliases/acl=x"),
        me("//aliases"), me("/aliases/alias=x/target-prefix/more"), std::string("/restconf/database")}) {
    get(target);
    EXPECT_TRUE(answer.status == 404 || answer.status == 400) << target << answer.status;
    EXPECT_EQ(error(), "invalid-value");
  }
  EXPECT_EQ(get("/restconf/data/dots-data").status, 404);
  EXPECT_EQ(get(dots("/dots-client/aliases")).status, 400);
  EXPECT_EQ(get(dots("/dots-client=a,b")).status, 400);
  EXPECT_EQ(get(dots("/dots-client=")).status, 400);
  EXPECT_EQ(get(me("/aliases=x")).status, 400);
  EXPECT_EQ(get(me("/ietf-dots-data-channel:aliases")).status, 200);
  EXPECT_EQ(get(me("/other:aliases")).status, 404);
  EXPECT_EQ(get(me("/aliases/alias=" + std::string(9000, 'x'))).status, 414);
  EXPECT_EQ(ask("POST", dots("/dots-client=none"), aliases(alias("x"))).status, 404);
}

// R8040-4.8.1-02, R8040-4.8-01, R8040-4.8-02, R8040-4.8-03, R8040-4.8-04, R8040-4.8.4-01, R8040-4.8.9-01,
// R8040-4.8.2-03, R8040-4.8.3-03
TEST_F(Restconf, QueriesThatAreRefused) {
  for (const char* query : {"content=all&content=all",
                            "Content=all",
                            "content=ALL",
                            "foo=1",
                            "content",
                            "depth=0",
                            "depth=65536",
                            "depth=x",
                            "depth=",
                            "depth=-1",
                            "filter=x",
                            "start-time=x",
                            "stop-time=x",
                            "with-defaults=report-all",
                            "fields=nothing",
                            "fields=alias(",
                            "fields=",
                            "fields=alias)",
                            "fields=alias//name",
                            "point=%2Fx",
                            "content=%zz"}) {
    get(me("/aliases?" + std::string(query)));
    EXPECT_EQ(refusal(), "400 invalid-value") << query;
  }
  for (const char* query : {"depth=1", "content=all", "fields=name", "foo=1"}) {
    for (const char* method : {"PUT", "PATCH", "POST", "DELETE"}) {
      ask(method, me("/aliases/alias=x?" + std::string(query)), *method == 'D' ? "" : aliases(alias("x")));
      EXPECT_EQ(refusal(), "400 invalid-value") << method << query;
    }
  }
  for (const char* target : {"/restconf?content=all", "/.well-known/host-meta?x=1"}) {
    get(target);
    EXPECT_EQ(refusal(), "400 invalid-value");
  }
  const std::string both = get(me("?depth=2&content=config")).body;
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(get(me("?content=config&depth=2")).body, both);
}

// What a peer sent is quoted, but never as something that is no text.
TEST_F(Restconf, MessagesAreText) {
  const std::string odd(100, '\xe3');
  for (const std::string& target : {me("/aliases?fields=" + odd), me("?x\x01" + odd + "=1"), me("/" + odd),
                                    me("/aliases/alias=" + odd), me("/aliases/alias=%ff%00")}) {
    get(target);
    EXPECT_GE(answer.status, 400);
    EXPECT_NE(error(), "");
    EXPECT_EQ(events.back().text.find_first_of("\xe3\x01"), std::string::npos);
  }
  post(aliases(
      R"({"name":"x","\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9x\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9":1})"));
  EXPECT_EQ(refusal(), "400 unknown-element");
}

// R8040-4.8.2-01, R8040-4.8.2-02
TEST_F(Restconf, DepthCutsLevels) {
  ASSERT_EQ(post(aliases(alias("x", R"("target-fqdn":["example.net"],"target-port-range":[{"lower-port":80}])"))), 201);
  const auto depth = [&](const std::string& rest, const std::string& levels) {
    return get(me(rest + "?content=config&depth=" + levels)).body;
  };
  EXPECT_EQ(depth("", "1"), R"({"ietf-dots-data-channel:dots-client":[]})");
  EXPECT_EQ(depth("", "2"), R"({"ietf-dots-data-channel:dots-client":[{"cuid":"a","aliases":{},"acls":{}}]})");
  EXPECT_EQ(depth("", "3"),
            R"({"ietf-dots-data-channel:dots-client":[{"cuid":"a","aliases":{"alias":[]},"acls":{}}]})");
  EXPECT_EQ(depth("", "4"), R"({"ietf-dots-data-channel:dots-client":[{"cuid":"a","aliases":{"alias":[{"name":"x",)"
                            R"("target-port-range":[],"target-fqdn":["example.net"]}]},"acls":{}}]})");
  EXPECT_EQ(depth("", "5"), depth("", "unbounded"));
  EXPECT_EQ(depth("", "65535"), depth("", "unbounded"));
  EXPECT_EQ(depth("/aliases", "1"), R"({"ietf-dots-data-channel:aliases":{}})");
  EXPECT_EQ(depth("/aliases", "2"), R"({"ietf-dots-data-channel:aliases":{"alias":[]}})");
  EXPECT_EQ(get("/restconf/data?depth=1").body, R"({"ietf-restconf:data":{}})");
  for (int levels = 1; levels < 8; ++levels) {
    const std::string body = get("/restconf/data?content=config&depth=" + std::to_string(levels)).body;
    EXPECT_EQ(levels >= 6, body.find("\"name\":\"x\"") != std::string::npos) << levels << body;
  }
}

// R8040-4.8.3-01, R8040-4.8.3-02
TEST_F(Restconf, FieldsPruneTheAnswer) {
  ASSERT_EQ(post(aliases(alias(
                "x", R"("target-fqdn":["example.net"],"target-port-range":[{"lower-port":80,"upper-port":81}])"))),
            201);
  ASSERT_EQ(post(acls(drop_list("l"))), 201);
  const auto fields = [&](const std::string& rest, const std::string& which) {
    return get(me(rest + "?fields=" + which)).body;
  };
  EXPECT_EQ(fields("/aliases", "alias(name;target-fqdn)"),
            R"({"ietf-dots-data-channel:aliases":{"alias":[{"name":"x","target-fqdn":["example.net"]}]}})");
  EXPECT_EQ(fields("", "acls%2Facl%2Factivation-type;aliases/alias/target-port-range(upper-port)"),
            R"({"ietf-dots-data-channel:dots-client":[{"cuid":"a","aliases":{"alias":[{"name":"x",)"
            R"("target-port-range":[{"lower-port":80,"upper-port":81}]}]},"acls":{"acl":[{"name":"l"}]}}]})");
  EXPECT_EQ(fields("/aliases", "alias;alias(name)"), get(me("/aliases")).body);
  EXPECT_EQ(get("/restconf/data/ietf-yang-library:modules-state?fields=module-set-id").status, 200);
  EXPECT_FALSE(says("module\""));
}

// R8040-9.2-01, R8040-5.1-01, R8040-9.1-01, R8040-9.1-02, R8040-9.1-03, R8040-3.5.4-03
TEST_F(Restconf, CapabilitiesSayWhatIsOffered) {
  EXPECT_EQ(get("/restconf/data/ietf-restconf-monitoring:restconf-state/capabilities").body,
            R"({"ietf-restconf-monitoring:capabilities":{"capability":[)"
            R"("urn:ietf:params:restconf:capability:defaults:1.0?basic-mode=explicit",)"
            R"("urn:ietf:params:restconf:capability:depth:1.0","urn:ietf:params:restconf:capability:fields:1.0"]}})");
  ASSERT_EQ(post(acls(acl("l", ace("r", "")))), 201);
  get(me("/acls/acl=l"));
  EXPECT_FALSE(says("activation-type")) << "basic-mode explicit: only what was set";
  EXPECT_EQ(get("/restconf/data/ietf-restconf-monitoring:restconf-state/streams").status, 404);
  ask("DELETE", "/restconf/data/ietf-restconf-monitoring:restconf-state");
  EXPECT_EQ(refusal(), "405 operation-not-supported");
}

// R8040-10-01, R8525-3-01, D8783-4.3-01, S8612-DM-001-01, S8612-DM-002-01
TEST_F(Restconf, TheLibraryListsTheModules) {
  get("/restconf/data/ietf-yang-library:yang-library");
  EXPECT_TRUE(says(R"("module":[{"name":"ietf-dots-data-channel","revision":"2020-05-28",)"
                   R"("namespace":"urn:ietf:params:xml:ns:yang:ietf-dots-data-channel"})"))
      << answer.body;
  for (const char* module : {"ietf-access-control-list", "ietf-packet-fields", "ietf-inet-types", "ietf-yang-types",
                             "ietf-ethertypes", "ietf-restconf-monitoring", "ietf-yang-library"}) {
    EXPECT_TRUE(says("\"" + std::string(module) + "\"")) << module;
  }
  EXPECT_TRUE(says(R"("name":"ietf-datastores:running")") && says("content-id"));
  get("/restconf/data/ietf-yang-library:modules-state/module=ietf-dots-data-channel,2020-05-28");
  EXPECT_EQ(answer.body,
            R"({"ietf-yang-library:module":[{"name":"ietf-dots-data-channel","revision":"2020-05-28",)"
            R"("namespace":"urn:ietf:params:xml:ns:yang:ietf-dots-data-channel","conformance-type":"implement"}]})");
  EXPECT_EQ(get("/restconf/data/ietf-yang-library:modules-state/module=ietf-dots-data-channel").status, 400);
}

// R8525-3-02: it follows from the names and revisions of all modules, so that another set has another one.
TEST_F(Restconf, TheContentIdFollowsFromTheModules) {
  get("/restconf/data/ietf-yang-library:modules-state");
  const auto state = wire::parse_json(answer.body);
  ASSERT_TRUE(state);
  const auto* top = state->member("ietf-yang-library:modules-state");
  ASSERT_TRUE(top != nullptr && top->member("module") != nullptr && top->member("module-set-id") != nullptr);
  std::uint64_t hash = 14695981039346656037U;
  for (const auto& module : top->member("module")->entries) {
    for (const char c : module.member("name")->text + module.member("revision")->text) {
      hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211U;
    }
  }
  EXPECT_GE(top->member("module")->entries.size(), 9u);
  EXPECT_EQ(top->member("module-set-id")->text, std::to_string(hash));
  get("/restconf/data/ietf-yang-library:yang-library");
  EXPECT_TRUE(says("\"content-id\":\"" + std::to_string(hash) + "\""));
}

// S9133-3.2.2-03: the module of filter control describes messages, it is nothing that RESTCONF manages.
TEST_F(Restconf, FilterControlIsNoneOfItsModules) {
  get("/restconf/data/ietf-yang-library:modules-state");
  EXPECT_FALSE(says("ietf-dots-signal-control"));
  get("/restconf/data/ietf-dots-signal-control:acl-list");
  EXPECT_EQ(answer.status, 404) << answer.body;
  EXPECT_EQ(ask("PUT", "/restconf/data/ietf-dots-signal-control:acl-list", "{}").status, 404);
}

// R8040-5.2-02, R8040-5.2-04, R8040-5.2-05, R8040-5.2-07, R8040-7.1-07, D8783-6.2-07
TEST_F(Restconf, Accept) {
  for (const char* good : {"application/yang-data+json", "*/*", "application/*", "APPLICATION/yang-data+JSON",
                           "text/html, application/yang-data+json;q=0.1", "application/yang-data+json; charset=utf-8",
                           "application/yang-data+xml;q=0.9, */*;q=0.001", "text/html;q=0, */*"}) {
    EXPECT_EQ(get(me(), {{"Accept", good}}).status, 200) << good;
  }
  EXPECT_EQ(get(me(), {{"Accept", "text/html"}, {"Accept", "*/*"}}).status, 200);
  for (const char* bad :
       {"text/html", "application/yang-data+xml", "application/json", "application/yang-data+json;q=0", "*/*;q=0.0",
        "application/yang-data+json;q=0, application/*", ""}) {
    get(me(), {{"Accept", bad}});
    EXPECT_EQ(refusal(), "406 invalid-value") << bad;
  }
}

// R8040-5.2-06, R8040-3.2-01, R8040-5.2-03
TEST_F(Restconf, ContentType) {
  const auto put = [&](const ports::HttpHeaders& headers) {
    return take(domain->request({"PUT", me("/aliases/alias=x"), headers, aliases(alias("x"))}, asker, now)).status;
  };
  for (const char* bad : {"text/plain", "application/json", "application/yang-data+xml", "", "application/yang-data",
                          "application/yang-data+json; charset=latin1"}) {
    EXPECT_EQ(put({{"Content-Type", bad}}), 415) << bad;
    EXPECT_EQ(error(), "invalid-value");
  }
  EXPECT_EQ(put({}), 415);
  EXPECT_EQ(get(me("/aliases/alias=x")).status, 404);
  EXPECT_EQ(put({{"content-type", "Application/YANG-data+json; charset=\"UTF-8\""}}), 201);
  EXPECT_EQ(put({{"Content-Type", "application/yang-data+json;charset=utf-8"}}), 204);
}

// R8040-7.1-01, R8040-7.1-02, R8040-7.1-03, R8040-7.1-04, R8040-7.1-05, R8040-5.4-01, D8783-3.1-04
TEST_F(Restconf, MalformedBodies) {
  for (const char* body :
       {"{", "nonsense", "{\"a\":1,\"a\":2}", "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]", "\xff"}) {
    ask("PUT", me("/aliases/alias=x"), body);
    EXPECT_EQ(refusal(), "400 malformed-message") << body;
    EXPECT_EQ(error("error-type"), "rpc");
    EXPECT_NE(error("error-message"), "");
  }
  post(aliases(alias("x", R"("target-prefix":["bad"])")));
  EXPECT_EQ(error("error-path"), "/ietf-dots-data-channel:dots-data/dots-client/aliases/alias/target-prefix");
  EXPECT_EQ(error("error-type"), "application");
  for (const char* deep : {"{\"x:y\":", "[", "{\"ietf-dots-data-channel:aliases\":"}) {
    std::string body;
    for (int i = 0; i < 5000; ++i) body += deep;
    EXPECT_EQ(ask("PUT", me("/aliases/alias=x"), body).status, 400);
  }
}

// R8040-5.5-01, R8040-5.4-02
TEST_F(Restconf, EveryAnswerSaysHowItMayBeCached) {
  const auto checked = [&] {
    EXPECT_EQ(header("Cache-Control"), "no-cache") << answer.status << answer.body;
    EXPECT_EQ(answer.status >= 400, says("ietf-restconf:errors"));
  };
  const std::pair<const char*, std::string> requests[] = {{"GET", me()},        {"GET", me("/none")},
                                                          {"OPTIONS", me()},    {"BREW", me()},
                                                          {"HEAD", "/x"},       {"GET", "/.well-known/host-meta"},
                                                          {"GET", "/restconf"}, {"PUT", me("/aliases/alias=y")},
                                                          {"DELETE", dots()}};
  for (const auto& [method, target] : requests) {
    ask(method, target);
    checked();
  }
  ASSERT_EQ(post(aliases(alias("x"))), 201);
  checked();
  ASSERT_EQ(ask("DELETE", me("/aliases/alias=x")).status, 204);
  checked();
}

// D8783-3.4-02, D8783-3.4-03, D8783-3.4-04, D8783-3.4-05, D8783-3.4-06
TEST_F(Restconf, ALoopIsFoundInVia) {
  options.own_names = {"gw.example.net", "192.0.2.1", "2001:db8::1"};
  restart();
  for (const char* via : {"1.1 gw.example.net", "1.1 other, 1.1 GW.example.net:4443 (comment, with comma)",
                          "HTTP/1.1 192.0.2.1", "1.1 a,1.1 [2001:db8::1]:443", "1.1 gw.example.net."}) {
    get(me(), {{"Via", via}});
    EXPECT_EQ(refusal(), "508 operation-failed") << via;
    EXPECT_EQ(error("error-app-tag"), "loop-detected");
    EXPECT_EQ(error("error-type"), "transport");
    EXPECT_NE(error("error-message"), "");
    EXPECT_NE(answer.body.find(R"("error-info":{"via-header":")" + std::string(via)), std::string::npos) << answer.body;
    EXPECT_EQ(events.back().kind, Event::Kind::looped);
  }
  get(me(), {{"Via", "1.1 other"}, {"Via", "1.1 gw.example.net"}});
  EXPECT_EQ(answer.status, 508);
  for (const char* via :
       {"1.1 other", "1.1 not-gw.example.net", "1.1 other (gw.example.net)", "gw.example.net", "1.1 192.0.2.10"}) {
    EXPECT_EQ(get(me(), {{"Via", via}}).status, 200) << via;
  }
}

// A8040-04: a list without keys
TEST_F(Restconf, AListWithoutKeysGivesAllItsEntries) {
  ASSERT_EQ(post(acls(drop_list("l") + "," + drop_list("m", "192.0.2.1/32"))), 201);
  get(me("/acls/acl?content=nonconfig&fields=name"));  // R8040-4.3-06
  EXPECT_EQ(answer.body, R"({"ietf-dots-data-channel:acl":[{"name":"l"},{"name":"m"}]})");
  get(dots("/dots-client?depth=2"));
  EXPECT_EQ(answer.body, R"({"ietf-dots-data-channel:dots-client":[{"cuid":"a","aliases":{},"acls":{}}]})");
  EXPECT_EQ(get(me("/aliases/alias")).status, 404);
}

// R8040-3.3.1-01, A8783-16, A8783-01 (both reply forms)
TEST_F(Restconf, EmptyContainersAndTheFormOfSingleEntries) {
  EXPECT_EQ(get(me("/aliases")).body, R"({"ietf-dots-data-channel:aliases":{}})");
  EXPECT_EQ(get(me("/acls?content=config")).body, R"({"ietf-dots-data-channel:acls":{}})");
  ASSERT_EQ(post(aliases(alias("x"))), 201);
  options.wrap_entries = false;
  restart();
  EXPECT_EQ(get(me("/aliases/alias=x?content=config")).body,
            R"({"ietf-dots-data-channel:alias":[{"name":"x","target-prefix":["198.51.100.1/32"]}]})");
  EXPECT_EQ(get(me("/aliases/alias=x?content=nonconfig")).body,
            R"({"ietf-dots-data-channel:alias":[{"name":"x","pending-lifetime":10080}]})");
  EXPECT_EQ(get(me("/cuid")).body, R"({"ietf-dots-data-channel:cuid":"a"})");
  EXPECT_EQ(get(me("/cuid?content=nonconfig")).status, 404);
  EXPECT_EQ(get(dots("/capabilities?content=config")).status, 404);
  EXPECT_EQ(get(me("/cdid")).status, 404);
}

// R7951-6.8-01 (the other form of the answers: A8783-02)
TEST_F(Restconf, IdentitiesAreWrittenWithTheirModuleWhereThatIsAskedFor) {
  ASSERT_EQ(get(dots("/capabilities/forwarding-actions")).body,
            R"({"ietf-dots-data-channel:forwarding-actions":["drop","accept"]})");
  options.qualified_identities = true;
  restart();
  EXPECT_EQ(get(dots("/capabilities/forwarding-actions")).body,
            R"({"ietf-dots-data-channel:forwarding-actions":["ietf-access-control-list:drop",)"
            R"("ietf-access-control-list:accept"]})");
}

void expect_no_signal_attributes(const Node& of) {
  for (const char* name : {"max-payloads", "non-max-retransmit", "non-timeout", "non-receive-timeout",
                           "non-probing-wait", "non-partial-wait", "heartbeat-interval"}) {
    EXPECT_EQ(of.child(name), nullptr) << of.name << "/" << name;
  }
  for (const Node* child : of.children) expect_no_signal_attributes(*child);
}

// D9362-5-04
TEST_F(Restconf, WhatTheSignalChannelAgreesOnIsNotInTheTree) {
  expect_no_signal_attributes(datastore());
  get("/restconf/data/ietf-yang-library:yang-library");
  EXPECT_FALSE(says("ietf-dots-robust-trans"));
  EXPECT_EQ(get(me("/session-config")).status, 404);
}

}  // namespace
}  // namespace dots::data
