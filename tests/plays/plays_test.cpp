// Every *.play of this folder is one test.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <string>
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

Play play_of(std::vector<Line> lines) {
  Play play;
  play.file = "x.play";
  play.lines = {{1, {"domain", "d", "owns", "192.0.2.0/24"}, ""},
                {2, {"client", "c", "of", "d"}, ""},
                {3, {"c", "connects"}, ""}};
  for (auto& line : lines) play.lines.push_back(std::move(line));
  return play;
}

TEST(Runner, SaysWhereAPlayFails) {
  const Line get{7, {"c", "sends", "GET", "mitigate/cuid=a/mid=1"}, ""};
  EXPECT_EQ(perform(play_of({get, {8, {"c", "receives", "4.04"}, ""}})), "");
  const std::string wrong = perform(play_of({get, {8, {"c", "receives", "2.05"}, ""}}));
  EXPECT_EQ(wrong.rfind("x.play:8: expected 2.05, got an answer 4.04", 0), 0U) << wrong;
  const std::string more = perform(play_of({get}));
  EXPECT_NE(more.find("has received more than it says"), std::string::npos) << more;
  const std::string less = perform(play_of({{9, {"c", "receives", "2.05"}, ""}}));
  EXPECT_EQ(less, "x.play:9: expected 2.05, got nothing");
  EXPECT_EQ(perform(play_of({{4, {"installed:", "drop", "all"}, ""}})),
            "x.play:4: expected drop all, installed is nothing");
  EXPECT_EQ(perform(play_of({{5, {"abracadabra"}, ""}})),
            "x.play:5: 'abracadabra' is no line of a play (docs/plays.md)");
}

TEST(Matching, NamesThePlaceThatDiffers) {
  const auto got = boost::json::parse(R"({"scope":[{"mid":1,"lifetime":3599,"status":"x"}]})");
  const auto compare = [&](const char* expected) { return difference(boost::json::parse(expected), got); };
  EXPECT_EQ(compare(R"({"scope":[{"mid":1,"lifetime":"3590..3600","status":"*"}]})"), "");
  EXPECT_EQ(compare(R"({"scope":[{"mid":1,"lifetime":3600,"status":"x"}]})"),
            "scope[0].lifetime: expected 3600, got 3599");
  EXPECT_EQ(compare(R"({"scope":[{"mid":1,"lifetime":3599}]})"), "scope[0]: nobody expected status: \"x\"");
  EXPECT_EQ(compare(R"({"scope":[{"mid":1,"lifetime":3599,"status":"x","more":1}]})"),
            "scope[0].more: expected 1, got nothing");
}

}  // namespace
}  // namespace dots::plays
