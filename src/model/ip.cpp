#include "model/ip.h"

#include <algorithm>
#include <cstddef>
#include <span>

namespace dots::model {
namespace {

using base::Error;
using base::Result;

constexpr std::size_t kLongestAddressText = 45;  // eight groups, the last two as a dotted quad

Error not_an_address(std::string_view text) {
  return {"'" + std::string(text.substr(0, 64)) + "' is not an IPv4 or IPv6 address"};
}

// A decimal number without sign and leading zeros that ends at `stop` or at the end of the text.
std::optional<unsigned> take_decimal(std::string_view& text, unsigned max) {
  std::size_t digits = 0;
  unsigned value = 0;
  while (digits < text.size() && text[digits] >= '0' && text[digits] <= '9') {
    value = value * 10 + static_cast<unsigned>(text[digits] - '0');
    if (value > max || ++digits > 3) return std::nullopt;
  }
  if (digits == 0 || (digits > 1 && text[0] == '0')) return std::nullopt;
  text.remove_prefix(digits);
  return value;
}

bool parse_quad(std::string_view text, std::span<std::uint8_t, 4> out) {
  for (std::size_t i = 0; i < 4; ++i) {
    if (i > 0) {
      if (!text.starts_with('.')) return false;
      text.remove_prefix(1);
    }
    const auto octet = take_decimal(text, 255);
    if (!octet) return false;
    out[i] = static_cast<std::uint8_t>(*octet);
  }
  return text.empty();
}

constexpr auto kHexDigits = [] {
  std::array<std::int8_t, 256> table{};
  table.fill(-1);
  for (int i = 0; i < 10; ++i) table[static_cast<std::size_t>('0' + i)] = static_cast<std::int8_t>(i);
  for (int i = 0; i < 6; ++i) {
    table[static_cast<std::size_t>('a' + i)] = static_cast<std::int8_t>(10 + i);
    table[static_cast<std::size_t>('A' + i)] = static_cast<std::int8_t>(10 + i);
  }
  return table;
}();
int hex_digit(char c) { return kHexDigits[static_cast<unsigned char>(c)]; }

// RFC 4291 section 2.2, all three forms, in one pass.
bool parse_groups(std::string_view text, std::array<std::uint8_t, 16>& out) {
  std::array<std::uint8_t, 16> bytes{};  // groups as they come; those after "::" move to the end afterwards
  std::size_t filled = 0;
  std::optional<std::size_t> gap;  // where "::" stood
  std::size_t at = 0;
  if (text.starts_with("::")) {
    gap = 0;
    at = 2;
  }
  while (at < text.size()) {
    if (filled == 16) return false;
    const std::size_t start = at;
    unsigned value = 0;
    for (; at < text.size(); ++at) {
      const int digit = hex_digit(text[at]);
      if (digit < 0) break;
      value = value << 4 | static_cast<unsigned>(digit);
    }
    if (at == start) return false;
    if (at < text.size() && text[at] == '.') {
      if (filled > 12) return false;
      if (!parse_quad(text.substr(start), std::span<std::uint8_t, 4>{bytes.data() + filled, 4})) return false;
      filled += 4;
      break;
    }
    if (at - start > 4) return false;
    bytes[filled++] = static_cast<std::uint8_t>(value >> 8);
    bytes[filled++] = static_cast<std::uint8_t>(value & 0xff);
    if (at == text.size()) break;
    if (text[at++] != ':' || at == text.size()) return false;  // also a single colon at the end
    if (text[at] == ':') {
      if (gap) return false;
      gap = filled;
      ++at;
    }
  }
  if (!gap) {
    out = bytes;
    return filled == 16;
  }
  if (filled > 14) return false;  // "::" stands for at least one group
  out = {};
  const auto middle = bytes.begin() + static_cast<std::ptrdiff_t>(*gap);
  std::copy(bytes.begin(), middle, out.begin());
  std::copy_backward(middle, bytes.begin() + static_cast<std::ptrdiff_t>(filled), out.end());
  return true;
}

void append_quad(std::string& out, const std::uint8_t* octets) {
  for (int i = 0; i < 4; ++i) {
    if (i > 0) out += '.';
    out += std::to_string(octets[i]);
  }
}

unsigned group_at(const IpAddress& address, int group) {
  const auto at = static_cast<std::size_t>(group) * 2;
  return static_cast<unsigned>(address.bytes[at]) << 8 | address.bytes[at + 1];
}

bool is_ipv4_mapped(const IpAddress& address) {
  return address.family == Family::ipv6 &&
         std::all_of(address.bytes.begin(), address.bytes.begin() + 10, [](std::uint8_t b) { return b == 0; }) &&
         address.bytes[10] == 0xff && address.bytes[11] == 0xff;
}

void append_group(std::string& out, unsigned value) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  bool started = false;
  for (int shift = 12; shift >= 0; shift -= 4) {
    const unsigned digit = value >> shift & 0xf;
    started = started || digit != 0 || shift == 0;
    if (started) out += kDigits[digit];
  }
}

bool same_bits(const IpAddress& a, const IpAddress& b, int count) {
  const auto whole = static_cast<std::ptrdiff_t>(count / 8);
  if (!std::equal(a.bytes.begin(), a.bytes.begin() + whole, b.bytes.begin())) return false;
  if (count % 8 == 0) return true;
  const int shift = 8 - count % 8;
  const auto at = static_cast<std::size_t>(whole);
  return a.bytes[at] >> shift == b.bytes[at] >> shift;
}

struct Forbidden {
  Prefix prefix;
  std::string_view kind;
};

Prefix v4(std::uint8_t a, std::uint8_t b, std::uint8_t c, std::uint8_t d, std::uint8_t length) {
  return {IpAddress{Family::ipv4, {a, b, c, d}}, length};
}

}  // namespace

