#include "ops/sink.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace dots::ops {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

class SinkTest : public ::testing::Test {
 protected:
  std::unique_ptr<Instruments> make(const std::string& level = "info") {
    Instruments::Options options;
    options.log.level = level;
    options.messages_burst = 3;
    options.messages_per_second = 1;
    options.label_values = 2;
    options.clock = [this] { return now_; };
    options.write = [this](facts::Severity, const std::string& line) { lines_.push_back(line); };
    return std::move(Instruments::open(std::move(options))).value();
  }
  std::chrono::steady_clock::time_point now_{std::chrono::hours{1}};
  std::vector<std::string> lines_;
};

TEST_F(SinkTest, ALineSaysWhatItMeansAndWhatToDo) {
  const auto sink = make();
  sink->message("SESSION_STRANGER", "certificate 'x' from [::1]:5");
  ASSERT_EQ(lines_.size(), 1u);
  EXPECT_THAT(lines_[0], HasSubstr("SESSION_STRANGER: "));
  EXPECT_THAT(lines_[0], HasSubstr(": certificate 'x' from [::1]:5; add the name to [[domain.client]]"));
}

TEST_F(SinkTest, AFloodOfOneMessageIsCountedAndLeavesOthersAlone) {
  const auto sink = make();
  for (int i = 0; i < 10; ++i) sink->message("NAME_FAILED", std::to_string(i));
  EXPECT_EQ(lines_.size(), 3u);
  sink->message("SESSION_OPENED", "another");
  EXPECT_EQ(lines_.size(), 4u);
  now_ += std::chrono::seconds{1};
  sink->message("NAME_FAILED", "later");
  ASSERT_EQ(lines_.size(), 5u);
  EXPECT_THAT(lines_[4], HasSubstr("later (7 more of these were not written)"));
  EXPECT_THAT(sink->metrics_text(), HasSubstr("dots_messages_total{id=\"NAME_FAILED\"} 11"));
  EXPECT_THAT(sink->metrics_text(), HasSubstr("dots_message_suppressed_total{id=\"NAME_FAILED\"} 7"));
  for (int i = 0; i < 2; ++i) sink->message("NAME_FAILED", "again");
  lines_.clear();
  sink->flush();
  EXPECT_THAT(lines_, ElementsAre("NAME_FAILED: 2 more of these were not written"));
}

TEST_F(SinkTest, LinesForPrograms) {
  const std::filesystem::path file = std::filesystem::path(::testing::TempDir()) / "sink_json.log";
  std::filesystem::remove(file);
  {
    Instruments::Options options;
    options.log.file = file;
    options.log.json = true;
    const auto sink = std::move(Instruments::open(std::move(options))).value();
    sink->message("SESSION_STRANGER", "certificate \"x\" {} % %v \xff\n");
    sink->message("SESSION_OPENED", "");
    sink->flush();
  }
  std::ifstream in{file};
  std::vector<boost::json::object> lines;
  for (std::string line; std::getline(in, line);) lines.push_back(boost::json::parse(line).as_object());
  ASSERT_EQ(lines.size(), 2u);
  const auto text = [&](const char* name) { return std::string(lines[0].at(name).as_string()); };
  EXPECT_EQ(text("id"), "SESSION_STRANGER");
  EXPECT_EQ(text("severity"), facts::name_of(facts::find_message("SESSION_STRANGER")->severity));
  EXPECT_EQ(text("details"), "certificate \"x\" {} % %v ?\\x0a");
  EXPECT_EQ(text("next_step"), facts::find_message("SESSION_STRANGER")->next_step);
  EXPECT_TRUE(text("at").ends_with("Z"));
  EXPECT_FALSE(lines[1].contains("details"));
}

TEST_F(SinkTest, AHistogramCountsByBuckets) {
  const auto sink = make();
  sink->observe("dots_time_to_mitigate_seconds", "edge", 0.004);
  sink->observe("dots_time_to_mitigate_seconds", "edge", 0.2);
  const std::string text = sink->metrics_text();
  EXPECT_THAT(text, HasSubstr("# TYPE dots_time_to_mitigate_seconds histogram"));
  EXPECT_THAT(text, HasSubstr("dots_time_to_mitigate_seconds_bucket{mitigator=\"edge\",le=\"0.005\"} 1"));
  EXPECT_THAT(text, HasSubstr("dots_time_to_mitigate_seconds_bucket{mitigator=\"edge\",le=\"0.25\"} 2"));
  EXPECT_THAT(text, HasSubstr("dots_time_to_mitigate_seconds_count{mitigator=\"edge\"} 2"));
}

