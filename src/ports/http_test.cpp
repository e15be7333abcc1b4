#include "ports/http.h"

#include <gtest/gtest.h>

namespace dots::ports {
namespace {

TEST(HttpHeaders, AreFoundWithoutCase) {
  const HttpHeaders headers{{"Content-Type", "application/yang-data+json"}, {"accept", "a"}, {"Accept", "b"}};
  ASSERT_NE(headers.find("content-type"), nullptr);
  EXPECT_EQ(*headers.find("CONTENT-TYPE"), "application/yang-data+json");
  EXPECT_EQ(*headers.find("Accept"), "a");
  EXPECT_EQ(headers.find("Content-Typ"), nullptr);
  EXPECT_EQ(headers.find("Content-Type2"), nullptr);
}

TEST(HttpHeaders, LinesOfOneNameAreOneListInTheirOrder) {
  const HttpHeaders headers{{"Via", "1.1 one"}, {"Host", "h"}, {"via", "1.1 two, 1.1 three"}};
  EXPECT_EQ(headers.joined("Via"), "1.1 one, 1.1 two, 1.1 three");
  EXPECT_EQ(headers.joined("From"), "");
  EXPECT_TRUE(headers.has("via"));
  EXPECT_FALSE(headers.has("from"));
}

TEST(HttpHeaders, SetTakesThePlaceOfEveryLineOfThatName) {
  HttpHeaders headers{{"Via", "a"}, {"Host", "h"}, {"via", "b"}};
  headers.set("VIA", "c");
  EXPECT_EQ(headers, (HttpHeaders{{"Via", "c"}, {"Host", "h"}}));
  headers.set("Age", "1");
  headers.erase("host");
  EXPECT_EQ(headers, (HttpHeaders{{"Via", "c"}, {"Age", "1"}}));
}

TEST(HttpAnswer, StatusesHaveTheirPhrases) {
  EXPECT_EQ(reason_phrase(431), "Request Header Fields Too Large");
  EXPECT_EQ(reason_phrase(299), "");
}

}  // namespace
}  // namespace dots::ports
