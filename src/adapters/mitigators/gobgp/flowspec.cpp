#include "adapters/mitigators/gobgp/flowspec.h"

#include <algorithm>

namespace dots::adapters::mitigators::gobgp {

namespace {

// Operators of RFC 8955 4.2.1.
constexpr std::uint8_t kEnd = 0x80, kAnd = 0x40, kLess = 0x04, kGreater = 0x02, kEqual = 0x01;
constexpr std::uint8_t kNot = 0x02, kMatchAll = 0x01;
constexpr std::uint16_t kTcpBits = 0x00ff, kFragmentBits4 = 0x0f, kFragmentBits6 = 0x0e;

// One item of a component.
struct FlowItem {
  std::uint8_t op = 0;  // without the length and the end of the list
  std::uint32_t value = 0;
};

std::vector<FlowItem> items_of(FlowType type, const std::vector<FlowRange>& ranges) {
  const std::uint32_t most = most_of(type).value_or(0xffffffff);
  std::vector<FlowItem> items;
  for (const FlowRange& range : ranges) {
    if (range.lower == range.upper) {
      items.push_back({kEqual, range.lower});
    } else if (range.upper >= most) {
      items.push_back({kGreater | kEqual, range.lower});
    } else if (range.lower == 0) {
      items.push_back({kLess | kEqual, range.upper});
    } else {
      items.push_back({kGreater | kEqual, range.lower});
      items.push_back({kAnd | kLess | kEqual, range.upper});
    }
  }
  return items;
}

std::vector<FlowItem> items_of(const std::vector<FlowBits>& bits) {
  std::vector<FlowItem> items;
  for (std::size_t i = 0; i < bits.size(); ++i) {
    const FlowBits& one = bits[i];
    const int op = (one.and_before && i > 0 ? kAnd : 0) | (one.negated ? kNot : 0) | (one.all ? kMatchAll : 0);
    items.push_back({static_cast<std::uint8_t>(op), one.bits});
  }
  return items;
}

int octets_of(std::uint32_t value) { return value <= 0xff ? 1 : value <= 0xffff ? 2 : 4; }

void put_item(base::Bytes& out, FlowItem item, bool last) {
  const int size = octets_of(item.value);
  const int order = size == 1 ? 0 : size == 2 ? 1 : 2;
  out.push_back(static_cast<std::uint8_t>(item.op | order << 4 | (last ? kEnd : 0)));
  for (int i = size - 1; i >= 0; --i) out.push_back(static_cast<std::uint8_t>(item.value >> (8 * i)));
}

void put_items(base::Bytes& out, FlowType type, const std::vector<FlowItem>& items) {
  out.push_back(static_cast<std::uint8_t>(type));
  for (std::size_t i = 0; i < items.size(); ++i) put_item(out, items[i], i + 1 == items.size());
}

void put_prefix(base::Bytes& out, FlowType type, const model::Prefix& prefix) {
  out.push_back(static_cast<std::uint8_t>(type));
  out.push_back(prefix.length);
  if (prefix.address.family == model::Family::ipv6) out.push_back(0);  // RFC 8956 3.1: offset
  for (std::size_t i = 0; i < (prefix.length + 7u) / 8u; ++i) out.push_back(prefix.address.bytes[i]);
}

std::vector<FlowRange> joined(std::vector<FlowRange> ranges) {
  std::sort(ranges.begin(), ranges.end());
  std::vector<FlowRange> out;
  for (const FlowRange& range : ranges) {
    if (range.upper < range.lower) continue;
    if (!out.empty() && range.lower <= std::uint64_t{out.back().upper} + 1) {
      out.back().upper = std::max(out.back().upper, range.upper);
    } else {
      out.push_back(range);
    }
  }
  return out;
}

// ---- reading ----

class Reader {
 public:
  Reader(model::Family family, base::ByteView octets) : octets_(octets) { spec_.family = family; }

  base::Result<FlowSpec> read() {
    std::uint8_t before = 0;
    while (at_ < octets_.size()) {
      const std::uint8_t type = octets_[at_++];
      if (type <= before || type > 13) return base::Error{"components out of order or of unknown type"};
      before = type;
      if (!component(static_cast<FlowType>(type))) return base::Error{"a component makes no sense"};
    }
    return canonical(std::move(spec_));
  }

