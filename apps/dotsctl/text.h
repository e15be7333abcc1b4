// Words and columns for tired people: aligned tables, round numbers with units, times as they are said.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace dots::dotsctl {

// Rows of cells under headings; columns as wide as their widest cell, the last one unlimited. Cells hold text of peers:
// control characters become '?'.
class Table {
 public:
  explicit Table(std::vector<std::string> headings) : rows_{std::move(headings)} {}
  void add(std::vector<std::string> row) { rows_.push_back(std::move(row)); }
  bool empty() const { return rows_.size() == 1; }
  std::string text() const;

 private:
  std::vector<std::vector<std::string>> rows_;
};

// "label:   value" lines with aligned values; empty values are left out.
class Facts {
 public:
  void add(std::string label, std::string value);
  std::string text(std::size_t indent = 0) const;

 private:
  std::vector<std::pair<std::string, std::string>> facts_;
};

// "14 min 3 s", "2 h 5 min"; at most two units.
std::string duration_words(std::int64_t seconds);
// "2026-11-22 14:02:11 UTC"
std::string time_words(std::int64_t unix_s);
// 1234567 -> "1.23 M"; below 1000 as it is.
std::string short_number(std::uint64_t n);
// Bytes -> "1.2 MB".
std::string bytes_words(std::uint64_t bytes);
// Bytes per second -> "9.6 Mbit/s".
std::string rate_words(std::uint64_t bytes_per_second);
// What a terminal may show of text that came from elsewhere.
std::string printable(std::string_view text);
// The same of several lines.
std::string printable_lines(std::string_view text);

}  // namespace dots::dotsctl
