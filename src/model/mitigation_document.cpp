#include "model/mitigation_document.h"

#include <string>
#include <utility>

#include "model/document_builder.h"

namespace dots::model {
namespace {

using base::Error;
using base::Result;

using At = std::uint32_t;

std::string named(Key key) { return describe(attribute(key)); }

template <class Code>
Code code_of(const Item& item) {
  return static_cast<Code>(item.number <= UINT8_MAX ? item.number : 0);
}

Result<void> read_port_ranges(const Document& document, At list, std::vector<PortRange>& out) {
  out.reserve((document.end_of(list) - document.first(list)) / 2);  // an entry and its lower-port at least
  for (At entry = document.first(list); entry != document.end_of(list); entry = document.next(entry)) {
    const At lower = document.member(entry, Key::lower_port);
    const At upper = document.member(entry, Key::upper_port);
    if (lower == Document::kRoot) return Error{named(Key::lower_port) + " is missing"};
    PortRange range;
    range.lower = static_cast<std::uint16_t>(document[lower].number);
    range.upper = upper == Document::kRoot ? range.lower : static_cast<std::uint16_t>(document[upper].number);
    if (range.upper < range.lower) {
      return Error{named(Key::upper_port) + " " + std::to_string(range.upper) + " is below lower-port " +
                   std::to_string(range.lower)};
    }
    out.push_back(range);
  }
  return {};
}

Result<void> read_prefixes(const Document& document, At list, std::vector<Prefix>& out) {
  out.reserve(document.end_of(list) - document.first(list));
  for (At i = document.first(list); i != document.end_of(list); i = document.next(i)) {
    const auto prefix = parse_prefix(document[i].text);
    if (!prefix) return Error{named(document[list].attribute->key) + ": " + prefix.error().message};
    out.push_back(*prefix);
  }
  return {};
}

void read_texts(const Document& document, At list, std::vector<std::string>& out) {
  out.reserve(document.end_of(list) - document.first(list));
  for (At i = document.first(list); i != document.end_of(list); i = document.next(i)) {
    out.emplace_back(document[i].text);
  }
}

// Takes `at` when it is one of the target attributes.
Result<void> read_target(const Document& document, At at, MitigationScope& scope) {
  switch (document[at].attribute->key) {
    case Key::target_prefix:
      return read_prefixes(document, at, scope.target_prefix);
    case Key::target_port_range:
      return read_port_ranges(document, at, scope.target_port_range);
    case Key::target_protocol:
      scope.target_protocol.reserve(document.end_of(at) - document.first(at));
      for (At i = document.first(at); i != document.end_of(at); i = document.next(i)) {
        scope.target_protocol.push_back(static_cast<std::uint8_t>(document[i].number));
      }
      return {};
    case Key::target_fqdn:
      read_texts(document, at, scope.target_fqdn);
      return {};
    case Key::target_uri:
      read_texts(document, at, scope.target_uri);
      return {};
    case Key::alias_name:
      read_texts(document, at, scope.alias_name);
      return {};
    default:
      return {};
  }
}

void read_acls(const Document& document, At list, std::vector<AclActivation>& out) {
  for (At entry = document.first(list); entry != document.end_of(list); entry = document.next(entry)) {
    AclActivation acl;
    for (At i = document.first(entry); i != document.end_of(entry); i = document.next(i)) {
      const Item& item = document[i];
      if (item.attribute->key == Key::acl_name) acl.acl_name = item.text;
      if (item.attribute->key == Key::activation_type) acl.type = code_of<ActivationType>(item);
    }
    if (!acl.acl_name.empty()) out.push_back(std::move(acl));
  }
}

Lifetime lifetime_of(const Item& item) {
  return Lifetime{item.kind == ItemKind::negative_integer ? Lifetime::kIndefinite
                                                          : static_cast<std::int64_t>(item.number)};
}

Result<ConflictScope> read_conflict_scope(const Document& document, At map) {
  ConflictScope scope;
  for (At i = document.first(map); i != document.end_of(map); i = document.next(i)) {
    const Item& item = document[i];
    if (item.attribute->key == Key::mid) {
      scope.mid = base::Mid{static_cast<std::uint32_t>(item.number)};
    } else if (item.attribute->key == Key::acl_list) {
      for (At entry = document.first(i); entry != document.end_of(i); entry = document.next(entry)) {
        const At name = document.member(entry, Key::acl_name);
        if (name != Document::kRoot) scope.acl_names.emplace_back(document[name].text);
      }
    } else if (const auto target = read_target(document, i, scope.targets); !target) {
      return target.error();
    }
  }
  return scope;
}

Result<ConflictInformation> read_conflict(const Document& document, At map) {
  ConflictInformation conflict;
  for (At i = document.first(map); i != document.end_of(map); i = document.next(i)) {
    const Item& item = document[i];
    switch (item.attribute->key) {
      case Key::conflict_status:
        conflict.status = code_of<ConflictStatus>(item);
        break;
      case Key::conflict_cause:
        conflict.cause = code_of<ConflictCause>(item);
        break;
      case Key::retry_timer:
        conflict.retry_timer_s = static_cast<std::uint32_t>(item.number);
        break;
      case Key::conflict_scope: {
        auto scope = read_conflict_scope(document, i);
        if (!scope) return scope.error();
        conflict.scope = std::move(*scope);
        break;
      }
      default:
        break;
    }
  }
  return conflict;
}

Result<MitigationEntry> read_entry(const Document& document, At map) {
  MitigationEntry entry;
  MitigationScope scope;
  for (At i = document.first(map); i != document.end_of(map); i = document.next(i)) {
    const Item& item = document[i];
    switch (item.attribute->key) {
      case Key::mid:
        entry.mid = base::Mid{static_cast<std::uint32_t>(item.number)};
        break;
      case Key::lifetime:
        entry.lifetime = lifetime_of(item);
        break;
      case Key::trigger_mitigation:
        entry.trigger_mitigation = item.number != 0;
        break;
      case Key::mitigation_start:
        entry.mitigation_start_s = item.number;
        break;
      case Key::status:
        entry.status = code_of<MitigationStatus>(item);
        break;
      case Key::bytes_dropped:
        entry.counters.bytes_dropped = item.number;
        break;
      case Key::bps_dropped:
        entry.counters.bps_dropped = item.number;
        break;
      case Key::pkts_dropped:
        entry.counters.pkts_dropped = item.number;
        break;
      case Key::pps_dropped:
        entry.counters.pps_dropped = item.number;
        break;
      case Key::conflict_information: {
        auto conflict = read_conflict(document, i);
        if (!conflict) return conflict.error();
        entry.conflict = std::move(*conflict);
        break;
      }
      case Key::control_acl_list:
        read_acls(document, i, entry.acl_list);
        break;
      case Key::refusal_reason:
        entry.refusal_reason = code_of<RefusalReason>(item);
        break;
      case Key::diagnostic:
        entry.diagnostic = item.text;
        break;
      case Key::offered_service:
        read_texts(document, i, entry.offered_service);
        break;
      case Key::service_used:
        entry.service_used = std::string(item.text);
        break;
      case Key::actual_prefix:
        if (const auto prefixes = read_prefixes(document, i, entry.actual_prefix); !prefixes) return prefixes.error();
        break;
      default:
        if (const auto target = read_target(document, i, scope); !target) return target.error();
    }
  }
  if (scope != MitigationScope{}) entry.scope = std::move(scope);
  return entry;
}

// The array `scope` of a mitigation message; kRoot when there is none.
At scope_of(const Document& document) {
  const At container = document.member(Document::kRoot, Key::mitigation_scope);
  return container == Document::kRoot ? container : document.member(container, Key::scope);
}

class Writer {
 public:
  Writer(Document& document, At map) : document_(document), map_(map) {}

