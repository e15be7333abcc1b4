// The data channel of a shard's domains: durable before visible, and what it shares with the signal channel.
#include "tests/support/shard_fixture.h"

namespace dots::agent::server {
namespace {

const std::string kData = "/restconf/data/ietf-dots-data-channel:dots-data";
const std::string kCuid = "abcdefghijklmnopqrstuv";  // as on the signal channel in these tests

class ShardData : public ShardTest {
 protected:
  void ask(const std::string& method, const std::string& path, const std::string& body = "",
           const std::string& client = "acme-client", const std::string& domain = "acme") {
    ports::HttpRequest request{method, kData + path, {{"Host", "h"}}, body};
    if (!body.empty()) request.headers.add("Content-Type", "application/yang-data+json");
    ShardOutput out;
    shards[0]->on_data({base::DomainId{domain}, base::ClientId{client}, std::move(request), ++ticket}, now, out);
    finish(0, out);
  }
  void enroll(const std::string& cuid = kCuid, const std::string& client = "acme-client") {
    ask("POST", "", R"({"ietf-dots-data-channel:dots-client":[{"cuid":")" + cuid + R"("}]})", client);
  }
  void put_alias(const std::string& name) {
    ask("PUT", "/dots-client=" + kCuid + "/aliases/alias=" + name,
        R"({"ietf-dots-data-channel:alias":[{"name":")" + name + R"(","target-prefix":["192.0.2.1/32"]}]})");
  }
  void get_alias(const std::string& name) { ask("GET", "/dots-client=" + kCuid + "/aliases/alias=" + name); }
  std::string statuses() const {
    std::string out;
    for (const auto& [number, answer] : data_answers) {
      out += std::to_string(number) + ":" + std::to_string(answer.status) + " ";
    }
    return out;
  }
  std::uint64_t ticket = 0;
};

// A 201 of the data channel is worth as much as one of the signal channel.
TEST_F(ShardData, NothingIsAnsweredBeforeItIsDurable) {
  enroll();
  put_alias("a");
  get_alias("a");
  EXPECT_EQ(statuses(), "");
  settle();
  EXPECT_EQ(statuses(), "1:201 ");
  settle();
  EXPECT_EQ(statuses(), "1:201 2:201 3:200 ") << "what is read is durable as well";
  EXPECT_EQ(std::count(lines.begin(), lines.end(), "DATA_CHANGED"), 2);
}

TEST_F(ShardData, ARefusedCommitUndoesWhatWasBuiltOnIt) {
  enroll();
  settle_all();
  put_alias("a");
  get_alias("a");
  settle(ports::CommitOutcome::refused);
  EXPECT_EQ(statuses(), "1:201 2:503 3:503 ");
  ASSERT_EQ(reloads, std::vector<base::DomainId>{base::DomainId{"acme"}});
  get_alias("a");
  EXPECT_EQ(statuses(), "1:201 2:503 3:503 4:503 ") << "not from memory while it is read again";
  data_answers.clear();
  read_back("acme");
  settle_all();
  get_alias("a");
  put_alias("b");
  EXPECT_EQ(statuses(), "5:404 6:503 ") << "writes come again a little later";
  now = now + 6s;
  put_alias("c");
  settle_all();
  get_alias("c");
  EXPECT_EQ(statuses(), "5:404 6:503 7:201 8:200 ");
}

TEST_F(ShardData, WhatIsStoredIsThereWhenItIsReadAgain) {
  enroll();
  put_alias("a");
  settle_all();
  read_back("acme");
  data_answers.clear();
  get_alias("a");
  settle_all();
  ASSERT_EQ(data_answers.size(), 1u);
  EXPECT_EQ(data_answers[0].second.status, 200);
  EXPECT_NE(data_answers[0].second.body.find("192.0.2.1/32"), std::string::npos);
}

// Entries that nobody refreshes end by the shard's own clock.
TEST_F(ShardData, EntriesExpireByTheTimer) {
  enroll();
  put_alias("a");
  settle_all();
  const auto due = shards[0]->next_deadline();
  ASSERT_TRUE(due);
  now = now + 10080min;
  ShardOutput out;
  shards[0]->on_timer(now, out);
  finish(0, out);
  ASSERT_FALSE(store.empty());
  const auto& changes = store.back().second;
  EXPECT_TRUE(std::any_of(changes.begin(), changes.end(),
                          [](const auto& change) { return std::holds_alternative<ports::EraseDataEntry>(change); }));
  settle_all();
  EXPECT_EQ(std::count(lines.begin(), lines.end(), "DATA_EXPIRED"), 1);
  data_answers.clear();
  get_alias("a");
  EXPECT_EQ(statuses(), "3:404 ");
}

// D8783-5.1-13: a cuid that another client uses on the signal channel.
TEST_F(ShardData, ACuidOfTheSignalChannelBelongsToItsClient) {
  Peer& peer = connect("acme.example", 1000);
  send(peer, put(1, "192.0.2.1/32"));
  settle_all();
  enroll(kCuid, "another");
  EXPECT_EQ(statuses(), "1:409 ");
  enroll();
  settle_all();
  EXPECT_EQ(statuses(), "1:409 2:201 ");
}

// S9132-4.4.1.1-38: what a client has named on the data channel it may use on the signal channel.
TEST_F(ShardData, AnAliasIsATargetOfAMitigation) {
  enroll();
  put_alias("web");
  settle_all();
  Peer& peer = connect("acme.example", 1000);
  for (const char* name : {"web", "nobody-made-this"}) {
    coap::Request request = bare(wire::Method::put, name == std::string{"web"} ? 1 : 2);
    model::MitigationRequest body;
    body.scope.alias_name = {name};
    body.scope.target_protocol = {17};
    body.lifetime = model::Lifetime{600};
    request.content_format = 271;
    request.payload = wire::encode(body);
    send(peer, request);
    settle_all();
  }
  EXPECT_EQ(codes(peer), "2.01 4.00 ");
  ASSERT_EQ(wants.size(), 1u);
  ASSERT_FALSE(wants[0].wants.at(0).parts.empty());
}

TEST_F(ShardData, AnUnknownDomainIsNotServed) {
  ask("GET", "", "", "x", "nowhere");
  EXPECT_EQ(statuses(), "1:503 ");
}

}  // namespace
}  // namespace dots::agent::server
