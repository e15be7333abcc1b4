// Reading members that may be missing or of another type than expected.
#pragma once

#include <boost/json.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace dots::dotsctl {

inline const boost::json::value* member(const boost::json::value& object, std::string_view name) {
  return object.is_object() ? object.as_object().if_contains(name) : nullptr;
}
// Text of any scalar; empty when there is none.
inline std::string scalar_text(const boost::json::value* value) {
  if (value == nullptr || value->is_null() || value->is_structured()) return "";
  if (value->is_string()) return std::string{value->as_string()};
  if (value->is_bool()) return value->as_bool() ? "yes" : "no";
  return boost::json::serialize(*value);
}
inline std::string text_of(const boost::json::value& object, std::string_view name) {
  return scalar_text(member(object, name));
}
inline std::optional<std::int64_t> number_of(const boost::json::value& object, std::string_view name) {
  const auto* value = member(object, name);
  if (value == nullptr || !value->is_number()) return std::nullopt;
  boost::system::error_code error;
  const auto number = value->to_number<std::int64_t>(error);
  return error ? std::nullopt : std::optional{number};
}
inline std::optional<std::uint64_t> count_of(const boost::json::value& object, std::string_view name) {
  const auto number = number_of(object, name);
  return number && *number >= 0 ? std::optional{static_cast<std::uint64_t>(*number)} : std::nullopt;
}
inline boost::json::array list_of(const boost::json::value& object, std::string_view name) {
  const auto* value = member(object, name);
  return value != nullptr && value->is_array() ? value->as_array() : boost::json::array{};
}
// "a, b, c"
inline std::string joined(const boost::json::array& items, std::string_view separator = ", ") {
  std::string out;
  for (const auto& item : items) {
    if (!out.empty()) out += separator;
    out += scalar_text(&item);
  }
  return out;
}

}  // namespace dots::dotsctl