  void number(Key key, std::uint64_t value) { document_.add(map_, attribute(key), ItemKind::unsigned_integer, value); }
  template <class T>
  void number(Key key, const std::optional<T>& value) {
    if (value) number(key, static_cast<std::uint64_t>(*value));
  }
  void boolean(Key key, bool value) { document_.add(map_, attribute(key), ItemKind::boolean, value ? 1 : 0); }
  void lifetime(Lifetime value) {
    if (value.seconds < 0) {
      document_.add(map_, attribute(Key::lifetime), ItemKind::negative_integer, 0);
    } else {
      number(Key::lifetime, static_cast<std::uint64_t>(value.seconds));
    }
  }
  template <class List, class Add>
  void list(Key key, const List& values, Add add) {
    if (values.empty()) return;
    const Attribute& of = attribute(key);
    const At array = document_.open(map_, of, ItemKind::array);
    for (const auto& value : values) add(array, of, value);
    document_.close(array);
  }
  void texts(Key key, const std::vector<std::string>& values) {
    list(key, values,
         [this](At array, const Attribute& of, const std::string& value) { document_.add_text(array, of, value); });
  }
  void text(Key key, const std::string& value) { document_.add_text(map_, attribute(key), value); }
  void text(Key key, const std::optional<std::string>& value) {
    if (value) text(key, *value);
  }
  void prefixes(Key key, const std::vector<Prefix>& values) {
    list(key, values, [this](At array, const Attribute& of, const Prefix& prefix) {
      document_.add_text(array, of, document_.keep(to_string(prefix)));
    });
  }
  template <class Fill>
  void container(Key key, Fill fill) {
    const At map = document_.open(map_, attribute(key), ItemKind::map);
    fill(Writer(document_, map));
    document_.close(map);
  }
  void targets(const MitigationScope& scope, bool with_ports = true) {
    prefixes(Key::target_prefix, scope.target_prefix);
    if (with_ports)
      list(Key::target_port_range, scope.target_port_range,
           [this](At array, const Attribute& of, const PortRange& range) {
             const At entry = document_.open(array, of, ItemKind::map);
             Writer writer(document_, entry);
             writer.number(Key::lower_port, range.lower);
             if (range.upper != range.lower) writer.number(Key::upper_port, range.upper);
             document_.close(entry);
           });
    list(Key::target_protocol, scope.target_protocol, [this](At array, const Attribute& of, std::uint8_t protocol) {
      document_.add(array, of, ItemKind::unsigned_integer, protocol);
    });
    texts(Key::target_fqdn, scope.target_fqdn);
    texts(Key::target_uri, scope.target_uri);
    texts(Key::alias_name, scope.alias_name);
  }

