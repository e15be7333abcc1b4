#include "agent/operators/answers.h"

#include <boost/json/array.hpp>
#include <utility>

#include "base/time_text.h"

namespace dots::agent {

namespace json = boost::json;

CallAnswer call_failed(CallAnswer::Outcome outcome, std::string message, std::string next_step) {
  CallAnswer answer;
  answer.outcome = outcome;
  answer.message = std::move(message);
  answer.next_step = std::move(next_step);
  return answer;
}

CallAnswer call_ok(json::value body) {
  CallAnswer answer;
  answer.body = std::move(body);
  return answer;
}

void add_scope(json::object& out, const model::MitigationScope& scope) {
  const auto add = [&](const char* name, const auto& items) {
    if (!items.empty()) out[name] = json::array(items.begin(), items.end());
  };
  std::vector<std::string> prefixes, ports;
  for (const model::Prefix& prefix : scope.target_prefix) prefixes.push_back(model::to_string(prefix));
  for (const model::PortRange& range : scope.target_port_range) {
    ports.push_back(range.lower == range.upper ? std::to_string(range.lower)
                                               : std::to_string(range.lower) + "-" + std::to_string(range.upper));
  }
  add("target-prefix", prefixes);
  add("target-port-range", ports);
  add("target-protocol", scope.target_protocol);
  add("target-fqdn", scope.target_fqdn);
  add("target-uri", scope.target_uri);
  add("alias-name", scope.alias_name);
}

json::object render_conflict(const model::ConflictInformation& conflict) {
  json::object out;
  if (conflict.status) out["conflict-status"] = model::name_of(*conflict.status);
  if (conflict.cause) out["conflict-cause"] = model::name_of(*conflict.cause);
  if (conflict.retry_timer_s) out["retry-timer"] = *conflict.retry_timer_s;
  if (conflict.scope) {
    json::object scope;
    add_scope(scope, conflict.scope->targets);
    if (conflict.scope->mid) scope["mid"] = conflict.scope->mid->value;
    const auto& names = conflict.scope->acl_names;
    if (!names.empty()) scope["acl-name"] = json::array(names.begin(), names.end());
    out["conflict-scope"] = std::move(scope);
  }
  return out;
}

void add_acls(json::object& out, std::string_view name, const std::vector<model::AclActivation>& acl_list) {
  json::array list;
  for (const model::AclActivation& acl : acl_list) {
    list.push_back(json::object{{"acl-name", acl.acl_name}, {"activation-type", model::name_of(acl.type)}});
  }
  if (!list.empty()) out[name] = std::move(list);
}

void add_prefixes(json::object& out, std::string_view name, const std::vector<model::Prefix>& prefixes) {
  json::array list;
  for (const model::Prefix& prefix : prefixes) list.emplace_back(model::to_string(prefix));
  if (!list.empty()) out[name] = std::move(list);
}

void add_text(json::object& out, std::string_view name, const std::optional<std::string>& text) {
  if (text) out[name] = *text;
}

void add_counters(json::object& out, const model::DropCounters& counters) {
  if (counters.bytes_dropped) out["bytes-dropped"] = *counters.bytes_dropped;
  if (counters.pkts_dropped) out["pkts-dropped"] = *counters.pkts_dropped;
  if (counters.bps_dropped) out["bps-dropped"] = *counters.bps_dropped;
  if (counters.pps_dropped) out["pps-dropped"] = *counters.pps_dropped;
}

json::object render_audit(const std::vector<ports::AuditRecord>& records) {
  json::array list;
  for (const ports::AuditRecord& record : records) {
    list.push_back(json::object{{"at", base::utc_text(record.at)},
                                {"domain", record.domain.value},
                                {"actor", record.actor},
                                {"action", record.action},
                                {"subject", record.subject},
                                {"verdict", record.verdict},
                                {"text", record.text}});
    if (!record.credential.empty()) list.back().as_object()["credential"] = record.credential;
  }
  return {{"audit", std::move(list)}};
}

}  // namespace dots::agent
