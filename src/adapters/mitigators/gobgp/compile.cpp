// Lists of filters as flow specifications. They have no order of ours: routers order them by RFC 8955 5.1. So only
// lists are taken whose meaning does not depend on it (docs/decisions/bgp.md).
#include <algorithm>
#include <map>
#include <set>

#include "adapters/mitigators/gobgp/announce.h"

namespace dots::adapters::mitigators::gobgp {

using model::Family;
using model::RefusalReason;

namespace {

// Of one list. Limits are compared with everything after them.
constexpr std::size_t kMostDrops = 20'000;
constexpr std::size_t kMostLimits = 500;
constexpr std::uint64_t kMostBytesPerS = 16'000'000'000;
constexpr std::uint16_t kIpv6HeaderOctets = 40;
constexpr std::uint8_t kIcmp = 1, kTcp = 6, kUdp = 17, kIcmpv6 = 58;

// The parts of one entry that do not depend on a destination.
class Entry {
 public:
  Entry(const model::FilterEntry& entry, Family family) {
    flow_.family = family;
    const model::FilterMatch& match = entry.match;
    if (match.ip) ip(*match.ip);
    check((match.tcp ? 1 : 0) + (match.udp ? 1 : 0) + (match.icmp ? 1 : 0) <= 1, "more than one transport header");
    if (match.tcp) tcp(*match.tcp);
    if (match.udp) udp(*match.udp);
    if (match.icmp) icmp(*match.icmp);
    if (match.tcp || match.udp || match.icmp) need_transport_header();
  }
  const std::string& wrong() const { return wrong_; }
  bool can_match() const { return can_match_; }
  const FlowSpec& flow() const { return flow_; }

 private:
  void check(bool good, const std::string& what) {
    if (!good && wrong_.empty()) wrong_ = what;
  }
  template <class T>
  void refuse(const std::optional<T>& field, const std::string& name) {
    check(!field, name + ": a flow specification cannot match it");
  }
  void only(FlowType type, std::uint32_t value) { narrow(type, {{value, value}}); }
  // Both must hold, where something is there already.
  void narrow(FlowType type, std::vector<FlowRange> ranges) {
    const auto [found, fresh] = flow_.numbers.try_emplace(type, ranges);
    if (!fresh) {
      std::vector<FlowRange> both;
      for (const FlowRange& a : found->second) {
        for (const FlowRange& b : ranges) {
          const FlowRange common{std::max(a.lower, b.lower), std::min(a.upper, b.upper)};
          if (common.lower <= common.upper) both.push_back(common);
        }
      }
      found->second = std::move(both);
    }
    can_match_ = can_match_ && !found->second.empty();
  }
  void ports(FlowType type, const std::optional<model::PortMatch>& match, const std::string& header) {
    if (!match) return;
    using Operator = model::PortMatch::Operator;
    const std::uint32_t port = match->port;
    switch (match->op) {
      case Operator::eq:
        return only(type, port);
      case Operator::lte:
        return narrow(type, {{0, port}});
      case Operator::gte:
        return narrow(type, {{port, 65535}});
      case Operator::range:
        check(match->port <= match->upper, header + ": ports in the wrong order");
        return narrow(type, {{port, match->upper}});
      case Operator::neq: {
        std::vector<FlowRange> others;
        if (port > 0) others.push_back({0, port - 1});
        if (port < 65535) others.push_back({port + 1, 65535});
        return narrow(type, std::move(others));
      }
    }
  }

