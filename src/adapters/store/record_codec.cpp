#include "adapters/store/record_codec.h"

#include <boost/json.hpp>
#include <limits>

namespace dots::adapters::store {
namespace {

namespace json = boost::json;

template <class List, class Write>
void append_list(std::string& out, const List& list, Write write) {
  out += '[';
  bool first = true;
  for (const auto& item : list) {
    if (!first) out += ',';
    first = false;
    write(item);
  }
  out += ']';
}

template <class List, class Write>
void append_member(std::string& out, std::string_view name, const List& list, Write write) {
  if (list.empty()) return;
  out += ",\"";
  out += name;
  out += "\":";
  append_list(out, list, write);
}

void append_texts(std::string& out, std::string_view name, const std::vector<std::string>& texts) {
  append_member(out, name, texts, [&](const std::string& text) { out += json::serialize(json::string_view(text)); });
}

template <class T>
void append_plain(std::string& out, const std::vector<T>& values) {
  append_list(out, values, [&](const T& value) {
    out += '"';
    out += model::to_string(value);
    out += '"';
  });
}

constexpr std::int64_t kApprovalVersion = 1;

base::Error damaged(std::string_view what) { return base::Error{"damaged record: " + std::string(what)}; }

base::Result<json::value> parse(std::string_view text) {
  json::parse_options options;
  options.max_depth = 8;
  options.allow_invalid_utf8 = true;  // what a peer was once allowed to say must stay readable
  json::error_code failure;
  json::value value = json::parse(json::string_view(text.data(), text.size()), failure, {}, options);
  if (failure) return damaged(failure.message());
  return value;
}

template <class T>
std::optional<T> number_in(const json::value& value) {
  json::error_code failure;
  const auto number = value.to_number<std::int64_t>(failure);
  if (failure || !value.is_number() || number < static_cast<std::int64_t>(std::numeric_limits<T>::min()) ||
      number > static_cast<std::int64_t>(std::numeric_limits<T>::max())) {
    return std::nullopt;
  }
  return static_cast<T>(number);
}

template <class T, class Read>
base::Result<void> read_list(const json::value& value, std::vector<T>& out, std::string_view name, Read read) {
  const auto* array = value.if_array();
  if (array == nullptr) return damaged(name);
  for (const auto& item : *array) {
    std::optional<T> element = read(item);
    if (!element) return damaged(name);
    out.push_back(std::move(*element));
  }
  return {};
}

std::optional<std::string> text_of(const json::value& value) {
  const auto* text = value.if_string();
  if (text == nullptr) return std::nullopt;
  return std::string(text->data(), text->size());
}

std::optional<model::Prefix> prefix_of(const json::value& value) {
  const auto* text = value.if_string();
  if (text == nullptr) return std::nullopt;
  auto prefix = model::parse_prefix(std::string_view(text->data(), text->size()));
  if (!prefix) return std::nullopt;
  return *prefix;
}

std::optional<model::IpAddress> address_of(const json::value& value) {
  const auto* text = value.if_string();
  if (text == nullptr) return std::nullopt;
  auto address = model::parse_ip_address(std::string_view(text->data(), text->size()));
  if (!address) return std::nullopt;
  return *address;
}

std::optional<model::PortRange> port_range_of(const json::value& value) {
  const auto* pair = value.if_array();
  if (pair == nullptr || pair->size() != 2) return std::nullopt;
  const auto lower = number_in<std::uint16_t>((*pair)[0]);
  const auto upper = number_in<std::uint16_t>((*pair)[1]);
  if (!lower || !upper) return std::nullopt;
  return model::PortRange{*lower, *upper};
}

std::optional<model::AclActivation> acl_of(const json::value& value) {
  const auto* pair = value.if_array();
  if (pair == nullptr || pair->size() != 2) return std::nullopt;
  auto name = text_of((*pair)[0]);
  const auto type = number_in<std::uint8_t>((*pair)[1]);
  if (!name || !type || *type < 1 || *type > 3) return std::nullopt;
  return model::AclActivation{std::move(*name), static_cast<model::ActivationType>(*type)};
}

base::Result<void> read_member(std::string_view name, const json::value& value, model::MitigationRequest& request) {
  auto& scope = request.scope;
  if (name == "prefixes") return read_list(value, scope.target_prefix, name, prefix_of);
  if (name == "ports") return read_list(value, scope.target_port_range, name, port_range_of);
  if (name == "protocols") return read_list(value, scope.target_protocol, name, number_in<std::uint8_t>);
  if (name == "fqdns") return read_list(value, scope.target_fqdn, name, text_of);
  if (name == "uris") return read_list(value, scope.target_uri, name, text_of);
  if (name == "aliases") return read_list(value, scope.alias_name, name, text_of);
  if (name == "lifetime") {
    const auto seconds = number_in<std::int64_t>(value);
    if (!seconds) return damaged(name);
    request.lifetime = model::Lifetime{*seconds};
  } else if (name == "trigger") {
    if (!value.is_bool()) return damaged(name);
    request.trigger_mitigation = value.get_bool();
  } else if (name == "attack_status") {
    const auto status = number_in<std::uint8_t>(value);
    if (!status || *status < 1 || *status > 2) return damaged(name);
    request.attack_status = static_cast<model::AttackStatus>(*status);
  } else if (name == "acls") {
    return read_list(value, request.acl_list, name, acl_of);
  } else if (name == "extensions") {
    if (!value.is_bool()) return damaged(name);
    request.extensions = value.get_bool();
  } else if (name == "contract" || name == "service") {
    auto text = text_of(value);
    if (!text) return damaged(name);
    (name == "contract" ? request.contract_id : request.requested_service) = std::move(*text);
  }
  return {};
}

base::Result<model::MitigationRequest> request_in(const json::value& value) {
  const auto* object = value.if_object();
  if (object == nullptr) return damaged("request");
  const auto* version = object->if_contains("v");
  const auto number = version == nullptr ? std::nullopt : number_in<int>(*version);
  if (!number || *number < 1) return damaged("request version");
  if (*number > kRequestVersion) {
    return base::Error{"the request was written by a newer release (format " + std::to_string(*number) +
                       ", this release reads up to " + std::to_string(kRequestVersion) + ")"};
  }
  model::MitigationRequest request;
  for (const auto& member : *object) {
    const std::string_view name(member.key().data(), member.key().size());
    if (auto done = read_member(name, member.value(), request); !done) return done.error();
  }
  return request;
}

template <class T, class Read>
base::Result<std::vector<T>> decode_list(std::string_view text, std::string_view name, Read read) {
  auto value = parse(text);
  if (!value) return value.error();
  std::vector<T> list;
  if (auto done = read_list(*value, list, name, read); !done) return done.error();
  return list;
}

}  // namespace

std::string encode_request(const model::MitigationRequest& request) {
  const auto& scope = request.scope;
  std::string out = "{\"v\":" + std::to_string(kRequestVersion);
  if (!scope.target_prefix.empty()) {
    out += ",\"prefixes\":";
    append_plain(out, scope.target_prefix);
  }
  append_member(out, "ports", scope.target_port_range, [&](const model::PortRange& range) {
    out += '[' + std::to_string(range.lower) + ',' + std::to_string(range.upper) + ']';
  });
  append_member(out, "protocols", scope.target_protocol,
                [&](std::uint8_t protocol) { out += std::to_string(protocol); });
  append_texts(out, "fqdns", scope.target_fqdn);
  append_texts(out, "uris", scope.target_uri);
  append_texts(out, "aliases", scope.alias_name);
  if (request.lifetime) out += ",\"lifetime\":" + std::to_string(request.lifetime->seconds);
  out += request.trigger_mitigation ? ",\"trigger\":true" : ",\"trigger\":false";
  if (request.attack_status) {
    out += ",\"attack_status\":" + std::to_string(static_cast<unsigned>(*request.attack_status));
  }
  append_member(out, "acls", request.acl_list, [&](const model::AclActivation& acl) {
    out += '[' + json::serialize(json::string_view(acl.acl_name)) + ',' +
           std::to_string(static_cast<unsigned>(acl.type)) + ']';
  });
  if (request.extensions) out += ",\"extensions\":true";
  if (request.contract_id) out += ",\"contract\":" + json::serialize(json::string_view(*request.contract_id));
  if (request.requested_service) {
    out += ",\"service\":" + json::serialize(json::string_view(*request.requested_service));
  }
  out += '}';
  return out;
}

base::Result<model::MitigationRequest> decode_request(std::string_view text) {
  auto value = parse(text);
  if (!value) return value.error();
  return request_in(*value);
}

// Each is written like a request with the alias's targets, and its name.
std::string encode_aliases(const std::vector<model::Alias>& aliases) {
  std::string out;
  append_list(out, aliases, [&](const model::Alias& alias) {
    out += "{\"name\":" + json::serialize(json::string_view(alias.name)) + ",\"targets\":";
    model::MitigationRequest request;
    request.scope = alias.targets;
    out += encode_request(request) + '}';
  });
  return out;
}
base::Result<std::vector<model::Alias>> decode_aliases(std::string_view text) {
  return decode_list<model::Alias>(text, "aliases", [](const json::value& value) -> std::optional<model::Alias> {
    const auto* object = value.if_object();
    const auto* name = object == nullptr ? nullptr : object->if_contains("name");
    const auto* targets = object == nullptr ? nullptr : object->if_contains("targets");
    if (name == nullptr || targets == nullptr || !name->is_string()) return std::nullopt;
    auto request = request_in(*targets);
    if (!request) return std::nullopt;
    return model::Alias{*text_of(*name), std::move(request->scope)};
  });
}

std::string encode_approval(const ports::Approval& approval) {
  if (approval == ports::Approval{}) return {};
  json::object out{{"v", kApprovalVersion}, {"state", static_cast<int>(approval.state)},
                   {"why", approval.why},   {"since_ns", approval.since.time_since_epoch().count()},
                   {"by", approval.by},     {"note", approval.note}};
  if (approval.at) out["at_ns"] = approval.at->time_since_epoch().count();
  return json::serialize(out);
}
base::Result<ports::Approval> decode_approval(std::string_view text) {
  ports::Approval out;
  if (text.empty()) return out;
  const auto value = parse(text);
  if (!value) return value.error();
  const auto* object = value->if_object();
  if (object == nullptr) return damaged("approval");
  const auto number = [&](std::string_view name) -> std::optional<std::int64_t> {
    const auto* member = object->if_contains(json::string_view(name.data(), name.size()));
    return member == nullptr ? std::nullopt : number_in<std::int64_t>(*member);
  };
  const auto words = [&](std::string_view name, std::string& into) {
    const auto* member = object->if_contains(json::string_view(name.data(), name.size()));
    auto found = member == nullptr ? std::nullopt : text_of(*member);
    if (found) into = std::move(*found);
    return found.has_value();
  };
  const auto state = number("state");
  const auto since = number("since_ns");
  if (number("v") != kApprovalVersion || !state || *state < 1 || *state > 2 || !since || !words("why", out.why) ||
      !words("by", out.by) || !words("note", out.note)) {
    return damaged("approval");
  }
  out.state = static_cast<ports::Approval::State>(*state);
  out.since = base::WallTime{base::Duration{*since}};
  if (const auto at = number("at_ns")) out.at = base::WallTime{base::Duration{*at}};
  return out;
}

std::string encode_prefixes(const std::vector<model::Prefix>& prefixes) {
  std::string out;
  append_plain(out, prefixes);
  return out;
}
base::Result<std::vector<model::Prefix>> decode_prefixes(std::string_view text) {
  return decode_list<model::Prefix>(text, "prefixes", prefix_of);
}

std::string encode_addresses(const std::vector<model::IpAddress>& addresses) {
  std::string out;
  append_plain(out, addresses);
  return out;
}
base::Result<std::vector<model::IpAddress>> decode_addresses(std::string_view text) {
  return decode_list<model::IpAddress>(text, "addresses", address_of);
}

}  // namespace dots::adapters::store
