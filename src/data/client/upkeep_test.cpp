// What a client does by itself over days: refreshing, restoring, trying again.
#include <gmock/gmock.h>

#include "data/client/keeper_harness.h"

namespace dots::data::client {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using What = Wish::What;

constexpr base::Duration kDay = std::chrono::hours{24};

// D8783-7.2-31
TEST_F(KeeperTest, EntriesAreRefreshedBeforeTheyRunOutForAMonth) {
  start();
  serve();
  ask(put_alias("web"));
  ask(put_filter("x"));
  for (int day = 0; day < 30; ++day) {
    pass_slowly(kDay);
    ASSERT_GE(left_min(Kind::alias, "web"), 5040 - 60) << "day " << day;
    ASSERT_GE(left_min(Kind::acl, "x"), 5040 - 60) << "day " << day;
  }
  EXPECT_FALSE(was_said("DATA_ENTRY_RESTORED"));
  EXPECT_FALSE(was_said("DATA_ENTRY_CHANGED"));
  // Not more often than needed: half of 7 days each.
  EXPECT_LE(std::count_if(requests.begin(), requests.end(), [](const auto& r) { return r.method == "PUT"; }),
            2 + 2 * 9);
}

TEST_F(KeeperTest, ARefreshEchoesWhatTheServerHasWithoutItsState) {
  start();
  serve();
  ask(put_filter("x"));
  domain->count(settings.cuid, "x", "r", 7, 700);
  sent();
  pass_slowly(4 * kDay);
  const auto refresh = std::find_if(requests.begin(), requests.end(), [](const auto& r) { return r.method == "PUT"; });
  ASSERT_NE(refresh, requests.end());
  EXPECT_THAT(refresh->body, testing::Not(HasSubstr("pending-lifetime")));
  EXPECT_THAT(refresh->body, testing::Not(HasSubstr("statistics")));
  EXPECT_TRUE(refresh->headers.has("If-Match"));
}

TEST_F(KeeperTest, ASwitchOfTheSignalChannelSurvivesTheRefresh) {
  start();
  serve();
  ask(put_filter("x"));
  ASSERT_TRUE(domain->activate(settings.cuid, {{"x", model::ActivationType::deactivate}}, "test", now));
  pass_slowly(5 * kDay);
  const auto shown = ask(named(What::show, Kind::acl, "x"));
  EXPECT_THAT(shown.body, HasSubstr(R"("activation-type":"deactivate")"));
  EXPECT_THAT(store.at({Kind::acl, "x"}).body, HasSubstr("deactivate"));
  EXPECT_FALSE(was_said("DATA_ENTRY_CHANGED"));
}

TEST_F(KeeperTest, AChangeOfAnotherWriterIsKeptAndTold) {
  start();
  serve();
  ask(put_alias("web"));
  const Paths paths("/restconf", settings.cuid);
  domain->request(with_body(request_for("PUT", paths.entry(Kind::alias, "web")),
                            R"({"ietf-dots-data-channel:alias":[{"name":"web","target-prefix":["203.0.113.77/32"]}]})"),
                  {base::ClientId("a"), false}, now);
  pass_slowly(5 * kDay);
  EXPECT_TRUE(was_said("DATA_ENTRY_CHANGED"));
  EXPECT_THAT(store.at({Kind::alias, "web"}).body, HasSubstr("203.0.113.77/32"));
}

TEST_F(KeeperTest, AWriterBetweenTheTwoRequestsOfARefreshIsNotOverwritten) {
  start();
  serve();
  ask(put_alias("web"));
  int writes = 0;
  script = [&](const auto& request) -> std::optional<ports::HttpOutcome> {
    if (request.method == "PUT" && writes++ == 0) {
      const Paths paths("/restconf", settings.cuid);
      domain->request(
          with_body(request_for("PUT", paths.entry(Kind::alias, "web")),
                    R"({"ietf-dots-data-channel:alias":[{"name":"web","target-prefix":["203.0.113.77/32"]}]})"),
          {base::ClientId("a"), false}, now);
    }
    return std::nullopt;
  };
  pass_slowly(4 * kDay);
  EXPECT_EQ(writes, 2);  // the first met 412
  EXPECT_THAT(ask(named(What::show, Kind::alias, "web")).body, HasSubstr("203.0.113.77/32"));
  EXPECT_FALSE(keeper->view().unwell);
}

TEST_F(KeeperTest, ARestartRefreshesWhatIsDueAtOnce) {
  start();
  serve();
  ask(put_alias("web"));
  now.steady += 6 * kDay;  // the client is down
  now.wall += 6 * kDay;
  domain->tick(now);
  ASSERT_LT(left_min(Kind::alias, "web"), 1500);
  start();
  serve();
  EXPECT_EQ(left_min(Kind::alias, "web"), 10080);
}

TEST_F(KeeperTest, WhatRanOutWhileTheClientWasDownIsPutAgain) {
  start();
  serve();
  ask(put_alias("web"));
  now.steady += 8 * kDay;
  now.wall += 8 * kDay;
  domain->tick(now);
  ASSERT_THAT(at_server(Kind::alias), IsEmpty());
  start();
  serve();
  EXPECT_THAT(at_server(Kind::alias), ElementsAre("web"));
  EXPECT_TRUE(was_said("DATA_ENTRY_RESTORED"));
}

TEST_F(KeeperTest, AServerThatLostEverythingGetsItBackInOrder) {
  start();
  serve();
  for (const char* name : {"c", "a", "b"}) ask(put_filter(name));
  ask(put_alias("web"));
  new_server();
  pass_slowly(settings.check_every);
  EXPECT_THAT(at_server(Kind::acl), ElementsAre("c", "a", "b"));
  EXPECT_THAT(at_server(Kind::alias), ElementsAre("web"));
}

TEST_F(KeeperTest, OneLostFilterComesBackToItsPlace) {
  start();
  serve();
  for (const char* name : {"c", "a", "b"}) ask(put_filter(name));
  const Paths paths("/restconf", settings.cuid);
  for (const char* name : {"a", "c"}) {
    domain->request(request_for("DELETE", paths.entry(Kind::acl, name)), {base::ClientId("a"), false}, now);
    pass_slowly(settings.check_every);
    EXPECT_THAT(at_server(Kind::acl), ElementsAre("c", "a", "b"));
  }
}

TEST_F(KeeperTest, WhatTheOperatorDeletesStaysDeleted) {
  start();
  serve();
  ask(put_alias("web"));
  ask(named(What::erase, Kind::alias, "web"));
  pass_slowly(2 * kDay);
  EXPECT_THAT(at_server(Kind::alias), IsEmpty());
}

TEST_F(KeeperTest, ADeletionWithoutAnAnswerIsSettledByTheNextLook) {
  for (const Kind kind : {Kind::alias, Kind::acl}) {
    for (const bool carried_out : {true, false}) {
      store.clear();
      script = nullptr;
      new_server();
      start();
      serve();
      ask(kind == Kind::alias ? put_alias("web") : put_filter("web"));
      ask(kind == Kind::alias ? put_alias("other") : put_filter("other"));
      script = [&](const auto& request) -> std::optional<ports::HttpOutcome> {
        if (request.method != "DELETE") return std::nullopt;
        if (carried_out) domain->request(request, {base::ClientId("a"), false}, now);
        return ports::HttpFailure{"the connection broke", true};
      };
      messages.clear();
      EXPECT_THAT(ask(named(What::erase, kind, "web")).message, HasSubstr("not known whether"));
      EXPECT_TRUE(store.contains({kind, "web"}));
      pass_slowly(Minutes{1});
      EXPECT_TRUE(was_said("DATA_DELETION_SETTLED"));
      EXPECT_FALSE(was_said("DATA_ENTRY_RESTORED"));
      EXPECT_EQ(store.contains({kind, "web"}), !carried_out);
      EXPECT_EQ(at_server(kind).size(), carried_out ? 1u : 2u);
      // Settled: from now on it is kept as all others.
      new_server();
      pass_slowly(settings.check_every);
      EXPECT_EQ(at_server(kind).size(), carried_out ? 1u : 2u);
    }
  }
}

TEST_F(KeeperTest, OneEntryThatIsRefusedDoesNotStopTheOthers) {
  start();
  serve();
  ask(put_alias("bad"));
  ask(put_alias("web"));
  new_server();
  script = [](const auto& request) -> std::optional<ports::HttpOutcome> {
    if (request.method != "PUT" || !request.target.ends_with("alias=bad")) return std::nullopt;
    return fault_answer(400, "invalid-value", "not any more");
  };
  pass_slowly(2 * settings.check_every);
  EXPECT_THAT(at_server(Kind::alias), ElementsAre("web"));
  EXPECT_EQ(std::count_if(messages.begin(), messages.end(),
                          [](const auto& line) { return line.starts_with("DATA_ENTRY_REFUSED"); }),
            1);  // said once
  EXPECT_THAT(keeper->view().kept[0].problem, HasSubstr("not any more"));
  EXPECT_FALSE(keeper->view().unwell);
}

TEST_F(KeeperTest, AServerThatIsDownIsTriedAgainWithLongerAndLongerPauses) {
  std::vector<base::SteadyTime> attempts;
  script = [&](const auto&) {
    attempts.push_back(now.steady);
    return ports::HttpFailure{"connection refused", false};
  };
  start();
  serve();
  pass_slowly(std::chrono::hours{3});
  ASSERT_GE(attempts.size(), 8u);
  EXPECT_EQ(attempts[1] - attempts[0], std::chrono::seconds{5});
  EXPECT_EQ(attempts[2] - attempts[1], std::chrono::seconds{10});
  EXPECT_EQ(attempts.back() - attempts[attempts.size() - 2], Minutes{15});
  EXPECT_EQ(messages.size(), 1u);  // told once
  script = nullptr;
  pass_slowly(Minutes{15});
  EXPECT_TRUE(keeper->view().registered);
  EXPECT_TRUE(was_said("DATA_CHANNEL_FOUND"));
}

TEST_F(KeeperTest, AnOperatorDoesNotWaitForThePause) {
  script = [&](const auto&) { return ports::HttpFailure{"connection refused", false}; };
  start();
  serve();
  pass_slowly(std::chrono::hours{1});
  script = nullptr;
  EXPECT_EQ(ask(put_alias("web")).outcome, Report::Outcome::done);
}

TEST_F(KeeperTest, UpkeepGoesOnWhereItWasInterrupted) {
  start();
  serve();
  for (int i = 0; i < 5; ++i) ask(put_alias("a" + std::to_string(i)));
  new_server();
  int puts = 0;
  script = [&](const auto& request) -> std::optional<ports::HttpOutcome> {
    if (request.method != "PUT" || ++puts != 3) return std::nullopt;
    return ports::HttpFailure{"the connection broke", true};
  };
  pass_slowly(settings.check_every);
  pass_slowly(Minutes{1});
  EXPECT_EQ(at_server(Kind::alias).size(), 5u);
}

TEST_F(KeeperTest, NoAnswerToOneEntryStopsTheUpkeepOfTheOthers) {
  using Answer = std::function<ports::HttpOutcome()>;
  const std::vector<Answer> answers = {
      [] { return plain(500); },
      [] { return plain(403); },
      [] { return fault_answer(403, "access-denied"); },
      [] { return plain(503); },
      [] { return plain(401); },
      [] { return plain(200, {}, "no JSON"); },
      [] {
        return ports::HttpFailure{"the answer is over the bound", true};
      },
  };
  for (std::size_t i = 0; i < answers.size(); ++i) {
    store.clear();
    script = nullptr;
    new_server();
    start();
    serve();
    for (const char* name : {"a", "bad", "z"}) ask(put_alias(name));
    script = [&](const auto& request) -> std::optional<ports::HttpOutcome> {
      if (request.target.find("alias=bad") == std::string::npos) return std::nullopt;
      return answers[i]();
    };
    for (int day = 0; day < 9; ++day) {
      pass_slowly(kDay);
      ASSERT_GE(left_min(Kind::alias, "a"), 5040 - 60) << i << ", day " << day;
      ASSERT_GE(left_min(Kind::alias, "z"), 5040 - 60) << i << ", day " << day;
    }
    EXPECT_EQ(left_min(Kind::alias, "bad"), -1) << i;
    if (i < 3 || i == 5) {  // it is about this one alone
      EXPECT_FALSE(keeper->view().unwell) << i;
      EXPECT_EQ(keeper->view().kept.at(1).problem.empty(), i == 5) << i;  // 200 to the PUT that follows is a success
    }
    // The server has lost them: the look is not held up either.
    new_server();
    pass_slowly(2 * settings.check_every);
    EXPECT_THAT(at_server(Kind::alias), ElementsAre("a", "z")) << i;
    // It is never given up, and no reason stays when it is over.
    script = nullptr;
    pass_slowly(2 * settings.check_every);
    EXPECT_EQ(at_server(Kind::alias).size(), 3u) << i;
    EXPECT_FALSE(keeper->view().unwell) << i;
    for (const auto& one : keeper->view().kept) EXPECT_EQ(one.problem, "") << i;
  }
}

TEST_F(KeeperTest, AListThatCannotBeReadDoesNotStopTheUpkeepOfTheOtherKind) {
  for (const Kind bad : {Kind::alias, Kind::acl}) {
    store.clear();
    script = nullptr;
    new_server();
    start();
    serve();
    ask(put_alias("web"));
    ask(put_filter("x"));
    new_server();
    script = [&](const auto& request) -> std::optional<ports::HttpOutcome> {
      if (!request.target.ends_with(std::string(container_of(bad).name) + "?content=nonconfig")) return std::nullopt;
      return plain(500);
    };
    std::size_t looks = requests.size();
    pass_slowly(2 * settings.check_every);
    looks = requests.size() - looks;
    EXPECT_EQ(at_server(bad == Kind::alias ? Kind::acl : Kind::alias).size(), 1u);
    EXPECT_EQ(at_server(bad).size(), 0u);
    EXPECT_TRUE(keeper->view().unwell);
    EXPECT_LT(looks, 200u);  // with pauses
    script = nullptr;
    pass_slowly(settings.check_every);
    EXPECT_EQ(at_server(bad).size(), 1u);
    EXPECT_FALSE(keeper->view().unwell);
  }
}

TEST_F(KeeperTest, AFormerCuidThatTheServerDoesNotRemoveIsLeftAfterSomeTries) {
  start();
  serve();
  ask(put_alias("web"));
  settings.cuid = base::Cuid("new");
  int refusals = 0;
  script = [&](const auto& request) -> std::optional<ports::HttpOutcome> {
    if (request.method != "DELETE") return std::nullopt;
    ++refusals;
    return plain(405);
  };
  Effects out;
  keeper->set_cuid(settings.cuid, now, out);
  take(std::move(out));
  serve();
  EXPECT_FALSE(keeper->view().registered);
  pass_slowly(Minutes{5});
  EXPECT_EQ(refusals, 5);
  EXPECT_TRUE(was_said("DATA_FORMER_CUID_STAYS"));
  EXPECT_THAT(at_server(Kind::alias), ElementsAre("web"));
}

// D8783-4.2-09, D8783-4.2-10, D8783-6.1-05, D8783-6.1-07, D8783-4.3-06, D8783-4.3-13
TEST(ClientEntries, WhatAClientMustNeverSendIsRefused) {
  const auto acl = [](const std::string& first, const std::string& second) {
    return R"({"name":"x","aces":{"ace":[{"name":"a","matches":{)" + first +
           R"(},"actions":{"forwarding":"drop"}},{"name":"b","matches":{)" + second +
           R"(},"actions":{"forwarding":"drop"}}]}})";
  };
  const auto refused = [](Kind kind, const std::string& text) {
    const auto read = read_entry(kind, text);
    return read ? std::string{} : read.error().message;
  };
  const std::string fragment = R"("ipv4":{"fragment":{"operator":"match","type":"isf"}})";
  EXPECT_EQ(refused(Kind::acl, acl(fragment, fragment)), "");
  EXPECT_THAT(refused(Kind::acl, acl(fragment, R"("ipv4":{"flags":"fragment"})")), HasSubstr("one request"));
  const std::string bitmask = R"("tcp":{"flags-bitmask":{"operator":"match","bitmask":2}})";
  EXPECT_EQ(refused(Kind::acl, acl(bitmask, bitmask)), "");
  EXPECT_THAT(refused(Kind::acl, acl(bitmask, R"("tcp":{"flags":"syn"})")), HasSubstr("one request"));
  EXPECT_NE(refused(Kind::acl, acl(R"("tcp":{"flags-bitmask":{"operator":"match any","bitmask":2}})", bitmask)), "");
  EXPECT_NE(refused(Kind::acl, acl(R"("ipv6":{"fragment":{"operator":"match","type":"df"}})", bitmask)), "");
  EXPECT_NE(refused(Kind::alias, R"({"name":"x","target-protocol":[6]})"), "");
  for (const char* prefix : {"127.0.0.1/32", "224.0.0.0/4", "255.255.255.255/32", "ff02::1/128"}) {
    EXPECT_THAT(refused(Kind::alias, std::string(R"({"name":"x","target-prefix":[")") + prefix + "\"]}"),
                HasSubstr(prefix));
  }
}

}  // namespace
}  // namespace dots::data::client