 private:
  bool component(FlowType type) {
    if (type == FlowType::destination) return prefix(spec_.destination);
    if (type == FlowType::source) return prefix(spec_.source);
    std::vector<FlowItem> items;
    do {
      if (!item(items)) return false;
    } while (!end_);
    return most_of(type) ? numbers(type, items) : bits(type, items);
  }
  bool prefix(std::optional<model::Prefix>& out) {
    if (at_ >= octets_.size()) return false;
    model::Prefix prefix;
    prefix.address.family = spec_.family;
    prefix.length = octets_[at_++];
    if (prefix.length > prefix.address.width()) return false;
    if (spec_.family == model::Family::ipv6 && (at_ >= octets_.size() || octets_[at_++] != 0)) return false;
    const std::size_t size = (prefix.length + 7u) / 8u;
    if (octets_.size() - at_ < size) return false;
    for (std::size_t i = 0; i < size; ++i) prefix.address.bytes[i] = octets_[at_++];
    out = prefix;
    return true;
  }
  bool item(std::vector<FlowItem>& out) {
    if (at_ >= octets_.size()) return false;
    const std::uint8_t op = octets_[at_++];
    const std::size_t size = std::size_t{1} << (op >> 4 & 3);
    if (octets_.size() - at_ < size) return false;
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < size; ++i) value = value << 8 | octets_[at_++];
    if (value > 0xffffffff) return false;
    end_ = (op & kEnd) != 0;
    out.push_back({static_cast<std::uint8_t>(op & ~(kEnd | 0x30)), static_cast<std::uint32_t>(value)});
    return true;
  }
  // Only what we write: "==", "<=", ">=", and ">= and <=".
  bool numbers(FlowType type, const std::vector<FlowItem>& items) {
    const std::uint32_t most = *most_of(type);
    auto& ranges = spec_.numbers[type];
    for (std::size_t i = 0; i < items.size(); ++i) {
      const FlowItem& one = items[i];
      if ((one.op & kAnd) != 0) {
        const bool closes = i > 0 && one.op == (kAnd | kLess | kEqual) && items[i - 1].op == (kGreater | kEqual);
        if (!closes) return false;
        ranges.back().upper = one.value;
      } else if (one.op == kEqual) {
        ranges.push_back({one.value, one.value});
      } else if (one.op == (kLess | kEqual)) {
        ranges.push_back({0, one.value});
      } else if (one.op == (kGreater | kEqual)) {
        ranges.push_back({one.value, most});
      } else {
        return false;
      }
    }
    return true;
  }
  bool bits(FlowType type, const std::vector<FlowItem>& items) {
    for (const FlowItem& one : items) {
      if ((one.op & ~(kAnd | kNot | kMatchAll)) != 0 || one.value > 0xffff) return false;
      spec_.bits[type].push_back({(one.op & kAnd) != 0, (one.op & kNot) != 0, (one.op & kMatchAll) != 0,
                                  static_cast<std::uint16_t>(one.value)});
    }
    return true;
  }

  base::ByteView octets_;
  std::size_t at_ = 0;
  bool end_ = false;
  FlowSpec spec_;
};

const char* name_of(FlowType type) {
  switch (type) {
    case FlowType::destination:
      return "to";
    case FlowType::source:
      return "from";
    case FlowType::protocol:
      return "protocol";
    case FlowType::port:
      return "port";
    case FlowType::destination_port:
      return "destination port";
    case FlowType::source_port:
      return "source port";
    case FlowType::icmp_type:
      return "ICMP type";
    case FlowType::icmp_code:
      return "ICMP code";
    case FlowType::tcp_flags:
      return "TCP flags";
    case FlowType::length:
      return "length";
    case FlowType::dscp:
      return "DSCP";
    case FlowType::fragment:
      return "fragment";
    case FlowType::flow_label:
      return "flow label";
  }
  return "?";
}

// GoBGP tells the families of prefixes apart by their text, where ::ffff:0:0/96 looks like IPv4.
bool mapped_v4(const model::Prefix& prefix) {
  if (prefix.address.family != model::Family::ipv6 || prefix.length < 96) return false;
  for (std::size_t i = 0; i < 12; ++i) {
    if (prefix.address.bytes[i] != (i < 10 ? 0 : 0xff)) return false;
  }
  return true;
}

base::Result<void> check_prefix(FlowType type, const model::Prefix& prefix, model::Family family) {
  const std::string what = std::string(name_of(type)) + " " + model::to_string(prefix);
  if (prefix.address.family != family) return base::Error{what + ": the other family"};
  if (prefix.length > prefix.address.width()) return base::Error{what + ": longer than an address"};
  if (mapped_v4(prefix)) return base::Error{what + ": IPv4 written as IPv6, which GoBGP would send as IPv4"};
  return {};
}

}  // namespace

std::optional<std::uint32_t> most_of(FlowType type) {
  switch (type) {
    case FlowType::protocol:
    case FlowType::icmp_type:
    case FlowType::icmp_code:
      return 0xff;
    case FlowType::port:
    case FlowType::destination_port:
    case FlowType::source_port:
    case FlowType::length:
      return 0xffff;
    case FlowType::dscp:
      return 0x3f;
    case FlowType::flow_label:
      return 0xfffff;
    default:
      return std::nullopt;
  }
}

FlowSpec canonical(FlowSpec spec) {
  for (auto* prefix : {&spec.destination, &spec.source}) {
    if (!*prefix || (*prefix)->length > (*prefix)->address.width()) continue;
    **prefix = (*prefix)->masked();
    if ((*prefix)->length == 0) prefix->reset();
  }
  for (auto& [type, ranges] : spec.numbers) ranges = joined(std::move(ranges));
  std::erase_if(spec.bits, [](const auto& one) { return one.second.empty(); });
  return spec;
}

