#include "base/time_text.h"

#include <gtest/gtest.h>

namespace dots::base {
namespace {

TEST(TimeText, DatesOfTheCivilCalendar) {
  EXPECT_EQ(utc_text(from_unix_seconds(0)), "1970-01-01 00:00:00 UTC");
  EXPECT_EQ(utc_text(from_unix_seconds(951'782'399)), "2000-02-28 23:59:59 UTC");
  EXPECT_EQ(utc_text(from_unix_seconds(951'782'400)), "2000-02-29 00:00:00 UTC");
  EXPECT_EQ(utc_text(from_unix_seconds(1'709'251'199)), "2024-02-29 23:59:59 UTC");
  EXPECT_EQ(utc_text(from_unix_seconds(4'107'542'400)), "2100-03-01 00:00:00 UTC");  // no leap year
  EXPECT_EQ(utc_text(WallTime{std::chrono::milliseconds{1999}}), "1970-01-01 00:00:01 UTC");
}

TEST(TimeText, DurationsInTheTwoLargestUnits) {
  EXPECT_EQ(duration_text(-1s), "0 s");
  EXPECT_EQ(duration_text(59s), "59 s");
  EXPECT_EQ(duration_text(843s), "14 min 3 s");
  EXPECT_EQ(duration_text(23h), "23 h 0 min");
  EXPECT_EQ(duration_text(49h), "2 d 1 h");
}

}  // namespace
}  // namespace dots::base
