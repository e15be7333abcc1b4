#include "apps/runtime/operator_calls.h"

#include <utility>

#include "agent/operators/audit_query.h"

namespace dots::runtime {
namespace {

base::Result<std::uint64_t> number(const boost::json::value& value, std::uint64_t most) {
  if (value.is_uint64() && value.as_uint64() <= most) return value.as_uint64();
  if (value.is_int64() && value.as_int64() >= 0 && static_cast<std::uint64_t>(value.as_int64()) <= most) {
    return static_cast<std::uint64_t>(value.as_int64());
  }
  return base::Error{"is no number from 0 to " + std::to_string(most)};
}

}  // namespace

base::Result<ServerArguments> parse_arguments(const boost::json::object& arguments) {
  ServerArguments out;
  for (const auto& [key, value] : arguments) {
    const std::string name{key};
    const auto narrowed = agent::narrow(name, value, out.audit);
    if (!narrowed) return narrowed.error();
    if (*narrowed) continue;
    if (name == "mid") {
      const auto mid = number(value, UINT32_MAX);
      if (!mid) return base::Error{"mid " + mid.error().message};
      out.query.mid = base::Mid{static_cast<std::uint32_t>(*mid)};
    } else if (name == "differences" && value.is_bool()) {
      out.only_differences = value.as_bool();
    } else if (!value.is_string()) {
      return base::Error{name + " is unknown, or no text"};
    } else if (name == "cuid") {
      out.query.cuid = std::string{value.as_string()};
    } else if (name == "domain") {
      out.domain = std::string{value.as_string()};
    } else if (name == "mitigator") {
      out.back_end = std::string{value.as_string()};
    } else if (name == "note") {
      out.note = std::string{value.as_string()};
    } else if (name == "prefix") {
      const std::string text{value.as_string()};
      auto prefix = model::parse_prefix(text);
      if (!prefix) {
        const auto host = model::parse_ip_address(text);
        if (!host) return base::Error{"prefix '" + text + "': " + prefix.error().message};
        prefix = model::host_prefix(*host);
      }
      out.query.prefix = *prefix;
    } else {
      return base::Error{name + " is unknown here"};
    }
  }
  return out;
}

}  // namespace dots::runtime
