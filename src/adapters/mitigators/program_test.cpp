#include "adapters/mitigators/program.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <cstdlib>
#include <fstream>
#include <thread>

#include "tests/support/temp_dir.h"

namespace dots::adapters::mitigators {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

ProgramRun shell(const std::string& script, std::string input = {}) {
  return {{"/bin/sh", "-c", script}, std::move(input), 5000ms, 1 << 20};
}
std::string why(const ProgramRun& run) {
  const auto outcome = run_program(run);
  EXPECT_FALSE(outcome.ok());
  return outcome.ok() ? "" : outcome.error().message;
}

TEST(ProgramTest, TextGoesInAndComesOut) {
  const std::string large(1 << 19, 'x');
  for (const std::string& text : {std::string{}, std::string{"{\"a\":1}\n"}, large}) {
    const auto outcome = run_program(shell("cat", text));
    ASSERT_TRUE(outcome.ok()) << outcome.error().message;
    EXPECT_EQ(*outcome, text);
  }
}

TEST(ProgramTest, WhoReadsNothingMayAnswerAllTheSame) {
  const auto outcome = run_program(shell("exec <&-; echo done", std::string(1 << 20, 'x')));
  ASSERT_TRUE(outcome.ok()) << outcome.error().message;
  EXPECT_EQ(*outcome, "done\n");
}

TEST(ProgramTest, AFaultSaysWhatItWas) {
  EXPECT_THAT(why(shell("echo 'no such\trouter' >&2; exit 3")), HasSubstr("ended with status 3: no such router"));
  EXPECT_THAT(why(shell("kill -9 $$")), HasSubstr("killed by signal 9"));
  EXPECT_THAT(why({{"/nonexistent/program"}, "", 100ms}), HasSubstr("there is no program /nonexistent/program"));
  EXPECT_THAT(why({{"/etc/passwd"}, "", 100ms}), HasSubstr("may not be executed"));
  EXPECT_THAT(why({{}, "", 100ms}), HasSubstr("no program"));
}

TEST(ProgramTest, OfALongComplaintTheEndIsShown) {
  const std::string message = why(shell("yes complaint | head -c 1000000 >&2; echo the end >&2; exit 1"));
  EXPECT_THAT(message, HasSubstr("the end"));
  EXPECT_LT(message.size(), 500u);
}

TEST(ProgramTest, TooMuchOutputIsAFault) {
  auto run = shell("yes");
  run.most_output_bytes = 100'000;
  EXPECT_THAT(why(run), HasSubstr("more than 100000 bytes"));
}

// An orphan that init has still to reap does nothing any more.
bool lives(pid_t pid) {
  std::ifstream stat("/proc/" + std::to_string(pid) + "/stat");
  std::string number, name, state;
  return static_cast<bool>(stat >> number >> name >> state) && state != "Z";
}
pid_t pid_in(const std::string& file) {
  pid_t pid = 0;
  std::ifstream{file} >> pid;
  return pid;
}
bool gone(pid_t pid) {
  for (int i = 0; i < 200 && lives(pid); ++i) std::this_thread::sleep_for(10ms);
  return !lives(pid);
}

TEST(ProgramTest, AtTheTimeOutTheWholeGroupIsKilled) {
  const tests::TempDir folder;
  auto run = shell("sleep 60 & echo $! > " + folder.file("child") + "; trap '' TERM; sleep 60; sleep 60");
  run.timeout = 200ms;
  const auto began = std::chrono::steady_clock::now();
  EXPECT_THAT(why(run), HasSubstr("did not end in 200 ms"));
  EXPECT_LT(std::chrono::steady_clock::now() - began, 5s);
  const pid_t child = pid_in(folder.file("child"));
  ASSERT_GT(child, 0);
  EXPECT_TRUE(gone(child));
}

TEST(ProgramTest, AChildThatIsLeftOverHoldsNothingUp) {
  const tests::TempDir folder;
  const auto began = std::chrono::steady_clock::now();
  const auto outcome = run_program(shell("sleep 60 & echo $! > " + folder.file("child") + "; echo done"));
  ASSERT_TRUE(outcome.ok()) << outcome.error().message;
  EXPECT_EQ(*outcome, "done\n");
  EXPECT_LT(std::chrono::steady_clock::now() - began, 3s);
  EXPECT_TRUE(gone(pid_in(folder.file("child"))));
}

TEST(ProgramTest, TheEnvironmentOfTheDaemonStaysHere) {
  ::setenv("TIDEWALL_TEST_SECRET", "secret", 1);
  const auto outcome = run_program(shell("env"));
  ASSERT_TRUE(outcome.ok());
  EXPECT_THAT(*outcome, HasSubstr("PATH="));
  EXPECT_THAT(*outcome, testing::Not(HasSubstr("TIDEWALL_TEST_SECRET")));
}

}  // namespace
}  // namespace dots::adapters::mitigators
