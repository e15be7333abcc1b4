#include <algorithm>
#include <boost/json.hpp>
#include <charconv>

#include "dotsctl/commands.h"
#include "dotsctl/text.h"
#include "model/ip.h"
#include "model/protocol.h"

namespace dots::dotsctl {
namespace {

namespace json = boost::json;

template <class T>
std::optional<T> number(std::string_view text) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

}  // namespace

base::Result<std::string> prefix_text(const std::string& text) {
  if (const auto address = model::parse_ip_address(text)) return model::to_string(model::host_prefix(*address));
  const auto prefix = model::parse_prefix(text);
  if (!prefix) return base::Error{"'" + text + "' is no address and no prefix: " + prefix.error().message};
  return model::to_string(*prefix);
}

base::Result<std::uint8_t> protocol_number(const std::string& text) {
  if (const auto n = number<std::uint8_t>(text)) return *n;
  for (int n = 0; n < 256; ++n)
    if (const auto p = static_cast<std::uint8_t>(n); model::protocol_name(p) == text) return p;
  return base::Error{"'" + text +
                     "' is no protocol; write tcp, udp, icmp, icmpv6, sctp, gre, esp or a number up to 255"};
}

base::Result<std::string> port_range(const std::string& text) {
  const auto dash = text.find('-');
  const auto lower = number<std::uint16_t>(std::string_view{text}.substr(0, dash));
  const auto upper = dash == std::string::npos ? lower : number<std::uint16_t>(std::string_view{text}.substr(dash + 1));
  if (!lower || !upper) return base::Error{"'" + text + "' is no port; write 53 or 8000-8080"};
  if (*upper < *lower) return base::Error{"the range '" + text + "' ends before it begins; write the lower port first"};
  return text;
}

base::Result<std::int64_t> parse_lifetime(const std::string& text) {
  const base::Error wrong{"'" + text + "' is no lifetime; write seconds, or 30m, 2h, 1d, or 'forever'"};
  if (text == "forever" || text == "-1") return std::int64_t{-1};
  if (text.empty()) return wrong;
  std::int64_t unit = 1;
  std::string_view digits = text;
  switch (text.back()) {
    case 's':
      unit = 1;
      break;
    case 'm':
      unit = 60;
      break;
    case 'h':
      unit = 3600;
      break;
    case 'd':
      unit = 86400;
      break;
    default:
      unit = 0;
  }
  if (unit != 0) digits.remove_suffix(1);
  const auto n = number<std::int64_t>(digits);
  if (!n || *n <= 0 || *n > 0x7fffffff / std::max<std::int64_t>(unit, 1)) return wrong;
  return *n * std::max<std::int64_t>(unit, 1);
}

base::Result<json::object> mitigate_arguments(const Options::Mitigate& m) {
  json::object out;
  json::array prefixes, ports, protocols;
  for (const auto& text : m.prefixes) {
    const auto prefix = prefix_text(text);
    if (!prefix) return prefix.error();
    prefixes.emplace_back(*prefix);
  }
  for (const auto& text : m.ports) {
    const auto range = port_range(text);
    if (!range) return range.error();
    ports.emplace_back(*range);
  }
  for (const auto& text : m.protocols) {
    const auto protocol = protocol_number(text);
    if (!protocol) return protocol.error();
    protocols.emplace_back(*protocol);
  }
  const auto put = [&out](const char* name, json::array items) {
    if (!items.empty()) out[name] = std::move(items);
  };
  put("target-prefix", std::move(prefixes));
  put("target-port-range", std::move(ports));
  put("target-protocol", std::move(protocols));
  put("target-fqdn", json::array(m.fqdns.begin(), m.fqdns.end()));
  put("target-uri", json::array(m.uris.begin(), m.uris.end()));
  if (!m.contract.empty()) out["contract-id"] = m.contract;
  if (!m.service.empty()) out["requested-service"] = m.service;
  put("alias-name", json::array(m.aliases.begin(), m.aliases.end()));
  if (m.prefixes.empty() && m.fqdns.empty() && m.uris.empty() && m.aliases.empty())
    return base::Error{"nothing to protect; name it with --target-prefix, --fqdn, --uri or --alias"};
  if (!m.lifetime.empty()) {
    const auto lifetime = parse_lifetime(m.lifetime);
    if (!lifetime) return lifetime.error();
    out["lifetime"] = *lifetime;
  }
  if (!m.note.empty()) out["note"] = m.note;
  if (!m.server.empty()) out["server"] = m.server;
  if (m.armed) out["trigger-mitigation"] = false;
  put("acl-list", acl_list(m.activate, m.deactivate));
  return out;
}

json::array acl_list(const std::vector<std::string>& activate, const std::vector<std::string>& deactivate,
                     bool when_mitigating) {
  json::array list;
  const auto add = [&list](const std::string& name, const char* type) {
    list.push_back(json::object{{"acl-name", name}, {"activation-type", type}});
  };
  for (const auto& name : activate) add(name, when_mitigating ? "activate-when-mitigating" : "immediate");
  for (const auto& name : deactivate) add(name, "deactivate");
  return list;
}

namespace {

// "2026-11-22", "2026-11-22T15:00", "2026-11-22T15:00:30", each with or without a final Z: UTC. Or "2h": so long ago.
base::Result<std::int64_t> parse_time(const std::string& text, std::int64_t now) {
  if (const auto ago = parse_lifetime(text); ago && *ago > 0 && std::isalpha(static_cast<unsigned char>(text.back()))) {
    return now - *ago;
  }
  const base::Error wrong{"'" + text + "' is no time; write 30m, 2h or 7d for so long ago, or 2026-11-22T15:00:00Z"};
  std::string_view rest = text;
  if (rest.ends_with('Z')) rest.remove_suffix(1);
  // Each part with what stands before it.
  static constexpr std::pair<char, std::size_t> kParts[] = {{'\0', 4}, {'-', 2}, {'-', 2},
                                                            {'T', 2},  {':', 2}, {':', 2}};
  int parts[6] = {};
  std::size_t count = 0;
  for (const auto& [before, digits] : kParts) {
    if (rest.empty() && count >= 3 && count != 4) break;
    if (before != '\0') {
      if (rest.empty() || rest.front() != before) return wrong;
      rest.remove_prefix(1);
    }
    const auto value = number<int>(rest.substr(0, digits));
    if (rest.size() < digits || !value) return wrong;
    parts[count++] = *value;
    rest.remove_prefix(digits);
  }
  const std::chrono::year_month_day date{std::chrono::year{parts[0]},
                                         std::chrono::month{static_cast<unsigned>(parts[1])},
                                         std::chrono::day{static_cast<unsigned>(parts[2])}};
  if (!rest.empty() || !date.ok() || parts[0] < 1970 || parts[3] > 23 || parts[4] > 59 || parts[5] > 59) return wrong;
  const auto days = std::chrono::sys_days{date}.time_since_epoch().count();
  return std::int64_t{days} * 86400 + parts[3] * 3600 + parts[4] * 60 + parts[5];
}

}  // namespace

base::Result<json::object> audit_arguments(const Options::Audit& audit, std::int64_t now) {
  json::object out{{"limit", audit.limit == 0 ? (audit.json_lines ? 10000U : 50U) : audit.limit}};
  for (const auto& [name, value] : {std::pair{"domain", &audit.domain}, std::pair{"actor", &audit.actor},
                                    std::pair{"action", &audit.action}, std::pair{"subject", &audit.subject}}) {
    if (!value->empty()) out[name] = *value;
  }
  for (const auto& [name, value] : {std::pair{"since", &audit.since}, std::pair{"until", &audit.until}}) {
    if (value->empty()) continue;
    const auto time = parse_time(*value, now);
    if (!time) return time.error();
    out[name] = *time;
  }
  return out;
}

base::Result<json::object> rules_arguments(const Options::Rules& rules) {
  json::object out{{"limit", rules.limit}};
  if (!rules.prefix.empty()) {
    const auto prefix = prefix_text(rules.prefix);
    if (!prefix) return prefix.error();
    out["prefix"] = *prefix;
  }
  if (!rules.domain.empty()) out["domain"] = rules.domain;
  if (!rules.back_end.empty()) out["mitigator"] = rules.back_end;
  if (rules.differences) out["differences"] = true;
  return out;
}

base::Result<json::object> redirect_arguments(const Options::Redirect& r) {
  json::object out;
  if (!r.asks()) return out;
  if (r.off && (!r.to.empty() || !r.ttl.empty() || !r.records.empty() || r.force || r.now))
    return base::Error{"--off takes back an order; it goes with --domain, --client and --note alone"};
  if (r.off) out["off"] = true;
  if (r.force) out["force"] = true;
  const std::pair<const char*, const std::string*> texts[] = {
      {"to", &r.to}, {"domain", &r.domain}, {"client", &r.client}, {"note", &r.note}};
  for (const auto& [name, text] : texts)
    if (!text->empty()) out[name] = *text;
  if (!r.records.empty()) out["record"] = json::array(r.records.begin(), r.records.end());
  if (!r.ttl.empty()) {
    const auto plain = number<std::uint32_t>(r.ttl);
    if (plain) {
      out["ttl_s"] = *plain;
    } else {
      const auto lifetime = parse_lifetime(r.ttl);
      if (!lifetime) return base::Error{"'" + r.ttl + "' is no time; write seconds, or 30m, 2h, 1d, or 'forever'"};
      out["ttl_s"] = *lifetime < 0 ? std::uint64_t{0xffffffff} : static_cast<std::uint64_t>(*lifetime);
    }
  }
  return out;
}

base::Result<json::object> what_if_arguments(const Options::WhatIf& w) {
  Options::Mitigate scope;
  scope.prefixes = w.prefixes;
  scope.ports = w.ports;
  scope.protocols = w.protocols;
  auto out = mitigate_arguments(scope);
  if (!out) return out;
  (*out)["domain"] = w.domain;
  if (!w.service.empty()) (*out)["service"] = w.service;
  if (!w.contract.empty()) (*out)["contract"] = w.contract;
  if (w.volume_bits_per_s > 0) (*out)["volume_bits_per_s"] = w.volume_bits_per_s;
  out->erase("acl-list");
  return out;
}

base::Result<json::object> explain_arguments(const std::string& text) {
  json::object out;
  if (text.empty()) return out;
  if (const auto mid = number<std::uint32_t>(text)) {
    out["mid"] = *mid;
    return out;
  }
  const auto prefix = prefix_text(text);
  if (!prefix)
    return base::Error{prefix.error().message + "; write the number of a mitigation, an address or a prefix"};
  out["prefix"] = *prefix;
  return out;
}

base::Result<json::object> filters_arguments(const Options& options) {
  json::object out;
  if (!options.explain.empty()) {
    const auto prefix = prefix_text(options.explain);
    if (!prefix) return prefix.error();
    out["prefix"] = *prefix;
  }
  if (!options.which.domain.empty()) out["domain"] = options.which.domain;
  if (!options.which.cuid.empty()) out["cuid"] = options.which.cuid;
  return out;
}

}  // namespace dots::dotsctl
