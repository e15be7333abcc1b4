#include <gtest/gtest.h>

#include "dots-bench/exchange.h"
#include "dots-bench/web_lane.h"
#include "dots-bench/web_requests.h"

namespace dots::bench {
namespace {

TEST(WebLaneTest, AnswersAreTakenWholeAndOneAfterTheOther) {
  std::string text = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel";
  auto none = take_answer(text);
  ASSERT_TRUE(none.ok());
  EXPECT_FALSE(*none) << "its body is not whole";
  text += "loHTTP/1.1 204 No Content\r\nDate: now\r\n\r\nHTTP/1.1 4";
  auto first = take_answer(text);
  ASSERT_TRUE(first.ok() && *first);
  EXPECT_EQ((*first)->status, 200);
  EXPECT_EQ((*first)->body, "hello");
  EXPECT_EQ((*first)->bytes, 43U);
  auto second = take_answer(text);
  ASSERT_TRUE(second.ok() && *second);
  EXPECT_EQ((*second)->status, 204);
  EXPECT_TRUE((*second)->body.empty());
  EXPECT_EQ(text, "HTTP/1.1 4");
}

TEST(WebLaneTest, WhatIsNoAnswerIsAnError) {
  for (std::string text :
       {"FTP 200\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n"}) {
    EXPECT_FALSE(take_answer(text).ok()) << text;
  }
}

TEST(WebRequests, AWrongAnswerIsSeen) {
  const WebWorkload get = get_alias(10);
  const std::string target = get.make(3).target;
  const auto name = target.substr(target.find("alias=") + 6, target.find('?') - target.find("alias=") - 6);
  EXPECT_FALSE(get.check(3, {200, "{\"name\":\"" + name + "\"}", 0}));
  EXPECT_TRUE(get.check(3, {200, "{\"name\":\"another\"}", 0}));
  EXPECT_TRUE(get.check(3, {404, "{\"name\":\"" + name + "\"}", 0}));
  EXPECT_FALSE(put_alias(10, nullptr).check(3, {204, "", 0}));
  EXPECT_TRUE(put_alias(10, nullptr).check(3, {429, "", 0})) << "a limit";
}

TEST(WebRequests, APutChangesWhatIsThere) {
  const WebWorkload put = put_alias(10, std::make_shared<std::uint64_t>(0));
  EXPECT_EQ(put.make(3).target, put.make(13).target);
  EXPECT_NE(put.make(3).body, put.make(13).body);
  const WebWorkload list = put_list(1, 10, std::make_shared<std::uint64_t>(0));
  EXPECT_EQ(list.make(0).target, list.make(1).target);
  EXPECT_NE(list.make(0).body, list.make(1).body);
}

TEST(Exchange, TokensAndHeartbeats) {
  const LoadToken token = token_of_number(0x01020304);
  base::Bytes answer = {0x54, 0x44, 0, 1};
  answer.insert(answer.end(), token.begin(), token.end());
  EXPECT_EQ(number_of_token(answer), 0x01020304U);
  answer[0] = 0x53;
  EXPECT_FALSE(number_of_token(answer));
  EXPECT_FALSE(is_request(answer));
  const base::Bytes beat = {0x51, 0x03, 0, 9, 7, 0xff, 0xa0};
  EXPECT_TRUE(is_request(beat));
  EXPECT_EQ(answer_to_heartbeat(beat, 5), (base::Bytes{0x51, 0x44, 0, 5, 7})) << "NON, 2.04, the token";
  EXPECT_TRUE(answer_to_heartbeat(base::Bytes{1}, 5).empty());
}

}  // namespace
}  // namespace dots::bench
