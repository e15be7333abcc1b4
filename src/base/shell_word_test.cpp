#include "base/shell_word.h"

#include <gtest/gtest.h>

#include <array>
#include <cstdio>
#include <memory>

namespace dots::base {
namespace {

TEST(ShellWord, PlainTextsStayAsTheyAre) {
  EXPECT_EQ(shell_word("dz6pHjaADkaFTbjr0JGBpw"), "dz6pHjaADkaFTbjr0JGBpw");
  EXPECT_EQ(shell_word("a-b_c.d"), "a-b_c.d");
}

TEST(ShellWord, NothingOfAPeerIsRunOrTakenForAnOption) {
  EXPECT_EQ(shell_word(""), "''");
  EXPECT_EQ(shell_word("--force"), "'--force'");
  EXPECT_EQ(shell_word("x; reboot"), "'x; reboot'");
  EXPECT_EQ(shell_word("it's $(id)"), "'it'\\''s $(id)'");
  EXPECT_EQ(shell_word("a\nb'\\\x1b"), "$'a\\x0ab\\'\\\\\\x1b'");
}

// A shell gives back what was put in.
TEST(ShellWord, AShellReadsTheSameText) {
  for (const std::string text :
       {"plain", "", "-n", "x; echo y", "it's", "a\nb", "\xc3\xa9\x1b[2J", "'\\''$'\\x41", "`id` \"$HOME\""}) {
    // The word goes to bash over a file descriptor, as if it had been pasted.
    const std::string script = "printf %s " + shell_word(text) + "\n";
    std::FILE* file = std::tmpfile();
    ASSERT_NE(file, nullptr);
    ASSERT_EQ(std::fwrite(script.data(), 1, script.size(), file), script.size());
    std::rewind(file);
    const std::string command = "bash /proc/self/fd/" + std::to_string(fileno(file));
    std::unique_ptr<std::FILE, int (*)(std::FILE*)> run(::popen(command.c_str(), "r"), ::pclose);
    std::string out;
    std::array<char, 256> piece{};
    for (std::size_t n = 0; (n = std::fread(piece.data(), 1, piece.size(), run.get())) > 0;)
      out.append(piece.data(), n);
    std::fclose(file);
    EXPECT_EQ(out, text);
  }
}

}  // namespace
}  // namespace dots::base
