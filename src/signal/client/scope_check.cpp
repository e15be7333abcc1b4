#include "signal/client/scope_check.h"

#include <algorithm>
#include <set>
#include <vector>

namespace dots::signal::client {

namespace {

constexpr std::size_t kMaxTextBytes = 2048;
constexpr std::size_t kMaxAcls = 256;

std::optional<std::string> invalid_text(const std::vector<std::string>& values, const char* attribute) {
  for (const std::string& value : values) {
    if (value.empty()) return std::string(attribute) + " has an empty entry";
    if (value.size() > kMaxTextBytes) return std::string(attribute) + " has an entry of more than 2048 bytes";
    const bool blank = std::any_of(value.begin(), value.end(), [](char c) {
      const auto byte = static_cast<unsigned char>(c);
      return byte <= 0x20 || byte == 0x7f;
    });
    if (blank && std::string_view(attribute) != "alias-name") {
      return std::string(attribute) + " '" + value + "' has a space or control character in it";
    }
  }
  return std::nullopt;
}

bool share_an_entry(const std::vector<std::string>& a, const std::vector<std::string>& b) {
  return std::any_of(a.begin(), a.end(),
                     [&](const std::string& entry) { return std::find(b.begin(), b.end(), entry) != b.end(); });
}

}  // namespace

std::optional<std::string> invalid_scope(const model::MitigationScope& scope, std::size_t max_targets) {
  if (!scope.names_a_target()) {
    return "no target: give at least one of target-prefix, target-fqdn, target-uri, alias-name";
  }
  const std::size_t targets =
      scope.target_prefix.size() + scope.target_fqdn.size() + scope.target_uri.size() + scope.alias_name.size();
  if (targets > max_targets) {
    return std::to_string(targets) + " targets in one request, at most " + std::to_string(max_targets) + " are allowed";
  }
  for (const model::Prefix& prefix : scope.target_prefix) {
    if (const auto reason = model::forbidden_target(prefix)) {
      return "target-prefix '" + model::to_string(prefix) + "' cannot be mitigated: " + *reason;
    }
  }
  if (scope.target_port_range.size() > max_targets) return "too many entries in target-port-range";
  std::set<std::uint16_t> lower_ports;
  for (const model::PortRange& range : scope.target_port_range) {
    if (range.upper < range.lower) {
      return "target-port-range " + std::to_string(range.lower) + "-" + std::to_string(range.upper) +
             " ends below its start";
    }
    if (!lower_ports.insert(range.lower).second) {
      return "target-port-range has two entries that start at " + std::to_string(range.lower);
    }
  }
  if (const auto reason = invalid_text(scope.target_fqdn, "target-fqdn")) return reason;
  if (const auto reason = invalid_text(scope.target_uri, "target-uri")) return reason;
  return invalid_text(scope.alias_name, "alias-name");
}

std::optional<std::string> invalid_acls(const std::vector<model::AclActivation>& acl_list) {
  if (acl_list.size() > kMaxAcls) return "more than 256 filters in one request";
  std::set<std::string_view> names;
  for (const model::AclActivation& acl : acl_list) {
    if (acl.acl_name.empty() || acl.acl_name.size() > kMaxTextBytes) return "acl-name is empty or too long";
    if (!names.insert(acl.acl_name).second) return "acl-name '" + acl.acl_name + "' stands there twice";
  }
  return std::nullopt;
}

bool share_a_target(const model::MitigationScope& left, const model::MitigationScope& right) {
  const model::MitigationScope a = model::normalised(left);
  const model::MitigationScope b = model::normalised(right);
  for (const model::Prefix& prefix : a.target_prefix) {
    for (const model::Prefix& other : b.target_prefix) {
      if (prefix.overlaps(other)) return true;
    }
  }
  return share_an_entry(a.target_fqdn, b.target_fqdn) || share_an_entry(a.target_uri, b.target_uri) ||
         share_an_entry(a.alias_name, b.alias_name);
}

std::string describe(const std::vector<model::AclActivation>& acl_list) {
  std::string text;
  for (const model::AclActivation& acl : acl_list) {
    text += (text.empty() ? "filter " : ", filter ") + acl.acl_name + " " + std::string(model::name_of(acl.type));
  }
  // The names can be the server's.
  std::replace_if(
      text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }, ' ');
  return text;
}

std::string describe(const model::MitigationScope& scope) {
  std::string text;
  const auto add = [&](const std::string& part) { text += (text.empty() ? "" : ", ") + part; };
  for (const model::Prefix& prefix : scope.target_prefix) add(model::to_string(prefix));
  for (const std::string& name : scope.target_fqdn) add(name);
  for (const std::string& uri : scope.target_uri) add(uri);
  for (const std::string& alias : scope.alias_name) add("alias " + alias);
  for (std::size_t i = 0; i < scope.target_protocol.size(); ++i) {
    text += (i == 0 ? " protocol " : ",") + std::to_string(scope.target_protocol[i]);
  }
  for (std::size_t i = 0; i < scope.target_port_range.size(); ++i) {
    const model::PortRange& range = scope.target_port_range[i];
    text += (i == 0 ? " port " : ",") + std::to_string(range.lower);
    if (range.upper != range.lower) text += "-" + std::to_string(range.upper);
  }
  return text;
}

}  // namespace dots::signal::client
