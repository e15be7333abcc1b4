#include "policy/mitigation_policy.h"

#include <algorithm>
#include <array>

#include "model/protocol.h"
#include "policy/prefix_split.h"

namespace dots::policy {
namespace {

using model::Family;
using model::Prefix;

std::string joined(const std::vector<std::string>& parts, const std::string& last) {
  std::string out;
  for (std::size_t i = 0; i < parts.size(); ++i) out += (i == 0 ? "" : i + 1 == parts.size() ? last : ", ") + parts[i];
  return out;
}

std::vector<std::string> quoted(const std::vector<std::string>& texts) {
  std::vector<std::string> out;
  for (const std::string& text : texts) out.push_back("'" + text + "'");
  return out;
}

std::string text_of(std::uint8_t protocol) {
  const auto name = std::string(model::protocol_name(protocol));
  return name.empty() ? std::to_string(protocol) : name;
}

std::string text_of(const model::PortRange& range) {
  return std::to_string(range.lower) + (range.upper == range.lower ? "" : "-" + std::to_string(range.upper));
}

template <class T>
std::vector<std::string> texts_of(const std::vector<T>& values) {
  std::vector<std::string> out;
  for (const T& value : values) out.push_back(text_of(value));
  return out;
}

std::string text_of(const LengthRange& range) {
  return "/" + std::to_string(range.least) + (range.most == range.least ? "" : " to /" + std::to_string(range.most));
}

// "12 Mbit/s": exact, so that a page and a file agree.
std::string bits_text(std::uint64_t bps) {
  static constexpr std::array<std::pair<std::uint64_t, const char*>, 3> units = {
      {{1'000'000'000, " Gbit/s"}, {1'000'000, " Mbit/s"}, {1000, " kbit/s"}}};
  for (const auto& [unit, name] : units) {
    if (bps >= unit && bps % unit == 0) return std::to_string(bps / unit) + name;
  }
  return std::to_string(bps) + " bit/s";
}

std::string family_text(Family family) { return family == Family::ipv4 ? "IPv4" : "IPv6"; }

// Of the widest target of a family; nothing when it has none.
const Prefix* widest(const std::vector<Prefix>& targets, Family family) {
  const Prefix* out = nullptr;
  for (const Prefix& target : targets) {
    if (target.address.family == family && (out == nullptr || target.length < out->length)) out = &target;
  }
  return out;
}

std::string length_mismatch(const PolicyRule& rule, const PolicyRequest& request) {
  if (!rule.v4_lengths && !rule.v6_lengths) return {};
  for (const Family family : {Family::ipv4, Family::ipv6}) {
    const Prefix* target = widest(request.targets, family);
    if (target == nullptr) continue;
    const auto& wanted = family == Family::ipv4 ? rule.v4_lengths : rule.v6_lengths;
    if (!wanted)
      return "it is for no " + family_text(family) + " targets, and " + model::to_string(*target) + " is one";
    if (target->length >= wanted->least && target->length <= wanted->most) continue;
    return "the widest " + family_text(family) + " target is " + model::to_string(*target) + ", and it wants " +
           text_of(*wanted);
  }
  return {};
}

std::string name_mismatch(const std::vector<std::string>& wanted, const std::string& given, const char* what) {
  if (wanted.empty() || std::find(wanted.begin(), wanted.end(), given) != wanted.end()) return {};
  const std::string is =
      given.empty() ? std::string("no ") + what + " is named" : std::string("the ") + what + " is '" + given + "'";
  return is + ", and it wants " + joined(quoted(wanted), " or ");
}

std::string part_mismatch(const PolicyRule& rule, const PolicyRequest::Part& part) {
  if (!rule.protocols.empty()) {
    const std::string wants = "it wants " + joined(texts_of(rule.protocols), " or ") + " alone";
    if (part.protocols.empty()) return "the request names no protocol, and " + wants;
    for (const std::uint8_t one : part.protocols) {
      if (std::find(rule.protocols.begin(), rule.protocols.end(), one) == rule.protocols.end())
        return "the request names " + text_of(one) + ", and " + wants;
    }
  }
  if (!rule.ports.empty()) {
    const std::string wants = "it wants ports " + joined(texts_of(rule.ports), " or ") + " alone";
    if (part.ports.empty()) return "the request names no port, and " + wants;
    for (const model::PortRange& one : part.ports) {
      const bool inside = std::any_of(rule.ports.begin(), rule.ports.end(), [&](const model::PortRange& range) {
        return range.lower <= one.lower && one.upper <= range.upper;
      });
      if (!inside) return "the request names port " + text_of(one) + ", and " + wants;
    }
  }
  return {};
}

std::string narrowing_mismatch(const PolicyRule& rule, const PolicyRequest& request) {
  const bool broad =
      std::any_of(request.parts.begin(), request.parts.end(), [](const auto& one) { return one.broad(); });
  if (rule.scope == ScopeKind::broad && !broad) return "the request names protocols or ports, and it wants one without";
  if (rule.scope == ScopeKind::narrow && broad)
    return request.parts.size() > 1 ? "a part of the request names neither protocols nor ports"
                                    : "the request names neither protocols nor ports";
  for (const PolicyRequest::Part& part : request.parts) {
    if (auto why = part_mismatch(rule, part); !why.empty()) return why;
  }
  return {};
}

std::string volume_mismatch(const PolicyRule& rule, const PolicyRequest& request) {
  const std::string measured =
      request.volume_bps == 0 ? "no attack volume is known" : "the attack has " + bits_text(request.volume_bps);
  if (rule.volume_from_bps > 0 && request.volume_bps < rule.volume_from_bps)
    return measured + ", and it wants " + bits_text(rule.volume_from_bps) + " or more";
  if (rule.volume_below_bps > 0 && request.volume_bps >= rule.volume_below_bps)
    return measured + ", and it wants less than " + bits_text(rule.volume_below_bps);
  return {};
}

}  // namespace

std::string mismatch(const PolicyRule& rule, const PolicyRequest& request) {
  if (auto why = name_mismatch(rule.domains, request.domain, "domain"); !why.empty()) return why;
  if (auto why = name_mismatch(rule.services, request.service, "service"); !why.empty()) return why;
  if (auto why = name_mismatch(rule.contracts, request.contract, "contract"); !why.empty()) return why;
  if (auto why = length_mismatch(rule, request); !why.empty()) return why;
  if (auto why = narrowing_mismatch(rule, request); !why.empty()) return why;
  return volume_mismatch(rule, request);
}

const PolicyRule& default_rule() {
  static const PolicyRule rule = [] {
    PolicyRule r;
    r.name = "default";
    return r;
  }();
  return rule;
}

const PolicyRule& decide(const PolicyChain& chain, const PolicyRequest& request) {
  const auto found =
      std::find_if(chain.begin(), chain.end(), [&](const PolicyRule& rule) { return mismatch(rule, request).empty(); });
  return found == chain.end() ? default_rule() : *found;
}

std::vector<Consideration> considerations(const PolicyChain& chain, const PolicyRequest& request) {
  std::vector<Consideration> out;
  for (const PolicyRule& rule : chain) {
    std::string why = mismatch(rule, request);
    if (why.empty()) {
      out.push_back({rule.name, true, action_text(rule)});
      return out;
    }
    out.push_back({rule.name, false, std::move(why)});
  }
  out.push_back({default_rule().name, true, action_text(default_rule())});
  return out;
}

std::string selector_text(const PolicyRule& rule) {
  std::vector<std::string> parts;
  if (!rule.domains.empty()) parts.push_back("the domain is " + joined(quoted(rule.domains), " or "));
  if (!rule.services.empty()) parts.push_back("the service is " + joined(quoted(rule.services), " or "));
  if (!rule.contracts.empty()) parts.push_back("the contract is " + joined(quoted(rule.contracts), " or "));
  if (rule.v4_lengths) parts.push_back("IPv4 targets are " + text_of(*rule.v4_lengths));
  if (rule.v6_lengths) parts.push_back("IPv6 targets are " + text_of(*rule.v6_lengths));
  if (rule.scope == ScopeKind::broad) parts.emplace_back("neither protocol nor port is named");
  if (rule.scope == ScopeKind::narrow) parts.emplace_back("protocols or ports are named");
  if (!rule.protocols.empty()) parts.push_back("protocols are " + joined(texts_of(rule.protocols), " or "));
  if (!rule.ports.empty()) parts.push_back("ports are " + joined(texts_of(rule.ports), " or "));
  if (rule.volume_from_bps > 0) parts.push_back("the attack has " + bits_text(rule.volume_from_bps) + " or more");
  if (rule.volume_below_bps > 0) parts.push_back("the attack has less than " + bits_text(rule.volume_below_bps));
  return parts.empty() ? "always" : "when " + joined(parts, " and ");
}

std::string action_text(const PolicyRule& rule) {
  const std::string because = rule.reason.empty() ? "" : ": " + rule.reason;
  if (rule.action == PolicyAction::refuse) return "refuse" + because;
  if (rule.action == PolicyAction::observe) return "accept and start nothing" + because;
  std::string text;
  switch (rule.action) {
    case PolicyAction::drop:
      text = "drop";
      break;
    case PolicyAction::limit:
      text = "limit to " + std::to_string(rule.limit_bytes_per_s) + " bytes/s";
      break;
    case PolicyAction::blackhole:
      text = "blackhole";
      break;
    default:
      text = "mitigate as asked";
  }
  text += " at " + (rule.use.empty() ? std::string("every back end") : joined(quoted(rule.use), " and "));
  if (!rule.overflow.empty()) text += ", without room there at " + joined(quoted(rule.overflow), ", then ");
  if (rule.widen.domain) text += ", for all prefixes of the domain";
  if (rule.widen.v4_length != 0) text += ", IPv4 targets widened to /" + std::to_string(rule.widen.v4_length);
  if (rule.widen.v6_length != 0) text += ", IPv6 targets widened to /" + std::to_string(rule.widen.v6_length);
  if (rule.approval) text += ", after an operator has approved";
  return text;
}

std::vector<Prefix> widened(const Widening& widening, const std::vector<Prefix>& targets, const DomainPolicy& domain) {
  if (widening.domain) return outermost(domain.prefixes);
  std::vector<Prefix> out;
  for (const Prefix& target : targets) {
    const std::uint8_t length = target.address.family == Family::ipv4 ? widening.v4_length : widening.v6_length;
    if (length == 0 || length >= target.length) {
      out.push_back(target);
      continue;
    }
    Prefix wide = Prefix{target.address, length}.masked();
    const bool owned = std::any_of(domain.prefixes.begin(), domain.prefixes.end(),
                                   [&](const Prefix& one) { return one.contains(wide); });
    if (!owned) {
      // What the domain owns around the target is smaller than that: the widest of it.
      wide = target;
      for (const Prefix& one : domain.prefixes) {
        if (one.contains(target) && one.length < wide.length) wide = one;
      }
    }
    out.push_back(wide);
  }
  return outermost(out);
}

}  // namespace dots::policy