  void ip(const model::IpMatch& ip) {
    const bool v4 = ip.family == Family::ipv4;
    const std::string name = v4 ? "ipv4/" : "ipv6/";
    refuse(ip.header_length, name + "ihl");
    refuse(ip.offset, name + "offset");
    refuse(ip.ecn, name + "ecn");
    refuse(ip.ttl, name + (v4 ? "ttl" : "hop-limit"));
    refuse(ip.flags, name + "flags");
    refuse(ip.identification, name + "identification");
    check(ip.dscp.value_or(0) <= 63, "dscp: it is at most 63");
    check(ip.flow_label.value_or(0) <= 0xfffff, "ipv6/flow-label: it is at most 1048575");
    if (ip.protocol) only(FlowType::protocol, *ip.protocol);
    if (ip.dscp) only(FlowType::dscp, *ip.dscp);
    if (ip.flow_label) only(FlowType::flow_label, *ip.flow_label);
    if (ip.length) {
      // RFC 8955 4.2.2.10 counts the IP header; the payload length of IPv6 does not.
      check(v4 || *ip.length <= 65535 - kIpv6HeaderOctets, "ipv6/length: a packet has at most 65535 octets");
      only(FlowType::length, std::uint32_t{*ip.length} + (v4 ? 0u : kIpv6HeaderOctets));
    }
    flow_.source = ip.source;
    if (ip.fragment) fragment(*ip.fragment, v4);
  }
  // In RFC 8783 any part of a datagram is a fragment; in RFC 8955 4.2.2.12 "is a fragment" leaves the first one out.
  void fragment(const model::BitsMatch& match, bool v4) {
    using Bits = model::FragmentBits;
    check(v4 || (match.bits & Bits::kDontFragment) == 0, "ipv6/fragment: IPv6 has no such flag as don't-fragment");
    check((match.bits & ~std::uint16_t{15}) == 0, "fragment: there are four bits");
    auto& tests = flow_.bits[FlowType::fragment];
    const auto rest = static_cast<std::uint16_t>(match.bits & ~Bits::kIsFragment);
    const bool fragments = (match.bits & Bits::kIsFragment) != 0;
    const std::uint16_t either = Bits::kIsFragment | Bits::kFirst;
    if (match.any) {
      tests.push_back({false, match.negated, false, static_cast<std::uint16_t>(fragments ? rest | either : rest)});
      return;
    }
    if (fragments) tests.push_back({false, match.negated, false, either});
    if (rest != 0 || !fragments) tests.push_back({fragments && !match.negated, match.negated, true, rest});
  }
  // An entry with a transport header never takes a fragment without one. Ports and the like see to it themselves.
  void need_transport_header() {
    for (const FlowType type :
         {FlowType::destination_port, FlowType::source_port, FlowType::icmp_type, FlowType::icmp_code}) {
      if (flow_.numbers.contains(type)) return;
    }
    if (const auto flags = flow_.bits.find(FlowType::tcp_flags); flags != flow_.bits.end() && !flags->second.empty())
      return;
    const FlowBits at_offset_0{true, true, false, model::FragmentBits::kIsFragment};
    std::vector<FlowBits> tests;
    for (const FlowBits& test : flow_.bits[FlowType::fragment]) {
      if (!test.and_before && !tests.empty()) tests.push_back(at_offset_0);
      tests.push_back(test);
    }
    tests.push_back(at_offset_0);
    tests.front().and_before = false;
    flow_.bits[FlowType::fragment] = std::move(tests);
  }
  void tcp(const model::TcpMatch& tcp) {
    refuse(tcp.options, "tcp/options");
    refuse(tcp.reserved, "tcp/reserved");
    refuse(tcp.sequence_number, "tcp/sequence-number");
    refuse(tcp.acknowledgement_number, "tcp/acknowledgement-number");
    refuse(tcp.data_offset, "tcp/data-offset");
    refuse(tcp.window_size, "tcp/window-size");
    refuse(tcp.urgent_pointer, "tcp/urgent-pointer");
    only(FlowType::protocol, kTcp);
    ports(FlowType::source_port, tcp.source_port, "tcp");
    ports(FlowType::destination_port, tcp.destination_port, "tcp");
    auto& tests = flow_.bits[FlowType::tcp_flags];
    if (tcp.flags_bitmask) {
      // GoBGP names flow specifications by a text in which those beyond are not there: two become one.
      check((tcp.flags_bitmask->bits & ~std::uint16_t{0x00ff}) == 0, "tcp/flags-bitmask: GoBGP tells eight bits apart");
      check(!tcp.flags, "tcp/flags: together with flags-bitmask");
      tests.push_back({false, tcp.flags_bitmask->negated, !tcp.flags_bitmask->any, tcp.flags_bitmask->bits});
    }
    if (tcp.flags) {
      // Exactly these: bit 1 of the module is the highest of the header's octet, bit 8 the lowest.
      std::uint16_t set = 0;
      for (int position = 1; position <= 8; ++position) {
        set = static_cast<std::uint16_t>(set << 1 | (*tcp.flags >> position & 1));
      }
      const auto clear = static_cast<std::uint16_t>(0xff & ~set);
      if (set != 0) tests.push_back({false, false, true, set});
      if (clear != 0) tests.push_back({set != 0, true, false, clear});
    }
  }
  void udp(const model::UdpMatch& udp) {
    refuse(udp.length, "udp/length");
    only(FlowType::protocol, kUdp);
    ports(FlowType::source_port, udp.source_port, "udp");
    ports(FlowType::destination_port, udp.destination_port, "udp");
  }
  void icmp(const model::IcmpMatch& icmp) {
    refuse(icmp.rest_of_header, "icmp/rest-of-header");
    if (icmp.family && *icmp.family != flow_.family) can_match_ = false;
    only(FlowType::protocol, flow_.family == Family::ipv4 ? kIcmp : kIcmpv6);
    if (icmp.type) only(FlowType::icmp_type, *icmp.type);
    if (icmp.code) only(FlowType::icmp_code, *icmp.code);
  }

