#include "adapters/mitigators/gobgp/marks.h"

#include <map>

namespace dots::adapters::mitigators::gobgp {

namespace {

// The third number of a community of ours: 4 bits say what the other 28 are.
enum class Tag : std::uint8_t {
  action = 1,
  rate_high = 2,
  rate_low = 3,
  profile = 4,
  digest = 5,  // five of them: seven hex digits each, the last four
  key_high = 10,
  key_low = 11,
  routes = 12,
};
constexpr int kDigestParts = 5;
constexpr std::uint32_t kValue = 0x0fffffff;
constexpr std::size_t kDigestDigits = 32;

// Seven hex digits are 28 bits.
std::optional<std::uint32_t> hex_value(const std::string& digits) {
  std::uint32_t out = 0;
  for (const char c : digits) {
    const int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
    if (digit < 0) return std::nullopt;
    out = out << 4 | static_cast<std::uint32_t>(digit);
  }
  return out;
}
std::string hex_text(std::uint32_t value, std::size_t digits) {
  std::string out(digits, '0');
  for (std::size_t i = 0; i < digits; ++i) out[digits - 1 - i] = "0123456789abcdef"[value >> (4 * i) & 15];
  return out;
}

}  // namespace

std::vector<LargeCommunity> write(const Marker& marker, const Marks& marks) {
  std::vector<LargeCommunity> out;
  const auto put = [&](int tag, std::uint64_t value) {
    out.push_back({marker.global, marker.first,
                   static_cast<std::uint32_t>(tag) << 28 | (static_cast<std::uint32_t>(value) & kValue)});
  };
  put(static_cast<int>(Tag::action), static_cast<std::uint64_t>(marks.action));
  if (marks.action == model::RuleAction::limit) {
    put(static_cast<int>(Tag::rate_high), marks.rate_limit_bps >> 28);
    put(static_cast<int>(Tag::rate_low), marks.rate_limit_bps);
  }
  put(static_cast<int>(Tag::profile), marks.profile);
  if (!marks.list) return out;
  for (int part = 0; part < kDigestParts; ++part) {
    put(static_cast<int>(Tag::digest) + part,
        hex_value(marks.list->digest.substr(static_cast<std::size_t>(part) * 7, 7)).value_or(0));
  }
  put(static_cast<int>(Tag::key_high), marks.list->key >> 28);
  put(static_cast<int>(Tag::key_low), marks.list->key);
  put(static_cast<int>(Tag::routes), marks.list->routes);
  return out;
}

bool is_marked(const Marker& marker, const std::vector<LargeCommunity>& communities) {
  for (const LargeCommunity& one : communities) {
    if (one.global == marker.global && one.first == marker.first) return true;
  }
  return false;
}

std::optional<Marks> read(const Marker& marker, const std::vector<LargeCommunity>& communities) {
  std::map<int, std::uint32_t> values;
  for (const LargeCommunity& one : communities) {
    if (one.global != marker.global || one.first != marker.first) continue;
    if (!values.emplace(static_cast<int>(one.second >> 28), one.second & kValue).second) return std::nullopt;
  }
  const auto value = [&](int tag) -> std::uint64_t {
    const auto found = values.find(tag);
    return found == values.end() ? 0 : found->second;
  };
  Marks marks;
  if (value(static_cast<int>(Tag::action)) > static_cast<std::uint64_t>(model::RuleAction::blackhole))
    return std::nullopt;
  marks.action = static_cast<model::RuleAction>(value(static_cast<int>(Tag::action)));
  marks.rate_limit_bps = value(static_cast<int>(Tag::rate_high)) << 28 | value(static_cast<int>(Tag::rate_low));
  marks.profile = static_cast<std::uint32_t>(value(static_cast<int>(Tag::profile)));
  if (values.contains(static_cast<int>(Tag::key_low))) {
    Marks::OfList list;
    list.key = value(static_cast<int>(Tag::key_high)) << 28 | value(static_cast<int>(Tag::key_low));
    list.routes = static_cast<std::uint32_t>(value(static_cast<int>(Tag::routes)));
    for (int part = 0; part < kDigestParts; ++part) {
      const std::size_t digits = part + 1 < kDigestParts ? 7 : kDigestDigits - 7 * (kDigestParts - 1);
      list.digest += hex_text(static_cast<std::uint32_t>(value(static_cast<int>(Tag::digest) + part)), digits);
    }
    marks.list = std::move(list);
  }
  // Whatever is not as we write it was written by somebody else.
  std::vector<LargeCommunity> ours;
  for (const LargeCommunity& one : write(marker, marks)) {
    if (const auto found = values.find(static_cast<int>(one.second >> 28));
        found == values.end() || found->second != (one.second & kValue)) {
      return std::nullopt;
    }
    ours.push_back(one);
  }
  if (ours.size() != values.size()) return std::nullopt;
  return marks;
}

std::uint64_t hash64(const std::string& text) {
  std::uint64_t hash = 14695981039346656037u;  // FNV-1a
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211u;
  return hash ^ hash >> 29;
}

std::uint64_t mark_of(const model::FilterListKey& key) {
  const auto part = [](const std::string& text) { return std::to_string(text.size()) + ":" + text; };
  // Clients choose cuid and name, and may build collisions: never with a list of another domain.
  return (hash64(key.domain.value) & kValue) << 28 | (hash64(part(key.cuid.value) + part(key.list)) & kValue);
}

std::uint32_t rule_identifier(const Marker& marker) {
  return static_cast<std::uint32_t>(
             hash64("rules " + std::to_string(marker.global) + ":" + std::to_string(marker.first))) |
         0x80000000;
}
std::uint32_t list_identifier(const Marker& marker, std::uint64_t key) {
  const auto hash = static_cast<std::uint32_t>(
      hash64("list " + std::to_string(marker.global) + ":" + std::to_string(marker.first) + " " + std::to_string(key)));
  return (hash & 0x3fffffff) | 0x40000000;
}

}  // namespace dots::adapters::mitigators::gobgp
