// Words of a line: numbers, times, "name=value".
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/time.h"

namespace dots::plays {

using Words = std::vector<std::string>;

std::string join(const Words& words, std::size_t from = 0);
std::optional<std::uint64_t> number_of(std::string_view text);
// "30 s", "2 min", "1 h", "100 ms"
std::optional<base::Duration> duration_of(const std::string& number, const std::string& unit);
// What stands behind "NAME=".
std::optional<std::string> value_of(std::string_view word, std::string_view name);

// DOMAIN cuid=CUID mid=MID
struct MitigationName {
  base::DomainId domain;
  base::Cuid cuid;
  base::Mid mid;
};
std::optional<MitigationName> mitigation_name(const Words& words, std::size_t from);

}  // namespace dots::plays
