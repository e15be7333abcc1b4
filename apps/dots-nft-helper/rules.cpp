// SPDX-License-Identifier: GPL-2.0-only
#include "rules.h"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <tuple>

namespace nfthelper {
namespace {

template <class T>
std::optional<T> number(std::string_view text) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || text.empty()) return std::nullopt;
  if (text.size() > 1 && text.front() == '0') return std::nullopt;
  return value;
}

}  // namespace

std::optional<Address> parse_address(std::string_view text) {
  const std::string copy(text);
  Address address;
  if (copy.size() != std::strlen(copy.c_str())) return std::nullopt;
  if (inet_pton(AF_INET, copy.c_str(), address.bytes.data()) == 1) return address;
  address.family = Family::v6;
  if (inet_pton(AF_INET6, copy.c_str(), address.bytes.data()) == 1) return address;
  return std::nullopt;
}

bool is_masked(const Prefix& prefix) {
  for (int i = prefix.length; i < width(prefix.address.family); ++i) {
    if ((prefix.address.bytes[static_cast<std::size_t>(i) / 8] >> (7 - i % 8) & 1) != 0) return false;
  }
  return true;
}

std::optional<Prefix> parse_prefix(std::string_view text) {
  const auto slash = text.find('/');
  if (slash == std::string_view::npos) return std::nullopt;
  const auto address = parse_address(text.substr(0, slash));
  const auto length = number<std::uint8_t>(text.substr(slash + 1));
  if (!address || !length || *length > width(address->family)) return std::nullopt;
  const Prefix prefix{*address, *length};
  if (!is_masked(prefix)) return std::nullopt;
  return prefix;
}

std::string to_string(const Address& address) {
  char text[INET6_ADDRSTRLEN] = {};
  inet_ntop(address.family == Family::v4 ? AF_INET : AF_INET6, address.bytes.data(), text, sizeof text);
  return text;
}
std::string to_string(const Prefix& prefix) { return to_string(prefix.address) + "/" + std::to_string(prefix.length); }

bool has_ports(std::uint8_t protocol) {
  return protocol == 6 || protocol == 17 || protocol == 33 || protocol == 132 || protocol == 136;
}

std::string to_string(const Rule& rule) {
  static constexpr const char* kNames[] = {"blackhole", "drop", "limit"};
  std::string text = std::string(kNames[static_cast<int>(rule.action)]) + " " + to_string(rule.match.target);
  if (rule.match.protocol) text += " protocol " + std::to_string(*rule.match.protocol);
  if (rule.match.ports) {
    text += " ports " + std::to_string(rule.match.ports->lower) + "-" + std::to_string(rule.match.ports->upper);
  }
  return text;
}

bool operator<(const SetName& a, const SetName& b) {
  const auto order = [](const SetName& s) { return std::tuple(s.family, s.kind, 255 - s.length, s.shape, s.layer); };
  return order(a) < order(b);
}

namespace {
constexpr const char* kKinds[] = {"exempt_in", "exempt_out", "exempt_local", "filter", "blackhole", "drop", "limit"};
constexpr const char* kShapes[] = {"port", "range", "proto", "any"};
}  // namespace

std::string to_string(const SetName& name) {
  std::string text = std::string("tw_") + kKinds[static_cast<int>(name.kind)];
  text += (name.family == Family::v4 ? "4_" : "6_") + std::to_string(name.length);
  if (name.holds_rules()) text += std::string("_") + kShapes[static_cast<int>(name.shape)];
  if (name.shape == SetName::Shape::range) text += std::to_string(name.layer);
  return text;
}

std::optional<SetName> parse_set_name(std::string_view text) {
  if (text.substr(0, 3) != "tw_") return std::nullopt;
  // The names are few: rebuild and compare, so that only our own spelling is ours.
  for (int kind = 0; kind < 7; ++kind) {
    const std::string start = std::string("tw_") + kKinds[kind];
    if (text.substr(0, start.size()) != start || text.size() < start.size() + 3) continue;
    SetName name;
    name.kind = static_cast<SetName::Kind>(kind);
    const char family = text[start.size()];
    if ((family != '4' && family != '6') || text[start.size() + 1] != '_') continue;
    name.family = family == '4' ? Family::v4 : Family::v6;
    std::string_view rest = text.substr(start.size() + 2);
    const auto underline = rest.find('_');
    const auto length = number<std::uint8_t>(rest.substr(0, underline));
    if (!length || *length > width(name.family)) return std::nullopt;
    name.length = *length;
    if (name.holds_rules()) {
      if (underline == std::string_view::npos) return std::nullopt;
      rest.remove_prefix(underline + 1);
      bool known = false;
      for (int shape = 0; shape < 4; ++shape) {
        if (rest.substr(0, std::strlen(kShapes[shape])) != kShapes[shape]) continue;
        name.shape = static_cast<SetName::Shape>(shape);
        rest.remove_prefix(std::strlen(kShapes[shape]));
        known = true;
        break;
      }
      if (known && name.shape == SetName::Shape::range) {
        const auto layer = number<std::uint8_t>(rest);
        if (!layer || *layer >= kMaxLayers) return std::nullopt;
        name.layer = *layer;
      }
      if (!known) return std::nullopt;
    }
    if (to_string(name) != text) return std::nullopt;
    return name;
  }
  return std::nullopt;
}

