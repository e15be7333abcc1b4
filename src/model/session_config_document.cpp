#include "model/session_config_document.h"

namespace dots::model {
namespace {

using At = std::uint32_t;

Key max_key(const ParameterFacts& facts) { return facts.decimal ? Key::max_value_decimal : Key::max_value; }
Key min_key(const ParameterFacts& facts) { return facts.decimal ? Key::min_value_decimal : Key::min_value; }
Key current_key(const ParameterFacts& facts) { return facts.decimal ? Key::current_value_decimal : Key::current_value; }

std::optional<std::uint64_t> number(const Document& document, At map, Key key) {
  const At at = document.member(map, key);
  if (at == Document::kRoot) return std::nullopt;
  return document[at].number;
}

void read_set(const Document& document, Key which, ParameterSet& current, ParameterRanges* ranges) {
  const At config = document.member(Document::kRoot, Key::signal_config);
  if (config == Document::kRoot) return;
  const At set = document.member(config, which);
  if (set == Document::kRoot) return;
  for (const ParameterFacts& facts : parameters()) {
    const At map = document.member(set, facts.key);
    if (map == Document::kRoot) continue;
    if (const auto value = number(document, map, current_key(facts))) current.set(facts.parameter, *value);
    const auto min = number(document, map, min_key(facts));
    const auto max = number(document, map, max_key(facts));
    if (ranges != nullptr && min && max) {
      (*ranges)[static_cast<std::size_t>(facts.parameter)] = ParameterRange{*min, *max};
    }
  }
}

void write_set(Document& document, At parent, Key which, const ParameterSet& current, const ParameterRanges& ranges) {
  bool any = !current.empty();
  for (const auto& range : ranges) any = any || range.has_value();
  if (!any) return;
  const At set = document.open(parent, attribute(which), ItemKind::map);
  // 33, 37 to 40, 50, then those of RFC 9362.
  constexpr std::array<Parameter, kParameters> kByKey{
      Parameter::heartbeat_interval,  Parameter::missing_hb_allowed, Parameter::max_retransmit,
      Parameter::ack_timeout,         Parameter::ack_random_factor,  Parameter::probing_rate,
      Parameter::max_payloads,        Parameter::non_max_retransmit, Parameter::non_timeout,
      Parameter::non_receive_timeout, Parameter::non_probing_wait,   Parameter::non_partial_timeout};
  for (const Parameter parameter : kByKey) {
    const ParameterFacts& facts = facts_of(parameter);
    const auto value = current.get(parameter);
    const auto& range = ranges[static_cast<std::size_t>(parameter)];
    if (!value && !range) continue;
    const ItemKind kind = facts.decimal ? ItemKind::decimal : ItemKind::unsigned_integer;
    const At map = document.open(set, attribute(facts.key), ItemKind::map);
    if (range) {
      document.add(map, attribute(max_key(facts)), kind, range->max);
      document.add(map, attribute(min_key(facts)), kind, range->min);
    }
    if (value) document.add(map, attribute(current_key(facts)), kind, *value);
    document.close(map);
  }
  document.close(set);
}

}  // namespace

base::Result<ParameterSets> to_session_config_request(const Document& document) {
  ParameterSets sets;
  read_set(document, Key::mitigating_config, sets.mitigating, nullptr);
  read_set(document, Key::idle_config, sets.idle, nullptr);
  if (sets.empty()) return base::Error{"no parameter is given"};
  const auto mitigating = sets.mitigating.get(Parameter::max_payloads);
  const auto idle = sets.idle.get(Parameter::max_payloads);
  if (mitigating && idle && *mitigating != *idle) {
    return base::Error{"max-payloads differs between mitigating-config and idle-config"};
  }
  if (mitigating) sets.idle.set(Parameter::max_payloads, *mitigating);
  if (idle) sets.mitigating.set(Parameter::max_payloads, *idle);
  return sets;
}

SessionConfig to_session_config(const Document& document) {
  SessionConfig config;
  read_set(document, Key::mitigating_config, config.current.mitigating, &config.mitigating_ranges);
  read_set(document, Key::idle_config, config.current.idle, &config.idle_ranges);
  const At container = document.member(Document::kRoot, Key::signal_config);
  if (container == Document::kRoot) return config;
  if (const auto sid = number(document, container, Key::sid)) {
    config.sid = base::Sid{static_cast<std::uint32_t>(*sid)};
  }
  return config;
}

Document to_document(const ParameterSets& request) {
  Document document;
  const At container = document.open(Document::kRoot, attribute(Key::signal_config), ItemKind::map);
  write_set(document, container, Key::mitigating_config, request.mitigating, {});
  write_set(document, container, Key::idle_config, request.idle, {});
  document.close(container);
  document.finish();
  return document;
}

Document to_document(const SessionConfig& config) {
  Document document;
  const At container = document.open(Document::kRoot, attribute(Key::signal_config), ItemKind::map);
  if (config.sid) document.add(container, attribute(Key::sid), ItemKind::unsigned_integer, config.sid->value);
  write_set(document, container, Key::mitigating_config, config.current.mitigating, config.mitigating_ranges);
  write_set(document, container, Key::idle_config, config.current.idle, config.idle_ranges);
  document.close(container);
  document.finish();
  return document;
}

}  // namespace dots::model
