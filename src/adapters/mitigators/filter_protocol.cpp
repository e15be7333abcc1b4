#include "adapters/mitigators/filter_protocol.h"

#include <map>
#include <optional>
#include <string>
#include <utility>

namespace dots::adapters::mitigators {

namespace json = boost::json;

namespace {

// The helper refuses more as well.
constexpr std::uint64_t kMostBytesPerS = 16'000'000'000;
constexpr std::uint8_t kMostHeaderWords = 15;
constexpr std::uint16_t kMostFragmentOffset = 0x1fff;
constexpr std::uint8_t kMostTcpReserved = 15;
constexpr std::uint16_t kTcpFlagBits = 0x0fff;
constexpr std::size_t kMostRestOctets = 64;

json::array ports_of(const model::PortMatch& ports) {
  using Operator = model::PortMatch::Operator;
  std::int64_t lower = ports.port, upper = ports.port;
  if (ports.op == Operator::range) upper = ports.upper;
  if (ports.op == Operator::lte) lower = 0;
  if (ports.op == Operator::gte) upper = 65535;
  return {lower, upper, ports.op == Operator::neq};
}

json::array bits_of(const model::BitsMatch& bits) { return {bits.any, bits.negated, std::int64_t{bits.bits}}; }

std::string hex_of(const std::string& octets) {
  std::string out;
  for (const char c : octets) {
    const auto octet = static_cast<unsigned char>(c);
    out += "0123456789abcdef"[octet >> 4];
    out += "0123456789abcdef"[octet & 15];
  }
  return out;
}

// The bits first..last of the module, in the order of the header: its last bit is the lowest there.
std::int64_t header_bits(std::uint16_t flags, int first, int last) {
  std::int64_t out = 0;
  for (int position = first; position <= last; ++position) out = out << 1 | (flags >> position & 1);
  return out;
}

// Fills in what an entry matches; `wrong` gets the field and what is wrong with it.
struct Matches {
  json::object& row;
  std::string& wrong;

  template <class T>
  static void put(json::object& to, const char* name, const std::optional<T>& value) {
    if (value) to[name] = std::int64_t{*value};
  }
  void check(bool good, const char* what) {
    if (!good && wrong.empty()) wrong = what;
  }
  static bool ordered(const std::optional<model::PortMatch>& ports) {
    return !ports || ports->op != model::PortMatch::Operator::range || ports->port <= ports->upper;
  }
  // Of TCP and UDP alike.
  template <class Transport>
  void ports(json::object& out, const Transport& match, const char* disordered) {
    if (match.source_port) out["sport"] = ports_of(*match.source_port);
    if (match.destination_port) out["dport"] = ports_of(*match.destination_port);
    check(ordered(match.source_port) && ordered(match.destination_port), disordered);
  }

