#include "data/typed.h"

#include <optional>
#include <type_traits>

#include "data/leaf_value.h"
#include "data/reading.h"

namespace dots::data {
namespace {

using model::BitsMatch;
using model::Family;
using model::FilterEntry;
using model::IpMatch;
using model::PortMatch;

// Sets a member from the leaf of that name below a container.
class Members {
 public:
  explicit Members(const Instance& of) : of_(of) {}

  const Instance* child(std::string_view name) const {
    const Node* node = of_.node->child(name);
    return node == nullptr ? nullptr : of_.find(node->id);
  }
  template <class T>
  void number(std::string_view name, std::optional<T>& member) const {
    if (const Instance* leaf = child(name)) member = static_cast<T>(number_of(leaf->value));
  }
  void bits(std::string_view name, std::optional<std::uint16_t>& member) const {
    if (const Instance* leaf = child(name)) member = bits_of(*leaf->node, leaf->value);
  }
  void prefix(std::string_view name, std::optional<model::Prefix>& member) const {
    if (const Instance* leaf = child(name)) member = *model::parse_prefix(leaf->value);
  }
  void octets(std::string_view name, std::optional<std::string>& member) const {
    if (const Instance* leaf = child(name)) member = octets_of(leaf->value);
  }

 private:
  const Instance& of_;
};

// `operator` with `type` or `bitmask` (RFC 8783 4.3).
Checked<BitsMatch> bits_match(const Instance& container, std::uint16_t bits, const std::string& path) {
  BitsMatch match{false, false, bits};
  const Instance* op = Members(container).child("operator");
  if (op == nullptr) return match;
  constexpr std::uint16_t kNot = 1, kMatch = 2, kAny = 8;
  const std::uint16_t set = bits_of(*op->node, op->value);
  match.negated = (set & kNot) != 0;
  match.any = (set & kAny) != 0;
  if (match.any == ((set & kMatch) != 0)) {
    return fault::invalid_value("operator must name one of match and any", path + "/operator");
  }
  return match;
}

Checked<std::optional<PortMatch>> ports(const Members& of, std::string_view name, const std::string& path) {
  using Operator = PortMatch::Operator;
  const Instance* container = of.child(name);
  if (container == nullptr || container->children.empty()) return std::optional<PortMatch>{};
  const Members members(*container);
  std::optional<std::uint16_t> port, lower, upper;
  members.number("port", port);
  members.number("lower-port", lower);
  members.number("upper-port", upper);
  PortMatch match;
  if (lower) {
    match = {Operator::range, *lower, *upper};
    if (*lower > *upper) {
      return fault::invalid_value("upper-port is below lower-port", path + "/" + std::string(name) + "/upper-port");
    }
  } else {
    match.port = *port;
    if (const Instance* op = members.child("operator")) {
      match.op = op->value == "lte"   ? Operator::lte
                 : op->value == "gte" ? Operator::gte
                 : op->value == "neq" ? Operator::neq
                                      : Operator::eq;
    }
  }
  return std::optional<PortMatch>(match);
}

Checked<IpMatch> ip_match(const Instance& container, Family family, const std::string& path) {
  const Members of(container);
  const bool v4 = family == Family::ipv4;
  IpMatch ip;
  ip.family = family;
  of.number("dscp", ip.dscp);
  of.number("ecn", ip.ecn);
  of.number("length", ip.length);
  of.number("ttl", ip.ttl);
  of.number("protocol", ip.protocol);
  of.number("ihl", ip.header_length);
  of.bits("flags", ip.flags);
  of.number("offset", ip.offset);
  of.number("identification", ip.identification);
  of.number("flow-label", ip.flow_label);
  of.prefix(v4 ? "destination-ipv4-network" : "destination-ipv6-network", ip.destination);
  of.prefix(v4 ? "source-ipv4-network" : "source-ipv6-network", ip.source);
  if (const Instance* fragment = of.child("fragment")) {
    if (ip.flags) return fault::invalid_value("fragment and flags exclude each other", path + "/flags");
    const Instance* type = Members(*fragment).child("type");
    const std::uint16_t bits = bits_of(*type->node, type->value);
    if (bits == 0) return fault::invalid_value("type names no bit", path + "/fragment/type");
    if (!v4 && (bits & model::FragmentBits::kDontFragment) != 0) {
      return fault::invalid_value("IPv6 has no bit df", path + "/fragment/type");
    }
    auto match = bits_match(*fragment, bits, path + "/fragment");
    if (!match) return match.error();
    ip.fragment = *match;
  }
  return ip;
}

Checked<model::TcpMatch> tcp_match(const Instance& container, const std::string& path) {
  const Members of(container);
  model::TcpMatch tcp;
  of.number("sequence-number", tcp.sequence_number);
  of.number("acknowledgement-number", tcp.acknowledgement_number);
  of.number("data-offset", tcp.data_offset);
  of.number("reserved", tcp.reserved);
  of.bits("flags", tcp.flags);
  of.number("window-size", tcp.window_size);
  of.number("urgent-pointer", tcp.urgent_pointer);
  of.octets("options", tcp.options);
  if (const Instance* bitmask = of.child("flags-bitmask")) {
    if (tcp.flags) return fault::invalid_value("flags-bitmask and flags exclude each other", path + "/flags");
    // The four bits of the data offset take no part in any match.
    const auto bits = static_cast<std::uint16_t>(number_of(Members(*bitmask).child("bitmask")->value) & 0x0fffU);
    auto match = bits_match(*bitmask, bits, path + "/flags-bitmask");
    if (!match) return match.error();
    tcp.flags_bitmask = *match;
  }
  auto source = ports(of, "source-port-range-or-operator", path);
  if (!source) return source.error();
  auto destination = ports(of, "destination-port-range-or-operator", path);
  if (!destination) return destination.error();
  tcp.source_port = *source;
  tcp.destination_port = *destination;
  return tcp;
}

Checked<model::UdpMatch> udp_match(const Instance& container, const std::string& path) {
  const Members of(container);
  model::UdpMatch udp;
  of.number("length", udp.length);
  auto source = ports(of, "source-port-range-or-operator", path);
  if (!source) return source.error();
  auto destination = ports(of, "destination-port-range-or-operator", path);
  if (!destination) return destination.error();
  udp.source_port = *source;
  udp.destination_port = *destination;
  return udp;
}

Checked<model::FilterMatch> filter_match(const Instance& matches, std::optional<Family> type, const std::string& path) {
  const Members of(matches);
  model::FilterMatch match;
  for (const Family family : {Family::ipv4, Family::ipv6}) {
    const std::string name = family == Family::ipv4 ? "ipv4" : "ipv6";
    const Instance* container = of.child(name);
    if (container == nullptr) continue;
    // The module says derived-from, which its own examples would break; derived-from-or-self is meant (A8783-03).
    if (type && *type != family)
      return fault::invalid_value(name + " does not fit the type of the list", path + "/" + name);
    auto ip = ip_match(*container, family, path + "/" + name);
    if (!ip) return ip.error();
    match.ip = *ip;
  }
  if (const Instance* tcp = of.child("tcp")) {
    auto read = tcp_match(*tcp, path + "/tcp");
    if (!read) return read.error();
    match.tcp = *read;
  }
  if (const Instance* udp = of.child("udp")) {
    auto read = udp_match(*udp, path + "/udp");
    if (!read) return read.error();
    match.udp = *read;
  }
  if (const Instance* icmp = of.child("icmp")) {
    match.icmp.emplace();
    match.icmp->family = match.ip ? std::optional(match.ip->family) : type;
    const Members members(*icmp);
    members.number("type", match.icmp->type);
    members.number("code", match.icmp->code);
    members.octets("rest-of-header", match.icmp->rest_of_header);
  }
  return match;
}

Checked<FilterEntry> filter_entry(const Instance& ace, std::optional<Family> type, const std::string& path) {
  FilterEntry entry;
  entry.name = *ace.leaf(NodeId::ace_name);
  if (const Instance* matches = ace.find(NodeId::matches)) {
    auto match = filter_match(*matches, type, path + "/matches");
    if (!match) return match.error();
    entry.match = std::move(*match);
  }
  const Instance& actions = *ace.find(NodeId::actions);
  entry.forwarding =
      *actions.leaf(NodeId::forwarding) == "accept" ? model::Forwarding::accept : model::Forwarding::drop;
  if (const std::string* rate = actions.leaf(NodeId::rate_limit)) {
    if (entry.forwarding != model::Forwarding::accept) {
      return fault::invalid_value("rate-limit goes with accept only", path + "/actions/rate-limit");
    }
    entry.rate_limit_hundredths = hundredths_of(*rate);
  }
  return entry;
}

}  // namespace

Checked<model::Alias> to_alias(const Instance& alias, const std::string& path) {
  model::Alias out;
  model::MitigationScope& targets = out.targets;
  for (const Instance& child : alias.children) {
    switch (child.node->id) {
      case NodeId::alias_name:
        out.name = child.value;
        break;
      case NodeId::target_prefix:
        targets.target_prefix.push_back(*model::parse_prefix(child.value));
        break;
      case NodeId::target_port_range: {
        model::PortRange range;
        range.lower = static_cast<std::uint16_t>(number_of(*child.leaf(NodeId::lower_port)));
        const std::string* upper = child.leaf(NodeId::upper_port);
        range.upper = upper == nullptr ? range.lower : static_cast<std::uint16_t>(number_of(*upper));
        if (range.upper < range.lower) {
          return fault::invalid_value("upper-port is below lower-port", path_of(path, child) + "/upper-port");
        }
        targets.target_port_range.push_back(range);
        break;
      }
      case NodeId::target_protocol:
        targets.target_protocol.push_back(static_cast<std::uint8_t>(number_of(child.value)));
        break;
      case NodeId::target_fqdn:
        targets.target_fqdn.push_back(child.value);
        break;
      case NodeId::target_uri:
        targets.target_uri.push_back(child.value);
        break;
      default:
        break;
    }
  }
  if (!targets.names_a_target()) {
    return fault::missing("target-prefix, target-fqdn or target-uri is needed", path);
  }
  return out;
}

bool may_be_immediate(const model::FilterEntry& entry, const FilterRules& rules) {
  const auto& match = entry.match;
  if (match.ip) return match.ip->destination.has_value();
  return (match.tcp || match.udp || match.icmp) && !rules.immediate_needs_ip;
}

Checked<model::Filter> to_filter(const Instance& acl, const std::string& path, const FilterRules& rules) {
  model::Filter out;
  out.name = *acl.leaf(NodeId::acl_name);
  if (const std::string* type = acl.leaf(NodeId::acl_type)) {
    out.type = *type == "ipv4-acl-type" ? Family::ipv4 : Family::ipv6;
  }
  if (const std::string* type = acl.leaf(NodeId::activation_type))
    out.activation = *model::activation_type_named(*type);
  const Instance* aces = acl.find(NodeId::aces);
  if (aces == nullptr) return out;
  for (const Instance& ace : aces->children) {
    const std::string ace_path = path_of(path + "/aces", ace);
    auto entry = filter_entry(ace, out.type, ace_path);
    if (!entry) return entry.error();
    if (out.activation == model::ActivationType::immediate && !may_be_immediate(*entry, rules)) {
      return fault::missing("an entry of an immediate list needs a destination prefix", ace_path + "/matches");
    }
    out.entries.push_back(std::move(*entry));
  }
  return out;
}

}  // namespace dots::data
