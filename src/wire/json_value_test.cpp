#include "wire/json_value.h"

#include <gtest/gtest.h>

namespace dots::wire {
namespace {

using Kind = JsonValue::Kind;

std::string refusal(std::string_view text, const JsonLimits& limits = {}) {
  const auto value = parse_json(text, limits);
  return value ? "taken" : value.error().message;
}

TEST(JsonValue, KeepsTheOrderAndTheKindOfEverything) {
  const auto value = parse_json(R"( {"b":[1,-1,1.5,"x\u00e9",true,null,{}],"a":18446744073709551615,"c":1e2} )");
  ASSERT_TRUE(value) << value.error().message;
  ASSERT_EQ(value->members.size(), 3u);
  EXPECT_EQ(value->members[0].name, "b");
  const auto& entries = value->member("b")->entries;
  ASSERT_EQ(entries.size(), 7u);
  EXPECT_EQ(entries[0].kind, Kind::integer);
  EXPECT_EQ(entries[1].kind, Kind::negative_integer);
  EXPECT_EQ(entries[1].number, 0u);
  EXPECT_EQ(entries[2].kind, Kind::other_number);
  EXPECT_EQ(entries[3].text, "x\xC3\xA9");
  EXPECT_EQ(entries[4].number, 1u);
  EXPECT_EQ(entries[5].kind, Kind::null);
  EXPECT_TRUE(entries[6].is_object());
  EXPECT_EQ(value->member("a")->number, UINT64_MAX);
  EXPECT_EQ(value->member("c")->kind, Kind::other_number);
  EXPECT_EQ(value->member("d"), nullptr);
}

TEST(JsonValue, RefusesWhatIsNotJson) {
  for (const char* text : {"", "{", "{]", "{\"a\":}", "{'a':1}", "{\"a\":01}", "nul", "{\"a\":1,}", "\"\xff\"",
                           "\"\\ud800\"", "// c\n1", "\x01"}) {
    EXPECT_NE(refusal(text).find("not JSON"), std::string::npos) << text << ": " << refusal(text);
  }
  EXPECT_NE(refusal("{} {}"), "taken");
}

// A member that stands twice means two things to two readers.
TEST(JsonValue, RefusesAMemberTwiceInSmallAndLargeObjects) {
  EXPECT_EQ(refusal(R"({"a":1,"b":2,"a":3})"), "member 'a' stands twice in one object");
  std::string large = "{";
  for (int i = 0; i < 100; ++i) large += "\"m" + std::to_string(i) + "\":1,";
  EXPECT_EQ(refusal(large + "\"z\":1}"), "taken");
  EXPECT_EQ(refusal(large + "\"m99\":1}"), "member 'm99' stands twice in one object");
  EXPECT_EQ(refusal(large + "\"m3\":1}"), "member 'm3' stands twice in one object");
}

TEST(JsonValue, HoldsItsBounds) {
  EXPECT_EQ(refusal("[[[1]]]", {.depth = 3}), "taken");
  EXPECT_NE(refusal("[[[[1]]]]", {.depth = 3}), "taken");
  EXPECT_EQ(refusal("[1,2,3]", {.values = 4}), "taken");
  EXPECT_EQ(refusal("[1,2,3,4]", {.values = 4}), "more than 4 values");
  EXPECT_EQ(refusal("\"abcd\"", {.string_bytes = 4}), "taken");
  EXPECT_EQ(refusal("\"abcde\"", {.string_bytes = 4}), "a string is longer than 4 bytes");
  EXPECT_EQ(refusal("[1]   ", {.bytes = 5}), "the body is longer than 5 bytes");
}

}  // namespace
}  // namespace dots::wire
