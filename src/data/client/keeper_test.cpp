// Discovery, registration and operators' wishes, against the machine of a real domain and against scripts.
#include <gmock/gmock.h>

#include "data/client/keeper_harness.h"

namespace dots::data::client {
namespace {

using Outcome = Report::Outcome;
using testing::ElementsAre;
using testing::HasSubstr;
using What = Wish::What;

constexpr const char* kMe = "/restconf/data/ietf-dots-data-channel:dots-data/dots-client=us";

// D8783-3.1-05, D8783-3.1-09, D8783-5.1-01, D8783-5.1-02, D8783-5.1-03, D8783-5.1-04, D8783-7.1-01, R8040-3.1-02
TEST_F(KeeperTest, AFreshClientFindsTheRootThenTheCapabilitiesThenRegistersByPost) {
  start();
  serve();
  ASSERT_EQ(requests.size(), 4u);
  EXPECT_EQ(requests[0].target, "/.well-known/host-meta");
  EXPECT_EQ(*requests[0].headers.find("Accept"), "application/xrd+xml");
  EXPECT_EQ(requests[3].method, "POST");
  EXPECT_EQ(requests[3].target, "/restconf/data/ietf-dots-data-channel:dots-data");
  EXPECT_EQ(requests[3].body, R"({"ietf-dots-data-channel:dots-client":[{"cuid":"us"}]})");  // D8783-3.3-02
  EXPECT_EQ(*requests[3].headers.find("Content-Type"), "application/yang-data+json");
  EXPECT_THAT(
      sent(true),
      ElementsAre("GET /.well-known/host-meta", "GET /restconf/data/ietf-dots-data-channel:dots-data/capabilities",
                  std::string("HEAD ") + kMe, "POST /restconf/data/ietf-dots-data-channel:dots-data"));
  EXPECT_TRUE(keeper->view().registered);
  EXPECT_TRUE(was_said("DATA_CHANNEL_REGISTERED"));
}

// D8783-3.1-06, R8040-3.1-03
TEST_F(KeeperTest, TheRootThatTheServerTellsIsTheStartOfEveryPath) {
  options.root = "/top/restconf";
  new_server();
  start();
  serve();
  EXPECT_EQ(ask(put_alias("web")).outcome, Outcome::done);
  for (const auto& request : requests) {
    EXPECT_TRUE(request.target == "/.well-known/host-meta" || request.target.starts_with("/top/restconf/data/"))
        << request.target;
  }
}

TEST_F(KeeperTest, AServerWithoutHostMetaHasTheConfiguredRoot) {
  script = [](const auto& request) -> std::optional<ports::HttpOutcome> {
    if (request.target != "/.well-known/host-meta") return std::nullopt;
    return plain(404);
  };
  start();
  serve();
  EXPECT_TRUE(keeper->view().registered);
}

// D8783-3.1-12, D8783-5.1-22: once it is known, nobody asks again.
TEST_F(KeeperTest, WhatWasFoundOutServesManyWishes) {
  start();
  serve();
  sent();
  EXPECT_EQ(ask(put_alias("a")).outcome, Outcome::done);
  EXPECT_EQ(ask(put_alias("b")).outcome, Outcome::done);
  EXPECT_EQ(ask(named(What::list, Kind::alias)).outcome, Outcome::done);
  EXPECT_THAT(sent(true), ElementsAre(std::string("PUT ") + kMe + "/aliases/alias=a",
                                      std::string("PUT ") + kMe + "/aliases/alias=b",
                                      std::string("GET ") + kMe + "/aliases?content=all"));  // D8783-7.3-01
}

// D8783-6.1-01, D8783-6.1-22, D8783-7.2-01, D8783-7.2-25, R7951-4-01, R8040-4.5-05, R8040-5.2-03, R8040-7.1-06
TEST_F(KeeperTest, APutHasTheFormOfRfc8783AndIsKept) {
  start();
  serve();
  sent();
  EXPECT_TRUE(ask(put_alias("web")).created);
  ASSERT_EQ(requests.size(), 1u);
  EXPECT_EQ(requests[0].body,
            R"({"ietf-dots-data-channel:aliases":{"alias":[{"name":"web","target-prefix":["203.0.113.1/32"]}]}})");
  EXPECT_EQ(*requests[0].headers.find("Accept"), "application/yang-data+json");
  EXPECT_EQ(*requests[0].headers.find("Content-Type"), "application/yang-data+json");
  const auto& record = store.at({Kind::alias, "web"});
  EXPECT_EQ(record.body, R"({"name":"web","target-prefix":["203.0.113.1/32"]})");
  EXPECT_EQ(record.author, "operator o");
  EXPECT_EQ(record.cuid, base::Cuid("us"));
  EXPECT_FALSE(ask(put_alias("web", "203.0.113.2/32")).created);
  EXPECT_THAT(store.at({Kind::alias, "web"}).body, HasSubstr("203.0.113.2/32"));
  EXPECT_EQ(ask(named(What::erase, Kind::alias, "web")).outcome, Outcome::done);
  EXPECT_TRUE(store.empty());
  EXPECT_EQ(ask(named(What::erase, Kind::alias, "web")).outcome, Outcome::not_found);
}

// R8040-3.5.3-03
TEST_F(KeeperTest, NamesArePercentEncodedInPaths) {
  start();
  serve();
  sent();
  EXPECT_EQ(ask(put_alias("a/b,c d")).outcome, Outcome::done);
  EXPECT_THAT(sent(), ElementsAre(std::string("PUT ") + kMe + "/aliases/alias=a%2Fb%2Cc%20d"));
  EXPECT_THAT(at_server(Kind::alias), ElementsAre("a/b,c d"));
}

// D8783-7.1-08
TEST_F(KeeperTest, WhatTheServerDoesNotAnnounceIsToldBeforeAnythingIsSent) {
  start();
  serve();
  sent();
  const auto report = ask(put(Kind::acl, R"({"name":"x","aces":{"ace":[{"name":"r","matches":{"ipv4":{"ttl":1}},)"
                                         R"("actions":{"forwarding":"drop"}}]}})"));
  EXPECT_EQ(report.outcome, Outcome::bad_request);
  EXPECT_THAT(report.message, HasSubstr("does not offer ipv4 ttl"));
  EXPECT_TRUE(sent(true).empty());
  EXPECT_TRUE(store.empty());
}

TEST_F(KeeperTest, ActionsAndFamiliesAreTakenFromTheCapabilitiesToo) {
  script = [](const auto& request) -> std::optional<ports::HttpOutcome> {
    if (!request.target.ends_with("/capabilities")) return std::nullopt;
    return plain(200, {{"Content-Type", "application/yang-data+json"}},
                 R"({"ietf-dots-data-channel:capabilities":{"address-family":["ipv6"],)"
                 R"("forwarding-actions":["ietf-access-control-list:accept"],"ipv4":{"source-prefix":true}}})");
  };
  start();
  serve();
  EXPECT_THAT(ask(put_filter("x")).message, HasSubstr("filters of ipv4"));
  const auto dropping = put(Kind::acl, R"({"name":"x","aces":{"ace":[{"name":"r","actions":{"forwarding":"drop"}}]}})");
  EXPECT_THAT(ask(dropping).message, HasSubstr("the action drop"));
}

// R8040-3.4.1.2-04, R8040-5.5-03
TEST_F(KeeperTest, ConcurrentWritersMeetPreconditions) {
  start();
  serve();
  const auto first = ask(put_alias("web"));
  ASSERT_FALSE(first.etag.empty());
  auto again = put_alias("web", "203.0.113.9/32");
  again.create_only = true;
  EXPECT_EQ(ask(again).outcome, Outcome::conflict);
  auto matching = put_alias("web", "203.0.113.9/32");
  matching.if_match = first.etag;
  EXPECT_EQ(ask(matching).outcome, Outcome::done);
  const auto stale = ask(matching);
  EXPECT_EQ(stale.outcome, Outcome::conflict);
  EXPECT_THAT(stale.message, HasSubstr("somebody else"));
  auto erase = named(What::erase, Kind::alias, "web");
  erase.if_match = first.etag;
  EXPECT_EQ(ask(erase).outcome, Outcome::conflict);
  EXPECT_TRUE(store.contains({Kind::alias, "web"}));
}

// D8783-7.2-23, R8040-5.1-02
TEST_F(KeeperTest, AFilterGoesWhereItIsWanted) {
  start();
  serve();
  ask(put_filter("a"));
  ask(put_filter("b"));
  auto between = put_filter("c & d");
  between.placement = {Placement::Where::before, {"b"}};
  EXPECT_EQ(ask(between).outcome, Outcome::done);
  auto front = put_filter("e");
  front.placement = {Placement::Where::first, {}};
  ask(front);
  auto moved = put_filter("a");
  moved.placement = {Placement::Where::after, {"c & d"}};
  EXPECT_EQ(ask(moved).outcome, Outcome::done);
  EXPECT_THAT(at_server(Kind::acl), ElementsAre("e", "c & d", "a", "b"));
  std::vector<std::string> kept;
  for (const auto& one : keeper->view().kept) kept.push_back(one.record.name);
  EXPECT_THAT(kept, ElementsAre("e", "c & d", "a", "b"));
}

// D8783-6.1-21, D8783-7.2-20
TEST_F(KeeperTest, AClientThatTheServerHasForgottenRegistersAndTriesAgain) {
  start();
  serve();
  new_server();  // 404 for the entry, since its client is not there
  sent();
  EXPECT_EQ(ask(put_alias("web")).outcome, Outcome::done);
  EXPECT_THAT(sent(), ElementsAre(std::string("PUT ") + kMe + "/aliases/alias=web",
                                  "POST /restconf/data/ietf-dots-data-channel:dots-data",
                                  std::string("PUT ") + kMe + "/aliases/alias=web"));
  // Behind a gateway it is 403 access-denied.
  int denied = 0;
  script = [&](const auto& request) -> std::optional<ports::HttpOutcome> {
    if (request.method != "PUT" || denied++ > 0) return std::nullopt;
    return fault_answer(403, "access-denied");
  };
  EXPECT_EQ(ask(put_alias("mail")).outcome, Outcome::done);
  EXPECT_EQ(denied, 2);
  EXPECT_THAT(sent(), ElementsAre(std::string("PUT ") + kMe + "/aliases/alias=mail",
                                  "POST /restconf/data/ietf-dots-data-channel:dots-data",
                                  std::string("PUT ") + kMe + "/aliases/alias=mail"));
  // A server that denies it for good is not asked without end.
  script = [](const auto& request) -> std::optional<ports::HttpOutcome> {
    if (request.method != "PUT") return std::nullopt;
    return fault_answer(403, "access-denied");
  };
  EXPECT_EQ(ask(put_alias("more")).outcome, Outcome::unavailable);
}

// D8783-5.1-14: who chooses cuids is told; nothing is done under a foreign one.
TEST_F(KeeperTest, ACuidThatBelongsToAnotherClientIsReported) {
  domain->request(with_body(request_for("POST", "/restconf/data/ietf-dots-data-channel:dots-data"),
                            registration_body(base::Cuid("us"))),
                  {base::ClientId("b"), false}, now);
  start();
  serve();
  EXPECT_THAT(taken_cuids, ElementsAre(base::Cuid("us")));
  EXPECT_TRUE(keeper->view().unwell);
  EXPECT_THAT(ask(put_alias("web")).message, HasSubstr("belongs to another client"));
  sent();
  Effects out;
  keeper->set_cuid(base::Cuid("new"), now, out);
  take(std::move(out));
  serve();
  EXPECT_TRUE(sent(true).empty());  // not before the pause is over
  pass_slowly(Minutes{1});
  EXPECT_TRUE(keeper->view().registered);
  for (const std::string& line : sent()) EXPECT_THAT(line, testing::Not(HasSubstr("DELETE")));  // it was never ours
}

// The server is that of the project: the two refusals with 409 are told apart over the wire.
TEST_F(KeeperTest, AQuotaOfRegistrationsIsNoForeignCuid) {
  options.limits.clients = 1;
  new_server();
  domain->request(with_body(request_for("POST", "/restconf/data/ietf-dots-data-channel:dots-data"),
                            registration_body(base::Cuid("first"))),
                  {base::ClientId("a"), false}, now);
  start();
  serve();
  EXPECT_THAT(taken_cuids, testing::IsEmpty());
  EXPECT_THAT(keeper->last_failure(), HasSubstr("409 Conflict (resource-denied, too-many-elements)"));
  EXPECT_FALSE(keeper->view().registered);
  // Nor when the server denies us first.
  script = [](const auto& request) -> std::optional<ports::HttpOutcome> {
    if (request.method == "HEAD") return plain(204);
    if (request.method == "PUT") return fault_answer(403, "access-denied");
    return std::nullopt;
  };
  EXPECT_THAT(ask(put_alias("web")).message, HasSubstr("too-many-elements"));
  EXPECT_FALSE(keeper->view().registered);
  EXPECT_THAT(taken_cuids, testing::IsEmpty());
  // Another server says it in words.
  script = [](const auto& request) -> std::optional<ports::HttpOutcome> {
    if (request.method != "POST") return std::nullopt;
    return fault_answer(409, "resource-denied", "the quota of this client is used up");
  };
  pass_slowly(Minutes{5});
  EXPECT_THAT(taken_cuids, testing::IsEmpty());
  script = [](const auto& request) -> std::optional<ports::HttpOutcome> {
    if (request.method != "POST") return std::nullopt;
    return fault_answer(409, "resource-denied", "in use");
  };
  pass_slowly(Minutes{15});
  EXPECT_FALSE(taken_cuids.empty());
}

// D8783-5.1-07, S9132-4.4.1.1-09
TEST_F(KeeperTest, WithANewCuidWhatStoodUnderTheOldOneIsRemovedAndPutAgain) {
  start();
  serve();
  ask(put_alias("web"));
  ask(put_filter("x"));
  sent();
  settings.cuid = base::Cuid("new");
  Effects out;
  keeper->set_cuid(settings.cuid, now, out);
  take(std::move(out));
  serve();
  const auto lines = sent();
  ASSERT_EQ(lines.size(), 4u);
  EXPECT_EQ(lines[0], std::string("DELETE ") + kMe);
  EXPECT_EQ(lines[1], "POST /restconf/data/ietf-dots-data-channel:dots-data");
  EXPECT_THAT(at_server(Kind::alias), ElementsAre("web"));
  EXPECT_THAT(at_server(Kind::acl), ElementsAre("x"));
  EXPECT_EQ(store.at({Kind::alias, "web"}).cuid, base::Cuid("new"));
  // The same when the cuid was changed while the client was down.
  settings.cuid = base::Cuid("third");
  start();
  serve();
  EXPECT_THAT(sent()[0], HasSubstr("DELETE /restconf/data/ietf-dots-data-channel:dots-data/dots-client=new"));
  EXPECT_THAT(at_server(Kind::acl), ElementsAre("x"));
}

// R8040-7-03
TEST_F(KeeperTest, RefusalsAreToldWithWhatTheServerSays) {
  start();
  serve();
  const auto report = ask(put_alias("web", "198.51.100.1/32"));
  EXPECT_EQ(report.outcome, Outcome::bad_request);
  EXPECT_THAT(report.message, HasSubstr("400 Bad Request (invalid-value): "));
  EXPECT_THAT(report.message, HasSubstr("dots-data/dots-client[cuid='us']"));
  EXPECT_TRUE(store.empty());
  script = [](const auto&) { return plain(400); };
  EXPECT_THAT(ask(put_alias("web")).message, HasSubstr("the server answered 400 Bad Request"));
  script = [](const auto&) { return plain(409, {{"Content-Type", "application/yang-data+json"}}, "{\"x\":"); };
  EXPECT_EQ(ask(put_alias("web")).outcome, Outcome::conflict);
}

TEST_F(KeeperTest, RedirectsAreRefused) {
  start();
  serve();
  script = [](const auto&) { return plain(307, {{"Location", "https://other.example/"}}); };
  const auto report = ask(named(What::list, Kind::alias));
  EXPECT_EQ(report.outcome, Outcome::unavailable);
  EXPECT_THAT(report.message, HasSubstr("https://other.example/"));
  EXPECT_TRUE(keeper->view().unwell);
}

// D8783-3.4-06
TEST_F(KeeperTest, ALoopIsToldToTheOperator) {
  start();
  serve();
  script = [](const auto&) { return fault_answer(508, "operation-failed"); };
  EXPECT_EQ(ask(named(What::list, Kind::alias)).outcome, Outcome::unavailable);
  EXPECT_TRUE(was_said("DATA_CHANNEL_LOOP"));
}

TEST_F(KeeperTest, AServerThatIsBusyIsAskedAgainWhenItSays) {
  start();
  serve();
  int busy = 2;
  script = [&](const auto&) -> std::optional<ports::HttpOutcome> {
    if (busy-- <= 0) return std::nullopt;
    return plain(429, {{"Retry-After", "3"}});
  };
  const WishId id = wish(put_alias("web"));
  serve();
  EXPECT_FALSE(told.contains(id));
  pass(std::chrono::seconds{2});
  EXPECT_EQ(busy, 1);  // not before its time
  pass(std::chrono::seconds{1});
  pass(std::chrono::seconds{3});
  ASSERT_TRUE(told.contains(id));
  EXPECT_EQ(told[id].outcome, Outcome::done);
}

TEST_F(KeeperTest, AServerThatIsAlwaysBusyIsBroken) {
  start();
  serve();
  std::vector<base::SteadyTime> attempts;
  script = [&](const auto& request) -> std::optional<ports::HttpOutcome> {
    if (request.method != "HEAD") return std::nullopt;  // what comes before it goes well each time
    attempts.push_back(now.steady);
    return plain(503, {{"Retry-After", "0"}});
  };
  pass_slowly(settings.check_every + Minutes{1});
  ASSERT_GE(attempts.size(), 6u);
  for (int i = 0; i < 5; ++i) EXPECT_EQ(attempts[i + 1] - attempts[i], std::chrono::seconds{1 << i}) << i;
  EXPECT_TRUE(keeper->view().unwell);
  EXPECT_THAT(keeper->last_failure(), HasSubstr("503"));
  EXPECT_TRUE(was_said("DATA_CHANNEL_LOST"));
  script = nullptr;
  pass_slowly(Minutes{15});
  EXPECT_FALSE(keeper->view().unwell);
  sent();
  // Counted in a row only.
  for (int i = 0; i < 8; ++i) {
    int busy = 1;
    script = [&](const auto&) -> std::optional<ports::HttpOutcome> {
      if (busy-- <= 0) return std::nullopt;
      return plain(429, {{"Retry-After", "1"}});
    };
    const WishId id = wish(put_alias("web"));
    serve();
    pass(std::chrono::seconds{1});
    ASSERT_TRUE(told.contains(id)) << i;
    EXPECT_EQ(told[id].outcome, Outcome::done);
  }
}

TEST_F(KeeperTest, ASlowServerIsToldInTimeAndItsLateAnswerStillCounts) {
  start();
  serve();
  const WishId id = wish(put_alias("web"));
  const WishId other = wish(named(What::list, Kind::alias));
  ASSERT_EQ(asks.size(), 1u);
  now.steady += std::chrono::seconds{50};
  Effects out;
  keeper->on_timer(now, out);
  take(std::move(out));
  EXPECT_THAT(told.at(id).message, HasSubstr("not known whether"));
  EXPECT_THAT(told.at(other).message, HasSubstr("nothing was changed"));
  serve();
  EXPECT_TRUE(store.contains({Kind::alias, "web"}));
}

TEST_F(KeeperTest, ALostConnectionTellsWhetherSomethingMayHaveHappened) {
  start();
  serve();
  script = [](const auto&) { return ports::HttpFailure{"the server ended the connection", true}; };
  EXPECT_THAT(ask(put_alias("web")).message, HasSubstr("not known whether"));
  EXPECT_TRUE(store.empty());
  script = [](const auto&) { return ports::HttpFailure{"connection refused", false}; };
  const auto report = ask(put_alias("web"));
  EXPECT_EQ(report.message, "connection refused");
}

TEST_F(KeeperTest, OnlyTheOneUnderWayIsUnsure) {
  start();
  serve();
  script = [](const auto& request) -> std::optional<ports::HttpOutcome> {
    if (request.method == "GET" || request.method == "HEAD") return std::nullopt;
    return ports::HttpFailure{"the server ended the connection", true};
  };
  const WishId first = wish(put_alias("web"));
  const WishId second = wish(put_alias("mail"));
  serve();
  EXPECT_THAT(told.at(first).message, HasSubstr("not known whether"));
  EXPECT_EQ(told.at(second).message, "the server ended the connection");
  EXPECT_EQ(keeper->last_failure(), "the server ended the connection");
  // A registration that gets no answer says nothing about the wish behind it.
  new_server();
  EXPECT_EQ(ask(put_alias("web")).message, "the server ended the connection");
  const WishId waiting = wish(put_alias("web"));
  while (!asks.empty() && asks.front().request.method != "POST") {
    const Ask before = std::move(asks.front());
    asks.pop_front();
    Effects out;
    keeper->on_answer(before.id, answer(before.request), now, out);
    take(std::move(out));
  }
  now.steady += settings.patience;
  Effects out;
  keeper->on_timer(now, out);
  take(std::move(out));
  EXPECT_THAT(told.at(waiting).message, HasSubstr("nothing was changed"));
}

TEST_F(KeeperTest, TheNumberOfWaitingOperatorsIsBounded) {
  settings.waiting_wishes = 2;
  start();
  serve();
  wish(put_alias("a"));
  wish(put_alias("b"));
  const WishId third = wish(put_alias("c"));
  EXPECT_THAT(told.at(third).message, HasSubstr("too many operators"));
  serve();
  EXPECT_EQ(told.size(), 3u);
}

}  // namespace
}  // namespace dots::data::client
