// Bounds, refused commits, restarts, damaged records, and what holds for any request.
#include <gmock/gmock.h>

#include <random>

#include "data/domain_fixture.h"

namespace dots::data {
namespace {

using namespace std::chrono_literals;

class Bounds : public DomainTest {
 protected:
  void SetUp() override { ASSERT_EQ(register_me(), 201); }
};

// R8040-12-02, D8783-10-11 (A8783-12)
TEST_F(Bounds, OnAliasesListsEntriesAndBytes) {
  options.limits.aliases_per_client = 2;
  options.limits.aliases = 3;
  options.limits.acls_per_client = 2;
  options.limits.acls = 3;
  options.limits.aces_per_acl = 2;
  options.limits.aces = 3;
  options.limits.targets_per_alias = 2;
  restart();
  EXPECT_EQ(post(aliases(alias("x") + "," + alias("y") + "," + alias("z"))), 409);
  EXPECT_EQ(get(me("/aliases")).body, R"({"ietf-dots-data-channel:aliases":{}})");
  EXPECT_EQ(post(aliases(alias("x") + "," + alias("y"))), 201);
  post(aliases(alias("z")));
  EXPECT_EQ(refusal(), "409 resource-denied");
  EXPECT_EQ(ask("PUT", me("/aliases/alias=x"), aliases(alias("x"))).status, 204) << "a refresh always fits";
  EXPECT_EQ(ask("PUT", me("/aliases"), aliases(alias("z") + "," + alias("y"))).status, 204) << "one goes, one comes";
  EXPECT_EQ(post(aliases(alias("t", R"("target-fqdn":["a.example.net","b.example.net","c.example.net"])"))), 409);
  EXPECT_EQ(post(acls(acl("big", ace("a", "") + "," + ace("b", "") + "," + ace("c", "")))), 409);
  EXPECT_EQ(post(acls(acl("l", ace("a", "") + "," + ace("b", "")))), 201);
  EXPECT_EQ(post(acls(acl("m", ace("a", "") + "," + ace("b", "")))), 409);
  EXPECT_EQ(post(acls(acl("m", ace("a", "")))), 201);
  EXPECT_EQ(post(acls(acl("n", ""))), 409);
  as("b");
  ASSERT_EQ(register_me(), 201);
  EXPECT_EQ(post(aliases(alias("x"))), 201);
  EXPECT_EQ(post(aliases(alias("y"))), 409) << "of the domain";
  EXPECT_EQ(post(acls(acl("n", ""))), 201);
  EXPECT_EQ(post(acls(acl("o", ""))), 409) << "of the domain";
  EXPECT_FALSE(says("\"a\""));
  ASSERT_EQ(ask("DELETE", me("/acls/acl=n")).status, 204);
  EXPECT_EQ(post(acls(acl("o", ""))), 201);
  options.limits.stored_bytes = 400;
  restart();
  EXPECT_EQ(ask("PUT", me("/acls/acl=o"), acls(acl("o", ace("a", R"("ipv4":{"source-ipv4-network":"192.0.2.0/24"})"))))
                .status,
            409);
  EXPECT_EQ(ask("PUT", me("/acls/acl=o"), acls(acl("o", ""))).status, 204);
}

// Four domains that use all of it leave each other room: the totals of the nft helper (docs/decisions/nft-table.md).
TEST(Limits, OneDomainTakesAQuarterOfThePacketFilter) {
  const Limits limits;
  EXPECT_LE(4 * limits.aces, 65536u);
  EXPECT_LE(4 * limits.acls, 16384u);
  EXPECT_LT(limits.acls_per_client, limits.acls);
  EXPECT_LT(limits.aces_per_acl, limits.aces);
}

// R8040-12-02, R8040-7-02
TEST_F(Bounds, OnBodiesAndAnswers) {
  options.limits.request_bytes = 2000;
  options.limits.answer_bytes = 300;
  restart();
  ask("PUT", me("/aliases/alias=x"), std::string(2001, ' '));
  EXPECT_EQ(refusal(), "413 too-big");
  EXPECT_EQ(ask("PUT", me("/aliases/alias=x"), aliases(alias("x")) + std::string(500, ' ')).status, 201);
  for (int i = 0; i < 10; ++i) ASSERT_EQ(post(aliases(alias("y" + std::to_string(i)))), 201);
  get(me("/aliases"));
  EXPECT_EQ(refusal(), "400 too-big");
  EXPECT_EQ(get(me("/aliases?depth=2")).status, 200);
  EXPECT_EQ(get(me("/aliases/alias=x")).status, 200);
}

// D8783-3.1-19, D8783-5.1-21: what was refused by the store was never there
TEST_F(Bounds, ARefusedCommitHasNoEffect) {
  ASSERT_EQ(post(acls(drop_list("l"))), 201);
  const std::string before = get(me()).body;
  const std::string tag = header("ETag");
  const auto refused = domain->request(
      {"PUT", me("/acls/acl=l"), {{"Content-Type", std::string(kType)}}, acls(drop_list("l", "192.0.2.99/32"))}, asker,
      now);
  ASSERT_EQ(refused.answer.status, 204);
  ASSERT_FALSE(refused.changes.empty());
  // the shell holds the answer, hears of the refusal, loads again and says 503
  events = domain->load(store, now);
  EXPECT_TRUE(events.empty());
  answer = unavailable();
  EXPECT_EQ(refusal(), "503 operation-failed");
  EXPECT_NE(header("Retry-After"), "");
  EXPECT_EQ(get(me()).body, before);
  EXPECT_EQ(header("ETag"), tag);
  // a tag that left with the refused answer is not given to anything else
  ASSERT_EQ(ask("PUT", me("/acls/acl=l"), acls(drop_list("l", "192.0.2.98/32"))).status, 204);
  EXPECT_NE(header("ETag"), *refused.answer.headers.find("ETag"));
}

// R8040-3.4-02, D8783-3.5-01: remaining lifetimes go on over a restart, and the time of an outage counts
TEST_F(Bounds, ARestartKeepsEverything) {
  ASSERT_EQ(post(aliases(alias("x"))), 201);
  ASSERT_EQ(post(acls(drop_list("l") + "," + drop_list("m", "192.0.2.7/32"))), 201);
  pass(60min);
  const std::string before = get(me()).body;
  restart();
  EXPECT_EQ(get(me()).body, before);
  EXPECT_TRUE(events.empty());
  now.wall += 10000min;  // the process was away; its steady clock is another one
  restart();
  get(me("/aliases/alias=x/pending-lifetime"));
  EXPECT_EQ(answer.body, R"({"ietf-dots-data-channel:pending-lifetime":20})");
  now.wall += 21min;
  restart();
  pass(0s);
  EXPECT_EQ(get(me("/aliases/alias=x")).status, 404);
  EXPECT_EQ(get(me()).status, 200) << "the registration stays";
}

// Nothing expires while the wall clock is behind the newest commit.
TEST_F(Bounds, AClockThatWentBackExpiresNothing) {
  ASSERT_EQ(post(aliases(alias("x"))), 201);
  pass(10min);
  ASSERT_EQ(post(aliases(alias("y"))), 201);
  now.wall -= 48h;
  restart();
  get(me("/aliases/alias=x/pending-lifetime"));
  EXPECT_EQ(answer.body, R"({"ietf-dots-data-channel:pending-lifetime":10070})");
}

// A lifetime below the RFC's minimum is not granted.
TEST_F(Bounds, ALifetimeOfLessThanAWeekIsAWeek) {
  options.lifetime = 1h;
  restart();
  ASSERT_EQ(post(aliases(alias("x"))), 201);
  pass(10079min);
  EXPECT_EQ(get(me("/aliases/alias=x")).status, 200);
}

TEST_F(Bounds, OneTickRemovesABoundedNumber) {
  options.limits.expired_at_once = 3;
  restart();
  for (int i = 0; i < 7; ++i) ASSERT_EQ(post(aliases(alias("x" + std::to_string(i)))), 201);
  now = now + 10080min;
  const std::size_t sizes[] = {3, 3, 1, 0};
  for (const std::size_t size : sizes) {
    const Outcome outcome = domain->tick(now);
    EXPECT_EQ(outcome.events.size(), size);
    EXPECT_EQ(outcome.changes.size(), 2 * size);
  }
  EXPECT_FALSE(domain->next_deadline());
}

TEST_F(Bounds, ADamagedRecordIsToldAndLeftInTheStore) {
  ASSERT_EQ(post(aliases(alias("good") + "," + alias("bad") + "," + alias("odd"))), 201);
  ASSERT_EQ(post(acls(drop_list("l"))), 201);
  for (auto& record : store.data_entries) {
    if (record.key.name == "bad") record.body = "{\"name\":";
    if (record.key.name == "odd") record.body = R"({"name":"odd","target-prefix":["no prefix"]})";
    if (record.key.name == "l") record.body = R"({"name":"l","aces":{"ace":[{"name":"r"}]}})";
    if (record.key.name == "good")
      record.body = R"({"name":"good","target-prefix":["198.51.100.1/32"],"from-later":[1]})";
  }
  store.data_entries.push_back(store.data_entries.front());
  store.data_entries.back().key.cuid = base::Cuid("nobody");
  restart();
  ASSERT_EQ(events.size(), 4u);
  for (const Event& event : events) {
    EXPECT_EQ(event.kind, Event::Kind::unreadable);
    EXPECT_NE(event.text, "");
  }
  EXPECT_EQ(store.data_entries.size(), 5u);
  EXPECT_EQ(get(me("/aliases/alias=good")).status, 200);
  EXPECT_EQ(get(me("/aliases/alias=bad")).status, 404);
  EXPECT_EQ(get(me("/acls")).status, 200);
}

// A policy that took a prefix away: what is there stays until it is refreshed or expires, what is new is refused.
TEST_F(Bounds, ANewPolicyCountsFromTheNextRequest) {
  ASSERT_EQ(post(aliases(alias("x"))), 201);
  auto smaller = policy();
  smaller.prefixes.erase(smaller.prefixes.begin());
  domain->set_rules(std::make_shared<const policy::DomainRules>(smaller));
  EXPECT_EQ(get(me("/aliases/alias=x")).status, 200);
  ask("PUT", me("/aliases/alias=x"), aliases(alias("x")));
  EXPECT_EQ(refusal(), "400 invalid-value");
}

// Every accepted write leaves a line in the audit log, every refused one leaves nothing in the store.
TEST_F(Bounds, AcceptedWritesAreAudited) {
  ASSERT_EQ(post(aliases(alias("x"))), 201);
  const auto lines = [&] {
    std::vector<std::string> found;
    for (const auto& change : changes) {
      if (const auto* line = std::get_if<ports::AppendAudit>(&change))
        found.push_back(line->record.subject + " " + line->record.text);
    }
    return found;
  };
  EXPECT_THAT(lines(), testing::ElementsAre("cuid=a alias=x 1 created"));
  ask("PUT", me("/aliases/alias=x"), aliases(alias("x")));
  EXPECT_THAT(lines(), testing::ElementsAre()) << "a refresh is no news";
  post(aliases(alias("y") + "," + alias("z")));
  EXPECT_THAT(lines(), testing::ElementsAre("cuid=a alias=y and 1 more 2 created"));
  ask("PUT", me("/aliases"),
      aliases(alias("x") + "," + alias("y", R"("target-fqdn":["example.net"])") + "," + alias("w")));
  EXPECT_THAT(lines(), testing::ElementsAre("cuid=a alias=z and 3 more 1 created, 1 changed, 1 refreshed, 1 removed"));
  EXPECT_EQ(events.size(), 1u);
  ask("PUT", me("/aliases"), aliases(alias("x")));
  ask("DELETE", me("/aliases/alias=x"));
  EXPECT_THAT(lines(), testing::ElementsAre("cuid=a alias=x 1 removed"));
  ask("DELETE", me("/aliases/alias=x"));
  EXPECT_TRUE(changes.empty());
  EXPECT_EQ(events.back().kind, Event::Kind::refused);
  ask("DELETE", me());
  EXPECT_THAT(lines(), testing::ElementsAre("cuid=a deregistered with 0 aliases and 0 access control lists"));
}

// A withdrawal may use the reserve of a full disk, a new entry may not.
TEST_F(Bounds, RemovalsAreReleases) {
  ASSERT_EQ(post(aliases(alias("x"))), 201);
  EXPECT_FALSE(ports::is_release(ports::Batch{{}, 0, {}, changes}));
  ask("DELETE", me("/aliases/alias=x"));
  EXPECT_TRUE(ports::is_release(ports::Batch{{}, 0, {}, changes}));
  ask("DELETE", me());
  EXPECT_TRUE(ports::is_release(ports::Batch{{}, 0, {}, changes}));
}

// D8783-4.1-11, D8783-5.2-04: many requests of two clients by chance. After each one the state equals what a restart
// from the store gives, no client sees the other's, and every answer is well formed.
TEST_F(Bounds, AnyOrderOfRequestsLeavesStoreAndMachineEqual) {
  options.limits.acls_per_client = 4;
  options.limits.aliases_per_client = 4;
  restart();
  std::mt19937 random(20261122);
  const auto pick = [&](std::initializer_list<const char*> from) {
    return std::string(*(from.begin() + random() % from.size()));
  };
  int accepted = 0;
  for (int round = 0; round < 1500; ++round) {
    as(pick({"a", "b"}));
    const std::string name = pick({"n1", "n2", "n3", "n4", "n5"});
    const std::string source = pick({"192.0.2.0/24", "192.0.2.7/32", "bad"});
    const std::string list = acl(name, ace("r", R"("ipv4":{"source-ipv4-network":")" + source + "\"}",
                                           R"("forwarding":")" + pick({"drop", "accept", "reject"}) + "\"") +
                                           "," + ace("s", ""));
    const std::string method = pick({"GET", "PUT", "PATCH", "POST", "DELETE", "PUT", "POST"});
    const std::string target =
        pick({"", "/aliases", "/acls", "/aliases/alias=", "/acls/acl=", "/acls/acl=", "/acls/acl="});
    std::string path = me(target + (target.ends_with('=') ? name : ""));
    if (target.empty() && method == "DELETE" && random() % 8 != 0) continue;
    if (method == "PUT" && target == "/acls/acl=" && random() % 3 == 0) path += "?insert=first";
    if (random() % 40 == 0) path += "/aces/ace=r";
    std::string body;
    if (method != "GET" && method != "DELETE") {
      body = target.starts_with("/acls") || (target.empty() && random() % 2 == 0) ? acls(list) : aliases(alias(name));
      if (target.empty() && method != "POST") {
        body = R"({"ietf-dots-data-channel:dots-client":[{"cuid":")" + asker.client.value + "\"}]}";
      }
    }
    ask(method, path, body);
    ASSERT_TRUE(answer.status >= 200 && answer.status < 500) << method << path << body << answer.status;
    if (answer.status >= 400) {
      ASSERT_NE(error(), "");
      ASSERT_TRUE(changes.empty());
    } else if (method != "GET") {
      ++accepted;
    }
    if (random() % 20 == 0) pass(std::chrono::minutes(random() % 4000));
    const std::string here = get("/restconf/data").body;
    const std::string tag = header("ETag");
    if (round % 10 == 0) {
      restart();
      ASSERT_TRUE(events.empty());
      ASSERT_EQ(get("/restconf/data").body, here);
    }
    ASSERT_FALSE(says(asker.client.value == "a" ? R"("cuid":"b")" : R"("cuid":"a")"));
  }
  EXPECT_GT(accepted, 200);
}

}  // namespace
}  // namespace dots::data