Result<IpAddress> parse_ip_address(std::string_view text) {
  if (text.empty() || text.size() > kLongestAddressText) return not_an_address(text);
  IpAddress address;
  if (text.find(':') == std::string_view::npos) {
    if (!parse_quad(text, std::span<std::uint8_t, 4>{address.bytes.data(), 4})) return not_an_address(text);
    return address;
  }
  address.family = Family::ipv6;
  if (!parse_groups(text, address.bytes)) return not_an_address(text);
  return address;
}

// RFC 5952: the longest run of two or more zero groups is "::", the first of equals; IPv4-mapped ends in a dotted quad.
std::string to_string(const IpAddress& address) {
  std::string out;
  out.reserve(kLongestAddressText);
  if (address.family == Family::ipv4) {
    append_quad(out, address.bytes.data());
    return out;
  }
  if (is_ipv4_mapped(address)) {
    out = "::ffff:";
    append_quad(out, address.bytes.data() + 12);
    return out;
  }
  int best = -1;
  int best_length = 1;
  for (int i = 0; i < 8;) {
    int end = i;
    while (end < 8 && group_at(address, end) == 0) ++end;
    if (end - i > best_length) {
      best = i;
      best_length = end - i;
    }
    i = end + 1;
  }
  for (int i = 0; i < 8;) {
    if (i == best) {
      out += "::";
      i += best_length;
      continue;
    }
    if (!out.empty() && out.back() != ':') out += ':';
    append_group(out, group_at(address, i));
    ++i;
  }
  return out;
}

Prefix Prefix::masked() const {
  Prefix result = *this;
  for (int bit = length; bit < address.width();) {
    auto& byte = result.address.bytes[static_cast<std::size_t>(bit) / 8];
    byte = static_cast<std::uint8_t>(bit % 8 == 0 ? 0 : byte & 0xff << (8 - bit % 8));
    bit += 8 - bit % 8;
  }
  return result;
}

bool Prefix::contains(const IpAddress& other) const {
  return other.family == address.family && same_bits(address, other, length);
}

bool Prefix::contains(const Prefix& other) const { return other.length >= length && contains(other.address); }

Result<Prefix> parse_prefix(std::string_view text) {
  const std::size_t slash = text.find('/');
  if (slash == std::string_view::npos) {
    return Error{"'" + std::string(text.substr(0, 64)) + "' is not a prefix: write address/length"};
  }
  auto address = parse_ip_address(text.substr(0, slash));
  if (!address) return address.error();
  std::string_view digits = text.substr(slash + 1);
  const auto length = take_decimal(digits, static_cast<unsigned>(address->width()));
  if (!length || !digits.empty()) {
    return Error{"'" + std::string(text.substr(0, 64)) + "' is not a prefix: the length is a number from 0 to " +
                 std::to_string(address->width())};
  }
  return Prefix{*address, static_cast<std::uint8_t>(*length)};
}

std::string to_string(const Prefix& prefix) { return to_string(prefix.address) + "/" + std::to_string(prefix.length); }

Prefix host_prefix(const IpAddress& address) { return {address, static_cast<std::uint8_t>(address.width())}; }

std::optional<std::string> forbidden_target(const Prefix& prefix) {
  static const std::array<Forbidden, 8> kForbidden = {{
      {v4(0, 0, 0, 0, 8), "unspecified"},
      {v4(127, 0, 0, 0, 8), "loopback"},
      {v4(224, 0, 0, 0, 4), "multicast"},
      {v4(255, 255, 255, 255, 32), "broadcast"},
      {{IpAddress{Family::ipv6, {}}, 128}, "unspecified"},
      {{IpAddress{Family::ipv6, {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}}, 128}, "loopback"},
      {{IpAddress{Family::ipv6, {0xff}}, 8}, "multicast"},
      // IPv4-mapped addresses never appear on a wire; a rule for them would protect nobody.
      {{IpAddress{Family::ipv6, {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff}}, 96}, "IPv4-mapped"},
  }};
  for (const auto& [space, kind] : kForbidden) {
    if (space.address.family != prefix.address.family || !space.overlaps(prefix)) continue;
    const std::string which = std::string(kind) + " space (" + to_string(space) + ")";
    return to_string(prefix) + (space.contains(prefix) ? " is " : " covers ") + which;
  }
  return std::nullopt;
}

}  // namespace dots::model
