#include <algorithm>
#include <cctype>
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

// Hexadecimal digits: "A1 01".
bool add_bytes(const std::string& text, base::Bytes& out) {
  std::string digits;
  for (const char c : text) {
    if (std::isxdigit(static_cast<unsigned char>(c)) != 0) {
      digits += c;
    } else if (std::isspace(static_cast<unsigned char>(c)) == 0) {
      return false;
    }
  }
  if (digits.size() % 2 != 0) return false;
  for (std::size_t i = 0; i < digits.size(); i += 2) {
    out.push_back(static_cast<std::uint8_t>(std::stoi(digits.substr(i, 2), nullptr, 16)));
  }
  return true;
}

}  // namespace

base::Result<Play> read_play(const std::string& file) {
  std::ifstream stream{file};
  if (!stream) return base::Error{file + ": it cannot be read"};
  return parse_play(file, stream);
}

base::Result<Play> parse_play(const std::string& file, std::istream& stream) {
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
    const auto place = [&] { return file + ":" + std::to_string(line.number) + ": "; };
    const auto brace = text.find_first_of("{<");
    line.words = words_of(text.substr(0, brace));
    if (line.words.empty()) return base::Error{place() + "a body without a line before it"};
    if (brace != std::string::npos && text[brace] == '<') {
      text.erase(0, brace + 1);
      for (bool more = true; more;) {
        text.resize(std::min(text.size(), text.find('#')));
        const auto end = text.find('>');
        more = end == std::string::npos;
        if (!add_bytes(text.substr(0, end), line.bytes)) return base::Error{place() + "the bytes are not hexadecimal"};
        if (more && !std::getline(stream, text)) return base::Error{place() + "a '<' without its '>'"};
        if (more) ++number;
      }
    } else if (brace != std::string::npos) {
      line.json = text.substr(brace);
      while (depth_of(line.json) > 0) {
        if (!std::getline(stream, text)) return base::Error{place() + "a brace is never closed"};
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
