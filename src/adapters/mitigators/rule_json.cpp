#include "adapters/mitigators/rule_json.h"

#include <array>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <cstdint>

#include "adapters/mitigators/rule_actions.h"
#include "base/time_text.h"

namespace dots::adapters::mitigators {

namespace json = boost::json;
using ports::MitigatorFault;
using ports::RuleChange;

namespace {

constexpr std::int64_t kVersion = 1;
constexpr std::size_t kDepth = 8;
constexpr std::size_t kMostTextBytes = 1000;

const json::value* find(const json::object& object, std::string_view key) {
  const json::value* value = object.if_contains(json::string_view(key.data(), key.size()));
  return value == nullptr || value->is_null() ? nullptr : value;
}

// A text of somebody else for our logs and answers: one line of bounded length.
std::string line_of(const json::value& value) {
  std::string text(value.as_string().data(), std::min(value.as_string().size(), kMostTextBytes));
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = ' ';
  }
  return text;
}

base::Error wrong(std::string_view key, std::string_view type) {
  return base::Error{"'" + std::string(key) + "' is no " + std::string(type)};
}

base::Result<std::string> text(const json::object& object, std::string_view key) {
  const json::value* value = find(object, key);
  if (value == nullptr) return std::string{};
  if (!value->is_string()) return wrong(key, "text");
  return line_of(*value);
}

base::Result<bool> flag(const json::object& object, std::string_view key, bool otherwise) {
  const json::value* value = find(object, key);
  if (value == nullptr) return otherwise;
  if (!value->is_bool()) return wrong(key, "true or false");
  return value->as_bool();
}

base::Result<std::optional<std::uint64_t>> number(const json::value* value, std::string_view key, std::uint64_t most) {
  if (value == nullptr || value->is_null()) return std::optional<std::uint64_t>{};
  std::uint64_t out = 0;
  if (value->is_int64() && value->as_int64() >= 0) {
    out = static_cast<std::uint64_t>(value->as_int64());
  } else if (value->is_uint64()) {
    out = value->as_uint64();
  } else {
    return wrong(key, "number");
  }
  if (out > most) return base::Error{"'" + std::string(key) + "' is over " + std::to_string(most)};
  return std::optional<std::uint64_t>{out};
}
base::Result<std::optional<std::uint64_t>> number(const json::object& object, std::string_view key,
                                                  std::uint64_t most) {
  return number(find(object, key), key, most);
}

base::Result<const json::array*> array(const json::object& object, std::string_view key) {
  const json::value* value = find(object, key);
  if (value == nullptr) return static_cast<const json::array*>(nullptr);
  if (!value->is_array()) return wrong(key, "list");
  return &value->as_array();
}

std::optional<model::RefusalReason> reason_of(std::string_view name) {
  using model::RefusalReason;
  for (const auto reason :
       {RefusalReason::scope, RefusalReason::contract, RefusalReason::policy, RefusalReason::rate,
        RefusalReason::capacity, RefusalReason::bandwidth, RefusalReason::function, RefusalReason::hardware}) {
    if (model::name_of(reason) == name) return reason;
  }
  return std::nullopt;
}

// {"error": ..., "reason": ...}
base::Result<MitigatorFault> fault_in(const json::object& object) {
  auto message = text(object, "error");
  if (!message) return message.error();
  const auto name = text(object, "reason");
  if (!name) return name.error();
  MitigatorFault fault{message->empty() ? "no reason was given" : std::move(*message), reason_of(*name)};
  if (!name->empty() && !fault.reason) {
    return base::Error{"'" + *name +
                       "' is no reason: scope, contract, policy, rate, capacity, bandwidth, function or hardware"};
  }
  return fault;
}

base::Result<MitigatorFault> refused_change(const json::value& value, const std::vector<RuleChange>& changes) {
  if (!value.is_object()) return wrong("refused", "list of objects");
  const auto index = number(value.as_object(), "change", UINT32_MAX);
  if (!index) return index.error();
  if (!*index || **index >= changes.size()) return base::Error{"'refused' names a change that was not asked for"};
  auto fault = fault_in(value.as_object());
  if (!fault) return fault;
  fault->message = model::to_string(changes[static_cast<std::size_t>(**index)].rule) + ": " + fault->message;
  return fault;
}

base::Result<std::optional<model::PortRange>> ports_of(const json::object& object) {
  const auto range = array(object, "ports");
  if (!range) return range.error();
  if (*range == nullptr) return std::optional<model::PortRange>{};
  if ((*range)->size() != 2) return wrong("ports", "pair of numbers");
  std::array<std::uint16_t, 2> ends{};
  for (std::size_t i = 0; i < 2; ++i) {
    const auto end = number(&(**range)[i], "ports", UINT16_MAX);
    if (!end) return end.error();
    if (!*end) return wrong("ports", "pair of numbers");
    ends[i] = static_cast<std::uint16_t>(**end);
  }
  if (ends[1] < ends[0]) return base::Error{"'ports' are in the wrong order"};
  return std::optional<model::PortRange>{model::PortRange{ends[0], ends[1]}};
}

base::Result<ports::InstalledRule> installed(const json::value& value) {
  if (!value.is_object()) return base::Error{"it is no object"};
  const json::object& object = value.as_object();
  auto rule = read_rule(object);
  if (!rule) return rule.error();
  const auto packets = number(object, "packets", UINT64_MAX);
  if (!packets) return packets.error();
  const auto bytes = number(object, "bytes", UINT64_MAX);
  if (!bytes) return bytes.error();
  auto not_in_force = text(object, "not_in_force");
  if (!not_in_force) return not_in_force.error();
  ports::InstalledRule out;
  out.rule = std::move(*rule);
  out.counters = {packets->value_or(0), bytes->value_or(0)};
  out.not_in_force = std::move(*not_in_force);
  return out;
}

base::Result<std::vector<ports::BackEndLink>> links_in(const json::object& answer) {
  const auto rows = array(answer, "links");
  if (!rows) return rows.error();
  std::vector<ports::BackEndLink> out;
  if (*rows == nullptr) return out;
  for (const json::value& row : **rows) {
    if (!row.is_object()) return wrong("links", "list of objects");
    auto name = text(row.as_object(), "name");
    const auto up = flag(row.as_object(), "up", false);
    auto state = text(row.as_object(), "state");
    if (!name || !up || !state) return wrong("links", "list of {name, up, state}");
    out.push_back({std::move(*name), *up, std::move(*state)});
  }
  return out;
}

}  // namespace

