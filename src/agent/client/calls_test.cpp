// Operators' calls to a client, and what is shown when (docs/api.md; ARCHITECTURE: durable before visible).
#include "agent/client/client_harness.h"
#include "ops/facts/messages.h"

namespace dots::agent::client {
namespace {

using Outcome = CallAnswer::Outcome;

// S8612-SIG-008-06, S8612-SIG-008-10, S8811-1.3-02, S8811-3.3.1-01
TEST(ClientCallsTest, MitigateIsAnsweredOnceItIsStored) {
  ClientHarness h;
  h.commit_time = 50ms;
  h.start();
  h.advance(1s);
  const auto ticket = h.call("mitigate", {{"target-prefix", {"203.0.113.1"}},
                                          {"target-protocol", {"udp", 6}},
                                          {"target-port-range", {"53", "8000-8080"}},
                                          {"target-fqdn", {"www.example.net"}},
                                          {"lifetime", 600},
                                          {"note", "ticket 7"}});
  h.advance(49ms);
  EXPECT_FALSE(h.answers.contains(ticket));
  EXPECT_TRUE(h.requests("PUT mitigate").empty());
  h.advance(1ms);
  const auto& mitigation = h.answered(ticket).body.at("mitigation");
  EXPECT_EQ(mitigation.at("mid").to_number<int>(), 1);
  EXPECT_EQ(mitigation.at("cuid").as_string(), "z85PF07F0YiHmas-fJkqRg");
  EXPECT_EQ(mitigation.at("server").as_string(), "upstream");
  EXPECT_EQ(mitigation.at("author").as_string(), "alice");
  EXPECT_EQ(mitigation.at("note").as_string(), "ticket 7");
  EXPECT_EQ(mitigation.at("requested-lifetime").to_number<int>(), 600);
  EXPECT_EQ(mitigation.at("target-prefix"), (boost::json::array{"203.0.113.1/32"}));
  EXPECT_EQ(mitigation.at("target-protocol"), (boost::json::array{17, 6}));
  EXPECT_EQ(mitigation.at("target-port-range"), (boost::json::array{"53", "8000-8080"}));
  EXPECT_EQ(mitigation.at("target-fqdn"), (boost::json::array{"www.example.net"}));
  EXPECT_EQ(h.store.client_requests.size(), 1u);
  h.advance(1s);
  const auto puts = h.requests("PUT mitigate");
  ASSERT_EQ(puts.size(), 1u);
  const auto body = wire::decode_mitigation_request(puts[0].request.payload);
  ASSERT_TRUE(body) << body.error().diagnostic;
  model::MitigationRequest expected;
  expected.scope.target_prefix = {*model::parse_prefix("203.0.113.1/32")};
  expected.scope.target_protocol = {17, 6};
  expected.scope.target_port_range = {{53, 53}, {8000, 8080}};
  expected.scope.target_fqdn = {"www.example.net"};
  expected.lifetime = model::Lifetime{600};
  EXPECT_EQ(*body, expected);
}

TEST(ClientCallsTest, WaitAnswersWithTheServersWord) {
  ClientHarness h;
  h.start();
  h.advance(1s);
  const auto ticket = h.call("mitigate", {{"target-prefix", {"203.0.113.1/32"}}, {"wait", true}});
  h.advance(5ms);
  EXPECT_FALSE(h.answers.contains(ticket));
  h.advance(1s);
  EXPECT_EQ(h.answered(ticket).body.at("mitigation").at("phase").as_string(), "active");
  EXPECT_EQ(h.answered(ticket).body.at("mitigation").at("lifetime").to_number<int>(), 3599);
  const auto withdrawal = h.call("withdraw", {{"mid", 1}, {"wait", 5}, {"note", "false alarm"}});
  h.advance(4s);
  EXPECT_EQ(h.answered(withdrawal).body.at("mitigation").at("phase").as_string(), "ended");
  // Who asked, and how that was known; what the server answers is nobody's call.
  for (const auto& line : h.audit) {
    EXPECT_EQ(line.credential.starts_with("user id "), line.actor.starts_with("operator ")) << line.action;
  }
  EXPECT_TRUE(std::any_of(h.audit.begin(), h.audit.end(), [](const auto& line) { return line.action == "withdraw"; }));
}

// S9132-4.4.3-06, S8612-SIG-009-01, S8811-2.2.1-03: with an empty If-Match, and the same body but for the
// attack-status.
TEST(ClientCallsTest, EfficacyIsToldWithIfMatch) {
  ClientHarness h;
  h.start();
  h.advance(1s);
  h.call("mitigate", {{"target-prefix", {"203.0.113.1/32"}}});
  h.advance(1s);
  EXPECT_EQ(h.answered(h.call("efficacy", {{"mid", 1}, {"attack-status", "fine"}})).outcome, Outcome::bad_request);
  EXPECT_EQ(h.answered(h.call("efficacy", {{"mid", 1}})).outcome, Outcome::bad_request);
  const auto ticket = h.call("efficacy", {{"mid", 1}, {"attack-status", "under-attack"}});
  h.advance(1s);
  EXPECT_EQ(h.answered(ticket).outcome, Outcome::ok);
  const auto puts = h.requests("PUT mitigate");
  ASSERT_EQ(puts.size(), 2u);
  EXPECT_TRUE(puts[0].request.if_match.empty());
  EXPECT_EQ(puts[1].request.if_match, std::vector<base::Bytes>{{}});
  const auto body = wire::decode_mitigation_request(puts[1].request.payload);
  ASSERT_TRUE(body);
  EXPECT_EQ(body->attack_status, model::AttackStatus::under_attack);
  EXPECT_EQ(body->scope.target_prefix, std::vector<model::Prefix>{*model::parse_prefix("203.0.113.1/32")});
}

// S9133-3.2.1-01, S9133-3.2.1-08, S9133-3.2.1-13: a new request with the same scope; refused while nothing is
// mitigated.
TEST(ClientCallsTest, FiltersAreSwitchedWithANewMid) {
  ClientHarness h;
  h.start();
  h.advance(1s);
  const boost::json::value off{{{"acl-name", "x"}, {"activation-type", "deactivate"}}};
  EXPECT_EQ(h.answered(h.call("filter-control", {{"mid", 1}, {"acl-list", off}})).outcome, Outcome::not_found);
  h.call("mitigate", {{"target-prefix", {"203.0.113.1/32"}}});
  h.advance(1s);
  EXPECT_EQ(h.answered(h.call("filter-control", {{"mid", 1}})).outcome, Outcome::bad_request);
  EXPECT_EQ(h.answered(h.call("filter-control", {{"mid", 1}, {"acl-list", "x"}})).outcome, Outcome::bad_request);
  const boost::json::value strange{{{"acl-name", "x"}, {"activation-type", "sometimes"}}};
  EXPECT_EQ(h.answered(h.call("filter-control", {{"mid", 1}, {"acl-list", strange}})).outcome, Outcome::bad_request);
  const auto ticket = h.call("filter-control", {{"mid", 1}, {"acl-list", off}});
  h.advance(1s);
  ASSERT_EQ(h.answered(ticket).outcome, Outcome::ok) << h.answered(ticket).message;
  EXPECT_EQ(h.answered(ticket).body.at("mitigation").at("mid").to_number<int>(), 2);
  const auto puts = h.requests("PUT mitigate");
  ASSERT_EQ(puts.size(), 2u);
  const auto body = wire::decode_mitigation_request(puts[1].request.payload, wire::FilterControl::on);
  ASSERT_TRUE(body);
  EXPECT_EQ(body->acl_list, (std::vector<model::AclActivation>{{"x", model::ActivationType::deactivate}}));
  EXPECT_EQ(body->scope.target_prefix, std::vector<model::Prefix>{*model::parse_prefix("203.0.113.1/32")});
}

TEST(ClientCallsTest, WaitIsBounded) {
  ClientHarness h;
  h.lost_request = [](const coap::Request&) { return true; };
  h.start();
  h.advance(1s);
  const auto ticket = h.call("mitigate", {{"target-prefix", {"203.0.113.1/32"}}, {"wait", 4}});
  h.advance(3999ms);
  EXPECT_FALSE(h.answers.contains(ticket));
  h.advance(10ms);
  EXPECT_EQ(h.answered(ticket).body.at("mitigation").at("phase").as_string(), "requesting");
  const auto longest = h.call("mitigate", {{"target-prefix", {"203.0.113.2/32"}}, {"wait", 100000}});
  h.advance(61s);
  EXPECT_EQ(h.answered(longest).outcome, Outcome::ok);
}

// S8811-2-01
TEST(ClientCallsTest, ARefusalShowsTheDiagnosticOfTheServer) {
  ClientHarness h;
  h.custom = [](const coap::Request& request) -> std::optional<coap::Response> {
    if (request.method != wire::Method::put || request.uri_path[2] != "mitigate") return std::nullopt;
    coap::Response response;
    response.code = model::ResponseCode::bad_request;
    response.payload = bytes_of("203.0.113.1/32 is not\x1b yours");
    return response;
  };
  h.start();
  h.advance(1s);
  const auto ticket = h.call("mitigate", {{"target-prefix", {"203.0.113.1/32"}}, {"wait", true}});
  h.advance(1s);
  EXPECT_EQ(h.answered(ticket).body.at("mitigation").at("refusal").as_string(), "4.00: 203.0.113.1/32 is not  yours");
}

TEST(ClientCallsTest, BadArgumentsAreNamed) {
  ClientHarness h;
  h.start();
  const auto message = [&](const std::string& operation, boost::json::object arguments) {
    const auto ticket = h.call(operation, std::move(arguments));
    EXPECT_EQ(h.answered(ticket).outcome, Outcome::bad_request);
    return h.answered(ticket).message;
  };
  EXPECT_NE(message("mitigate", {}).find("no target"), std::string::npos);
  EXPECT_NE(message("mitigate", {{"target-prefix", {"203.0.113.0/33"}}}).find("target-prefix"), std::string::npos);
  EXPECT_NE(message("mitigate", {{"target-prefix", {"127.0.0.1"}}}).find("127.0.0.1"), std::string::npos);
  EXPECT_NE(message("mitigate", {{"target-port-range", {"90-80"}}}).find("90-80"), std::string::npos);
  EXPECT_NE(message("mitigate", {{"target-port-range", {"65536"}}}).find("65536"), std::string::npos);
  EXPECT_NE(message("mitigate", {{"target-protocol", {"256"}}}).find("256"), std::string::npos);
  EXPECT_NE(message("mitigate", {{"target-protocol", {"udq"}}}).find("udq"), std::string::npos);
  EXPECT_NE(message("mitigate", {{"target-prefix", 1.5}}).find("target-prefix"), std::string::npos);
  EXPECT_NE(message("mitigate", {{"target-prefix", {"203.0.113.1"}}, {"lifetime", 0}}).find("lifetime"),
            std::string::npos);
  EXPECT_NE(message("mitigate", {{"target-prefix", {"203.0.113.1"}}, {"lifetime", "1h"}}).find("lifetime"),
            std::string::npos);
  EXPECT_NE(message("mitigate", {{"target-perfix", {"203.0.113.1"}}}).find("target-perfix"), std::string::npos);
  EXPECT_NE(message("withdraw", {}).find("mid"), std::string::npos);
  EXPECT_NE(message("withdraw", {{"mid", -1}}).find("mid"), std::string::npos);
  EXPECT_NE(message("withdraw", {{"mid", "x"}}).find("mid"), std::string::npos);
  EXPECT_NE(message("show", {}).find("mid"), std::string::npos);
  EXPECT_NE(message("launch", {}).find("launch"), std::string::npos);
  EXPECT_TRUE(h.store.client_requests.empty());
}

TEST(ClientCallsTest, WhoMayOnlyLookChangesNothing) {
  ClientHarness h;
  h.start();
  for (const char* operation : {"mitigate", "withdraw", "refresh", "efficacy"}) {
    const auto ticket = h.call(operation, {{"target-prefix", {"203.0.113.1"}}}, false);
    EXPECT_EQ(h.answered(ticket).outcome, Outcome::forbidden);
  }
  EXPECT_EQ(h.answered(h.call("list", {}, false)).outcome, Outcome::ok);
  h.advance(1s);
  EXPECT_TRUE(h.store.client_requests.empty());
}

TEST(ClientCallsTest, UnknownRequestsAndServersAreNotFound) {
  ClientHarness h;
  h.start();
  EXPECT_EQ(h.answered(h.call("show", {{"mid", 9}})).outcome, Outcome::not_found);
  EXPECT_EQ(h.answered(h.call("withdraw", {{"mid", 9}})).outcome, Outcome::not_found);
  EXPECT_EQ(h.answered(h.call("show", {{"mid", 9}, {"server", "other"}})).outcome, Outcome::not_found);
  const auto ticket = h.call("mitigate", {{"target-prefix", {"203.0.113.1"}}, {"server", "other"}});
  EXPECT_EQ(h.answered(ticket).outcome, Outcome::not_found);
}

TEST(ClientCallsTest, ForceWithdrawsWhatOnlyTheServerKnows) {
  ClientHarness h;
  h.start();
  h.advance(1s);
  EXPECT_EQ(h.answered(h.call("withdraw", {{"mid", 77}, {"force", true}})).outcome, Outcome::ok);
  h.advance(1s);
  ASSERT_EQ(h.requests("DELETE mitigate").size(), 1u);
  EXPECT_EQ(h.requests("DELETE mitigate")[0].request.uri_path.back(), "mid=77");
  h.advance(30s);
  EXPECT_EQ(h.requests("DELETE mitigate").size(), 1u);
}

TEST(ClientCallsTest, TheListSaysWhatARequestWaitsFor) {
  const auto waits_for = [](ClientHarness& h) {
    const auto one = h.answered(h.call("list")).body.at("mitigations").at(0);
    const auto* what = one.as_object().if_contains("waits-for");
    return std::string(one.at("phase").as_string()) + "|" + (what == nullptr ? "" : std::string(what->as_string()));
  };
  ClientHarness alone;
  alone.lose_up = [](base::SessionId) { return true; };
  alone.start();
  alone.mitigate("203.0.113.1/32");
  EXPECT_EQ(waits_for(alone), "requesting|a session with the server");
  ClientHarness h;
  h.start();
  h.advance(1s);
  h.lose_down = [](base::SessionId) { return true; };
  h.mitigate("203.0.113.1/32");
  EXPECT_EQ(waits_for(h), "requesting|an answer of the server");
  h.lose_down = nullptr;
  h.advance(10s);
  EXPECT_EQ(waits_for(h), "active|");
}

TEST(ClientCallsTest, EndedRequestsAreListedButNotChanged) {
  ClientHarness h;
  h.start();
  h.advance(1s);
  const base::Mid mid = h.mitigate("203.0.113.1/32");
  h.advance(1s);
  h.call("withdraw", {{"mid", mid.value}});
  h.advance(5s);
  EXPECT_EQ(h.answered(h.call("withdraw", {{"mid", mid.value}})).outcome, Outcome::conflict);
  EXPECT_EQ(h.answered(h.call("refresh", {{"mid", mid.value}})).outcome, Outcome::conflict);
  const auto list = h.answered(h.call("list")).body.at("mitigations").as_array();
  ASSERT_EQ(list.size(), 1u);
  EXPECT_EQ(list[0].at("phase").as_string(), "ended");
}

TEST(ClientCallsTest, RefreshSendsTheRequestAtOnce) {
  ClientHarness h;
  h.start();
  h.advance(1s);
  const base::Mid mid = h.mitigate("203.0.113.1/32");
  h.advance(10s);
  h.call("refresh", {{"mid", mid.value}});
  h.advance(5s);
  EXPECT_EQ(h.requests("PUT mitigate").size(), 2u);
}

TEST(ClientCallsTest, ExplainSaysWhoWantsWhatAndHowFarItIs) {
  ClientHarness h;
  h.start();
  h.advance(1s);
  EXPECT_EQ(h.answered(h.call("explain")).body.at("sentences").as_array().size(), 1u);
  h.mitigate("203.0.113.1/32");
  h.mitigate("198.51.100.1/32");
  h.advance(1s);
  EXPECT_EQ(h.answered(h.call("explain")).body.at("sentences").as_array().size(), 2u);
  const auto some = h.answered(h.call("explain", {{"prefix", "198.51.100.0/24"}})).body.at("sentences").as_array();
  ASSERT_EQ(some.size(), 1u);
  const std::string sentence(some[0].as_string());
  EXPECT_NE(sentence.find("198.51.100.1/32"), std::string::npos);
  EXPECT_NE(sentence.find("alice"), std::string::npos);
}

// S8612-4-01
TEST(ClientCallsTest, AuditNamesTheAuthor) {
  ClientHarness h;
  h.start();
  h.advance(1s);
  h.mitigate("203.0.113.1/32");
  h.advance(1s);
  const auto audit = h.answered(h.call("audit", {{"limit", 10}})).body.at("audit").as_array();
  ASSERT_GE(audit.size(), 2u);
  EXPECT_EQ(audit[0].at("actor").as_string(), "operator alice");
  EXPECT_EQ(audit[0].at("at").as_string(), "2023-11-14 22:13:21 UTC");
  EXPECT_EQ(audit[1].at("actor").as_string(), "server");
}

TEST(ClientCallsTest, StatusTellsWhatIsWrong) {
  ClientHarness h;
  h.unreachable.insert({model::parse_ip_address("192.0.2.53").value(), 4646});
  h.start();
  h.advance(190s);  // three attempts
  const auto body = h.answered(h.call("status")).body;
  EXPECT_EQ(body.at("role").as_string(), "client");
  EXPECT_EQ(body.at("unwell").as_array().size(), 1u);
  const auto& server = body.at("servers").at(0);
  EXPECT_EQ(server.at("state").as_string(), "disconnected");
  EXPECT_EQ(server.at("next-attempt-in_s").to_number<int>(), 230);
  EXPECT_NE(std::string(server.at("last-failure").as_string()).find("192.0.2.53"), std::string::npos);
}

TEST(ClientCommitTest, ARefusedCommitRefusesTheCallAndSendsNothing) {
  ClientHarness h;
  h.start();
  h.advance(1s);
  const base::Mid kept = h.mitigate("203.0.113.1/32");
  h.advance(5s);
  h.seen.clear();
  h.refuse_commits = true;
  const auto ticket = h.call("mitigate", {{"target-prefix", {"203.0.113.2/32"}}});
  h.advance(1s);
  EXPECT_EQ(h.answered(ticket).outcome, Outcome::unavailable);
  EXPECT_NE(h.answered(ticket).message.find("disk full"), std::string::npos);
  EXPECT_TRUE(h.told("CLIENT_STORE_REFUSED"));
  EXPECT_TRUE(h.requests("PUT mitigate").empty());
  EXPECT_EQ(h.answered(h.call("list")).body.at("mitigations").as_array().size(), 1u);
  h.refuse_commits = false;
  EXPECT_GT(h.mitigate("203.0.113.3/32"), kept);
  h.advance(1s);
  EXPECT_EQ(h.requests("PUT mitigate").size(), 1u);
}

// A store that keeps refusing is not asked in a loop, heartbeats go on, and when it works again so does the rest.
TEST(ClientCommitTest, ARefusingStoreIsTriedWithPauses) {
  ClientHarness h;
  h.start();
  h.advance(1s);
  const base::Mid mid = h.mitigate("203.0.113.1/32");
  h.refuse_commits = true;
  h.advance(300s);  // the acceptance cannot be stored
  EXPECT_GE(h.count_told("CLIENT_STORE_REFUSED"), 3);
  EXPECT_LE(h.count_told("CLIENT_STORE_REFUSED"), 20);
  EXPECT_GE(h.requests("PUT hb").size(), 9u);
  EXPECT_EQ(h.requests("PUT mitigate").size(), 1u);
  h.refuse_commits = false;
  h.advance(40s);
  EXPECT_TRUE(h.store.client_requests.at(0).acknowledged);
  EXPECT_EQ(h.show(mid).at("phase").as_string(), "active");
  const auto gets = h.requests("GET mitigate");
  EXPECT_TRUE(std::any_of(gets.begin(), gets.end(), [](const auto& get) { return get.request.observe == 0u; }));
}

TEST(ClientCommitTest, CallsDuringACommitWaitForTheirOwn) {
  ClientHarness h;
  h.commit_time = 100ms;
  h.start();
  h.advance(1s);
  const auto first = h.call("mitigate", {{"target-prefix", {"203.0.113.1/32"}}});
  h.advance(50ms);
  const auto second = h.call("mitigate", {{"target-prefix", {"203.0.113.2/32"}}});
  h.advance(60ms);
  EXPECT_TRUE(h.answers.contains(first));
  EXPECT_FALSE(h.answers.contains(second));
  h.advance(100ms);
  EXPECT_TRUE(h.answers.contains(second));
}

// S9132-4.4.1.1-06, S8612-2-03, S8811-1.3-03, S8811-2-02: each server has its own cuid, mids and sessions.
TEST(ClientServersTest, ServersAreIndependent) {
  ClientHarness h;
  ServerSettings other = h.settings.servers[0];
  other.upstream.name = other.requests.server = "second";
  other.upstream.addresses = {{model::parse_ip_address("198.51.100.53").value(), 4646}};
  other.requests.cuid = base::Cuid{"another"};
  h.settings.servers.push_back(other);
  h.start();
  h.advance(1s);
  ASSERT_EQ(h.opened.size(), 2u);
  const auto ticket = h.call("mitigate", {{"target-prefix", {"203.0.113.1/32"}}, {"server", "second"}});
  h.mitigate("203.0.113.1/32");
  h.advance(1s);
  EXPECT_EQ(h.answered(ticket).body.at("mitigation").at("cuid").as_string(), "another");
  const auto puts = h.requests("PUT mitigate");
  ASSERT_EQ(puts.size(), 2u);
  EXPECT_NE(puts[0].session, puts[1].session);
  EXPECT_EQ(h.answered(h.call("withdraw", {{"mid", 1}})).outcome, Outcome::conflict);  // both have a mid 1
  EXPECT_EQ(h.answered(h.call("show", {{"mid", 1}, {"server", "second"}})).outcome, Outcome::ok);
}

TEST(ClientMessagesTest, EveryMessageHasItsFact) {
  for (const char* id :
       {"CLIENT_ATTACK_STOPPED", "CLIENT_CONFLICT", "CLIENT_CUID_CHANGED", "CLIENT_MID_ROLLOVER",
        "CLIENT_REQUEST_ACCEPTED", "CLIENT_REQUEST_DELAYED", "CLIENT_REQUEST_ENDED", "CLIENT_REQUEST_LOST",
        "CLIENT_REQUEST_REFUSED", "CLIENT_SESSION_CLOSED", "CLIENT_SESSION_FAILED", "CLIENT_SESSION_LOST",
        "CLIENT_SESSION_OPENED", "CLIENT_SESSION_RECOVERED", "CLIENT_STORE_REFUSED", "CLIENT_WITHDRAW_REFUSED"}) {
    EXPECT_NE(ops::facts::find_message(id), nullptr) << id;
  }
}

}  // namespace
}  // namespace dots::agent::client
