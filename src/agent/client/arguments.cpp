#include "agent/client/arguments.h"

#include <algorithm>
#include <charconv>

#include "agent/operators/audit_query.h"

namespace dots::agent::client {

namespace json = boost::json;

namespace {

constexpr std::size_t kMaxListEntries = 1000;
constexpr std::size_t kMaxTextBytes = 2048;

std::optional<std::int64_t> whole_number(const json::value& value) {
  if (value.is_int64()) return value.as_int64();
  if (value.is_uint64() && value.as_uint64() <= INT64_MAX) return static_cast<std::int64_t>(value.as_uint64());
  return std::nullopt;
}

std::optional<std::int64_t> number_in(std::string_view text, std::int64_t least, std::int64_t most) {
  std::int64_t number = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (failure != std::errc{} || end != text.data() + text.size() || number < least || number > most) {
    return std::nullopt;
  }
  return number;
}

std::optional<std::uint8_t> protocol_number(std::string_view name) {
  static constexpr std::pair<std::string_view, std::uint8_t> kNames[] = {
      {"icmp", 1}, {"igmp", 2}, {"ipip", 4},    {"tcp", 6},        {"udp", 17},   {"dccp", 33},    {"gre", 47},
      {"esp", 50}, {"ah", 51},  {"icmpv6", 58}, {"ipv6-icmp", 58}, {"sctp", 132}, {"udplite", 136}};
  std::string lower(name);
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  for (const auto& [known, number] : kNames) {
    if (lower == known) return number;
  }
  if (const auto number = number_in(name, 0, 255)) return static_cast<std::uint8_t>(*number);
  return std::nullopt;
}

base::Result<std::string> text_of(const std::string& key, const json::value& value) {
  if (!value.is_string()) return base::Error{key + " must be text"};
  if (value.as_string().size() > kMaxTextBytes) return base::Error{key + " is longer than 2048 bytes"};
  return std::string(value.as_string());
}

// A list of texts and whole numbers, as texts; a single one stands for a list of one.
base::Result<std::vector<std::string>> texts_of(const std::string& key, const json::value& value) {
  std::vector<std::string> texts;
  const auto add = [&](const json::value& entry) {
    if (const auto number = whole_number(entry)) {
      texts.push_back(std::to_string(*number));
      return true;
    }
    const auto text = text_of(key, entry);
    if (text) texts.push_back(*text);
    return text.ok();
  };
  if (!value.is_array()) {
    if (!add(value)) return base::Error{key + " must be a list of texts"};
    return texts;
  }
  if (value.as_array().size() > kMaxListEntries) return base::Error{key + " has more than 1000 entries"};
  for (const json::value& entry : value.as_array()) {
    if (!add(entry)) return base::Error{key + " must be a list of texts of at most 2048 bytes"};
  }
  return texts;
}

// "192.0.2.0/24"; an address alone is a host.
base::Result<model::Prefix> prefix_of(const std::string& key, const std::string& text) {
  const auto prefix = model::parse_prefix(text);
  if (prefix) return *prefix;
  if (const auto address = model::parse_ip_address(text)) return model::host_prefix(*address);
  return base::Error{key + ": " + prefix.error().message};
}

base::Result<model::PortRange> port_range_of(const std::string& text) {
  const std::string_view view = text;
  const std::size_t dash = view.find('-');
  const auto lower = number_in(view.substr(0, dash), 0, 65535);
  const auto upper = dash == std::string_view::npos ? lower : number_in(view.substr(dash + 1), 0, 65535);
  if (!lower || !upper || *upper < *lower) {
    return base::Error{"target-port-range: '" + text + "' is neither a port nor a range like 8000-8080"};
  }
  return model::PortRange{static_cast<std::uint16_t>(*lower), static_cast<std::uint16_t>(*upper)};
}

base::Result<base::Duration> wait_of(const json::value& value) {
  if (value.is_bool()) return value.as_bool() ? kDefaultWait : base::Duration::zero();
  const auto seconds = whole_number(value);
  if (!seconds || *seconds < 0) return base::Error{"wait must be true, false or a number of seconds"};
  return std::min<base::Duration>(std::chrono::seconds{std::min<std::int64_t>(*seconds, 3600)}, kLongestWait);
}

base::Result<void> take_scope(const std::string& key, const json::value& value, model::MitigationScope& scope,
                              bool& known) {
  known = true;
  const auto texts = texts_of(key, value);
  if (key == "target-prefix") {
    if (!texts) return texts.error();
    for (const std::string& text : *texts) {
      const auto prefix = prefix_of(key, text);
      if (!prefix) return prefix.error();
      scope.target_prefix.push_back(*prefix);
    }
  } else if (key == "target-port-range") {
    if (!texts) return texts.error();
    for (const std::string& text : *texts) {
      const auto range = port_range_of(text);
      if (!range) return range.error();
      scope.target_port_range.push_back(*range);
    }
  } else if (key == "target-protocol") {
    if (!texts) return texts.error();
    for (const std::string& text : *texts) {
      const auto number = protocol_number(text);
      if (!number) {
        return base::Error{"target-protocol: '" + text + "' is neither a number up to 255 nor a name such as udp"};
      }
      scope.target_protocol.push_back(*number);
    }
  } else if (key == "target-fqdn" || key == "target-uri" || key == "alias-name") {
    if (!texts) return texts.error();
    (key == "target-fqdn" ? scope.target_fqdn : key == "target-uri" ? scope.target_uri : scope.alias_name) = *texts;
  } else {
    known = false;
  }
  return {};
}

// [{"acl-name": NAME, "activation-type": TYPE}]; the type is the default of RFC 9133 when it is left out.
base::Result<std::vector<model::AclActivation>> acl_list_of(const std::string& key, const json::value& value) {
  const base::Error wrong{key + R"( must be a list like [{"acl-name": "x", "activation-type": "deactivate"}])"};
  if (!value.is_array() || value.as_array().size() > kMaxListEntries) return wrong;
  std::vector<model::AclActivation> list;
  for (const json::value& entry : value.as_array()) {
    if (!entry.is_object()) return wrong;
    model::AclActivation acl;
    for (const auto& member : entry.as_object()) {
      const auto text = text_of(std::string(member.key()), member.value());
      if (!text) return text.error();
      if (member.key() == "acl-name") {
        acl.acl_name = *text;
      } else if (member.key() == "activation-type") {
        const auto type = model::activation_type_named(*text);
        if (!type) return base::Error{"'" + *text + "' is no activation-type"};
        acl.type = *type;
      } else {
        return wrong;
      }
    }
    list.push_back(std::move(acl));
  }
  return list;
}

}  // namespace

base::Result<MitigateArguments> parse_mitigate(const json::object& arguments) {
  MitigateArguments out;
  for (const auto& member : arguments) {
    const std::string key(member.key());
    const json::value& value = member.value();
    bool in_scope = false;
    const auto taken = take_scope(key, value, out.wanted.scope, in_scope);
    if (!taken) return taken.error();
    if (in_scope) continue;
    if (key == "lifetime") {
      const auto seconds = whole_number(value);
      if (!seconds) return base::Error{"lifetime must be a whole number of seconds, or -1 for no end"};
      out.wanted.lifetime = model::Lifetime{*seconds};
    } else if (key == "trigger-mitigation") {
      if (!value.is_bool()) return base::Error{"trigger-mitigation must be true or false"};
      out.wanted.trigger_mitigation = value.as_bool();
    } else if (key == "contract-id" || key == "requested-service") {
      const auto text = text_of(key, value);
      if (!text) return text.error();
      (key == "contract-id" ? out.wanted.contract_id : out.wanted.requested_service) = *text;
    } else if (key == "note" || key == "server") {
      const auto text = text_of(key, value);
      if (!text) return text.error();
      (key == "note" ? out.wanted.note : out.server) = *text;
    } else if (key == "acl-list") {
      auto list = acl_list_of(key, value);
      if (!list) return list.error();
      out.wanted.acl_list = std::move(*list);
    } else if (key == "wait") {
      const auto wait = wait_of(value);
      if (!wait) return wait.error();
      out.wait = *wait;
    } else {
      return base::Error{"'" + key + "' is no argument of mitigate"};
    }
  }
  return out;
}

base::Result<Selection> parse_selection(const json::object& arguments) {
  Selection out;
  for (const auto& member : arguments) {
    const std::string key(member.key());
    const json::value& value = member.value();
    const auto narrowed = narrow(key, value, out.audit);
    if (!narrowed) return narrowed.error();
    if (*narrowed) continue;
    if (key == "mid") {
      const auto number = whole_number(value);
      if (!number || *number < 0 || *number > std::int64_t{UINT32_MAX}) {
        return base::Error{key + " must be a whole number from 0 to 4294967295"};
      }
      out.mid = base::Mid{static_cast<std::uint32_t>(*number)};
    } else if (key == "wait") {
      const auto wait = wait_of(value);
      if (!wait) return wait.error();
      out.wait = *wait;
    } else if (key == "attack-status") {
      const auto text = text_of(key, value);
      if (!text) return text.error();
      for (const auto known : {model::AttackStatus::under_attack, model::AttackStatus::successfully_mitigated}) {
        if (*text == model::name_of(known)) out.attack_status = known;
      }
      if (!out.attack_status) {
        return base::Error{"attack-status must be 'under-attack' or 'attack-successfully-mitigated'"};
      }
    } else if (key == "acl-list") {
      auto list = acl_list_of(key, value);
      if (!list) return list.error();
      out.acl_list = std::move(*list);
    } else if (key == "force") {
      if (!value.is_bool()) return base::Error{"force must be true or false"};
      out.force = value.as_bool();
    } else if (key == "prefix") {
      const auto text = text_of(key, value);
      if (!text) return text.error();
      const auto prefix = prefix_of(key, *text);
      if (!prefix) return prefix.error();
      out.prefix = *prefix;
    } else if (key == "server" || key == "note" || key == "cuid" || key == "domain") {
      // cuid and domain select at a server; a client has one cuid for each server.
      const auto text = text_of(key, value);
      if (!text) return text.error();
      if (key == "server") out.server = *text;
      if (key == "note") out.note = *text;
    } else {
      return base::Error{"'" + key + "' is no argument of this operation"};
    }
  }
  return out;
}

}  // namespace dots::agent::client
