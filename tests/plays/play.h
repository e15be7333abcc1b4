// Plays: plain-text scripts of DOTS messages and passing time, run against the real server machines (docs/plays.md).
#pragma once

#include <istream>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"

namespace dots::plays {

// One line of a play, with the body that follows it.
struct Line {
  int number = 0;
  std::vector<std::string> words;
  std::string json;
  base::Bytes bytes;  // a body as it travels, written <A1 01 ...>
};

struct Play {
  std::string file;
  std::string title;
  std::vector<std::string> covers;  // requirement IDs
  std::vector<Line> lines;
};

base::Result<Play> read_play(const std::string& file);
// `file` is what errors name.
base::Result<Play> parse_play(const std::string& file, std::istream& stream);
// Nothing when everything came as the play says; otherwise file, line, what was expected and what came.
std::string perform(const Play& play);

}  // namespace dots::plays
