#include "tests/plays/words.h"

#include <charconv>
#include <cstdlib>

namespace dots::plays {

std::string join(const Words& words, std::size_t from) {
  std::string text;
  for (std::size_t i = from; i < words.size(); ++i) text += (i > from ? " " : "") + words[i];
  return text;
}

std::optional<std::uint64_t> number_of(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (failure != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<base::Duration> duration_of(const std::string& number, const std::string& unit) {
  char* end = nullptr;
  const double value = std::strtod(number.c_str(), &end);
  if (number.empty() || *end != 0) return std::nullopt;
  const double seconds = unit == "s" ? 1 : unit == "min" ? 60 : unit == "h" ? 3600 : unit == "ms" ? 0.001 : -1;
  if (seconds < 0) return std::nullopt;
  return base::Duration{static_cast<std::int64_t>(value * seconds * 1e9)};
}

std::optional<std::string> value_of(std::string_view word, std::string_view name) {
  if (word.size() <= name.size() || !word.starts_with(name) || word[name.size()] != '=') return std::nullopt;
  return std::string{word.substr(name.size() + 1)};
}

std::optional<MitigationName> mitigation_name(const Words& words, std::size_t from) {
  if (words.size() < from + 3) return std::nullopt;
  const auto cuid = value_of(words[from + 1], "cuid");
  const auto mid = number_of(value_of(words[from + 2], "mid").value_or(""));
  if (!cuid || !mid || *mid > UINT32_MAX) return std::nullopt;
  return MitigationName{base::DomainId{words[from]}, base::Cuid{*cuid}, base::Mid{static_cast<std::uint32_t>(*mid)}};
}

}  // namespace dots::plays
