// The one table of facts about the attributes of the signal channel and its extensions: RFC 9132 Table 5, RFC 9133
// Table 1, RFC 9244 Table 3, RFC 9066 Table 1, RFC 9362 Table 2, and those of our own (docs/extensions.md). Everything
// else about a message - what stands where, and what is mandatory - is in model/shapes.h. attributes.inc holds the
// rows.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace dots::model {

// Bounds of the texts of our extensions, in bytes.
inline constexpr std::size_t kMaxExtensionName = 64;  // contract ids and names of services
inline constexpr std::size_t kMaxDiagnostic = 1024;

// CBOR map keys by their RFC names. Names that modules share are told apart by the module.
enum class Key : std::uint16_t {
  none = 0,
#define DOTS_ATTRIBUTE(id, key, name, shape, type, unit, range, names, rfc) id = key,
#include "model/attributes.inc"
#undef DOTS_ATTRIBUTE
};

// What the value of a leaf, or of one entry of a leaf-list, is in YANG; `container` has members instead.
enum class ValueType : std::uint8_t {
  container,
  string,
  leafref,
  ip_prefix,
  ip_address,
  domain_name,
  uri,
  port_number,
  uint8,
  uint16,
  uint32,
  uint64,
  gauge64,
  counter64,
  enumeration,
  boolean,
  decimal64,  // two fraction digits everywhere in DOTS
  lifetime,   // the union of uint32 and the int32 -1
};

// Shape of the node in the YANG tree: `many` is a list (of containers) or a leaf-list.
enum class Arity : std::uint8_t { one, many };

enum class CborType : std::uint8_t { unsigned_integer, unsigned_or_negative, text, array, map, decimal, boolean };
enum class JsonType : std::uint8_t { number, string, array, object, boolean };

// RFC 9132 section 10.6.1: what to do with an attribute that one does not know.
enum class Comprehension : std::uint8_t { required, optional };

struct EnumName {
  std::uint32_t code;
  std::string_view name;
};

// Lexical range: of the number; of the length in bytes for text; in hundredths for decimal64.
struct Range {
  std::uint64_t min = 0;
  std::uint64_t max = 0;
};

struct Attribute {
  Key key;
  std::string_view name;  // as the RFC's table spells it, with the module where the table has it
  Arity arity;
  ValueType type;
  std::string_view unit;
  Range range;
  std::span<const EnumName> names;  // of an enumeration
  std::uint16_t rfc;                // 0: an extension of ours

  std::uint16_t number() const { return static_cast<std::uint16_t>(key); }
  bool is_container() const { return type == ValueType::container && arity == Arity::one; }
  bool is_list() const { return type == ValueType::container && arity == Arity::many; }
  // The name without its module.
  std::string_view local_name() const;
  // "list", "leaf-list inet:ip-prefix", "uint32", ...
  std::string yang_type() const;
  CborType cbor_type() const { return arity == Arity::many ? CborType::array : cbor_type_of_value(); }
  JsonType json_type() const { return arity == Arity::many ? JsonType::array : json_type_of_value(); }
  // Of a leaf or of one entry.
  CborType cbor_type_of_value() const;
  JsonType json_type_of_value() const;
};

// All attributes, ascending by key.
std::span<const Attribute> attributes();
// Null when the key is not assigned.
const Attribute* find_attribute(std::uint64_t key);
// REQUIRES: key is one of the table (not Key::none).
const Attribute& attribute(Key key);
// By the name of the table ("ietf-dots-signal-channel:mitigation-scope"). A plain name that several keys share gives
// the first one of them.
const Attribute* find_attribute(std::string_view name);

// REQUIRES: 1 <= key <= 65535.
Comprehension comprehension_of(std::uint64_t key);

// The registered name of a code, or nothing.
std::optional<std::string_view> enum_name(const Attribute& attribute, std::uint64_t code);
std::optional<std::uint32_t> enum_code(const Attribute& attribute, std::string_view name);

// For people: "unsigned integer", "array of text", ...
std::string describe_cbor(const Attribute& attribute);
std::string_view to_string(Comprehension comprehension);

}  // namespace dots::model