  FlowSpec flow_;
  std::string wrong_;
  bool can_match_ = true;
};

// What the entry does: nothing for drop, or a rate.
base::Result<std::optional<std::uint64_t>, std::string> limit_of(const model::FilterEntry& entry) {
  using Limit = std::optional<std::uint64_t>;
  if (entry.forwarding == model::Forwarding::drop) {
    if (entry.rate_limit_hundredths) return std::string("rate-limit: only what is accepted can be limited");
    return Limit{};
  }
  if (!entry.rate_limit_hundredths)
    return std::string("forwarding: an accept cannot be kept before the drops of others, whose order is the routers'");
  const std::uint64_t hundredths = *entry.rate_limit_hundredths;
  if (hundredths == 0) return Limit{};
  const std::uint64_t rate = std::max<std::uint64_t>(hundredths / 100 + (hundredths % 100 >= 50 ? 1 : 0), 1);
  if (rate > kMostBytesPerS) return "rate-limit: at most " + std::to_string(kMostBytesPerS) + " bytes/s can be kept";
  return Limit{rate};
}

bool disjoint(const FlowSpec& a, const FlowSpec& b) {
  if (a.family != b.family) return true;
  if (a.destination && b.destination && !a.destination->overlaps(*b.destination)) return true;
  if (a.source && b.source && !a.source->overlaps(*b.source)) return true;
  for (const auto& [type, ranges] : a.numbers) {
    const auto other = b.numbers.find(type);
    if (other == b.numbers.end()) continue;
    const bool meet = std::any_of(ranges.begin(), ranges.end(), [&](const FlowRange& one) {
      return std::any_of(other->second.begin(), other->second.end(),
                         [&](const FlowRange& two) { return one.lower <= two.upper && two.lower <= one.upper; });
    });
    if (!meet) return true;
  }
  return false;
}

// Specifications that differ in the values of one component are one with all of these.
void join(std::set<FlowSpec>& drops) {
  for (const FlowType type : {FlowType::destination_port, FlowType::source_port, FlowType::icmp_code,
                              FlowType::icmp_type, FlowType::protocol, FlowType::length, FlowType::dscp}) {
    std::map<FlowSpec, std::vector<FlowRange>> by_rest;
    std::set<FlowSpec> out;
    for (FlowSpec flow : drops) {
      const auto found = flow.numbers.find(type);
      if (found == flow.numbers.end()) {
        out.insert(std::move(flow));
        continue;
      }
      const std::vector<FlowRange> ranges = std::move(found->second);
      flow.numbers.erase(found);
      auto& all = by_rest[std::move(flow)];
      all.insert(all.end(), ranges.begin(), ranges.end());
    }
    for (auto& [rest, ranges] : by_rest) {
      FlowSpec flow = rest;
      flow.numbers[type] = std::move(ranges);
      out.insert(canonical(std::move(flow)));
    }
    drops = std::move(out);
  }
}

struct Limited {
  FlowSpec flow;
  std::uint64_t rate_bps = 0;
  const model::FilterRule* entry = nullptr;
};

// Masked, without those that lie inside another one.
std::vector<model::Prefix> outermost(std::vector<model::Prefix> prefixes) {
  for (model::Prefix& prefix : prefixes) prefix = prefix.masked();
  std::sort(prefixes.begin(), prefixes.end());
  std::vector<model::Prefix> out;
  for (const model::Prefix& prefix : prefixes) {
    // In this order everything inside a prefix follows it directly.
    if (out.empty() || !out.back().contains(prefix)) out.push_back(prefix);
  }
  return out;
}

class Compiler {
 public:
  explicit Compiler(const model::FilterList& list) : list_(list) {}

