// SPDX-License-Identifier: GPL-2.0-only
#include "filter_memo.h"

#include <charconv>
#include <string_view>

namespace nfthelper {
namespace {

constexpr std::string_view kVersion = "filter-list-1";
constexpr std::size_t kCommentBytes = 120;  // nft takes 128
constexpr const char* kActions = "adl";

bool plain(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '.';
}

std::string escape(const std::string& text) {
  static constexpr const char* kHex = "0123456789abcdef";
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (plain(c)) {
      out += c;
    } else {
      out += '%';
      out += kHex[byte >> 4];
      out += kHex[byte & 15];
    }
  }
  return out;
}

std::optional<std::string> unescape(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (plain(text[i])) {
      out += text[i];
      continue;
    }
    unsigned value = 0;
    if (text[i] != '%' || i + 2 >= text.size()) return std::nullopt;
    const auto [end, error] = std::from_chars(text.data() + i + 1, text.data() + i + 3, value, 16);
    if (error != std::errc{} || end != text.data() + i + 3) return std::nullopt;
    out += static_cast<char>(value);
    i += 2;
  }
  return out;
}

std::string checksum(std::string_view text) {
  std::uint64_t sum = 0xcbf29ce484222325;
  for (const char c : text) sum = (sum ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  return std::to_string(sum);
}

std::vector<std::string_view> split(std::string_view text, char by) {
  std::vector<std::string_view> out;
  while (!text.empty()) {
    const auto end = text.find(by);
    out.push_back(text.substr(0, end));
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
  return out;
}

template <class T>
std::optional<T> number(std::string_view text) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

}  // namespace

std::vector<std::string> to_comments(const FilterMemo& memo) {
  std::string text(kVersion);
  for (const std::string& part : memo.key) text += ";" + escape(part);
  text += ";" + std::to_string(memo.place) + ";" + escape(memo.digest) + ";" + (memo.gated ? "1" : "0") +
          (memo.later ? "1" : "0") + ";";
  for (const Prefix& prefix : memo.whole) text += to_string(prefix) + ",";
  text += ";";
  for (const auto& entry : memo.entries) {
    text += escape(entry.name) + "/" + kActions[static_cast<int>(entry.action)] + "/" + std::to_string(entry.rules) +
            "/" + std::to_string(entry.later) + ",";
  }
  text += ";" + checksum(text);
  std::vector<std::string> out;
  for (std::size_t at = 0; at < text.size(); at += kCommentBytes) out.push_back(text.substr(at, kCommentBytes));
  return out;
}

std::optional<FilterMemo> from_comments(const std::vector<std::string>& comments) {
  std::string text;
  for (const std::string& comment : comments) text += comment;
  const auto end = text.rfind(';');
  if (end == std::string::npos || text.substr(end + 1) != checksum(std::string_view(text).substr(0, end))) {
    return std::nullopt;
  }
  const auto parts = split(std::string_view(text).substr(0, end), ';');
  if (parts.size() < 8 || parts.size() > 9 || parts[0] != kVersion) return std::nullopt;
  FilterMemo memo;
  for (std::size_t i = 0; i < 3; ++i) {
    auto part = unescape(parts[i + 1]);
    if (!part) return std::nullopt;
    memo.key[i] = std::move(*part);
  }
  const auto place = number<std::uint32_t>(parts[4]);
  const auto digest = unescape(parts[5]);
  if (!place || !digest || parts[6].size() != 2 || parts[6].find_first_not_of("01") != std::string_view::npos)
    return std::nullopt;
  memo.place = *place;
  memo.digest = *digest;
  memo.gated = parts[6][0] == '1';
  memo.later = parts[6][1] == '1';
  for (const auto piece : split(parts[7], ',')) {
    const auto prefix = parse_prefix(piece);
    if (!prefix) return std::nullopt;
    memo.whole.push_back(*prefix);
  }
  for (const auto piece : split(parts.size() > 8 ? parts[8] : std::string_view(), ',')) {
    const auto fields = split(piece, '/');
    if (fields.size() != 4 || fields[1].size() != 1) return std::nullopt;
    const auto action = std::string_view(kActions).find(fields[1][0]);
    auto name = unescape(fields[0]);
    const auto rules = number<std::size_t>(fields[2]);
    const auto later = number<std::size_t>(fields[3]);
    if (!name || !rules || !later || action == std::string_view::npos) return std::nullopt;
    memo.entries.push_back({std::move(*name), static_cast<FilterAction>(action), *rules, *later});
  }
  return memo;
}

}  // namespace nfthelper
