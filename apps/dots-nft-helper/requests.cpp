// SPDX-License-Identifier: GPL-2.0-only
#include "requests.h"

#include <boost/json/parse.hpp>

#include "filter_requests.h"

namespace nfthelper {
namespace {

namespace json = boost::json;

// {"op":"apply","changes":[["+","drop","192.0.2.1/32",17,53,53,0],...]}: protocol and ports may be null.
bool parse_rule(const json::array& row, std::size_t at, Rule& rule, std::string& error) {
  const auto* action = row[at].if_string();
  const auto* target = row[at + 1].if_string();
  if (action == nullptr || target == nullptr) return error = "action and target must be texts", false;
  if (*action == "drop") {
    rule.action = Action::drop;
  } else if (*action == "limit") {
    rule.action = Action::limit;
  } else if (*action == "blackhole") {
    rule.action = Action::blackhole;
  } else {
    return error = "unknown action", false;
  }
  const auto prefix = parse_prefix(std::string_view(target->data(), target->size()));
  if (!prefix) return error = "the target is no prefix with zero host bits", false;
  rule.match.target = *prefix;

  const auto bounded = [&](const json::value& value, std::int64_t high, std::int64_t& out) {
    const auto* number = value.if_int64();
    if (number == nullptr || *number < 0 || *number > high) return false;
    out = *number;
    return true;
  };
  std::int64_t number = 0;
  if (!row[at + 2].is_null()) {
    if (!bounded(row[at + 2], 255, number)) return error = "the protocol must be 0 to 255", false;
    rule.match.protocol = static_cast<std::uint8_t>(number);
  }
  if (!row[at + 3].is_null() || !row[at + 4].is_null()) {
    std::int64_t upper = 0;
    if (!bounded(row[at + 3], 65535, number) || !bounded(row[at + 4], 65535, upper) || upper < number) {
      return error = "ports must be 0 to 65535, the lower one first", false;
    }
    if (!rule.match.protocol || !has_ports(*rule.match.protocol)) {
      return error = "ports need a protocol that has them", false;
    }
    rule.match.ports = Ports{static_cast<std::uint16_t>(number), static_cast<std::uint16_t>(upper)};
  }
  const bool limit = rule.action == Action::limit;
  if (!bounded(row[at + 5], limit ? static_cast<std::int64_t>(kMaxLimitBytesPerS) : 0, number) ||
      (limit && number == 0)) {
    return error = "a limit must be 1 to " + std::to_string(kMaxLimitBytesPerS) + " bytes/s, and 0 for other actions",
           false;
  }
  rule.bytes_per_s = static_cast<std::uint64_t>(number);
  return true;
}

bool parse_changes(const json::value* value, Apply& apply, std::string& error) {
  const auto* rows = value == nullptr ? nullptr : value->if_array();
  if (rows == nullptr) return error = "changes must be a list", false;
  if (rows->size() > kMaxChanges) return error = "more than " + std::to_string(kMaxChanges) + " changes", false;
  for (const json::value& entry : *rows) {
    const auto* row = entry.if_array();
    if (row == nullptr || row->size() != 7) return error = "a change must be a list of 7", false;
    const auto* kind = (*row)[0].if_string();
    if (kind == nullptr || (*kind != "+" && *kind != "-")) return error = "a change begins with + or -", false;
    Change change;
    change.install = *kind == "+";
    if (!parse_rule(*row, 1, change.rule, error)) return false;
    apply.changes.push_back(change);
  }
  return true;
}

bool parse_exemptions(const json::object& object, Exempt& exempt, std::string& error) {
  const auto* rate = object.if_contains("pps");
  const auto* rows = object.if_contains("list");
  if (rate == nullptr || !rate->is_int64() || rate->as_int64() < 1 || rate->as_int64() > 1'000'000) {
    return error = "pps must be 1 to 1000000", false;
  }
  exempt.packets_per_s = static_cast<std::uint64_t>(rate->as_int64());
  if (rows == nullptr || !rows->is_array()) return error = "list must be a list", false;
  if (rows->as_array().size() > kMaxExemptions) {
    return error = "more than " + std::to_string(kMaxExemptions) + " exemptions", false;
  }
  for (const json::value& entry : rows->as_array()) {
    const auto* row = entry.if_array();
    if (row == nullptr || row->size() != 3 || !(*row)[0].is_string() || !(*row)[1].is_int64() ||
        !(*row)[2].is_string()) {
      return error = "an exemption must be [server, port, peer]", false;
    }
    const auto& server = (*row)[0].as_string();
    const auto& peer = (*row)[2].as_string();
    const auto address = parse_address(std::string_view(server.data(), server.size()));
    const auto prefix = parse_prefix(std::string_view(peer.data(), peer.size()));
    const std::int64_t port = (*row)[1].as_int64();
    if (!address || !prefix || port < 1 || port > 65535 || address->family != prefix->address.family) {
      return error = "bad exemption", false;
    }
    exempt.exemptions.push_back({*address, static_cast<std::uint16_t>(port), *prefix});
  }
  return true;
}

}  // namespace

bool valid_table_name(std::string_view name) {
  if (name.empty() || name.size() > 32 || name.front() < 'a' || name.front() > 'z') return false;
  for (const char c : name) {
    if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_')) return false;
  }
  return true;
}

bool parse_request(std::string_view line, Request& request, std::string& error) {
  boost::system::error_code code;
  json::parse_options options;
  options.max_depth = 8;
  const json::value value = json::parse(json::string_view(line.data(), line.size()), code, {}, options);
  if (code) return error = "not JSON: " + code.message(), false;
  const auto* object = value.if_object();
  if (object == nullptr) return error = "not an object", false;
  const auto* id = object->if_contains("id");
  if (id == nullptr || !id->is_int64()) return error = "id must be a number", false;
  request.id = id->as_int64();
  const auto* op = object->if_contains("op");
  if (op == nullptr || !op->is_string()) return error = "op must be a text", false;
  const auto& name = op->as_string();
  if (name == "ping") {
    request.what = Ping{};
  } else if (name == "probe") {
    request.what = Probe{};
  } else if (name == "open") {
    request.what = Open{};
  } else if (name == "list") {
    request.what = List{};
  } else if (name == "remove-foreign") {
    request.what = RemoveForeign{};
  } else if (name == "clear") {
    request.what = Clear{};
  } else if (name == "apply") {
    Apply apply;
    if (!parse_changes(object->if_contains("changes"), apply, error)) return false;
    request.what = std::move(apply);
  } else if (name == "filters") {
    ChangeFilters filters;
    if (!parse_filter_changes(object->if_contains("changes"), filters.changes, error)) return false;
    request.what = std::move(filters);
  } else if (name == "exempt") {
    Exempt exempt;
    if (!parse_exemptions(*object, exempt, error)) return false;
    request.what = std::move(exempt);
  } else {
    return error = "unknown op", false;
  }
  return true;
}

}  // namespace nfthelper
