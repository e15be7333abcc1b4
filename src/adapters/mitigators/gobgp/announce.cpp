#include "adapters/mitigators/gobgp/announce.h"

#include <algorithm>
#include <bit>
#include <limits>

namespace dots::adapters::mitigators::gobgp {

using model::Family;
using model::RefusalReason;
using model::Rule;
using model::RuleAction;

namespace {

constexpr std::uint32_t kNoExport = 0xffffff01;
constexpr std::uint32_t kInfinity = 0x7f800000;  // the bits of the float

MitigatorFault refused(const Rule& rule, const std::string& why, RefusalReason reason = RefusalReason::function) {
  return {model::to_string(rule) + ": " + why, reason};
}

std::optional<MitigatorFault> wrong(const Rule& rule) {
  const model::Prefix& target = rule.match.target;
  // GoBGP takes a /33; the peer then ends the session, and every mitigation is gone.
  if (target.length > target.address.width()) return refused(rule, "longer than an address", RefusalReason::scope);
  if (target != target.masked()) return refused(rule, "the target has host bits", RefusalReason::scope);
  if (target.length == 0) return refused(rule, "it would take all traffic to everybody", RefusalReason::scope);
  if ((rule.action == RuleAction::limit) != (rule.rate_limit_bps != 0))
    return refused(rule, "a limit needs a rate, and nothing else has one");
  if (rule.match.ports && (!rule.match.protocol || rule.match.ports->upper < rule.match.ports->lower))
    return refused(rule, "ports without a protocol or in the wrong order", RefusalReason::scope);
  return std::nullopt;
}

Route with_attributes(const Announcement& announcement, Route route, const Marks& marks) {
  route.communities = announcement.communities;
  if (announcement.no_export) route.communities.push_back(kNoExport);
  std::sort(route.communities.begin(), route.communities.end());
  route.communities.erase(std::unique(route.communities.begin(), route.communities.end()), route.communities.end());
  route.large_communities = announcement.large_communities;
  for (const LargeCommunity& mark : write(announcement.marker, marks)) route.large_communities.push_back(mark);
  return route;
}

FlowAction action_of(const Announcement& announcement, Family family, std::optional<std::uint64_t> limit_bps) {
  FlowAction action;
  if (limit_bps) {
    action.rate = static_cast<float>(*limit_bps);
    action.goes_on = true;  // what passes may still be dropped by another one
    return action;
  }
  switch (announcement.drop_as) {
    case DropAs::discard:
      action.rate = 0;
      break;
    case DropAs::mark:
      action.dscp = announcement.dscp;
      break;
    case DropAs::redirect:
      action.redirect = announcement.redirect_rt;
      action.redirect_to = family == Family::ipv4 ? announcement.redirect_ip_v4 : announcement.redirect_ip_v6;
      if (!action.redirect && !action.redirect_to) action.rate = 0;
      break;
  }
  return action;
}

// Of several routes with the same specification the speaker announces the one with the highest local preference: let it
// be the strictest.
std::uint32_t strictness(std::optional<std::uint64_t> limit_bps) {
  if (!limit_bps) return kInfinity;
  return kInfinity - std::bit_cast<std::uint32_t>(static_cast<float>(*limit_bps));
}

std::string text_of(const model::IpAddress& address) { return model::to_string(address); }
std::string text_of(const RouteTarget& target) {
  const auto* as_number = std::get_if<std::uint32_t>(&target.administrator);
  return (as_number != nullptr ? std::to_string(*as_number)
                               : text_of(std::get<model::IpAddress>(target.administrator))) +
         ":" + std::to_string(target.number);
}

}  // namespace

std::uint32_t profile_of(const Announcement& announcement) {
  std::string all;
  const auto add = [&](const std::string& text) { all += text + ";"; };
  const auto maybe = [&](const auto& value) { add(value ? text_of(*value) : "-"); };
  maybe(announcement.next_hop_v4);
  maybe(announcement.next_hop_v6);
  add(std::to_string(announcement.local_preference));
  for (const auto one : announcement.communities) add(std::to_string(one));
  for (const auto& one : announcement.large_communities) {
    add(std::to_string(one.global) + ":" + std::to_string(one.first) + ":" + std::to_string(one.second));
  }
  add(announcement.no_export ? "no-export" : "export");
  add(std::to_string(static_cast<int>(announcement.drop_as)));
  maybe(announcement.redirect_rt);
  maybe(announcement.redirect_ip_v4);
  maybe(announcement.redirect_ip_v6);
  add(std::to_string(announcement.dscp));
  return static_cast<std::uint32_t>(hash64(all)) & 0x0fffffff;
}

FlowSpec flow_of(const model::RuleMatch& match) {
  FlowSpec flow;
  flow.family = match.target.address.family;
  flow.destination = match.target;
  if (match.protocol) flow.numbers[FlowType::protocol] = {{*match.protocol, *match.protocol}};
  if (match.ports) flow.numbers[FlowType::destination_port] = {{match.ports->lower, match.ports->upper}};
  return canonical(std::move(flow));
}

RouteOrFault blackhole_route(const Announcement& announcement, const Rule& rule) {
  if (auto bad = wrong(rule)) return *bad;
  if (rule.match.protocol || rule.match.ports)
    return refused(rule, "a blackhole route takes all traffic to its target, never a protocol or ports of it");
  if (rule.action == RuleAction::limit) return refused(rule, "a blackhole route cannot limit");
  const Family family = rule.match.target.address.family;
  const auto& next_hop = family == Family::ipv4 ? announcement.next_hop_v4 : announcement.next_hop_v6;
  // Routers cannot resolve a route over itself, and would not use it.
  if (next_hop && rule.match.target.contains(*next_hop))
    return refused(rule, "the next hop of blackhole routes is in it", RefusalReason::policy);
  if (!next_hop) {
    return refused(rule, std::string("there is no next_hop_") + (family == Family::ipv4 ? "v4" : "v6") +
                             " in the configuration of this back end");
  }
  Route route;
  route.family = family;
  route.kind = RouteKind::unicast;
  route.identifier = rule_identifier(announcement.marker);
  route.nlri = nlri_of(rule.match.target);
  route.next_hop = next_hop;
  route.local_preference = announcement.local_preference;
  return with_attributes(announcement, std::move(route),
                         {.action = rule.action, .profile = profile_of(announcement), .list = {}});
}

RouteOrFault flow_route(const Announcement& announcement, const Rule& rule) {
  if (auto bad = wrong(rule)) return *bad;
  const FlowSpec flow = flow_of(rule.match);
  if (auto valid = validate(flow); !valid) return refused(rule, valid.error().message, RefusalReason::scope);
  return flow_route(
      announcement, flow,
      {.action = rule.action, .rate_limit_bps = rule.rate_limit_bps, .profile = profile_of(announcement), .list = {}});
}

Route flow_route(const Announcement& announcement, const FlowSpec& flow, const Marks& marks) {
  const auto limit =
      marks.action == RuleAction::limit ? std::optional<std::uint64_t>(marks.rate_limit_bps) : std::nullopt;
  Route route;
  route.family = flow.family;
  route.kind = RouteKind::flow;
  route.identifier =
      marks.list ? list_identifier(announcement.marker, marks.list->key) : rule_identifier(announcement.marker);
  route.local_preference = strictness(limit);
  route.action = action_of(announcement, flow.family, limit);
  route.nlri = nlri_of(flow);
  return with_attributes(announcement, std::move(route), marks);
}

std::optional<Rule> rule_of(const SeenRoute& seen, const Marks& marks) {
  Rule rule;
  rule.action = marks.action;
  rule.rate_limit_bps = marks.rate_limit_bps;
  if (seen.kind == RouteKind::unicast) {
    model::Prefix& target = rule.match.target;
    target.address.family = seen.family;
    if (seen.nlri.empty() || seen.nlri[0] > target.address.width()) return std::nullopt;
    target.length = seen.nlri[0];
    if (seen.nlri.size() != 1 + (target.length + 7u) / 8u) return std::nullopt;
    std::copy(seen.nlri.begin() + 1, seen.nlri.end(), target.address.bytes.begin());
    return rule;
  }
  auto flow = decode_nlri(seen.family, seen.nlri);
  if (!flow || !flow->destination || flow->source || !flow->bits.empty()) return std::nullopt;
  rule.match.target = *flow->destination;
  for (const auto& [type, ranges] : flow->numbers) {
    if (ranges.size() != 1) return std::nullopt;
    const FlowRange range = ranges.front();
    if (type == FlowType::protocol && range.lower == range.upper) {
      rule.match.protocol = static_cast<std::uint8_t>(range.lower);
    } else if (type == FlowType::destination_port) {
      rule.match.ports = {static_cast<std::uint16_t>(range.lower), static_cast<std::uint16_t>(range.upper)};
    } else {
      return std::nullopt;
    }
  }
  return rule;
}

std::string to_string(const SeenRoute& seen) {
  const std::string family = seen.family == Family::ipv4 ? "IPv4" : "IPv6";
  if (seen.kind == RouteKind::flow) {
    const auto flow = decode_nlri(seen.family, seen.nlri);
    return family + " flow specification " + (flow ? to_string(*flow) : "of octets " + base::to_hex(seen.nlri));
  }
  const auto rule = rule_of(seen, {});
  return family + " route " + (rule ? model::to_string(rule->match.target) : "of octets " + base::to_hex(seen.nlri));
}

}  // namespace dots::adapters::mitigators::gobgp
