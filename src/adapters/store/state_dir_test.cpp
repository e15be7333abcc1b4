// The lock on the state directory and the mark of the emergency command.
#include "adapters/store/state_dir.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <sstream>

#include "adapters/store/operator_mark.h"
#include "adapters/store/state_lock.h"
#include "tests/support/temp_dir.h"

namespace dots::adapters::store {
namespace {

TEST(StateLock, ASecondOneIsRefusedAndToldWhoHoldsIt) {
  const tests::TempDir dir;
  auto first = StateLock::take(dir.path());
  ASSERT_TRUE(first) << first.error().message;
  const auto second = StateLock::take(dir.path());
  ASSERT_FALSE(second);
  EXPECT_NE(second.error().message.find("process " + std::to_string(::getpid())), std::string::npos);
  EXPECT_NE(second.error().message.find(dir.path()), std::string::npos);
  {
    const StateLock moved = std::move(*first);
    EXPECT_FALSE(StateLock::take(dir.path()));
  }
  EXPECT_TRUE(StateLock::take(dir.path()));
}

TEST(StateLock, ItIsGoneWithTheProcessAndIsNotInherited) {
  const tests::TempDir dir;
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    auto lock = StateLock::take(dir.path());
    if (!lock) ::_exit(1);
    // a program that outlives the daemon, such as a helper
    const pid_t helper = ::fork();
    if (helper == 0) {
      ::execl("/bin/sh", "sh", "-c", "echo started; sleep 5", static_cast<char*>(nullptr));
      ::_exit(1);
    }
    if (::write(ends[1], &helper, sizeof helper) != sizeof helper) ::_exit(1);
    ::_exit(0);
  }
  pid_t helper = 0;
  ASSERT_EQ(::read(ends[0], &helper, sizeof helper), static_cast<ssize_t>(sizeof helper));
  ::waitpid(child, nullptr, 0);
  // the helper's exec closes what it inherited; it may still be on its way there
  bool taken = false;
  for (int i = 0; i < 200 && !taken; ++i) {
    taken = static_cast<bool>(StateLock::take(dir.path()));
    if (!taken) ::usleep(5000);
  }
  EXPECT_TRUE(taken);
  EXPECT_EQ(::kill(helper, SIGKILL), 0) << "the helper was to be alive all the time";
  ::close(ends[0]);
  ::close(ends[1]);
}

TEST(StateLock, AMissingDirectoryIsNamed) {
  const auto lock = StateLock::take("/nonexistent/tidewall");
  ASSERT_FALSE(lock);
  EXPECT_NE(lock.error().message.find("/nonexistent/tidewall"), std::string::npos);
}

TEST(OperatorMark, StaysUntilItIsCleared) {
  const tests::TempDir dir;
  EXPECT_EQ(*read_mark(dir.path(), Mark::emergency), std::nullopt);
  EXPECT_FALSE(*clear_mark(dir.path(), Mark::emergency));
  const OperatorMark marker{base::from_unix_seconds(1'700'000'000), "operator \"o\"", "line\nline"};
  ASSERT_TRUE(write_mark(dir.path(), Mark::emergency, marker));
  EXPECT_EQ(*read_mark(dir.path(), Mark::emergency), marker);
  const OperatorMark second{base::from_unix_seconds(1'700'000'001), "p", ""};
  ASSERT_TRUE(write_mark(dir.path(), Mark::emergency, second));
  EXPECT_EQ(*read_mark(dir.path(), Mark::emergency), second);
  EXPECT_EQ(*read_mark(dir.path(), Mark::freeze), std::nullopt);
  EXPECT_FALSE(*clear_mark(dir.path(), Mark::freeze));
  EXPECT_TRUE(*clear_mark(dir.path(), Mark::emergency));
  EXPECT_EQ(*read_mark(dir.path(), Mark::emergency), std::nullopt);
}

// Somebody may have written it with `touch`: the rules must stay out all the same.
TEST(OperatorMark, OneThatCannotBeUnderstoodCounts) {
  for (const char* text : {"", "please stop", "{\"at_unix_s\":\"x\"}", "{\"at_unix_s\":1e300}", "[]"}) {
    const tests::TempDir dir;
    std::ofstream(dir.path() + "/emergency") << text;
    const auto marker = read_mark(dir.path(), Mark::emergency);
    ASSERT_TRUE(marker) << marker.error().message;
    EXPECT_TRUE(*marker) << text;
  }
}

TEST(OperatorMark, WhatCannotBeReadIsAnErrorAndNotAbsence) {
  const tests::TempDir dir;
  ASSERT_TRUE(std::ofstream(dir.path() + "/file"));
  EXPECT_FALSE(read_mark(dir.path() + "/file", Mark::emergency));
  EXPECT_FALSE(write_mark(dir.path() + "/missing", Mark::emergency, {}));
}

TEST(StateDir, AFileIsReplacedAsAWhole) {
  const tests::TempDir dir;
  ASSERT_TRUE(write_durably(dir.path(), "name", "a long first content"));
  ASSERT_TRUE(write_durably(dir.path(), "name", "short"));
  std::ostringstream content;
  content << std::ifstream(dir.path() + "/name").rdbuf();
  EXPECT_EQ(content.str(), "short");
  EXPECT_NE(::access((dir.path() + "/name.new").c_str(), F_OK), 0);
}

}  // namespace
}  // namespace dots::adapters::store
