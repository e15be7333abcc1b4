#include "model/attributes.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <iterator>

namespace dots::model {
namespace {

constexpr std::span<const EnumName> none{};

constexpr EnumName kStatus[] = {
    {1, "attack-mitigation-in-progress"}, {2, "attack-successfully-mitigated"},    {3, "attack-stopped"},
    {4, "attack-exceeded-capability"},    {5, "dots-client-withdrawn-mitigation"}, {6, "attack-mitigation-terminated"},
    {7, "attack-mitigation-withdrawn"},   {8, "attack-mitigation-signal-loss"},
};
constexpr EnumName kConflictStatus[] = {
    {1, "request-inactive-other-active"}, {2, "request-active"}, {3, "all-requests-inactive"}};
constexpr EnumName kConflictCause[] = {
    {1, "overlapping-targets"}, {2, "conflict-with-acceptlist"},
    {3, "cuid-collision"},      {4, "request-rejected-legitimate-traffic"},  // RFC 9066
    {5, "overlapping-pipes"},                                                // RFC 9244
};
constexpr EnumName kAttackStatus[] = {{1, "under-attack"}, {2, "attack-successfully-mitigated"}};
constexpr EnumName kActivationType[] = {{1, "activate-when-mitigating"}, {2, "immediate"}, {3, "deactivate"}};
constexpr EnumName kUnit[] = {
    {1, "packet-ps"},       {2, "bit-ps"},       {3, "byte-ps"},        //
    {4, "kilopacket-ps"},   {5, "kilobit-ps"},   {6, "kilobyte-ps"},    //
    {7, "megapacket-ps"},   {8, "megabit-ps"},   {9, "megabyte-ps"},    //
    {10, "gigapacket-ps"},  {11, "gigabit-ps"},  {12, "gigabyte-ps"},   //
    {13, "terapacket-ps"},  {14, "terabit-ps"},  {15, "terabyte-ps"},   //
    {16, "petapacket-ps"},  {17, "petabit-ps"},  {18, "petabyte-ps"},   //
    {19, "exapacket-ps"},   {20, "exabit-ps"},   {21, "exabyte-ps"},    //
    {22, "zettapacket-ps"}, {23, "zettabit-ps"}, {24, "zettabyte-ps"},  //
};
constexpr EnumName kAttackSeverity[] = {{1, "none"}, {2, "low"}, {3, "medium"}, {4, "high"}, {5, "unknown"}};
constexpr EnumName kInterval[] = {{1, "5-minutes"}, {2, "10-minutes"}, {3, "30-minutes"}, {4, "hour"},
                                  {5, "day"},       {6, "week"},       {7, "month"}};
constexpr EnumName kSample[] = {{1, "second"},    {2, "5-seconds"},  {3, "30-seconds"}, {4, "minute"},
                                {5, "5-minutes"}, {6, "10-minutes"}, {7, "30-minutes"}, {8, "hour"}};
constexpr EnumName kQueryType[] = {
    {1, "target-prefix"}, {2, "target-port"}, {3, "target-protocol"}, {4, "target-fqdn"}, {5, "target-uri"},
    {6, "target-alias"},  {7, "mid"},         {8, "source-prefix"},   {9, "source-port"}, {10, "source-icmp-type"},
    {11, "content"}};

constexpr EnumName kRefusalReason[] = {{1, "scope"},    {2, "contract"},  {3, "policy"},   {4, "rate"},
                                       {5, "capacity"}, {6, "bandwidth"}, {7, "function"}, {8, "hardware"}};

// Numbers have the range of their YANG type. Text has no bound in YANG: what a name can be (RFC 1035), or a size that
// no sane value passes.
constexpr Range range_of(ValueType type) {
  switch (type) {
    case ValueType::container:
      return {};
    case ValueType::string:
    case ValueType::leafref:
      return {1, 255};
    case ValueType::ip_prefix:
      return {1, 49};
    case ValueType::ip_address:
      return {1, 45};
    case ValueType::domain_name:
      return {1, 253};
    case ValueType::uri:
      return {1, 2048};
    case ValueType::uint8:
      return {0, UINT8_MAX};
    case ValueType::port_number:
    case ValueType::uint16:
      return {0, UINT16_MAX};
    case ValueType::uint32:
    case ValueType::lifetime:
      return {0, UINT32_MAX};
    case ValueType::uint64:
    case ValueType::gauge64:
    case ValueType::counter64:
      return {0, UINT64_MAX};
    case ValueType::enumeration:
      return {0, INT32_MAX};
    case ValueType::boolean:
      return {0, 1};
    case ValueType::decimal64:
      return {0, INT64_MAX};
  }
  return {};
}

#define DEFAULT range_of(type_)
#define DOTS_ATTRIBUTE(id, key, name, shape, type, unit, range, names, rfc)                                   \
  [] {                                                                                                        \
    [[maybe_unused]] constexpr ValueType type_ = ValueType::type;                                             \
    return Attribute{Key::id, name, Arity::shape, type_, unit, range, std::span<const EnumName>(names), rfc}; \
  }(),
constexpr Attribute kAttributes[] = {
#include "model/attributes.inc"
};
#undef DOTS_ATTRIBUTE
#undef DEFAULT

constexpr std::size_t kCount = std::size(kAttributes);
static_assert(kCount < 255);

// Keys lie in three dense ranges: 1..210 (RFC 9132, 9133, 9244), 32768..32781 (RFC 9066, 9362) and 54000..54007 (ours).
constexpr std::size_t kLowKeys = 256;
constexpr std::size_t kHighBase = 32768;
constexpr std::size_t kHighKeys = 64;
constexpr std::size_t kPrivateBase = 54000;
constexpr std::size_t kPrivateKeys = 32;

struct Index {
  std::array<std::uint8_t, kLowKeys> low{};  // position + 1, 0 = unassigned
  std::array<std::uint8_t, kHighKeys> high{};
  std::array<std::uint8_t, kPrivateKeys> own{};
  bool complete = true;
};

constexpr Index make_index() {
  Index index;
  for (std::size_t i = 0; i < kCount; ++i) {
    const auto key = static_cast<std::size_t>(kAttributes[i].key);
    const auto position = static_cast<std::uint8_t>(i + 1);
    if (key < kLowKeys) {
      index.low[key] = position;
    } else if (key >= kHighBase && key - kHighBase < kHighKeys) {
      index.high[key - kHighBase] = position;
    } else if (key >= kPrivateBase && key - kPrivateBase < kPrivateKeys) {
      index.own[key - kPrivateBase] = position;
    } else {
      index.complete = false;
    }
    if (i > 0 && kAttributes[i - 1].key >= kAttributes[i].key) index.complete = false;
  }
  return index;
}
constexpr Index kIndex = make_index();
static_assert(kIndex.complete, "rows ascend by key and lie in the ranges of the index");

std::string_view name_of(ValueType type) {
  switch (type) {
    case ValueType::container:
      return "container";
    case ValueType::string:
      return "string";
    case ValueType::leafref:
      return "leafref";
    case ValueType::ip_prefix:
      return "inet:ip-prefix";
    case ValueType::ip_address:
      return "inet:ip-address";
    case ValueType::domain_name:
      return "inet:domain-name";
    case ValueType::uri:
      return "inet:uri";
    case ValueType::port_number:
      return "inet:port-number";
    case ValueType::uint8:
      return "uint8";
    case ValueType::uint16:
      return "uint16";
    case ValueType::uint32:
      return "uint32";
    case ValueType::uint64:
      return "uint64";
    case ValueType::gauge64:
      return "yang:gauge64";
    case ValueType::counter64:
      return "yang:zero-based-counter64";
    case ValueType::enumeration:
      return "enumeration";
    case ValueType::boolean:
      return "boolean";
    case ValueType::decimal64:
      return "decimal64";
    case ValueType::lifetime:
      return "union";
  }
  return "";
}

std::string_view name_of(CborType type) {
  switch (type) {
    case CborType::unsigned_integer:
      return "unsigned integer";
    case CborType::unsigned_or_negative:
      return "unsigned integer or -1";
    case CborType::text:
      return "text string";
    case CborType::array:
      return "array";
    case CborType::map:
      return "map";
    case CborType::decimal:
      return "decimal fraction (tag 4)";
    case CborType::boolean:
      return "boolean";
  }
  return "";
}

}  // namespace

std::string_view Attribute::local_name() const {
  const std::size_t colon = name.find(':');
  return colon == std::string_view::npos ? name : name.substr(colon + 1);
}

std::string Attribute::yang_type() const {
  if (type == ValueType::container) return arity == Arity::many ? "list" : "container";
  return (arity == Arity::many ? "leaf-list " : "") + std::string(name_of(type));
}

CborType Attribute::cbor_type_of_value() const {
  switch (type) {
    case ValueType::container:
      return CborType::map;
    case ValueType::string:
    case ValueType::leafref:
    case ValueType::ip_prefix:
    case ValueType::ip_address:
    case ValueType::domain_name:
    case ValueType::uri:
      return CborType::text;
    case ValueType::boolean:
      return CborType::boolean;
    case ValueType::decimal64:
      return CborType::decimal;
    case ValueType::lifetime:
      return CborType::unsigned_or_negative;
    default:
      return CborType::unsigned_integer;
  }
}

JsonType Attribute::json_type_of_value() const {
  if (key == Key::retry_timer) return JsonType::string;  // RFC 9132 Table 5 against RFC 7951 6.1
  switch (type) {
    case ValueType::container:
      return JsonType::object;
    case ValueType::boolean:
      return JsonType::boolean;
    case ValueType::port_number:
    case ValueType::uint8:
    case ValueType::uint16:
    case ValueType::uint32:
    case ValueType::lifetime:
      return JsonType::number;
    default:
      return JsonType::string;
  }
}

std::span<const Attribute> attributes() { return kAttributes; }

const Attribute* find_attribute(std::uint64_t key) {
  std::uint8_t position = 0;
  if (key < kLowKeys) {
    position = kIndex.low[key];
  } else if (key >= kHighBase && key - kHighBase < kHighKeys) {
    position = kIndex.high[key - kHighBase];
  } else if (key >= kPrivateBase && key - kPrivateBase < kPrivateKeys) {
    position = kIndex.own[key - kPrivateBase];
  }
  return position == 0 ? nullptr : &kAttributes[position - 1];
}

const Attribute& attribute(Key key) {
  const Attribute* found = find_attribute(static_cast<std::uint64_t>(key));
  assert(found != nullptr);
  return *found;
}

const Attribute* find_attribute(std::string_view name) {
  const auto* const found = std::find_if(std::begin(kAttributes), std::end(kAttributes),
                                         [name](const Attribute& a) { return a.name == name; });
  return found == std::end(kAttributes) ? nullptr : found;
}

Comprehension comprehension_of(std::uint64_t key) {
  const bool required = key < 128 || (key >= 256 && key < 16384);
  return required ? Comprehension::required : Comprehension::optional;
}

std::optional<std::string_view> enum_name(const Attribute& attribute, std::uint64_t code) {
  for (const EnumName& entry : attribute.names) {
    if (entry.code == code) return entry.name;
  }
  return std::nullopt;
}

std::optional<std::uint32_t> enum_code(const Attribute& attribute, std::string_view name) {
  for (const EnumName& entry : attribute.names) {
    if (entry.name == name) return entry.code;
  }
  return std::nullopt;
}

std::string describe_cbor(const Attribute& attribute) {
  const std::string value(name_of(attribute.cbor_type_of_value()));
  return attribute.arity == Arity::many ? "array of " + value : value;
}

std::string_view to_string(Comprehension comprehension) {
  return comprehension == Comprehension::required ? "comprehension-required" : "comprehension-optional";
}

}  // namespace dots::model