json::object request_of(const std::string& back_end, std::string_view op) {
  return {{"version", kVersion}, {"back_end", back_end}, {"op", json::string_view(op.data(), op.size())}};
}

json::object json_of(const model::Rule& rule) {
  json::object out{{"action", name_of(rule.action)}, {"target", model::to_string(rule.match.target)}};
  if (rule.match.protocol) out["protocol"] = *rule.match.protocol;
  if (rule.match.ports) out["ports"] = json::array{rule.match.ports->lower, rule.match.ports->upper};
  if (rule.action == model::RuleAction::limit) out["rate_limit_bytes_per_s"] = rule.rate_limit_bps;
  return out;
}

json::array json_of(const std::vector<RuleChange>& changes) {
  json::array out;
  out.reserve(changes.size());
  for (const RuleChange& change : changes) {
    json::array owners;
    for (const ports::RuleNote& note : change.owners) {
      json::object owner{{"domain", note.owner.domain.value},
                         {"cuid", note.owner.cuid.value},
                         {"mid", note.owner.mid.value},
                         {"why", note.reason}};
      if (note.until) owner["until"] = base::utc_text(*note.until);
      owners.push_back(std::move(owner));
    }
    json::object row{{"change", change.kind == RuleChange::Kind::install ? "install" : "remove"}};
    row["rule"] = json_of(change.rule);
    if (!owners.empty()) row["owners"] = std::move(owners);
    out.push_back(std::move(row));
  }
  return out;
}

json::array json_of(const std::vector<ports::SignalExemption>& exemptions) {
  json::array out;
  for (const auto& one : exemptions) {
    if (one.server.family != one.peer.address.family) continue;  // they can never meet
    out.push_back(json::object{{"server", model::to_string(one.server)},
                               {"port", one.server_port},
                               {"peer", model::to_string(one.peer.masked())}});
  }
  return out;
}

ports::Applied check_rules(const std::vector<RuleChange>& changes) {
  for (const RuleChange& change : changes) {
    const model::Rule& rule = change.rule;
    const auto bad = [&](const char* why) { return MitigatorFault{model::to_string(rule) + ": " + why, {}}; };
    if (rule.match.target != rule.match.target.masked()) return bad("the target has host bits");
    if ((rule.action == model::RuleAction::limit) != (rule.rate_limit_bps != 0)) {
      return bad("a limit needs a rate, and nothing else has one");
    }
    if (rule.match.ports && (!rule.match.protocol || rule.match.ports->upper < rule.match.ports->lower)) {
      return bad("ports without a protocol or in the wrong order");
    }
  }
  return {};
}

