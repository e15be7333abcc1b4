#include "model/mitigation.h"

#include <algorithm>

#include "model/attributes.h"

namespace dots::model {
namespace {

template <class T>
void sort_unique(std::vector<T>& list) {
  std::sort(list.begin(), list.end());
  list.erase(std::unique(list.begin(), list.end()), list.end());
}

void lower_ascii(std::string& text, std::size_t from, std::size_t to) {
  for (std::size_t i = from; i < to; ++i) {
    if (text[i] >= 'A' && text[i] <= 'Z') text[i] = static_cast<char>(text[i] - 'A' + 'a');
  }
}

// Scheme and authority are compared without case, path and query with it (RFC 3986 section 6.2.2.1).
void lower_uri(std::string& uri) {
  const std::size_t colon = uri.find(':');
  if (colon == std::string::npos) return;
  std::size_t end = colon;
  if (uri.compare(colon, 3, "://") == 0) {
    end = std::min(uri.find_first_of("/?#", colon + 3), uri.size());
    const std::size_t at = uri.rfind('@', end);  // user information keeps its case
    lower_ascii(uri, at == std::string::npos || at < colon ? colon : at, end);
  }
  lower_ascii(uri, 0, colon);
}

template <class Code>
std::string_view name_of_code(Key key, Code code) {
  return enum_name(attribute(key), static_cast<std::uint64_t>(code)).value_or("unknown");
}

}  // namespace

MitigationScope normalised(const MitigationScope& scope) {
  MitigationScope result = scope;
  for (Prefix& prefix : result.target_prefix) prefix = prefix.masked();
  for (std::string& name : result.target_fqdn) {
    lower_ascii(name, 0, name.size());
    if (name.size() > 1 && name.back() == '.') name.pop_back();
  }
  for (std::string& uri : result.target_uri) lower_uri(uri);
  sort_unique(result.target_prefix);
  sort_unique(result.target_port_range);
  sort_unique(result.target_protocol);
  sort_unique(result.target_fqdn);
  sort_unique(result.target_uri);
  sort_unique(result.alias_name);
  return result;
}

bool same_acls(std::vector<AclActivation> a, std::vector<AclActivation> b) {
  std::sort(a.begin(), a.end());
  std::sort(b.begin(), b.end());
  return a == b;
}

std::string_view name_of(MitigationStatus status) { return name_of_code(Key::status, status); }
std::string_view name_of(ConflictStatus status) { return name_of_code(Key::conflict_status, status); }
std::string_view name_of(ConflictCause cause) { return name_of_code(Key::conflict_cause, cause); }
std::string_view name_of(RefusalReason reason) { return name_of_code(Key::refusal_reason, reason); }
std::string_view name_of(AttackStatus status) { return name_of_code(Key::attack_status, status); }

}  // namespace dots::model
