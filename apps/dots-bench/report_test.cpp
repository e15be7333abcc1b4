#include "dots-bench/report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json.hpp>

#include "dots-bench/growth.h"

namespace dots::bench {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using testing::Not;

Row heartbeat() {
  Row row{.name = "heartbeat", .reference = "bare DTLS echo", .goals = {ratio_at_least(0.7, "bare DTLS echo")}};
  row.ratios = {0.5, 0.8, 0.6};
  row.samples.push_back({2.0, 4.0, 1000, {1ms}});
  return row;
}

TEST(Row, AGoalMayBeALeastOrAMost) {
  Row row = heartbeat();
  EXPECT_DOUBLE_EQ(row.ratio(), 0.6);
  EXPECT_FALSE(row.met());
  row.ratios = {0.7, 0.8, 0.9};
  EXPECT_TRUE(row.met());
  row.goals = {ratio_at_most(0.75, "that")};
  EXPECT_FALSE(row.met());
}

TEST(Row, GoalsAreOfTimesAndOfMemoryToo) {
  Row row{.name = "idle"};
  for (int i = 1; i <= 100; ++i) row.samples.push_back({0, 1, 1, {std::chrono::milliseconds{i}}});
  EXPECT_TRUE(row.met(at_most_ms(Figure::p95_ms, 95)));
  EXPECT_FALSE(row.met(at_most_ms(Figure::p95_ms, 94)));
  EXPECT_TRUE(row.met(at_most_ms(Figure::p99_ms, 99)));
  EXPECT_FALSE(row.met(at_most_ms(Figure::p99_ms, 98)));
  row.bytes_each = {16 * 1024};
  EXPECT_TRUE(row.met(at_most_bytes_each(16 * 1024)));
  EXPECT_FALSE(row.met(at_most_bytes_each(16 * 1024 - 1)));
  row.goals = {at_most_ms(Figure::p99_ms, 200), at_most_bytes_each(1)};
  EXPECT_FALSE(row.met());
}

TEST(Row, AGoalWithoutAFigureIsMissedUnlessTheRowWasSkipped) {
  Row row{.name = "nothing", .goals = {at_most_ms(Figure::p99_ms, 5), at_most_bytes_each(5), ratio_at_most(5, "x")}};
  for (const Goal& goal : row.goals) EXPECT_FALSE(row.met(goal)) << goal.text;
  row.skipped = "needs root";
  EXPECT_TRUE(row.met());
}

TEST(Report, SaysWhetherAGoalIsMet) {
  Report report;
  report.rows.push_back(heartbeat());
  EXPECT_THAT(table(report), HasSubstr(">= 0.70 of bare DTLS echo: SHORT"));
  EXPECT_THAT(json(report), HasSubstr("\"met\":false"));
  EXPECT_THAT(json(report), HasSubstr("\"per_cpu_s\":5E2"));
  report.rows[0].ratios = {0.7, 0.8, 0.9};
  EXPECT_THAT(table(report), HasSubstr("echo: met"));
  EXPECT_THAT(json(report), HasSubstr("\"met\":true"));
}

TEST(Report, ASkippedRowSaysWhyAndHasNoFigures) {
  Report report;
  Row row = heartbeat();
  row.skipped = "needs root";
  report.rows.push_back(row);
  EXPECT_THAT(table(report), HasSubstr("SKIP: needs root"));
  EXPECT_THAT(table(report), Not(HasSubstr("SHORT")));
  const auto rows = boost::json::parse(json(report)).at("rows").as_array();
  EXPECT_EQ(rows.at(0).at("skipped").as_string(), "needs root");
  EXPECT_FALSE(rows.at(0).as_object().contains("ratio"));
}

TEST(Growth, APointIsTheMedianAndTheRangeOfItsRounds) {
  const Point point = point_of("get", "ratio", "sessions", 1000, {0.5, 0.3, 0.4});
  EXPECT_EQ(point, (Point{"get", "ratio", "sessions", 1000, 0.4, 0.3, 0.5}));
}

TEST(Growth, TheCsvTellsWhereAndWhatIsMissing) {
  Growth growth;
  growth.taken = "2026-01-31";
  growth.skipped = {"100000 sessions: too many"};
  growth.points = {point_of("get", "ratio", "sessions", 256, {0.5})};
  const std::string text = csv(growth);
  EXPECT_THAT(text, HasSubstr("# taken 2026-01-31\n"));
  EXPECT_THAT(text, HasSubstr("# skipped 100000 sessions: too many\n"));
  EXPECT_THAT(text, HasSubstr("curve,figure,over,at,value,low,high\nget,ratio,sessions,256,0.5,0.5,0.5\n"));
}

}  // namespace
}  // namespace dots::bench