base::Result<json::object> parse_object(std::string_view text) {
  json::parse_options options;
  options.max_depth = kDepth;
  boost::system::error_code code;
  json::value value = json::parse(json::string_view(text.data(), text.size()), code, {}, options);
  if (code) return base::Error{"the answer is no JSON: " + code.message()};
  if (!value.is_object()) return base::Error{"the answer is no JSON object"};
  return std::move(value.as_object());
}

ports::Applied read_fault(const json::object& answer, const std::vector<RuleChange>& changes) {
  const auto nonsense = [](const base::Error& why) {
    return MitigatorFault{"the answer makes no sense: " + why.message, {}};
  };
  const json::value* ok = answer.if_contains("ok");
  if (ok == nullptr || !ok->is_bool()) return nonsense({"it has no \"ok\""});
  if (ok->as_bool()) return {};
  const auto refused = array(answer, "refused");
  if (!refused) return nonsense(refused.error());
  auto fault = *refused != nullptr && !(*refused)->empty() ? refused_change((**refused)[0], changes) : fault_in(answer);
  if (!fault) return nonsense(fault.error());
  return std::move(*fault);
}

base::Result<model::Rule> read_rule(const json::object& object) {
  model::Rule rule;
  const auto action = text(object, "action");
  if (!action) return action.error();
  const auto known = action_of(*action);
  if (!known) return base::Error{"'" + *action + "' is no action: drop, limit or blackhole"};
  rule.action = *known;
  const auto target = text(object, "target");
  if (!target) return target.error();
  const auto prefix = model::parse_prefix(*target);
  if (!prefix) return prefix.error();
  rule.match.target = prefix->masked();
  const auto protocol = number(object, "protocol", 255);
  if (!protocol) return protocol.error();
  if (*protocol) rule.match.protocol = static_cast<std::uint8_t>(**protocol);
  const auto range = ports_of(object);
  if (!range) return range.error();
  rule.match.ports = *range;
  const auto limit = number(object, "rate_limit_bytes_per_s", UINT64_MAX);
  if (!limit) return limit.error();
  rule.rate_limit_bps = limit->value_or(0);
  return rule;
}

base::Result<ports::Mitigator::Listing> read_listing(const json::object& answer) {
  ports::Mitigator::Listing listing;
  const auto rows = array(answer, "rules");
  if (!rows) return rows.error();
  if (*rows == nullptr) return base::Error{"the answer has no list 'rules'"};
  listing.rules.reserve((*rows)->size());
  for (const json::value& row : **rows) {
    auto one = installed(row);
    if (!one) {
      return base::Error{"a rule of the list makes no sense (" + json::serialize(row).substr(0, 200) +
                         "): " + one.error().message};
    }
    listing.rules.push_back(std::move(*one));
  }
  auto foreign = read_texts(answer, "foreign");
  if (!foreign) return foreign.error();
  listing.foreign = std::move(*foreign);
  auto links = links_in(answer);
  if (!links) return links.error();
  listing.links = std::move(*links);
  return listing;
}

base::Result<ports::MitigatorAbilities> read_abilities(const json::object& answer, ports::MitigatorAbilities so_far) {
  const auto take = [&](std::string_view key, bool& into) -> base::Result<void> {
    const auto value = flag(answer, key, into);
    if (!value) return value.error();
    into = *value;
    return {};
  };
  for (const auto& taken : {take("counts", so_far.counts), take("limits", so_far.limits), take("scoped", so_far.scoped),
                            take("exempts", so_far.exempts), take("drops_really", so_far.drops_really),
                            take("confirms", so_far.confirms)}) {
    if (!taken) return taken.error();
  }
  if (so_far.counts && !so_far.drops_really) return base::Error{"it counts what it says it does not drop"};
  return so_far;
}

base::Result<std::vector<std::string>> read_texts(const json::object& answer, std::string_view key) {
  std::vector<std::string> out;
  const auto rows = array(answer, key);
  if (!rows) return rows.error();
  if (*rows == nullptr) return out;
  for (const json::value& row : **rows) {
    if (!row.is_string()) return wrong(key, "list of texts");
    out.push_back(line_of(row));
  }
  return out;
}

}  // namespace dots::adapters::mitigators