  void ip(const model::IpMatch& ip, const std::vector<model::Prefix>& destinations) {
    row["family"] = ip.family == model::Family::ipv4 ? 4 : 6;
    put(row, "dscp", ip.dscp);
    put(row, "ecn", ip.ecn);
    put(row, "ttl", ip.ttl);
    put(row, "protocol", ip.protocol);
    put(row, "length", ip.length);
    put(row, "ihl", ip.header_length);
    put(row, "offset", ip.offset);
    put(row, "id", ip.identification);
    put(row, "flow", ip.flow_label);
    if (ip.source) row["src"] = model::to_string(ip.source->masked());
    if (ip.fragment) row["fragment"] = bits_of(*ip.fragment);
    if (ip.flags) row["flags"] = header_bits(*ip.flags, 0, 2);
    if (ip.destination) {
      bool inside = true;
      for (const model::Prefix& prefix : destinations) {
        inside = inside && (prefix.address.family != ip.family || ip.destination->masked().contains(prefix));
      }
      if (!inside) row["dst"] = model::to_string(ip.destination->masked());
    }
    check(ip.header_length.value_or(0) <= kMostHeaderWords, "ipv4/ihl: a header has at most 15 words");
    check(ip.offset.value_or(0) <= kMostFragmentOffset, "ipv4/offset: it is at most 8191");
    check(ip.dscp.value_or(0) <= 63, "dscp: it is at most 63");
    check(ip.ecn.value_or(0) <= 3, "ecn: it is at most 3");
    check(ip.flow_label.value_or(0) <= 0xfffff, "ipv6/flow-label: it is at most 1048575");
  }
  void tcp(const model::TcpMatch& tcp) {
    json::object out;
    ports(out, tcp, "tcp: ports in the wrong order");
    if (tcp.flags_bitmask) out["bits"] = bits_of(*tcp.flags_bitmask);
    put(out, "seq", tcp.sequence_number);
    put(out, "ack", tcp.acknowledgement_number);
    put(out, "doff", tcp.data_offset);
    put(out, "reserved", tcp.reserved);
    put(out, "window", tcp.window_size);
    put(out, "urgent", tcp.urgent_pointer);
    if (tcp.flags) out["flags"] = header_bits(*tcp.flags, 1, 8);
    row["tcp"] = std::move(out);
    check(!tcp.options, "tcp/options: a packet filter cannot match them");
    check(tcp.data_offset.value_or(0) <= 15, "tcp/data-offset: it is at most 15");
    check(tcp.reserved.value_or(0) <= kMostTcpReserved, "tcp/reserved: there are four bits");
    check(!tcp.flags_bitmask || (tcp.flags_bitmask->bits & ~kTcpFlagBits) == 0,
          "tcp/flags-bitmask: there are twelve bits");
  }
  void udp(const model::UdpMatch& udp) {
    json::object out;
    ports(out, udp, "udp: ports in the wrong order");
    put(out, "length", udp.length);
    row["udp"] = std::move(out);
  }
  void icmp(const model::IcmpMatch& icmp) {
    json::object out;
    if (icmp.family) out["family"] = *icmp.family == model::Family::ipv4 ? 4 : 6;
    put(out, "type", icmp.type);
    put(out, "code", icmp.code);
    if (icmp.rest_of_header) out["rest"] = hex_of(*icmp.rest_of_header);
    row["icmp"] = std::move(out);
    check(!icmp.rest_of_header || icmp.rest_of_header->size() <= kMostRestOctets,
          "icmp/rest-of-header: only the first 64 octets can be matched");
  }
};

void put_action(const model::FilterEntry& entry, json::object& row, std::string& wrong) {
  if (entry.forwarding == model::Forwarding::drop) {
    row["do"] = "drop";
    if (entry.rate_limit_hundredths) wrong = "rate-limit: only what is accepted can be limited";
    return;
  }
  if (!entry.rate_limit_hundredths) {
    row["do"] = "accept";
    return;
  }
  // To whole bytes; the least rate that lets anything through is one of them.
  const std::uint64_t hundredths = *entry.rate_limit_hundredths;
  const std::uint64_t rate = hundredths / 100 + (hundredths % 100 >= 50 ? 1 : 0);
  if (rate > kMostBytesPerS) wrong = "rate-limit: at most " + std::to_string(kMostBytesPerS) + " bytes/s can be kept";
  row["do"] = hundredths == 0 ? "drop" : "limit";
  if (hundredths != 0) row["rate"] = static_cast<std::int64_t>(rate == 0 ? 1 : rate);
}

base::Result<void> put_list(const model::FilterList& list, json::object& change) {
  std::map<std::vector<std::string>, std::int64_t> numbers;
  json::array to, entries;
  for (const model::FilterRule& rule : list.rules) {
    std::string wrong;
    json::object row;
    std::vector<std::string> texts;
    for (const model::Prefix& prefix : rule.destinations) texts.push_back(model::to_string(prefix.masked()));
    if (texts.empty()) wrong = "it has no destinations";
    const auto [number, fresh] = numbers.try_emplace(std::move(texts), static_cast<std::int64_t>(numbers.size()));
    if (fresh) to.push_back(json::array(number->first.begin(), number->first.end()));
    row["name"] = rule.entry.name;
    row["to"] = number->second;
    put_action(rule.entry, row, wrong);
    Matches matches{row, wrong};
    const model::FilterMatch& match = rule.entry.match;
    if (match.ip) matches.ip(*match.ip, rule.destinations);
    matches.check((match.tcp ? 1 : 0) + (match.udp ? 1 : 0) + (match.icmp ? 1 : 0) <= 1,
                  "more than one transport header");
    if (match.tcp) matches.tcp(*match.tcp);
    if (match.udp) matches.udp(*match.udp);
    if (match.icmp) matches.icmp(*match.icmp);
    if (!wrong.empty()) {
      return base::Error{model::to_string(list.key) + ": entry '" + rule.entry.name + "': " + wrong};
    }
    entries.push_back(std::move(row));
  }
  change["place"] = std::int64_t{list.place};
  change["digest"] = model::digest_of(list);
  change["to"] = std::move(to);
  change["entries"] = std::move(entries);
  return {};
}

std::string text_in(const json::value& value) {
  return std::string(value.as_string().data(), value.as_string().size());
}

std::optional<std::uint64_t> count(const json::value& value) {
  if (value.is_uint64()) return value.as_uint64();
  if (value.is_int64() && value.as_int64() >= 0) return static_cast<std::uint64_t>(value.as_int64());
  return std::nullopt;
}

}  // namespace

base::Result<json::array> rows_of(const std::vector<ports::FilterChange>& changes) {
  json::array out;
  for (const ports::FilterChange& change : changes) {
    json::object row;
    row["key"] = json::array{change.key.domain.value, change.key.cuid.value, change.key.list};
    if (change.list) {
      if (change.list->key != change.key)
        return base::Error{model::to_string(change.key) + ": the list has another key"};
      if (auto put = put_list(*change.list, row); !put) return put.error();
    }
    out.push_back(std::move(row));
  }
  return out;
}

base::Result<void> read_filters(const json::object& part, std::vector<ports::InstalledFilterList>& out) {
  const base::Error nonsense{"the helper's list holds filters that make no sense"};
  const auto* key = part.if_contains("key");
  const auto* digest = part.if_contains("digest");
  const auto* entries = part.if_contains("entries");
  if (key == nullptr || !key->is_array() || key->as_array().size() != 3 || digest == nullptr || !digest->is_string() ||
      entries == nullptr || !entries->is_array()) {
    return nonsense;
  }
  for (const json::value& text : key->as_array()) {
    if (!text.is_string()) return nonsense;
  }
  const json::array& parts = key->as_array();
  const model::FilterListKey whose{base::DomainId(text_in(parts[0])), base::Cuid(text_in(parts[1])), text_in(parts[2])};
  // A long list comes in several parts.
  if (out.empty() || out.back().key != whose) out.push_back({whose, text_in(*digest), {}});
  for (const json::value& value : entries->as_array()) {
    const auto* row = value.if_array();
    if (row == nullptr || row->size() != 3 || !(*row)[0].is_string()) return nonsense;
    const auto packets = count((*row)[1]);
    const auto bytes = count((*row)[2]);
    if (!packets || !bytes) return nonsense;
    out.back().counters.push_back({text_in((*row)[0]), {*packets, *bytes}});
  }
  return {};
}

}  // namespace dots::adapters::mitigators
