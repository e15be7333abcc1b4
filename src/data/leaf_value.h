// Values of leaves: JSON (RFC 7951) and URI keys -> canonical text, and back.
#pragma once

#include <string>
#include <string_view>

#include "data/fault.h"
#include "data/tree.h"
#include "wire/json_text.h"
#include "wire/json_value.h"

namespace dots::data {

// In front of an identity in RFC 7951's form.
inline constexpr std::string_view kAclModule = "ietf-access-control-list:";

// The canonical text of a leaf's value, checked against type, range and names. The error says what it must be.
base::Result<std::string> leaf_from_json(const Node& leaf, const wire::JsonValue& value);
// The same for a key in a path.
base::Result<std::string> leaf_from_text(const Node& leaf, const std::string& text);
// REQUIRES: canonical text of this leaf.
void leaf_to_json(const Node& leaf, const std::string& text, wire::JsonText& out);

// The bits that are set, by their positions. REQUIRES: canonical text of a leaf of bits.
std::uint16_t bits_of(const Node& leaf, std::string_view text);
// Digits -> number. REQUIRES: canonical text of a number without sign.
std::uint64_t number_of(std::string_view digits);
// "20.50" -> 2050. REQUIRES: canonical text of a decimal64.
std::uint64_t hundredths_of(std::string_view decimal);
// REQUIRES: canonical text of a binary leaf.
std::string octets_of(std::string_view base64);

}  // namespace dots::data
