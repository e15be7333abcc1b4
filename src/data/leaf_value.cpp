#include "data/leaf_value.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>

#include "model/ip.h"
#include "model/text.h"

namespace dots::data {
namespace {

using base::Error;
using wire::JsonValue;
using Text = base::Result<std::string>;

constexpr std::string_view kBase64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

std::string list_names(std::span<const Named> names) {
  std::string out;
  for (const Named& named : names) out += (out.empty() ? "" : ", ") + std::string(named.name);
  return out;
}

const Named* find_name(std::span<const Named> names, std::string_view name) {
  const auto found = std::find_if(names.begin(), names.end(), [&](const Named& n) { return n.name == name; });
  return found == names.end() ? nullptr : &*found;
}

std::uint64_t type_max(LeafType type) {
  switch (type) {
    case LeafType::uint8:
      return UINT8_MAX;
    case LeafType::uint16:
      return UINT16_MAX;
    case LeafType::uint32:
      return UINT32_MAX;
    case LeafType::int32:
      return INT32_MAX;
    default:
      return UINT64_MAX;
  }
}

std::size_t characters_in(std::string_view utf8) {
  return static_cast<std::size_t>(
      std::count_if(utf8.begin(), utf8.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xc0U) != 0x80U; }));
}

std::optional<std::uint64_t> parse_digits(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || failure != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

Text number(const Node& leaf, std::uint64_t value) {
  const std::uint64_t most = leaf.max != 0 ? leaf.max : type_max(leaf.type);
  if (value >= leaf.min && value <= most) return std::to_string(value);
  return Error{"must be " + std::to_string(leaf.min) + " to " + std::to_string(most)};
}

// "20", "20.5", "20.00"; canonical with two fraction digits, as RFC 8783 writes them.
Text decimal(std::string_view text) {
  const Error wrong{"must be a string with a decimal of at most two fraction digits"};
  const std::size_t dot = text.find('.');
  const auto whole = parse_digits(text.substr(0, dot));
  if (!whole || *whole > UINT64_MAX / 100 - 1) return wrong;
  std::string fraction = dot == std::string_view::npos ? "0" : std::string(text.substr(dot + 1));
  if (fraction.empty() || fraction.size() > 2 || !parse_digits(fraction)) return wrong;
  fraction.resize(2, '0');
  return std::to_string(*whole) + "." + fraction;
}

Text bits(const Node& leaf, std::string_view text) {
  std::vector<const Named*> set;
  for (std::size_t at = 0; at < text.size();) {
    if (text[at] == ' ') {
      ++at;
      continue;
    }
    const std::string_view name = text.substr(at, text.find(' ', at) - at);
    const Named* bit = find_name(leaf.names, name);
    if (bit == nullptr) return Error{"must be names out of " + list_names(leaf.names) + ", separated by spaces"};
    if (std::find(set.begin(), set.end(), bit) != set.end()) return Error{"names a bit twice"};
    set.push_back(bit);
    at += name.size();
  }
  std::sort(set.begin(), set.end(), [](const Named* a, const Named* b) { return a->number < b->number; });
  std::string out;
  for (const Named* bit : set) out += (out.empty() ? "" : " ") + std::string(bit->name);
  return out;
}

Text prefix(const Node& leaf, std::string_view text) {
  const auto parsed = model::parse_prefix(text);
  if (!parsed) return Error{"must be a prefix with its length: " + parsed.error().message};
  const bool wrong_family = (leaf.type == LeafType::ipv4_prefix && parsed->address.family != model::Family::ipv4) ||
                            (leaf.type == LeafType::ipv6_prefix && parsed->address.family != model::Family::ipv6);
  if (wrong_family) return Error{"must be a prefix of the other family"};
  return model::to_string(parsed->masked());
}

std::optional<std::string> decode_base64(std::string_view text) {
  if (text.size() % 4 != 0) return std::nullopt;
  std::string out;
  for (std::size_t at = 0; at < text.size(); at += 4) {
    const bool last = at + 4 == text.size();
    std::size_t padding = 0;
    if (last && text[at + 3] == '=') padding = text[at + 2] == '=' ? 2 : 1;
    std::uint32_t group = 0;
    for (std::size_t i = 0; i < 4; ++i) {
      const std::size_t digit = i >= 4 - padding ? 0 : kBase64.find(text[at + i]);
      if (digit == std::string_view::npos) return std::nullopt;
      group = group << 6U | static_cast<std::uint32_t>(digit);
    }
    for (std::size_t i = 0; i < 3 - padding; ++i) out += static_cast<char>(group >> (16 - 8 * i) & 0xffU);
    if ((group & ((1U << (8 * padding)) - 1)) != 0) return std::nullopt;  // stray bits: not canonical
  }
  return out;
}

Text text_of(const Node& leaf, const std::string& text) {
  switch (leaf.type) {
    case LeafType::string: {
      if (!model::is_plain_text(text)) return Error{"must be text without control characters"};
      const std::size_t length = characters_in(text);
      if (length < leaf.min || (leaf.max != 0 && length > leaf.max)) {
        return Error{"must have " + std::to_string(leaf.min) + " to " + std::to_string(leaf.max) + " characters"};
      }
      return text;
    }
    case LeafType::domain_name:
      if (text.size() > leaf.max || !model::is_domain_name(text)) return Error{"must be a domain name"};
      return text;
    case LeafType::uri:
      if (text.size() > leaf.max || !model::is_uri(text)) return Error{"must be a URI"};
      return text;
    case LeafType::ip_prefix:
    case LeafType::ipv4_prefix:
    case LeafType::ipv6_prefix:
      return prefix(leaf, text);
    case LeafType::enumeration:
      if (find_name(leaf.names, text) == nullptr) return Error{"must be one of " + list_names(leaf.names)};
      return text;
    case LeafType::identity: {
      // RFC 8783 writes identities bare, RFC 7951 wants their module (open point A8783-02): both are taken.
      std::string_view bare = text;
      if (bare.substr(0, kAclModule.size()) == kAclModule) bare.remove_prefix(kAclModule.size());
      if (find_name(leaf.names, bare) == nullptr) return Error{"must be one of " + list_names(leaf.names)};
      return std::string(bare);
    }
    case LeafType::bits:
      return bits(leaf, text);
    case LeafType::decimal64:
      return decimal(text);
    case LeafType::binary: {
      const auto octets = decode_base64(text);
      if (!octets || octets->size() < leaf.min || octets->size() > leaf.max) {
        return Error{"must be base64 of " + std::to_string(leaf.min) + " to " + std::to_string(leaf.max) + " octets"};
      }
      return text;
    }
    case LeafType::counter64: {
      const auto value = parse_digits(text);
      if (!value) return Error{"must be a string with a number"};
      return number(leaf, *value);
    }
    default:
      return Error{leaf.type == LeafType::boolean ? "must be true or false" : "must be a number"};
  }
}

bool is_number(LeafType type) {
  return type == LeafType::uint8 || type == LeafType::uint16 || type == LeafType::uint32 || type == LeafType::int32;
}

}  // namespace