base::Result<void> validate(const FlowSpec& spec) {
  if (!spec.destination) return base::Error{"it would match traffic to everybody"};
  if (auto good = check_prefix(FlowType::destination, *spec.destination, spec.family); !good) return good;
  if (spec.source) {
    if (auto good = check_prefix(FlowType::source, *spec.source, spec.family); !good) return good;
  }
  const bool v6 = spec.family == model::Family::ipv6;
  for (const auto& [type, ranges] : spec.numbers) {
    const auto most = most_of(type);
    if (!most || (type == FlowType::flow_label && !v6)) return base::Error{std::string(name_of(type)) + ": not here"};
    if (ranges.empty()) return base::Error{std::string(name_of(type)) + ": no value can match"};
    if (ranges.back().upper > *most)
      return base::Error{std::string(name_of(type)) + ": at most " + std::to_string(*most)};
  }
  for (const auto& [type, tests] : spec.bits) {
    const bool tcp = type == FlowType::tcp_flags;
    if (!tcp && type != FlowType::fragment) return base::Error{std::string(name_of(type)) + ": not here"};
    const std::uint16_t known = tcp ? kTcpBits : v6 ? kFragmentBits6 : kFragmentBits4;
    for (const FlowBits& test : tests) {
      if ((test.bits & ~known) != 0) return base::Error{std::string(name_of(type)) + ": there are no such bits"};
    }
  }
  if (encode(spec).size() > kMostFlowOctets)
    return base::Error{"more than " + std::to_string(kMostFlowOctets) + " octets"};
  return {};
}

base::Bytes encode(const FlowSpec& spec) {
  base::Bytes out;
  if (spec.destination) put_prefix(out, FlowType::destination, *spec.destination);
  if (spec.source) put_prefix(out, FlowType::source, *spec.source);
  for (int number = 3; number <= 13; ++number) {
    const auto type = static_cast<FlowType>(number);
    if (const auto found = spec.numbers.find(type); found != spec.numbers.end()) {
      put_items(out, type, items_of(type, found->second));
    }
    if (const auto found = spec.bits.find(type); found != spec.bits.end())
      put_items(out, type, items_of(found->second));
  }
  return out;
}

base::Result<FlowSpec> decode_nlri(model::Family family, base::ByteView nlri) {
  if (nlri.empty()) return base::Error{"no octets"};
  std::size_t length = nlri[0], head = 1;
  if (length >= 0xf0) {
    if (nlri.size() < 2) return base::Error{"half a length"};
    length = (length & 0x0f) << 8 | nlri[1];
    head = 2;
  }
  if (nlri.size() - head != length) return base::Error{"the length is wrong"};
  return Reader(family, nlri.subspan(head)).read();
}

std::vector<FlowSpec> split(const FlowSpec& spec) {
  if (encode(spec).size() <= kMostFlowOctets) return {spec};
  auto widest = spec.numbers.end();
  std::size_t most = 0;
  for (auto it = spec.numbers.begin(); it != spec.numbers.end(); ++it) {
    if (it->second.size() > most) most = it->second.size(), widest = it;
  }
  if (most < 2) return {spec};
  std::vector<FlowSpec> out;
  FlowSpec part = spec;
  auto& ranges = part.numbers[widest->first];
  ranges.clear();
  for (const FlowRange& range : widest->second) {
    ranges.push_back(range);
    if (ranges.size() > 1 && encode(part).size() > kMostFlowOctets) {
      ranges.pop_back();
      out.push_back(part);
      ranges = {range};
    }
  }
  out.push_back(part);
  // Two components with many values each.
  std::vector<FlowSpec> small;
  for (const FlowSpec& one : out) {
    if (encode(one).size() <= kMostFlowOctets || one == spec) {
      small.push_back(one);
    } else {
      for (FlowSpec& piece : split(one)) small.push_back(std::move(piece));
    }
  }
  return small;
}

std::string to_string(const FlowSpec& spec) {
  std::string out;
  const auto word = [&](const std::string& text) { out += (out.empty() ? "" : " ") + text; };
  if (spec.destination) word("to " + model::to_string(*spec.destination));
  if (spec.source) word("from " + model::to_string(*spec.source));
  for (const auto& [type, ranges] : spec.numbers) {
    std::string values;
    for (const FlowRange& range : ranges) {
      values += (values.empty() ? "" : ",") + std::to_string(range.lower);
      if (range.upper != range.lower) values += "-" + std::to_string(range.upper);
    }
    word(std::string(name_of(type)) + " " + values);
  }
  for (const auto& [type, tests] : spec.bits) {
    std::string values;
    for (const FlowBits& test : tests) {
      if (!values.empty()) values += test.and_before ? "&" : ",";
      values += std::string(test.negated ? "!" : "") + (test.all ? "=" : "") + std::to_string(test.bits);
    }
    word(std::string(name_of(type)) + " " + values);
  }
  return out;
}

}  // namespace dots::adapters::mitigators::gobgp
