// Every *.play of this folder is one test.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "tests/plays/matching.h"
#include "tests/plays/play.h"

#include <boost/json/parse.hpp>

namespace dots::plays {
namespace {

std::vector<std::string> play_names() {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(DOTS_SOURCE_DIR "/tests/plays")) {
    if (entry.path().extension() == ".play") names.push_back(entry.path().stem().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

class Plays : public ::testing::TestWithParam<std::string> {};

TEST_P(Plays, ComesAsItSays) {
  const auto play = read_play(DOTS_SOURCE_DIR "/tests/plays/" + GetParam() + ".play");
  ASSERT_TRUE(play) << play.error().message;
  EXPECT_EQ(perform(*play), "");
}

INSTANTIATE_TEST_SUITE_P(Folder, Plays, ::testing::ValuesIn(play_names()), [](const auto& one) {
  std::string name = one.param;
  std::replace_if(
      name.begin(), name.end(), [](char c) { return std::isalnum(static_cast<unsigned char>(c)) == 0; }, '_');
  return name;
});

// A play of these lines behind a start of three; what is wrong with it.
std::string outcome(const std::string& lines) {
  std::istringstream text{
      "play: x\ncovers: x\n"
      "domain d owns 192.0.2.0/24\nclient c of d\nc connects\n" +
      lines};
  const auto play = parse_play("x.play", text);
  return play ? perform(*play) : play.error().message;
}

TEST(Runner, SaysWhereAPlayFails) {
  EXPECT_EQ(outcome("c sends GET mitigate/cuid=a/mid=1\nc receives 4.04\n"), "");
  const std::string wrong = outcome("c sends GET mitigate/cuid=a/mid=1\n\nc receives 2.05\n");
  EXPECT_EQ(wrong.rfind("x.play:8: expected 2.05, got an answer 4.04", 0), 0U) << wrong;
  const std::string more = outcome("c sends GET mitigate/cuid=a/mid=1\n");
  EXPECT_NE(more.find("has received more than it says"), std::string::npos) << more;
  EXPECT_EQ(outcome("c receives 2.05\n"), "x.play:6: expected 2.05, got nothing");
  EXPECT_EQ(outcome("installed: drop all\n"), "x.play:6: expected drop all, installed is nothing");
  EXPECT_EQ(outcome("abracadabra\n"), "x.play:6: 'abracadabra' is no line of a play (docs/plays.md)");
}

TEST(Runner, SaysWhichLineItDoesNotUnderstand) {
  const std::pair<const char*, const char*> lines[] = {
      {"c dances", "'dances' is nothing that a client does (docs/plays.md)"},
      {"c sends PUSH mitigate/cuid=a", "'PUSH' is none of GET, PUT, POST and DELETE"},
      {"c sends GET mitigate/cuid=a politely", "'politely' is no option of a request"},
      {"c sends PUT hb { hb }", "the body is no DOTS message: "},
      {"c sends PUT hb { \"hb\": 1 }", "written as JSON the body would lose something"},
      {"c receives no surprise", "'no surprise' is nothing that can be received (docs/plays.md)"},
      {"c receives 2.05 within 3 moons", "within wants a number and ms, s, min or h"},
      {"wait 3 moons", "wait wants a number and ms, s, min or h"},
      {"client e of d", "the play has begun: clients are named before"},
      {"policy d generosity=1", "policy DOMAIN KEY=VALUE..., before the play begins"},
      {"the server accepts ack-timeout 1.00-30.00", "the server accepts PARAMETER LOW..HIGH"},
      {"the server accepts heartbeat-interval 1.00..30.00", "the server accepts PARAMETER LOW..HIGH"},
      {"the operator redirects c to alt.example", "the operator redirects everybody|DOMAIN|CLIENT to HOST"},
      {"the operator withdraws d cuid=a", "the operator withdraws DOMAIN cuid=CUID mid=MID"},
      {"the back end reports d cuid=a mid=1 rain", "'rain' is nothing that a back end reports"},
      {"server s at 192.0.2.1", "server NAME is HOST at ADDRESS..."},
      {"our client o with cuid=a at s", "there is no server 's'"},
  };
  for (const auto& [line, error] : lines) {
    const std::string got = outcome(std::string(line) + "\n");
    EXPECT_EQ(got.rfind("x.play:6: " + std::string(error), 0), 0U) << line << ": " << got;
  }
  EXPECT_EQ(outcome("c sends PUT hb { \"a\": 1\n"), "x.play:6: a brace is never closed");
  EXPECT_EQ(outcome("c sends PUT hb <A1 0>\n"), "x.play:6: the bytes are not hexadecimal");
  EXPECT_EQ(outcome("c sends PUT hb <A1\n01 # one\n"), "x.play:6: a '<' without its '>'");
}

TEST(Runner, AWrongExpectationOfTheServerFails) {
  const std::string beat = R"( { "ietf-dots-signal-channel:heartbeat": { "peer-hb-status": true } })";
  EXPECT_EQ(outcome("c receives PUT hb within 31 s" + beat + "\n"), "");
  EXPECT_NE(outcome("c receives PUT hb within 29 s" + beat + "\n"), "");
  EXPECT_NE(outcome("c receives PUT hb confirmable within 31 s" + beat + "\n"), "");
  EXPECT_NE(outcome("c receives PUT hb within 31 s { \"ietf-dots-signal-channel:heartbeat\": {} }\n"), "");
  EXPECT_EQ(outcome("c receives no PUT hb within 31 s\n"), "x.play:6: expected no PUT hb, got one");
  const std::string get = "c sends GET config confirmable\n";
  EXPECT_EQ(outcome(get + "c receives 2.05 max-age=3600 piggybacked\n"), "");
  EXPECT_NE(outcome(get + "c receives 2.05 max-age=3601\n"), "");
  EXPECT_NE(outcome(get + "c receives 2.05 non-confirmable\n"), "");
  const std::string one = "c sends GET mitigate/cuid=a/mid=1\n";
  EXPECT_EQ(outcome(one + "c receives 4.04 saying no\n"), "");
  EXPECT_NE(outcome(one + "c receives 4.04 saying perhaps\n"), "");
  EXPECT_NE(outcome(one + "c is notified 4.04\n"), "");
  EXPECT_EQ(outcome(one + "c receives nothing\nc receives 4.04\n").rfind("x.play:7: expected nothing", 0), 0U);
  EXPECT_NE(outcome("c is told goodbye\n"), "");
  EXPECT_NE(outcome("c ends the observation\n"), "");
}

TEST(Runner, AWrongExpectationOfOurClientFails) {
  const std::string start =
      "server s is s.example at 192.0.2.1\nour client o with cuid=a at s\no starts\n"
      R"(o is told mitigate { "target-prefix": ["203.0.113.1/32"], "lifetime": 600 })"
      "\n";
  const auto body = [](const char* lifetime) {
    return R"( { "ietf-dots-signal-channel:mitigation-scope": { "scope": [
        { "target-prefix": ["203.0.113.1/32"], "lifetime": )" +
           std::string(lifetime) + "} ] } }\n";
  };
  const std::string put = start + "s receives PUT mitigate/cuid=a/mid=1";
  EXPECT_EQ(outcome(put + body("600")), "");
  EXPECT_NE(outcome(put + body("601")), "");
  EXPECT_NE(outcome(put + " if-match" + body("600")), "");
  EXPECT_NE(outcome(put + " confirmable" + body("600")), "");
  EXPECT_NE(outcome(start + "s receives PUT mitigate/cuid=a/mid=2" + body("600")), "");
  EXPECT_NE(outcome(start + "s receives DELETE mitigate/cuid=a/mid=1\n"), "");
  EXPECT_NE(outcome(start + "s receives nothing\n"), "");
  EXPECT_NE(outcome(start).find("the play ends, but s has received more than it says: PUT"), std::string::npos);
  EXPECT_NE(outcome(start + "s answers 2.01\n"), "");
  EXPECT_NE(outcome(put + "\ns notifies mitigate/cuid=a/mid=1 2.05\n"), "");
  EXPECT_NE(outcome(put + "\no shows mid=1 { \"phase\": \"active\" }\n"), "");
  EXPECT_EQ(outcome(put + "\no shows mid=1 { \"phase\": \"requesting\" }\n"), "");
  EXPECT_NE(outcome(put + "\no shows mid=2 {}\n"), "");
  EXPECT_NE(outcome(put + "\no tells REDIRECT_LOOP\n"), "");
  EXPECT_NE(outcome(put + "\ns is joined within 1 s\n"), "");
  EXPECT_NE(outcome(put + "\ns is left\n"), "");
  EXPECT_NE(outcome(start + "o is told launch\n"), "");
}

TEST(Matching, NamesThePlaceThatDiffers) {
  const auto got = boost::json::parse(R"({"scope":[{"mid":1,"lifetime":3599,"status":"x"}]})");
  const auto compare = [&](const char* expected) { return difference(boost::json::parse(expected), got); };
  EXPECT_EQ(compare(R"({"scope":[{"mid":1,"lifetime":"3590..3600","status":"*"}]})"), "");
  EXPECT_EQ(compare(R"({"scope":[{"mid":1,"lifetime":3600,"status":"x"}]})"),
            "scope[0].lifetime: expected 3600, got 3599");
  EXPECT_EQ(compare(R"({"scope":[{"mid":1,"...":""}]})"), "");
  EXPECT_EQ(compare(R"({"scope":[{"mid":2,"...":""}]})"), "scope[0].mid: expected 2, got 1");
  EXPECT_EQ(compare(R"({"scope":[{"mid":1,"lifetime":3599}]})"), "scope[0]: nobody expected status: \"x\"");
  EXPECT_EQ(compare(R"({"scope":[{"mid":1,"lifetime":3599,"status":"x","more":1}]})"),
            "scope[0].more: expected 1, got nothing");
}

}  // namespace
}  // namespace dots::plays