Text leaf_from_json(const Node& leaf, const JsonValue& value) {
  switch (value.kind) {
    case JsonValue::Kind::string:
      return text_of(leaf, value.text);
    case JsonValue::Kind::integer:
      if (is_number(leaf.type)) return number(leaf, value.number);
      break;
    case JsonValue::Kind::boolean:
      if (leaf.type == LeafType::boolean) return std::string(value.number != 0 ? "true" : "false");
      break;
    default:
      break;
  }
  if (is_number(leaf.type))
    return Error{"must be a number " + std::to_string(leaf.min) + " to " +
                 std::to_string(leaf.max != 0 ? leaf.max : type_max(leaf.type))};
  return Error{leaf.type == LeafType::boolean ? "must be true or false" : "must be a string"};
}

Text leaf_from_text(const Node& leaf, const std::string& text) {
  if (!is_number(leaf.type)) return text_of(leaf, text);
  const auto value = parse_digits(text);
  if (!value) return Error{"must be a number"};
  return number(leaf, *value);
}

void leaf_to_json(const Node& leaf, const std::string& text, wire::JsonText& out) {
  if (is_number(leaf.type) || leaf.type == LeafType::boolean) return out.raw(text);
  out.string(text);
}

std::uint16_t bits_of(const Node& leaf, std::string_view text) {
  std::uint16_t bits = 0;
  for (const Named& named : leaf.names) {
    for (std::size_t at = text.find(named.name); at != std::string_view::npos; at = text.find(named.name, at + 1)) {
      const std::size_t end = at + named.name.size();
      const bool whole = (at == 0 || text[at - 1] == ' ') && (end == text.size() || text[end] == ' ');
      if (whole) bits = static_cast<std::uint16_t>(bits | 1U << named.number);
    }
  }
  return bits;
}

std::uint64_t number_of(std::string_view digits) { return parse_digits(digits).value_or(0); }

std::uint64_t hundredths_of(std::string_view decimal) {
  const std::size_t dot = decimal.find('.');
  return number_of(decimal.substr(0, dot)) * 100 + number_of(decimal.substr(dot + 1));
}

std::string octets_of(std::string_view base64) { return decode_base64(base64).value_or(std::string{}); }

}  // namespace dots::data
