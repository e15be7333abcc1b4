// JSON text as a tree, for bodies whose grammar is not the table of attributes: strict and bounded.
//
// I-JSON (RFC 7493): no member twice, UTF-8 only. Numbers are what YANG needs: 64-bit integers; any other number keeps
// its kind, so that whoever reads it can refuse it by name.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace dots::wire {

struct JsonMember;

struct JsonValue {
  enum class Kind : std::uint8_t {
    null,
    boolean,           // number is 0 or 1
    integer,           // number
    negative_integer,  // value is -1 - number
    other_number,      // a fraction, an exponent, or more than 64 bits
    string,
    array,
    object,
  };

  Kind kind = Kind::null;
  std::uint64_t number = 0;
  std::string text;
  std::vector<JsonValue> entries;   // of an array
  std::vector<JsonMember> members;  // of an object, in the order of the text

  bool is_object() const { return kind == Kind::object; }
  bool is_array() const { return kind == Kind::array; }
  bool is_string() const { return kind == Kind::string; }
  const JsonValue* member(std::string_view name) const;
};

struct JsonMember {
  std::string name;
  JsonValue value;
};

struct JsonLimits {
  std::size_t bytes = std::size_t{4} << 20;
  std::size_t depth = 32;
  std::size_t values = 1000000;
  std::size_t string_bytes = 4096;
};

// The error says what is wrong and where.
base::Result<JsonValue> parse_json(std::string_view text, const JsonLimits& limits = {});

}  // namespace dots::wire