  void acls(const std::vector<AclActivation>& acl_list) {
    list(Key::control_acl_list, acl_list, [this](At array, const Attribute& of, const AclActivation& acl) {
      const At entry = document_.open(array, of, ItemKind::map);
      document_.add_text(entry, attribute(Key::acl_name), acl.acl_name);
      Writer(document_, entry).number(Key::activation_type, static_cast<std::uint64_t>(acl.type));
      document_.close(entry);
    });
  }

  void conflict_scope(const ConflictScope& scope, ConflictCause cause) {
    if (cause == ConflictCause::overlapping_targets) {
      number(Key::mid, scope.mid ? std::optional(scope.mid->value) : std::nullopt);
      targets(scope.targets, scope.targets.names_a_target());
    } else if (cause == ConflictCause::conflict_with_acceptlist) {
      list(Key::acl_list, scope.acl_names, [this](At array, const Attribute& of, const std::string& name) {
        const At entry = document_.open(array, of, ItemKind::map);
        document_.add_text(entry, attribute(Key::acl_name), name);
        document_.close(entry);
      });
    }
  }

  void conflict(const ConflictInformation& conflict) {
    const bool collision = conflict.cause == ConflictCause::cuid_collision;
    if (!collision) number(Key::conflict_status, conflict.status);
    number(Key::conflict_cause, conflict.cause);
    if (collision) return;
    number(Key::retry_timer, conflict.retry_timer_s);
    if (!conflict.scope || !conflict.cause) return;
    const ConflictScope& scope = *conflict.scope;
    const bool overlap = conflict.cause == ConflictCause::overlapping_targets &&
                         (scope.mid || scope.targets.names_a_target() || !scope.targets.target_protocol.empty());
    const bool acls = conflict.cause == ConflictCause::conflict_with_acceptlist && !scope.acl_names.empty();
    if (overlap || acls) {
      container(Key::conflict_scope, [&](Writer writer) { writer.conflict_scope(scope, *conflict.cause); });
    }
  }

