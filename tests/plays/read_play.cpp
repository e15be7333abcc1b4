#include <fstream>
#include <sstream>

#include "tests/plays/play.h"

namespace dots::plays {
namespace {

std::vector<std::string> words_of(const std::string& text) {
  std::vector<std::string> words;
  std::istringstream stream{text};
  for (std::string word; stream >> word;) words.push_back(word);
  return words;
}

// How many braces more are opened than closed, texts left out.
int depth_of(const std::string& text) {
  int depth = 0;
  bool quoted = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\') {
      ++i;
    } else if (text[i] == '"') {
      quoted = !quoted;
    } else if (!quoted) {
      depth += text[i] == '{' ? 1 : text[i] == '}' ? -1 : 0;
    }
  }
  return depth;
}

}  // namespace

base::Result<Play> read_play(const std::string& file) {
  std::ifstream stream{file};
  if (!stream) return base::Error{file + ": it cannot be read"};
  Play play;
  play.file = file;
  std::string text;
  for (int number = 1; std::getline(stream, text); ++number) {
    const auto start = text.find_first_not_of(" \t");
    if (start == std::string::npos || text[start] == '#') continue;
    if (text.starts_with("play:")) {
      play.title = text.substr(text.find_first_not_of(' ', 5));
      continue;
    }
    if (text.starts_with("covers:")) {
      for (auto& id : words_of(text.substr(7))) play.covers.push_back(std::move(id));
      continue;
    }
    Line line;
    line.number = number;
    const auto brace = text.find('{');
    line.words = words_of(text.substr(0, brace));
    if (brace != std::string::npos) {
      line.json = text.substr(brace);
      while (depth_of(line.json) > 0) {
        if (!std::getline(stream, text)) {
          return base::Error{file + ":" + std::to_string(line.number) + ": a brace is never closed"};
        }
        ++number;
        line.json += "\n" + text;
      }
    }
    play.lines.push_back(std::move(line));
  }
  if (play.title.empty()) return base::Error{file + ": a play begins with 'play: TITLE'"};
  if (play.covers.empty()) return base::Error{file + ": 'covers:' names no requirement"};
  return play;
}

}  // namespace dots::plays
