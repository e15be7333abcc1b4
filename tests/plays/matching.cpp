#include "tests/plays/matching.h"

#include <boost/json/serialize.hpp>
#include <charconv>
#include <optional>

namespace dots::plays {

namespace json = boost::json;

namespace {

std::optional<std::int64_t> number_of(std::string_view text) {
  std::int64_t value = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (failure != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// Numbers of 64 bits are texts in RFC 7951.
std::optional<std::int64_t> number_of(const json::value& value) {
  if (value.is_int64()) return value.as_int64();
  if (value.is_uint64()) return static_cast<std::int64_t>(value.as_uint64());
  if (value.is_string()) return number_of(std::string_view{value.as_string()});
  return std::nullopt;
}

bool in_range(const std::string& range, const json::value& got) {
  const auto dots = range.find("..");
  if (dots == std::string::npos) return false;
  const auto low = number_of(std::string_view{range}.substr(0, dots));
  const auto high = number_of(std::string_view{range}.substr(dots + 2));
  const auto value = number_of(got);
  return low && high && value && *value >= *low && *value <= *high;
}

std::string place(const std::string& where) { return where.empty() ? "the body" : where; }

}  // namespace

std::string difference(const json::value& expected, const json::value& got, const std::string& where) {
  if (expected.is_string()) {
    const std::string text{expected.as_string()};
    if (text == "*" || in_range(text, got)) return {};
  }
  const auto mismatch = [&] {
    return place(where) + ": expected " + json::serialize(expected) + ", got " + json::serialize(got);
  };
  if (expected.is_object()) {
    if (!got.is_object()) return mismatch();
    for (const auto& member : expected.as_object()) {
      if (member.key() == "...") continue;
      const std::string inner = (where.empty() ? "" : where + ".") + std::string(member.key());
      const auto* found = got.as_object().if_contains(member.key());
      if (found == nullptr) return inner + ": expected " + json::serialize(member.value()) + ", got nothing";
      if (auto text = difference(member.value(), *found, inner); !text.empty()) return text;
    }
    if (expected.as_object().contains("...")) return {};
    for (const auto& member : got.as_object()) {
      if (expected.as_object().contains(member.key())) continue;
      return place(where) + ": nobody expected " + std::string(member.key()) + ": " + json::serialize(member.value());
    }
    return {};
  }
  if (expected.is_array()) {
    if (!got.is_array() || got.as_array().size() != expected.as_array().size()) return mismatch();
    for (std::size_t i = 0; i < expected.as_array().size(); ++i) {
      auto text = difference(expected.as_array()[i], got.as_array()[i], where + "[" + std::to_string(i) + "]");
      if (!text.empty()) return text;
    }
    return {};
  }
  const auto number = number_of(expected);
  const bool same = number && !expected.is_string() ? number == number_of(got) : expected == got;
  return same ? std::string{} : mismatch();
}

}  // namespace dots::plays
