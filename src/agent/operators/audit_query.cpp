#include "agent/operators/audit_query.h"

#include <optional>

namespace dots::agent {
namespace {

namespace json = boost::json;

constexpr std::int64_t kMostLines = 100000;
constexpr std::int64_t kLatest_s = 1LL << 33;  // fits nanoseconds
constexpr std::size_t kTextBytes = 255;

std::optional<std::int64_t> number_in(const json::value& value, std::int64_t most) {
  const bool small = value.is_uint64() && value.as_uint64() <= static_cast<std::uint64_t>(most);
  if (!value.is_int64() && !small) return std::nullopt;
  const std::int64_t number = small ? static_cast<std::int64_t>(value.as_uint64()) : value.as_int64();
  if (number < 0 || number > most) return std::nullopt;
  return number;
}

}  // namespace

base::Result<bool> narrow(const std::string& name, const json::value& value, ports::AuditQuery& query) {
  if (name == "limit") {
    const auto limit = number_in(value, kMostLines);
    if (!limit) return base::Error{"limit is no number from 0 to " + std::to_string(kMostLines)};
    query.limit = static_cast<std::size_t>(*limit);
    return true;
  }
  if (name == "since" || name == "until") {
    const auto seconds = number_in(value, kLatest_s);
    if (!seconds) return base::Error{name + " must be seconds since 1970"};
    (name == "since" ? query.since : query.until) = base::WallTime{std::chrono::seconds{*seconds}};
    return true;
  }
  std::string* text = name == "action"    ? &query.action
                      : name == "actor"   ? &query.actor
                      : name == "subject" ? &query.subject
                                          : nullptr;
  if (text == nullptr) return false;
  if (!value.is_string() || value.as_string().size() > kTextBytes) {
    return base::Error{name + " must be text of at most " + std::to_string(kTextBytes) + " bytes"};
  }
  *text = std::string{value.as_string()};
  return true;
}

}  // namespace dots::agent
