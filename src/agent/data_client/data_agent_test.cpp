// Calls of operators, and durable before visible.
#include "agent/data_client/data_agent.h"

#include <gmock/gmock.h>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <deque>

namespace dots::agent::data_client {
namespace {

using testing::HasSubstr;
using Outcome = CallAnswer::Outcome;

class DataAgentTest : public testing::Test {
 protected:
  DataAgentTest() {
    data::client::KeeperSettings settings;
    settings.server = "up";
    settings.authority = "dots.example.net";
    settings.cuid = base::Cuid("us");
    agent = std::make_unique<DataAgent>(std::vector{settings});
    DataEffects out;
    agent->start({}, now, out);
    take(std::move(out));
    serve();
  }

  void take(DataEffects&& effects) {
    for (auto& ask : effects.ask) asks.push_back(std::move(ask));
    for (auto& done : effects.done) {
      EXPECT_FALSE(answers.contains(done.ticket)) << "told twice";
      answers[done.ticket] = std::move(done.answer);
    }
    for (auto& health : effects.health) unwell = health.unwell;
    if (effects.commit) {
      EXPECT_FALSE(batch) << "two batches at a time";
      batch = std::move(effects.commit);
    }
  }
  // A server that takes everything.
  void serve() {
    while (!asks.empty()) {
      const auto ask = std::move(asks.front());
      asks.pop_front();
      ports::HttpAnswer answer;
      if (ask.request.target == "/.well-known/host-meta") {
        answer.body = "<XRD><Link rel='restconf' href='/restconf'/></XRD>";
      } else if (ask.request.target.ends_with("/capabilities")) {
        answer.body = R"({"ietf-dots-data-channel:capabilities":{"address-family":["ipv4"]}})";
      } else if (ask.request.method == "PUT") {
        answer.status = 201;
        answer.headers.add("ETag", "\"7\"");
      } else if (ask.request.method == "GET") {
        answer.body = listing;
      }
      DataEffects out;
      agent->on_answer(ask.server, ask.id, down ? ports::HttpOutcome(ports::HttpFailure{"refused", false}) : answer,
                       now, out);
      take(std::move(out));
    }
  }
  void commit(ports::CommitOutcome outcome) {
    ASSERT_TRUE(batch);
    batch.reset();
    DataEffects out;
    agent->on_committed({outcome, outcome == ports::CommitOutcome::committed ? "" : "the disk is full"}, now, out);
    take(std::move(out));
  }
  CallTicket call(const std::string& operation, const std::string& arguments, bool may_write = true) {
    const CallTicket ticket{++last};
    DataEffects out;
    agent->handle(ticket, {operation, boost::json::parse(arguments).as_object(), {"ann", 1000, may_write}}, now, out);
    take(std::move(out));
    serve();
    return ticket;
  }
  static std::string put_arguments(const std::string& more = "") {
    return R"({"entry":{"name":"web","target-prefix":["203.0.113.1/32"]})" + more + "}";
  }

