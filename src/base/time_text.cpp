#include "base/time_text.h"

#include <cstdint>

namespace dots::base {
namespace {

template <class Number>
std::string two_digits(Number value) {
  return (value < 10 ? "0" : "") + std::to_string(value);
}

}  // namespace

std::string utc_text(WallTime time) {
  const std::chrono::sys_seconds seconds{std::chrono::seconds{unix_seconds(time)}};
  const auto day = std::chrono::floor<std::chrono::days>(seconds);
  const std::chrono::year_month_day date{day};
  const std::chrono::hh_mm_ss clock{seconds - day};
  return std::to_string(int{date.year()}) + "-" + two_digits(unsigned{date.month()}) + "-" +
         two_digits(unsigned{date.day()}) + " " + two_digits(clock.hours().count()) + ":" +
         two_digits(clock.minutes().count()) + ":" + two_digits(clock.seconds().count()) + " UTC";
}

std::string duration_text(Duration duration) {
  const std::uint64_t seconds = whole_seconds(duration);
  if (seconds < 60) return std::to_string(seconds) + " s";
  if (seconds < 3600) return std::to_string(seconds / 60) + " min " + std::to_string(seconds % 60) + " s";
  if (seconds < 86400) return std::to_string(seconds / 3600) + " h " + std::to_string(seconds / 60 % 60) + " min";
  return std::to_string(seconds / 86400) + " d " + std::to_string(seconds / 3600 % 24) + " h";
}

}  // namespace dots::base
