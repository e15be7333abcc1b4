// Entity-tags, dates, preconditions (RFC 8040 3.4.1, 3.5; RFC 9110 13).
#include "data/domain_fixture.h"
#include "data/http.h"

namespace dots::data {
namespace {

using namespace std::chrono_literals;

class Versions : public DomainTest {
 protected:
  void SetUp() override {
    ASSERT_EQ(register_me(), 201);
    pass(10s);
    ASSERT_EQ(post(aliases(alias("x"))), 201);
    pass(10s);
    ASSERT_EQ(post(acls(drop_list("l"))), 201);
    pass(10s);
  }
  std::string tag(const std::string& target) {
    get(target);
    EXPECT_EQ(answer.status, 200) << target;
    EXPECT_NE(header("ETag"), "") << target;
    return header("ETag");
  }
  int put_x(const ports::HttpHeaders& headers, const char* address = "198.51.100.9/32") {
    return ask("PUT", me("/aliases/alias=x"),
               aliases(alias("x", R"("target-prefix":[")" + std::string(address) + "\"]")), headers)
        .status;
  }
};

// R8040-3.4.1.1-01, R8040-3.4.1.2-01, R8040-3.5.1-01, R8040-3.5.2-01
TEST_F(Versions, EveryConfigurationResourceHasATagAndADate) {
  for (const std::string& target :
       {std::string("/restconf/data"), dots(), me(), me("/aliases"), me("/aliases/alias=x"), me("/acls"),
        me("/acls/acl=l"), me("/acls/acl=l/aces/ace=rule/actions/forwarding")}) {
    tag(target);
    EXPECT_NE(header("Last-Modified"), "") << target;
    const std::string got = header("ETag");
    ask("HEAD", target);
    EXPECT_EQ(header("ETag"), got);
  }
  get(me("/aliases/alias=x"));
  EXPECT_EQ(header("Last-Modified"), "Fri, 15 Jan 2027 08:00:10 GMT");
}

// R8040-3.4.1.3-01, R8040-3.5.2-02: upwards everything changes, beside it nothing does
TEST_F(Versions, AChangeMovesTheTagsAboveIt) {
  const std::string up[] = {
      "/restconf/data", dots(), me(), me("/acls"), me("/acls/acl=l"), me("/acls/acl=l/aces/ace=rule")};
  const std::string beside[] = {me("/aliases"), me("/aliases/alias=x")};
  std::vector<std::string> before;
  for (const auto& target : up) before.push_back(tag(target));
  std::vector<std::string> still;
  for (const auto& target : beside) still.push_back(tag(target));
  const int status = ask("PUT", me("/acls/acl=l/aces/ace=rule/actions/forwarding"),
                         R"({"ietf-dots-data-channel:forwarding":"accept"})")
                         .status;
  EXPECT_EQ(status, 204);
  EXPECT_EQ(header("ETag"), tag(me("/acls/acl=l")));
  for (std::size_t i = 0; i < before.size(); ++i) EXPECT_NE(tag(up[i]), before[i]) << up[i];
  for (std::size_t i = 0; i < still.size(); ++i) EXPECT_EQ(tag(beside[i]), still[i]) << beside[i];
  const std::string container = tag(me("/aliases"));
  ASSERT_EQ(ask("DELETE", me("/aliases/alias=x")).status, 204);
  EXPECT_NE(tag(me("/aliases")), container);
}

// R8040-3.4.1.1-02, R8040-3.4.1.2-02
TEST_F(Versions, StateMovesNoTag) {
  const std::string before = tag(me());
  const std::string date = header("Last-Modified");
  pass(1h);
  domain->count(base::Cuid("a"), "l", "rule", 5, 500);
  EXPECT_EQ(tag(me()), before);
  // a refresh is no change of configuration either
  const std::string entry = tag(me("/aliases/alias=x"));
  const std::string echoed = get(me("/aliases/alias=x")).body;
  ASSERT_EQ(ask("PUT", me("/aliases/alias=x"), echoed).status, 204);
  EXPECT_EQ(tag(me()), before);
  EXPECT_EQ(header("Last-Modified"), date);
  EXPECT_EQ(tag(me("/aliases/alias=x")), entry);
  EXPECT_EQ(get(me("?content=nonconfig")).status, 200);  // A8040-03
  EXPECT_EQ(header("ETag"), before);
}

// Expiry is a change of configuration.
TEST_F(Versions, ExpiryMovesTheTag) {
  const std::string before = tag(me("/aliases"));
  pass(10080min);
  EXPECT_NE(tag(me("/aliases")), before);
}

// R8040-3.5.2-03, R8040-3.4.1.2-04
TEST_F(Versions, IfMatch) {
  const std::string current = tag(me("/aliases/alias=x"));
  EXPECT_EQ(put_x({{"If-Match", "\"stale\""}}), 412);
  EXPECT_EQ(error(), "operation-failed");
  EXPECT_EQ(header("ETag"), current);
  EXPECT_TRUE(changes.empty());
  EXPECT_EQ(put_x({{"If-Match", "W/" + current}}), 412) << "If-Match compares strongly";
  EXPECT_EQ(put_x({{"If-Match", "\"stale\", " + current}}), 204);
  EXPECT_NE(header("ETag"), current);
  EXPECT_EQ(put_x({{"If-Match", current}}), 412);
  EXPECT_EQ(put_x({{"If-Match", "*"}}), 204);
  EXPECT_EQ(ask("PATCH", me("/aliases/alias=x"), aliases(alias("x")), {{"If-Match", current}}).status, 412);
  EXPECT_EQ(ask("DELETE", me("/aliases/alias=x"), {}, {{"If-Match", current}}).status, 412);
  EXPECT_EQ(get(me("/aliases/alias=x")).status, 200);
  EXPECT_EQ(ask("PUT", me("/aliases/alias=new"), aliases(alias("new")), {{"If-Match", "*"}}).status, 412);
  EXPECT_EQ(get(me("/aliases/alias=new")).status, 404);
  EXPECT_EQ(ask("DELETE", me("/aliases/alias=x"), {}, {{"If-Match", tag(me("/aliases/alias=x"))}}).status, 204);
  EXPECT_EQ(ask("DELETE", me("/aliases/alias=x"), {}, {{"If-Match", "*"}}).status, 404);
}

// R8040-3.5.2-04
TEST_F(Versions, IfNoneMatch) {
  EXPECT_EQ(put_x({{"If-None-Match", "*"}}), 412);
  EXPECT_EQ(ask("PUT", me("/aliases/alias=new"), aliases(alias("new")), {{"If-None-Match", "*"}}).status, 201);
  EXPECT_EQ(put_x({{"If-None-Match", "\"stale\""}}), 204);
  EXPECT_EQ(ask("PUT", me("/acls/acl=l/aces/ace=r2"), R"({"ietf-dots-data-channel:ace":[)" + ace("r2", "") + "]}",
                {{"If-None-Match", "*"}})
                .status,
            201);
  EXPECT_EQ(ask("PUT", me("/acls/acl=l/aces/ace=r2"), R"({"ietf-dots-data-channel:ace":[)" + ace("r2", "") + "]}",
                {{"If-None-Match", "*"}})
                .status,
            412);
}

// R8040-5.5-02
TEST_F(Versions, AConditionalGet) {
  const std::string current = tag(me("/aliases/alias=x"));
  const std::string date = header("Last-Modified");
  EXPECT_EQ(get(me("/aliases/alias=x"), {{"If-None-Match", current}}).status, 304);
  EXPECT_EQ(answer.body, "");
  EXPECT_EQ(header("ETag"), current);
  EXPECT_EQ(header("Content-Type"), "");
  EXPECT_EQ(get(me("/aliases/alias=x"), {{"If-None-Match", "W/" + current}}).status, 304);
  EXPECT_EQ(get(me("/aliases/alias=x"), {{"If-None-Match", "\"a\", \"b\""}}).status, 200);
  EXPECT_EQ(get(me("/aliases/alias=x"), {{"If-Modified-Since", date}}).status, 304);
  EXPECT_EQ(get(me("/aliases/alias=x"), {{"If-Modified-Since", "Fri, 15 Jan 2027 08:00:09 GMT"}}).status, 200);
  EXPECT_EQ(get(me("/aliases/alias=x"), {{"If-Modified-Since", date}, {"If-None-Match", "\"b\""}}).status, 200);
  EXPECT_EQ(get(me("/aliases/alias=x"), {{"If-Modified-Since", "tomorrow"}}).status, 200);
  EXPECT_EQ(get(me("/aliases/alias=x"), {{"If-Match", "\"b\""}}).status, 412);
  EXPECT_EQ(get(me("/aliases/alias=none"), {{"If-None-Match", "*"}}).status, 404);
  ask("HEAD", me("/aliases/alias=x"), {}, {{"If-None-Match", current}});
  EXPECT_EQ(answer.status, 304);
}

// R8040-3.5.1-02
TEST_F(Versions, IfUnmodifiedSince) {
  get(me("/aliases/alias=x"));
  const std::string date = header("Last-Modified");
  const std::string tag_now = header("ETag");
  EXPECT_EQ(put_x({{"If-Unmodified-Since", "Fri, 15 Jan 2027 08:00:09 GMT"}}), 412);
  EXPECT_EQ(header("Last-Modified"), date);
  EXPECT_EQ(header("ETag"), tag_now);
  EXPECT_EQ(put_x({{"If-Unmodified-Since", date}}), 204);
  EXPECT_EQ(put_x({{"If-Unmodified-Since", date}}), 412);
  EXPECT_EQ(put_x({{"If-Unmodified-Since", "no date"}}), 204);
}

// R8040-3.5.2-05
TEST_F(Versions, EditsSayTheNewVersion) {
  for (const char* address : {"198.51.100.20/32", "198.51.100.21/32"}) {
    EXPECT_EQ(put_x({}, address), 204);
    const std::string said = header("ETag");
    EXPECT_NE(header("Last-Modified"), "");
    EXPECT_EQ(tag(me("/aliases/alias=x")), said);
  }
  ASSERT_EQ(post(aliases(alias("new"))), 201);
  const std::string said = header("ETag");
  EXPECT_EQ(tag(me("/aliases/alias=new")), said);
}

// R8040-3.4-02, D8783-3.1-19: tags, too, survive a restart, and none is given out twice
TEST_F(Versions, TagsSurviveARestart) {
  const std::string targets[] = {"/restconf/data", me(), me("/aliases"), me("/aliases/alias=x"), me("/acls")};
  std::vector<std::string> before;
  for (const auto& target : targets) before.push_back(tag(target));
  restart();
  for (std::size_t i = 0; i < before.size(); ++i) EXPECT_EQ(tag(targets[i]), before[i]) << targets[i];
  ASSERT_EQ(ask("DELETE", me()).status, 204);
  const std::string after = tag(dots());
  restart();
  pass(1s);
  ASSERT_EQ(register_me(), 201);
  EXPECT_NE(tag(dots()), after);
  for (const auto& old : before) EXPECT_NE(tag(dots()), old);
}

// Another client's work is none of ours.
TEST_F(Versions, OtherClientsMoveNoTagOfOurs) {
  const std::string before = tag("/restconf/data");
  as("b");
  ASSERT_EQ(register_me(), 201);
  as("a");
  EXPECT_EQ(tag("/restconf/data"), before);
}

TEST(HttpDates, AreWrittenAndReadInAllForms) {
  const base::WallTime time = base::from_unix_seconds(784111777);
  EXPECT_EQ(http_date(time), "Sun, 06 Nov 1994 08:49:37 GMT");
  for (const char* text :
       {"Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"}) {
    EXPECT_EQ(parse_http_date(text), time) << text;
  }
  for (const char* text : {"", "Sun, 32 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 24:49:37 GMT", "06 Nov 1994", "Nov",
                           "Sun, 06 Nov 99999 08:49:37 GMT", "Sun, 30 Feb 1994 08:49:37 GMT", "1 2 3 4 5 Jan"}) {
    EXPECT_FALSE(parse_http_date(text)) << text;
  }
  EXPECT_EQ(http_date(base::from_unix_seconds(951782400)), "Tue, 29 Feb 2000 00:00:00 GMT");
}

// A leaf that only has its default value is not there for who writes it.
TEST_F(Versions, ADefaultValueIsNothingToBeReplaced) {
  const std::string leaf = me("/acls/acl=l/activation-type");
  const std::string body = R"({"ietf-dots-data-channel:activation-type":"deactivate"})";
  EXPECT_EQ(get(leaf).status, 200) << "the default";
  EXPECT_EQ(ask("PUT", leaf, body, {{"If-Match", "*"}}).status, 412);
  EXPECT_EQ(ask("PUT", leaf, body, {{"If-None-Match", "*"}}).status, 201);
  EXPECT_EQ(ask("PUT", leaf, body, {{"If-None-Match", "*"}}).status, 412);
}

// What one identity sees after a deregistration is no version that it has seen before, also after a restart.
TEST_F(Versions, ADeregistrationIsNotForgotten) {
  const auto enroll = [&](const std::string& cuid) {
    pass(1s);
    return ask("POST", dots(), R"({"ietf-dots-data-channel:dots-client":[{"cuid":")" + cuid + "\"}]}").status;
  };
  ASSERT_EQ(enroll("second"), 201);
  ASSERT_EQ(enroll("third"), 201);
  const std::string with_second = tag(dots());
  pass(1s);
  ASSERT_EQ(ask("DELETE", dots("/dots-client=second")).status, 204);
  const std::string without = tag(dots());
  EXPECT_NE(without, with_second);
  restart();
  EXPECT_EQ(tag(dots()), without);
}

// Who only asks whether something has changed is answered without the whole being put together.
TEST_F(Versions, AnUnchangedTreeCostsNothing) {
  const std::vector<std::string> targets = {dots(), me(), me("/acls")};
  std::vector<std::string> tags;
  for (const auto& target : targets) tags.push_back(tag(target));
  options.limits.answer_bytes = 1;
  restart();
  for (std::size_t i = 0; i < targets.size(); ++i) {
    EXPECT_EQ(get(targets[i]).status, 400) << "too large to be built";
    EXPECT_EQ(get(targets[i], {{"If-None-Match", tags[i]}}).status, 304) << targets[i];
    EXPECT_EQ(get(targets[i], {{"If-Match", "\"x\""}}).status, 412) << targets[i];
  }
  EXPECT_EQ(get(dots("/dots-client=none"), {{"If-None-Match", tags[1]}}).status, 404);
  EXPECT_EQ(get(me("/aliases/alias=none"), {{"If-None-Match", "*"}}).status, 404);
}

}  // namespace
}  // namespace dots::data