  void entry(const MitigationEntry& entry) {
    number(Key::mid, entry.mid ? std::optional(entry.mid->value) : std::nullopt);
    if (entry.scope) targets(*entry.scope);
    if (entry.lifetime) lifetime(*entry.lifetime);
    number(Key::mitigation_start, entry.mitigation_start_s);
    number(Key::status, entry.status);
    if (entry.conflict) {
      container(Key::conflict_information, [&](Writer writer) { writer.conflict(*entry.conflict); });
    }
    number(Key::bytes_dropped, entry.counters.bytes_dropped);
    number(Key::bps_dropped, entry.counters.bps_dropped);
    number(Key::pkts_dropped, entry.counters.pkts_dropped);
    number(Key::pps_dropped, entry.counters.pps_dropped);
    if (entry.trigger_mitigation) boolean(Key::trigger_mitigation, *entry.trigger_mitigation);
    acls(entry.acl_list);
    text(Key::service_used, entry.service_used);
    texts(Key::offered_service, entry.offered_service);
    number(Key::refusal_reason, entry.refusal_reason);
    if (!entry.diagnostic.empty()) text(Key::diagnostic, entry.diagnostic);
    prefixes(Key::actual_prefix, entry.actual_prefix);
  }

 private:
  Document& document_;
  At map_;
};

template <class Fill>
Document mitigation_document(Fill fill) {
  Document document;
  const At container = document.open(Document::kRoot, attribute(Key::mitigation_scope), ItemKind::map);
  const At list = document.open(container, attribute(Key::scope), ItemKind::array);
  fill(document, list);
  document.close(list);
  document.close(container);
  document.finish();
  return document;
}

}  // namespace

Result<MitigationRequest> to_mitigation_request(const Document& document) {
  const At list = scope_of(document);
  if (list == Document::kRoot || document.first(list) == document.end_of(list)) {
    return Error{named(Key::scope) + " is missing"};
  }
  MitigationRequest request;
  const At map = document.first(list);
  for (At i = document.first(map); i != document.end_of(map); i = document.next(i)) {
    const Item& item = document[i];
    switch (item.attribute->key) {
      case Key::lifetime:
        request.lifetime = lifetime_of(item);
        break;
      case Key::trigger_mitigation:
        request.trigger_mitigation = item.number != 0;
        break;
      case Key::attack_status:
        request.attack_status = code_of<AttackStatus>(item);
        break;
      case Key::control_acl_list:
        read_acls(document, i, request.acl_list);
        break;
      case Key::extensions:
        request.extensions = item.number != 0;
        break;
      case Key::contract_id:
        request.contract_id = std::string(item.text);
        break;
      case Key::requested_service:
        request.requested_service = std::string(item.text);
        break;
      default:
        if (const auto target = read_target(document, i, request.scope); !target) return target.error();
    }
  }
  if (!request.scope.names_a_target()) {
    return Error{"no target: one of target-prefix, target-fqdn, target-uri, alias-name (6, 11, 12, 13) is needed"};
  }
  for (const Prefix& prefix : request.scope.target_prefix) {
    if (const auto reason = forbidden_target(prefix)) return Error{named(Key::target_prefix) + ": " + *reason};
  }
  if (!request.lifetime && !request.attack_status) return Error{named(Key::lifetime) + " is missing"};
  if (request.lifetime && request.lifetime->seconds == 0) return Error{named(Key::lifetime) + " must not be 0"};
  return request;
}

Result<std::vector<MitigationEntry>> to_mitigation_entries(const Document& document) {
  std::vector<MitigationEntry> entries;
  const At list = scope_of(document);
  if (list == Document::kRoot) return entries;
  for (At i = document.first(list); i != document.end_of(list); i = document.next(i)) {
    auto entry = read_entry(document, i);
    if (!entry) return entry.error();
    entries.push_back(std::move(*entry));
  }
  return entries;
}

Document to_document(const MitigationRequest& request) {
  return mitigation_document([&request](Document& document, At list) {
    const At map = document.open(list, attribute(Key::scope), ItemKind::map);
    Writer writer(document, map);
    writer.targets(request.scope);
    if (request.lifetime) writer.lifetime(*request.lifetime);
    writer.number(Key::attack_status, request.attack_status);
    if (!request.trigger_mitigation) writer.boolean(Key::trigger_mitigation, false);
    writer.acls(request.acl_list);
    if (request.extensions) writer.boolean(Key::extensions, true);
    writer.text(Key::contract_id, request.contract_id);
    writer.text(Key::requested_service, request.requested_service);
    document.close(map);
  });
}

Document to_document(const std::vector<MitigationEntry>& entries) {
  return mitigation_document([&entries](Document& document, At list) {
    for (const MitigationEntry& entry : entries) {
      const At map = document.open(list, attribute(Key::scope), ItemKind::map);
      Writer(document, map).entry(entry);
      document.close(map);
    }
  });
}

}  // namespace dots::model
