#include "agent/server/render_policy.h"

#include <boost/json/array.hpp>
#include <charconv>

namespace dots::agent::server {
namespace {

namespace json = boost::json;

constexpr std::size_t kMostItems = 1024;

json::array texts(const std::vector<std::string>& all) { return json::array(all.begin(), all.end()); }

json::array prefixes(const std::vector<model::Prefix>& all) {
  json::array out;
  for (const auto& one : all) out.emplace_back(model::to_string(one));
  return out;
}

base::Result<std::vector<std::string>> texts_in(const json::value& value, const std::string& name) {
  const auto* items = value.if_array();
  if (items == nullptr || items->size() > kMostItems) return base::Error{name + " is no list of texts"};
  std::vector<std::string> out;
  for (const auto& item : *items) {
    const auto* text = item.if_string();
    if (text == nullptr) return base::Error{name + " is no list of texts"};
    out.emplace_back(*text);
  }
  return out;
}

base::Result<std::uint64_t> number_in(const json::value& value, std::uint64_t most, const std::string& name) {
  if (value.is_uint64() && value.as_uint64() <= most) return value.as_uint64();
  if (value.is_int64() && value.as_int64() >= 0 && static_cast<std::uint64_t>(value.as_int64()) <= most)
    return static_cast<std::uint64_t>(value.as_int64());
  return base::Error{name + " is no number from 0 to " + std::to_string(most)};
}

std::optional<model::PortRange> port_range_in(const std::string& text) {
  model::PortRange out;
  const auto dash = text.find('-');
  const auto read = [](std::string_view digits, std::uint16_t& number) {
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
    return error == std::errc{} && end == digits.data() + digits.size();
  };
  if (!read(std::string_view{text}.substr(0, dash), out.lower)) return std::nullopt;
  out.upper = out.lower;
  if (dash != std::string::npos && !read(std::string_view{text}.substr(dash + 1), out.upper)) return std::nullopt;
  if (out.upper < out.lower) return std::nullopt;
  return out;
}

base::Result<void> take_scope(const std::string& name, const json::value& value, model::MitigationScope& scope) {
  if (name == "target-protocol") {
    const auto* items = value.if_array();
    if (items == nullptr) return base::Error{name + " is no list of numbers"};
    for (const auto& item : *items) {
      const auto number = number_in(item, 255, name);
      if (!number) return number.error();
      scope.target_protocol.push_back(static_cast<std::uint8_t>(*number));
    }
    return {};
  }
  const auto items = texts_in(value, name);
  if (!items) return items.error();
  for (const std::string& text : *items) {
    if (name == "target-prefix") {
      auto prefix = model::parse_prefix(text);
      if (!prefix) return base::Error{"'" + text + "' is no prefix: " + prefix.error().message};
      scope.target_prefix.push_back(*prefix);
    } else {
      const auto range = port_range_in(text);
      if (!range) return base::Error{"'" + text + "' is no range of ports"};
      scope.target_port_range.push_back(*range);
    }
  }
  return {};
}

json::object rule_object(const policy::PolicyRule& rule) {
  return {{"name", rule.name}, {"when", policy::selector_text(rule)}, {"then", policy::action_text(rule)}};
}

// What the client would hear, in words.
std::string told(const policy::Verdict& verdict, const signal::server::Plan& plan) {
  if (!verdict.allowed) return model::to_string(verdict.code) + " " + verdict.diagnostic;
  if (plan.not_started && model::exceeds_capability(*plan.not_started))
    return "2.01, then status 4 (attack-exceeded-capability)";
  if (plan.needs_approval) return "2.01, status 1 until an operator has approved";
  if (plan.parts.empty() || plan.not_started) return "2.01, and status 1 for as long as it runs";
  return "2.01, and status 2 when the rules are installed";
}

}  // namespace

json::object render_policy(const PlannerSettings& settings) {
  json::array rules;
  for (const auto& rule : settings.chain) rules.push_back(rule_object(rule));
  rules.push_back(rule_object(policy::default_rule()));
  json::array safe;
  for (const auto& one : settings.safety.targets)
    safe.push_back(json::object{{"prefix", model::to_string(one.prefix)}, {"why", one.why}});
  json::array back_ends;
  for (const auto& one : settings.back_ends) {
    json::object back_end{{"name", one.name},
                          {"protocols-and-ports", one.scoped},
                          {"rate-limits", one.limits},
                          {"keeps-signal", one.exempts},
                          {"dry-run", one.dry_run}};
    if (one.max_rules > 0) back_end["max-rules"] = one.max_rules;
    if (one.max_bits_per_s > 0) back_end["max-bits_per_s"] = one.max_bits_per_s;
    if (one.min_prefix_length_v4 > 0) back_end["min-prefix-length-v4"] = one.min_prefix_length_v4;
    if (one.min_prefix_length_v6 > 0) back_end["min-prefix-length-v6"] = one.min_prefix_length_v6;
    back_ends.push_back(std::move(back_end));
  }
  return {{"policy", std::move(rules)},
          {"safe-targets", std::move(safe)},
          {"safe-sources", prefixes(settings.safety.sources)},
          {"mitigators", std::move(back_ends)}};
}

base::Result<WhatIf> parse_what_if(const json::object& arguments) {
  WhatIf out;
  for (const auto& [key, value] : arguments) {
    const std::string name{key};
    if (name == "target-prefix" || name == "target-protocol" || name == "target-port-range") {
      if (const auto taken = take_scope(name, value, out.request.scope); !taken) return taken.error();
    } else if (name == "volume_bits_per_s") {
      const auto volume = number_in(value, 1'000'000'000'000'000, name);
      if (!volume) return volume.error();
      out.volume_bps = *volume;
    } else if (!value.is_string()) {
      return base::Error{name + " is unknown, or no text"};
    } else if (name == "domain") {
      out.domain = base::DomainId{std::string{value.as_string()}};
    } else if (name == "contract") {
      out.request.contract_id = std::string{value.as_string()};
    } else if (name == "service") {
      out.request.requested_service = std::string{value.as_string()};
    } else {
      return base::Error{name + " is unknown here"};
    }
  }
  if (out.domain.value.empty()) return base::Error{"domain is missing"};
  if (out.request.scope.target_prefix.empty()) return base::Error{"target-prefix is missing"};
  return out;
}

json::object render_what_if(const WhatIf& asked, const policy::DomainRules& rules, const MitigationPlanner& planner) {
  policy::Verdict verdict = rules.may_request(asked.request.scope);
  MitigationPlanner::Story story;
  if (verdict.allowed) {
    signal::server::PlanRequest request{rules, {}, {}, {}, asked.request, {}};
    request.targets.push_back({asked.request.scope, asked.request.scope.target_prefix});
    request.volume_bps = asked.volume_bps;
    story = planner.explain(request);
    verdict = story.plan.verdict;
  }
  json::array considered;
  for (const auto& one : story.rules)
    considered.push_back(json::object{{"name", one.rule}, {"matches", one.matches}, {"text", one.text}});
  json::array parts;
  for (const auto& part : story.plan.parts) {
    json::array list;
    for (const auto& rule : part.rules) list.emplace_back(model::to_string(rule));
    parts.push_back(json::object{{"mitigator", part.back_end}, {"rules", std::move(list)}});
  }
  json::object out{{"allowed", verdict.allowed},    {"policy", std::move(considered)},
                   {"safety", texts(story.safety)}, {"mitigators", texts(story.back_ends)},
                   {"parts", std::move(parts)},     {"told", told(verdict, story.plan)}};
  if (!verdict.allowed) {
    out["reason"] = verdict.reason;
    out["next_step"] = verdict.next_step;
    if (verdict.refusal) out["refusal-reason"] = std::string{model::name_of(*verdict.refusal)};
  }
  if (story.plan.not_started) out["not-started"] = std::string{model::name_of(*story.plan.not_started)};
  if (story.plan.needs_approval) out["needs-approval"] = *story.plan.needs_approval;
  if (!story.plan.actual.empty()) out["actual-prefix"] = prefixes(story.plan.actual);
  return out;
}

}  // namespace dots::agent::server