SetName filter_map(const Prefix& prefix) {
  SetName name;
  name.kind = SetName::Kind::filter;
  name.family = prefix.address.family;
  name.length = prefix.length;
  return name;
}

SetName set_of(const Rule& rule, std::uint8_t layer) {
  SetName name;
  name.kind = rule.action == Action::blackhole ? SetName::Kind::blackhole
              : rule.action == Action::drop    ? SetName::Kind::drop
                                               : SetName::Kind::limit;
  name.family = rule.match.target.address.family;
  name.length = rule.match.target.length;
  if (rule.match.ports) {
    const bool single = rule.match.ports->lower == rule.match.ports->upper;
    name.shape = single ? SetName::Shape::port : SetName::Shape::range;
    name.layer = single ? std::uint8_t{0} : layer;
  } else {
    name.shape = rule.match.protocol ? SetName::Shape::protocol : SetName::Shape::any;
  }
  return name;
}

namespace {

void put(Key& key, const Address& address) {
  key.insert(key.end(), address.bytes.begin(), address.bytes.begin() + static_cast<long>(bytes_of(address.family)));
}
void put(Key& key, std::uint8_t protocol) { key.insert(key.end(), {protocol, 0, 0, 0}); }
void put(Key& key, std::uint16_t port) {
  key.insert(key.end(), {static_cast<std::uint8_t>(port >> 8), static_cast<std::uint8_t>(port), 0, 0});
}
std::uint16_t port_at(const Key& key, std::size_t at) { return static_cast<std::uint16_t>(key[at] << 8 | key[at + 1]); }

}  // namespace

ElementKey key_of(const Match& match, const SetName& set) {
  ElementKey key;
  put(key.first, match.target.address);
  if (match.protocol) put(key.first, *match.protocol);
  if (match.ports) {
    if (set.shape == SetName::Shape::range) {
      key.last = key.first;
      put(key.last, match.ports->upper);
    }
    put(key.first, match.ports->lower);
  }
  return key;
}

std::optional<Match> match_of(const SetName& set, const ElementKey& key) {
  if (!set.holds_rules()) return std::nullopt;
  Match match;
  const std::size_t address = bytes_of(set.family);
  const std::size_t parts = set.shape == SetName::Shape::any ? 0 : set.shape == SetName::Shape::protocol ? 1 : 2;
  const bool range = set.shape == SetName::Shape::range;
  if (key.first.size() != address + 4 * parts || key.last.size() != (range ? key.first.size() : 0)) return std::nullopt;
  match.target.address.family = set.family;
  std::copy_n(key.first.begin(), address, match.target.address.bytes.begin());
  match.target.length = set.length;
  if (parts > 0) match.protocol = key.first[address];
  if (parts > 1) {
    const std::uint16_t lower = port_at(key.first, address + 4);
    match.ports = Ports{lower, range ? port_at(key.last, address + 4) : lower};
    if (!has_ports(*match.protocol) || (range && match.ports->upper <= lower)) return std::nullopt;
  }
  // The way back must lead to the same key, so that every bit of it is understood.
  if (!is_masked(match.target) || key_of(match, set) != key) return std::nullopt;
  return match;
}

std::vector<std::pair<SetName, ElementKey>> elements_of(const Exemption& exemption) {
  std::vector<std::pair<SetName, ElementKey>> out;
  const bool local = exemption.server == Address{exemption.server.family, {}};
  for (const auto kind : {SetName::Kind::exempt_in, SetName::Kind::exempt_out, SetName::Kind::exempt_local}) {
    if (local != (kind == SetName::Kind::exempt_local)) continue;
    for (const std::uint8_t protocol : {std::uint8_t{6}, std::uint8_t{17}}) {
      SetName set;
      set.kind = kind;
      set.family = exemption.peer.address.family;
      set.length = exemption.peer.length;
      ElementKey key;
      put(key.first, exemption.peer.address);
      if (!local) put(key.first, exemption.server);
      put(key.first, protocol);
      put(key.first, exemption.port);
      out.emplace_back(set, std::move(key));
    }
  }
  return out;
}

}  // namespace nfthelper
