#include "policy/prefix_split.h"

#include <algorithm>

namespace dots::policy {

using model::Prefix;

std::vector<Prefix> outermost(const std::vector<Prefix>& prefixes) {
  std::vector<Prefix> sorted;
  sorted.reserve(prefixes.size());
  for (const Prefix& prefix : prefixes) sorted.push_back(prefix.masked());
  std::sort(sorted.begin(), sorted.end());
  std::vector<Prefix> out;
  for (const Prefix& prefix : sorted) {
    // In this order everything inside a prefix follows it directly.
    if (out.empty() || !out.back().contains(prefix)) out.push_back(prefix);
  }
  return out;
}

namespace {

// The half of `prefix` whose next bit is `bit`.
Prefix half(const Prefix& prefix, bool bit) {
  Prefix out = prefix.masked();
  if (bit) {
    const std::size_t at = prefix.length;
    out.address.bytes[at / 8] = static_cast<std::uint8_t>(out.address.bytes[at / 8] | (0x80 >> (at % 8)));
  }
  ++out.length;
  return out;
}

bool cut(const Prefix& prefix, const std::vector<Prefix>& holes, std::size_t most, std::vector<Prefix>& out) {
  std::vector<Prefix> inside;
  for (const Prefix& hole : holes) {
    if (hole.contains(prefix)) return true;
    if (prefix.contains(hole)) inside.push_back(hole);
  }
  if (inside.empty()) {
    if (out.size() >= most) return false;
    out.push_back(prefix);
    return true;
  }
  return cut(half(prefix, false), inside, most, out) && cut(half(prefix, true), inside, most, out);
}

}  // namespace

std::optional<std::vector<Prefix>> without(const Prefix& prefix, const std::vector<Prefix>& holes, std::size_t most) {
  std::vector<Prefix> out;
  if (!cut(prefix.masked(), holes, most, out)) return std::nullopt;
  return out;
}

}  // namespace dots::policy
