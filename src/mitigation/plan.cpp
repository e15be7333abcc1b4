#include "mitigation/plan.h"

#include <algorithm>
#include <array>
#include <optional>

#include "policy/prefix_split.h"

namespace dots::mitigation {
namespace {

using model::MitigationScope;
using model::PortRange;
using model::Prefix;
using model::Rule;
using model::RuleAction;
using model::RuleMatch;

// Protocols with ports: TCP, UDP, SCTP, DCCP (RFC 9132 4.4.1.1) and UDP-Lite, which shares the layout.
constexpr std::array<std::uint8_t, 5> kPortProtocols = {6, 17, 33, 132, 136};

bool has_ports(std::uint8_t protocol) {
  return std::find(kPortProtocols.begin(), kPortProtocols.end(), protocol) != kPortProtocols.end();
}

// Protocols and ports that narrow some targets; both empty means broad.
struct Narrowing {
  std::vector<std::uint8_t> protocols;
  std::vector<PortRange> ports;
  bool broad() const { return protocols.empty() && ports.empty(); }
};

// Sorted, overlapping and adjacent ranges joined; a range over all ports is no restriction, so nothing is left of it.
std::vector<PortRange> joined(std::vector<PortRange> ranges) {
  std::sort(ranges.begin(), ranges.end());
  std::vector<PortRange> out;
  for (const PortRange& range : ranges) {
    if (range.upper < range.lower) continue;
    if (!out.empty() && std::uint32_t{range.lower} <= std::uint32_t{out.back().upper} + 1) {
      out.back().upper = std::max(out.back().upper, range.upper);
    } else {
      out.push_back(range);
    }
  }
  return out;
}

bool all_ports(const std::vector<PortRange>& ranges) {
  return ranges.size() == 1 && ranges.front().lower == 0 && ranges.front().upper == 65535;
}

class Planner {
 public:
  explicit Planner(const Actions& actions) : actions_(actions) {}

  void add(const std::vector<Prefix>& targets, const Narrowing& narrowing) {
    for (const Prefix& target : policy::outermost(targets)) {
      if (narrowing.broad()) {
        add_broad(target);
      } else {
        add_scoped(target, narrowing);
      }
    }
  }

  std::vector<Rule> finish() {
    std::sort(rules_.begin(), rules_.end());
    rules_.erase(std::unique(rules_.begin(), rules_.end()), rules_.end());
    return std::move(rules_);
  }

 private:
  void add_broad(const Prefix& target) {
    switch (actions_.broad) {
      case policy::BroadScopeAction::limit:
        // A limit of nothing would be a silent blackhole.
        rules_.push_back({{target, {}, {}}, RuleAction::limit, std::max<std::uint64_t>(actions_.broad_limit_bps, 1)});
        break;
      case policy::BroadScopeAction::blackhole:
        rules_.push_back({{target, {}, {}}, RuleAction::blackhole, 0});
        break;
      case policy::BroadScopeAction::refuse:
        break;
    }
  }

  void add_scoped(const Prefix& target, const Narrowing& narrowing) {
    const std::vector<PortRange> ports = joined(narrowing.ports);
    const bool by_port = !ports.empty() && !all_ports(ports);
    const auto each = [&](std::uint8_t protocol) {
      if (by_port && has_ports(protocol)) {
        for (const PortRange& range : ports) push({target, protocol, range});
      } else {
        push({target, protocol, {}});
      }
    };
    if (narrowing.protocols.empty()) {
      for (const std::uint8_t protocol : kPortProtocols) each(protocol);
    } else {
      for (const std::uint8_t protocol : narrowing.protocols) each(protocol);
    }
  }

  void push(RuleMatch match) {
    const bool limited = actions_.scoped_limit_bps > 0;
    rules_.push_back({std::move(match), limited ? RuleAction::limit : RuleAction::drop, actions_.scoped_limit_bps});
  }

  const Actions& actions_;
  std::vector<Rule> rules_;
};

Narrowing narrowing_of(const policy::UriTarget& uri) {
  Narrowing narrowing;
  if (uri.protocol) narrowing.protocols.push_back(*uri.protocol);
  if (uri.port && (!uri.protocol || has_ports(*uri.protocol))) narrowing.ports.push_back({*uri.port, *uri.port});
  return narrowing;
}

bool covered(const std::vector<Prefix>& by, const Prefix& prefix) {
  return std::any_of(by.begin(), by.end(), [&](const Prefix& one) { return one.contains(prefix); });
}

}  // namespace

std::vector<Rule> plan(const MitigationScope& scope, const std::vector<Prefix>& expanded, const Actions& actions) {
  Planner planner(actions);
  const Narrowing stated{scope.target_protocol, scope.target_port_range};
  if (!stated.broad() || scope.target_uri.empty()) {
    planner.add(expanded, stated);
    return planner.finish();
  }

  // Only URIs say anything about protocol and port. `expanded` no longer tells which name gave which address, so an
  // address that a prefix covers, or that a name or an alias may have given, is taken whole.
  std::vector<std::pair<Prefix, Narrowing>> literal;  // URIs whose host is an address
  std::vector<Narrowing> by_name;                     // URIs whose host is a name
  for (const std::string& text : scope.target_uri) {
    const auto uri = policy::parse_target_uri(text);
    if (!uri.ok()) {
      by_name.push_back({});  // policy refuses such a URI; never guess a narrower rule from it
    } else if (uri->address) {
      literal.emplace_back(model::host_prefix(*uri->address), narrowing_of(*uri));
    } else {
      by_name.push_back(narrowing_of(*uri));
    }
  }
  const bool others_may_name = !scope.target_fqdn.empty() || !scope.alias_name.empty();
  const bool names_narrow = !others_may_name && !by_name.empty() &&
                            std::none_of(by_name.begin(), by_name.end(), [](const auto& n) { return n.broad(); });

  std::vector<Prefix> whole;
  for (const Prefix& prefix : expanded) {
    std::vector<Narrowing> narrowings;
    for (const auto& [host, narrowing] : literal) {
      if (host == prefix.masked()) narrowings.push_back(narrowing);
    }
    if (covered(scope.target_prefix, prefix) || (narrowings.empty() && !names_narrow)) {
      whole.push_back(prefix);
      continue;
    }
    // The address of a literal may be what a URI with a name resolved to as well: then its ports count too.
    if (names_narrow) narrowings.insert(narrowings.end(), by_name.begin(), by_name.end());
    if (std::any_of(narrowings.begin(), narrowings.end(), [](const auto& n) { return n.broad(); })) {
      whole.push_back(prefix);
    } else {
      for (const Narrowing& narrowing : narrowings) planner.add({prefix}, narrowing);
    }
  }
  planner.add(whole, {});
  return planner.finish();
}

}  // namespace dots::mitigation
