#include "model/text.h"

#include <cstdint>

namespace dots::model {
namespace {

bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool is_digit(char c) { return c >= '0' && c <= '9'; }

// `controls`: whether C0, C1 and DEL are allowed.
bool scan(std::string_view text, bool controls) {
  for (std::size_t i = 0; i < text.size();) {
    const auto lead = static_cast<unsigned char>(text[i]);
    if (lead - 0x20U < 0x5fU || (controls && lead < 0x80)) {
      ++i;
      continue;
    }
    if (lead < 0x80) return false;
    if (lead < 0xc2 || lead > 0xf4) return false;
    const std::size_t more = lead < 0xe0 ? 1 : lead < 0xf0 ? 2 : 3;
    if (text.size() - i <= more) return false;
    std::uint32_t point = lead & (0x3fU >> more);
    for (std::size_t k = 1; k <= more; ++k) {
      const auto next = static_cast<unsigned char>(text[i + k]);
      if ((next & 0xc0) != 0x80) return false;
      point = point << 6 | (next & 0x3fU);
    }
    if ((more == 2 && point < 0x800) || (more == 3 && (point < 0x10000 || point > 0x10ffff))) return false;
    if (point >= 0xd800 && point < 0xe000) return false;
    if (!controls && point < 0xa0) return false;
    i += more + 1;
  }
  return true;
}

}  // namespace

bool is_utf8(std::string_view text) { return scan(text, true); }
bool is_plain_text(std::string_view text) { return scan(text, false); }

bool is_domain_name(std::string_view text) {
  if (text.ends_with('.')) text.remove_suffix(1);
  if (text.empty() || text.size() > 253) return false;
  std::size_t label = 0;
  char last = '.';
  for (const char c : text) {
    if (c == '.') {
      if (label == 0 || last == '-') return false;
      label = 0;
    } else {
      if (!is_letter(c) && !is_digit(c) && c != '-' && c != '_') return false;
      if (label == 0 && c == '-') return false;
      if (++label > 63) return false;
    }
    last = c;
  }
  return label > 0 && last != '-';
}

bool is_uri(std::string_view text) {
  const std::size_t colon = text.find(':');
  if (colon == std::string_view::npos || colon == 0 || colon + 1 == text.size() || !is_letter(text[0])) return false;
  for (const char c : text.substr(0, colon)) {
    if (!is_letter(c) && !is_digit(c) && c != '+' && c != '-' && c != '.') return false;
  }
  for (const char c : text.substr(colon + 1)) {
    if (c <= ' ' || c >= 0x7f) return false;
    if (std::string_view("<>\"{}|\\^`").find(c) != std::string_view::npos) return false;
  }
  return true;
}

std::string_view clip(std::string_view text, std::size_t bytes) {
  if (text.size() <= bytes) return text;
  while (bytes > 0 && (static_cast<unsigned char>(text[bytes]) & 0xc0) == 0x80) --bytes;
  return text.substr(0, bytes);
}

}  // namespace dots::model