TEST_F(SinkTest, TheLevelIsKept) {
  const auto sink = make("warning");
  sink->message("SESSION_OPENED", "");
  EXPECT_TRUE(lines_.empty());
  sink->message("SESSION_STRANGER", "");
  EXPECT_EQ(lines_.size(), 1u);
}

TEST_F(SinkTest, PeersCannotWriteLinesOfTheirOwn) {
  const auto sink = make();
  sink->message("NAME_FAILED", "evil\nSTORE \x1b[2J");
  EXPECT_THAT(lines_.at(0), HasSubstr("evil\\x0aSTORE \\x1b[2J"));
  sink->message("NAME_FAILED", std::string(10000, 'x'));
  EXPECT_LT(lines_.at(1).size(), 2300u);
}

TEST_F(SinkTest, AnUnknownIdIsSaidNotLost) {
  const auto sink = make();
  sink->message("NO_SUCH_ID", "text");
  EXPECT_THAT(lines_, ElementsAre("NO_SUCH_ID: text"));
}

TEST_F(SinkTest, LabelValuesAreBounded) {
  const auto sink = make();
  for (int i = 0; i < 50; ++i) sink->count("dots_test_total", "value-" + std::to_string(i), 1);
  const std::string text = sink->metrics_text();
  EXPECT_THAT(text, HasSubstr("dots_test_total{label=\"value-0\"} 1"));
  EXPECT_THAT(text, HasSubstr("dots_test_total{label=\"other\"} 48"));
  EXPECT_THAT(text, Not(HasSubstr("value-2")));
  sink->gauge("dots_test_gauge", "", 2.5);
  EXPECT_THAT(sink->metrics_text(), HasSubstr("dots_test_gauge 2.5"));
}

TEST_F(SinkTest, HealthBeginsAndEndsOnceForEachSubject) {
  const auto sink = make();
  sink->health("MITIGATOR_DOWN", "border", true, "the helper died");
  sink->health("MITIGATOR_DOWN", "border", true, "it died again");
  sink->health("MITIGATOR_DOWN", "core", true, "gone");
  sink->health("STORE_STALLED", "", true, "2 s");
  ASSERT_EQ(lines_.size(), 3u);
  EXPECT_THAT(lines_[0], HasSubstr("MITIGATOR_DOWN (border): "));
  EXPECT_THAT(lines_[0], HasSubstr("the helper died; " + std::string{facts::find_health("MITIGATOR_DOWN")->next_step}));
  const auto unwell = sink->unwell();
  ASSERT_EQ(unwell.size(), 3u);
  EXPECT_EQ(unwell[0].subject, "border");
  EXPECT_EQ(unwell[0].details, "it died again");
  EXPECT_GT(unwell[0].since_unix_s, 0);
  EXPECT_EQ(unwell[2].fact->condition, "STORE_STALLED");  // degraded comes after failed
  sink->health("MITIGATOR_DOWN", "border", false, "");
  EXPECT_THAT(sink->metrics_text(), HasSubstr("dots_unwell{condition=\"MITIGATOR_DOWN\"} 1"));
  sink->health("MITIGATOR_DOWN", "core", false, "");
  EXPECT_THAT(sink->metrics_text(), HasSubstr("dots_unwell{condition=\"MITIGATOR_DOWN\"} 0"));
  sink->health("MITIGATOR_DOWN", "core", false, "");
  EXPECT_EQ(sink->unwell().size(), 1u);
}

TEST_F(SinkTest, WritesToAFileAndRefusesAFolderThatIsNotThere) {
  std::string pattern = (std::filesystem::temp_directory_path() / "dots-log-XXXXXX").string();
  ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
  Instruments::Options options;
  options.log.file = pattern + "/dotsd.log";
  {
    auto sink = Instruments::open(options);
    ASSERT_TRUE(sink.ok());
    (*sink)->message("AGENT_STARTED", "for a test");
  }
  std::ifstream in{options.log.file};
  std::ostringstream text;
  text << in.rdbuf();
  EXPECT_THAT(text.str(), HasSubstr("Z notice  AGENT_STARTED: the daemon is ready: for a test\n"));
  options.log.file = pattern + "/dotsd.log/x/y";
  const auto refused = Instruments::open(options);
  ASSERT_FALSE(refused.ok());
  EXPECT_THAT(refused.error().message, HasSubstr("the log cannot be opened"));
  std::filesystem::remove_all(pattern);
}

}  // namespace
}  // namespace dots::ops