  base::Now now{base::SteadyTime{std::chrono::hours{1}}, base::from_unix_seconds(1'700'000'000)};
  std::unique_ptr<DataAgent> agent;
  std::deque<DataEffects::AskServer> asks;
  std::map<CallTicket, CallAnswer> answers;
  std::optional<std::vector<ports::Change>> batch;
  std::string listing =
      R"({"ietf-dots-data-channel:aliases":{"alias":[{"name":"web","target-prefix":["203.0.113.1/32"],)"
      R"("pending-lifetime":9}]}})";
  bool down = false, unwell = false;
  std::uint64_t last = 0;
};

TEST_F(DataAgentTest, AChangeIsToldWhenItIsStored) {
  const auto ticket = call("alias-put", put_arguments());
  EXPECT_FALSE(answers.contains(ticket));
  commit(ports::CommitOutcome::committed);
  ASSERT_TRUE(answers.contains(ticket));
  EXPECT_EQ(boost::json::serialize(answers[ticket].body),
            R"({"server":"up","etag":"\"7\"","name":"web","result":"created"})");
}

TEST_F(DataAgentTest, WhatTheStoreRefusesIsToldAndStoredLater) {
  const auto ticket = call("alias-put", put_arguments());
  commit(ports::CommitOutcome::refused);
  ASSERT_TRUE(answers.contains(ticket));
  EXPECT_EQ(answers[ticket].outcome, Outcome::unavailable);
  EXPECT_THAT(answers[ticket].message, HasSubstr("the server has taken the change"));
  const auto other = call("alias-put", put_arguments());
  EXPECT_THAT(answers[other].message, HasSubstr("nothing was sent: the disk is full"));
  EXPECT_FALSE(batch);
  now.steady += std::chrono::seconds{10};
  DataEffects out;
  agent->on_timer(now, out);
  take(std::move(out));
  ASSERT_TRUE(batch);
  EXPECT_TRUE(std::holds_alternative<ports::PutClientData>(batch->front()));
  commit(ports::CommitOutcome::committed);
  const auto third = call("alias-put", put_arguments());
  commit(ports::CommitOutcome::committed);
  EXPECT_EQ(answers[third].outcome, Outcome::ok);
}

TEST_F(DataAgentTest, LookingWaitsForNoStore) {
  call("alias-put", put_arguments());  // not committed
  const auto list = call("aliases", "{}");
  ASSERT_TRUE(answers.contains(list));
  EXPECT_EQ(boost::json::serialize(answers[list].body),
            R"({"server":"up","entries":[{"name":"web","target-prefix":["203.0.113.1/32"],"pending-lifetime":9}],)"
            R"("kept":["web"]})");
  const auto kept = call("aliases", R"({"kept":true})");
  EXPECT_THAT(boost::json::serialize(answers[kept].body), HasSubstr(R"("author":"ann")"));
}

TEST_F(DataAgentTest, ArgumentsAreChecked) {
  const auto why = [&](const std::string& operation, const std::string& arguments) {
    const auto ticket = call(operation, arguments);
    EXPECT_TRUE(answers.contains(ticket));
    return answers[ticket].message;
  };
  EXPECT_THAT(why("alias-put", "{}"), HasSubstr("'entry'"));
  EXPECT_THAT(why("alias-put", put_arguments(R"(,"if-match":"a","create-only":true)")), HasSubstr("exclude"));
  EXPECT_THAT(why("alias-put", put_arguments(R"(,"insert":"first")")), HasSubstr("only filters"));
  EXPECT_THAT(why("alias-put", put_arguments(R"(,"if-match":"a\nb")")), HasSubstr("'if-match'"));
  EXPECT_THAT(why("alias-put", R"({"entry":{"name":"x","target-prefix":["127.0.0.1/32"]}})"), HasSubstr("127.0.0.1"));
  EXPECT_THAT(why("filter-put", R"({"entry":{"name":"x"},"insert":"after"})"), HasSubstr("'point' is missing"));
  EXPECT_THAT(why("filter-put", R"({"entry":{"name":"x"},"insert":"up"})"), HasSubstr("'insert'"));
  EXPECT_THAT(why("alias-delete", "{}"), HasSubstr("'name'"));
  EXPECT_THAT(why("aliases", R"({"nom":"x"})"), HasSubstr("'nom'"));
  EXPECT_THAT(why("aliases", R"({"server":"other"})"), HasSubstr("no server 'other'"));
}

TEST_F(DataAgentTest, WhoMayOnlyLookChangesNothing) {
  const auto ticket = call("alias-delete", R"({"name":"web"})", false);
  EXPECT_EQ(answers[ticket].outcome, Outcome::forbidden);
  EXPECT_FALSE(batch);
}

TEST_F(DataAgentTest, StatusAndHealthTellOfAServerThatIsGone) {
  EXPECT_EQ(agent->status(now).at(0).at("state").as_string(), "registered");
  down = true;
  const auto ticket = call("aliases", "{}");
  EXPECT_EQ(answers[ticket].message, "server up: refused");
  EXPECT_TRUE(unwell);
  const auto row = agent->status(now).at(0);
  EXPECT_EQ(row.at("state").as_string(), "no answer");
  EXPECT_EQ(row.at("next-attempt-in_s").to_number<int>(), 5);
  down = false;
  call("aliases", "{}");
  EXPECT_FALSE(unwell);
}

}  // namespace
}  // namespace dots::agent::data_client
