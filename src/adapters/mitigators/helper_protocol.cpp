#include "adapters/mitigators/helper_protocol.h"

#include <optional>

#include "adapters/mitigators/filter_protocol.h"
#include "adapters/mitigators/rule_actions.h"

namespace dots::adapters::mitigators {

namespace json = boost::json;

bool has_id(const json::object& answer, std::int64_t id) {
  const auto* value = answer.if_contains("id");
  return value != nullptr && value->is_int64() && value->as_int64() == id;
}

bool is_true(const json::object& answer, std::string_view key) {
  const auto* value = answer.if_contains(json::string_view(key.data(), key.size()));
  return value != nullptr && value->is_bool() && value->as_bool();
}

std::string text_of(const json::object& answer, std::string_view key) {
  const auto* value = answer.if_contains(json::string_view(key.data(), key.size()));
  if (value == nullptr || !value->is_string()) return "the helper gave no reason";
  return std::string(value->as_string().data(), value->as_string().size());
}

std::vector<std::string> texts_of(const json::object& answer, std::string_view key) {
  std::vector<std::string> out;
  const auto* value = answer.if_contains(json::string_view(key.data(), key.size()));
  if (value == nullptr || !value->is_array()) return out;
  for (const json::value& entry : value->as_array()) {
    if (entry.is_string()) out.emplace_back(entry.as_string().data(), entry.as_string().size());
  }
  return out;
}

namespace {

std::optional<std::uint64_t> number(const json::value& value, std::uint64_t high) {
  std::uint64_t out = 0;
  if (value.is_int64() && value.as_int64() >= 0) {
    out = static_cast<std::uint64_t>(value.as_int64());
  } else if (value.is_uint64()) {
    out = value.as_uint64();
  } else {
    return std::nullopt;
  }
  if (out > high) return std::nullopt;
  return out;
}

std::optional<ports::InstalledRule> read_row(const json::value& value) {
  const auto* row = value.if_array();
  if (row == nullptr || row->size() != 8 || !(*row)[0].is_string() || !(*row)[1].is_string()) return std::nullopt;
  ports::InstalledRule out;
  const auto& name = (*row)[0].as_string();
  const auto action = action_of(std::string_view(name.data(), name.size()));
  if (!action) return std::nullopt;
  out.rule.action = *action;
  const auto& target = (*row)[1].as_string();
  const auto prefix = model::parse_prefix(std::string_view(target.data(), target.size()));
  if (!prefix) return std::nullopt;
  out.rule.match.target = *prefix;
  if (!(*row)[2].is_null()) {
    const auto protocol = number((*row)[2], 255);
    if (!protocol) return std::nullopt;
    out.rule.match.protocol = static_cast<std::uint8_t>(*protocol);
  }
  if (!(*row)[3].is_null()) {
    const auto lower = number((*row)[3], 65535);
    const auto upper = number((*row)[4], 65535);
    if (!lower || !upper) return std::nullopt;
    out.rule.match.ports = model::PortRange{static_cast<std::uint16_t>(*lower), static_cast<std::uint16_t>(*upper)};
  }
  const auto limit = number((*row)[5], UINT64_MAX);
  const auto packets = number((*row)[6], UINT64_MAX);
  const auto bytes = number((*row)[7], UINT64_MAX);
  if (!limit || !packets || !bytes) return std::nullopt;
  out.rule.rate_limit_bps = *limit;
  out.counters = {*packets, *bytes};
  return out;
}

}  // namespace

json::array row_of(const ports::RuleChange& change) {
  const model::Rule& rule = change.rule;
  json::array row;
  row.reserve(7);
  row.emplace_back(change.kind == ports::RuleChange::Kind::install ? "+" : "-");
  row.emplace_back(name_of(rule.action));
  row.emplace_back(model::to_string(rule.match.target));
  if (rule.match.protocol) {
    row.emplace_back(std::int64_t{*rule.match.protocol});
  } else {
    row.emplace_back(nullptr);
  }
  if (rule.match.ports) {
    row.emplace_back(std::int64_t{rule.match.ports->lower});
    row.emplace_back(std::int64_t{rule.match.ports->upper});
  } else {
    row.emplace_back(nullptr);
    row.emplace_back(nullptr);
  }
  row.emplace_back(rule.rate_limit_bps);
  return row;
}

base::Result<void> read_listing(const json::object& answer, ports::Mitigator::Listing& listing) {
  if (const auto* filters = answer.if_contains("filters")) {
    if (!filters->is_object()) return base::Error{"the helper's list makes no sense"};
    return read_filters(filters->as_object(), listing.filters);
  }
  const auto* rows = answer.if_contains("rules");
  if (rows == nullptr || !rows->is_array()) return base::Error{"the helper's list makes no sense"};
  listing.rules.reserve(listing.rules.size() + rows->as_array().size());
  for (const json::value& value : rows->as_array()) {
    auto row = read_row(value);
    if (!row) return base::Error{"the helper's list holds a row that makes no sense"};
    listing.rules.push_back(std::move(*row));
  }
  for (std::string& text : texts_of(answer, "foreign")) listing.foreign.push_back(std::move(text));
  return {};
}

}  // namespace dots::adapters::mitigators