  base::Result<std::vector<FlowEntry>, MitigatorFault> run() {
    for (const model::FilterRule& rule : list_.rules) {
      if (auto added = add(rule); !added) return added.error();
    }
    join(drops_);
    std::vector<FlowEntry> out;
    std::set<FlowSpec> places;  // a route has one place: what a drop or another limit takes needs no limit of its own
    for (const FlowSpec& flow : drops_) {
      for (FlowSpec& part : split(flow)) {
        if (places.insert(part).second) out.push_back({std::move(part), std::nullopt});
      }
    }
    for (const Limited& limited : limits_) {
      if (places.insert(limited.flow).second) out.push_back({limited.flow, limited.rate_bps});
    }
    for (const FlowEntry& entry : out) {
      if (auto valid = validate(entry.flow); !valid)
        return MitigatorFault{model::to_string(list_.key) + ": " + valid.error().message, RefusalReason::scope};
    }
    return out;
  }

 private:
  MitigatorFault refused(const model::FilterRule& rule, const std::string& why, RefusalReason reason) const {
    return {model::to_string(list_.key) + ": entry '" + rule.entry.name + "': " + why, reason};
  }

  base::Result<void, MitigatorFault> add(const model::FilterRule& rule) {
    if (rule.destinations.empty()) return refused(rule, "it has no destinations", RefusalReason::scope);
    for (const Family family : {Family::ipv4, Family::ipv6}) {
      const Entry entry(rule.entry, family);
      if (!entry.wrong().empty()) return refused(rule, entry.wrong(), RefusalReason::function);
    }
    const auto limit = limit_of(rule.entry);
    if (!limit) return refused(rule, limit.error(), RefusalReason::function);
    for (const model::Prefix& destination : outermost(rule.destinations)) {
      if (auto added = add(rule, *limit, destination); !added) return added;
    }
    return {};
  }

  base::Result<void, MitigatorFault> add(const model::FilterRule& rule, const std::optional<std::uint64_t>& limit,
                                         model::Prefix destination) {
    const auto& ip = rule.entry.match.ip;
    const Family family = destination.address.family;
    if (ip && ip->family != family) return {};
    if (ip && ip->destination) {
      const model::Prefix narrower = ip->destination->masked();
      if (!narrower.overlaps(destination)) return {};
      if (destination.contains(narrower)) destination = narrower;
    }
    const Entry entry(rule.entry, family);
    if (!entry.can_match()) return {};
    FlowSpec flow = entry.flow();
    flow.destination = destination;
    flow = canonical(std::move(flow));
    if (auto valid = validate(flow); !valid) return refused(rule, valid.error().message, RefusalReason::scope);
    for (const Limited& earlier : limits_) {
      if (earlier.entry != &rule && !disjoint(earlier.flow, flow)) {
        return refused(rule,
                       "it may take what entry '" + earlier.entry->entry.name +
                           "' limits and lets through; flow specifications have no such order",
                       RefusalReason::function);
      }
    }
    if (!limit) {
      drops_.insert(std::move(flow));
    } else {
      limits_.push_back({std::move(flow), *limit, &rule});
    }
    if (drops_.size() > kMostDrops || limits_.size() > kMostLimits) {
      return refused(rule,
                     "the list needs more than " +
                         std::to_string(drops_.size() > kMostDrops ? kMostDrops : kMostLimits) + " flow specifications",
                     RefusalReason::capacity);
    }
    return {};
  }

  const model::FilterList& list_;
  std::set<FlowSpec> drops_;
  std::vector<Limited> limits_;
};

}  // namespace

base::Result<std::vector<FlowEntry>, MitigatorFault> compile(const model::FilterList& list) {
  return Compiler(list).run();
}

}  // namespace dots::adapters::mitigators::gobgp
