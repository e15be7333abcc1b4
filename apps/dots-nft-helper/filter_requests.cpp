// SPDX-License-Identifier: GPL-2.0-only
#include "filter_requests.h"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <string_view>

namespace nfthelper {
namespace {

namespace json = boost::json;

constexpr std::size_t kMaxRestBytes = 64;

std::string text_of(const json::value& value) {
  const auto& text = value.as_string();
  return std::string(text.data(), text.size());
}

bool number(const json::value& value, std::uint64_t high, std::uint64_t& out) {
  const auto* found = value.if_int64();
  if (found == nullptr || *found < 0 || static_cast<std::uint64_t>(*found) > high) return false;
  out = static_cast<std::uint64_t>(*found);
  return true;
}
std::string bounds(const std::string& name, std::uint64_t high) {
  return name + " must be 0 to " + std::to_string(high);
}

bool parse_text(const json::value* value, std::string& out) {
  if (value == nullptr || !value->is_string() || value->as_string().size() > kMaxFilterNameBytes) return false;
  out = text_of(*value);
  return true;
}

bool parse_family(const json::value& value, std::optional<Family>& out) {
  std::uint64_t wanted = 0;
  if (!number(value, 6, wanted) || (wanted != 4 && wanted != 6)) return false;
  out = wanted == 4 ? Family::v4 : Family::v6;
  return true;
}

bool parse_prefix_value(const json::value& value, std::optional<Prefix>& out) {
  if (!value.is_string()) return false;
  out = parse_prefix(std::string_view(value.as_string().data(), value.as_string().size()));
  return out.has_value();
}

// [any, not, bits]
bool parse_bits(const json::value& value, std::uint64_t high, std::optional<Bits>& out) {
  const auto* row = value.if_array();
  std::uint64_t bits = 0;
  if (row == nullptr || row->size() != 3 || !(*row)[0].is_bool() || !(*row)[1].is_bool() ||
      !number((*row)[2], high, bits)) {
    return false;
  }
  out = Bits{(*row)[0].as_bool(), (*row)[1].as_bool(), static_cast<std::uint16_t>(bits)};
  return true;
}

// [lower, upper, not]
bool parse_ports(const json::value& value, std::optional<PortSpan>& out) {
  const auto* row = value.if_array();
  std::uint64_t lower = 0, upper = 0;
  if (row == nullptr || row->size() != 3 || !number((*row)[0], 65535, lower) || !number((*row)[1], 65535, upper) ||
      !(*row)[2].is_bool() || upper < lower) {
    return false;
  }
  out = PortSpan{{static_cast<std::uint16_t>(lower), static_cast<std::uint16_t>(upper)}, (*row)[2].as_bool()};
  return true;
}

bool parse_octets(const json::value& value, std::vector<std::uint8_t>& out) {
  if (!value.is_string()) return false;
  const std::string text = text_of(value);
  if (text.size() % 2 != 0 || text.size() > 2 * kMaxRestBytes) return false;
  for (std::size_t i = 0; i < text.size(); i += 2) {
    unsigned octet = 0;
    for (const char c : {text[i], text[i + 1]}) {
      if ((c < '0' || c > '9') && (c < 'a' || c > 'f')) return false;
      octet = octet << 4 | static_cast<unsigned>(c <= '9' ? c - '0' : c - 'a' + 10);
    }
    out.push_back(static_cast<std::uint8_t>(octet));
  }
  return true;
}

bool parse_transport(Transport transport, const json::value& value, FilterMatch& match, std::string& error) {
  const auto* object = value.if_object();
  if (object == nullptr) return error = "a transport header must be an object", false;
  if (match.transport != Transport::none) return error = "more than one transport header", false;
  match.transport = transport;
  for (const auto& [key, part] : *object) {
    const std::string name(key.data(), key.size());
    const bool has_ports = transport != Transport::icmp;
    if (has_ports && (name == "sport" || name == "dport")) {
      if (!parse_ports(part, name == "sport" ? match.source_port : match.destination_port)) {
        return error = name + " must be [lower, upper, not]", false;
      }
    } else if (transport == Transport::tcp && name == "bits") {
      if (!parse_bits(part, 0xfff, match.tcp_bits)) return error = "bits must be [any, not, 0 to 4095]", false;
    } else if (transport == Transport::icmp && name == "family") {
      if (!parse_family(part, match.icmp_family)) return error = "family must be 4 or 6", false;
    } else if (transport == Transport::icmp && name == "rest") {
      if (!parse_octets(part, match.icmp_rest)) {
        return error = "rest must be hexadecimal, at most " + std::to_string(kMaxRestBytes) + " octets", false;
      }
    } else if (const NumberField* field = transport_field(transport, name)) {
      std::uint64_t wanted = 0;
      if (!number(part, field->high, wanted)) return error = bounds(name, field->high), false;
      match.transport_numbers.push_back({field, wanted});
    } else {
      return error = "unknown field " + name, false;
    }
  }
  return true;
}

// One member of an entry that says what it matches.
bool parse_match(const std::string& name, const json::value& value, FilterMatch& match, std::string& error) {
  std::uint64_t wanted = 0;
  if (name == "family") return parse_family(value, match.family) || (error = "family must be 4 or 6", false);
  if (name == "src" || name == "dst") {
    return parse_prefix_value(value, name == "src" ? match.source : match.destination) ||
           (error = name + " is no prefix with zero host bits", false);
  }
  if (name == "protocol") {
    if (!number(value, 255, wanted)) return error = bounds(name, 255), false;
    match.protocol = static_cast<std::uint8_t>(wanted);
    return true;
  }
  if (name == "fragment") {
    return parse_bits(value, 15, match.fragment) || (error = "fragment must be [any, not, 0 to 15]", false);
  }
  if (name == "tcp") return parse_transport(Transport::tcp, value, match, error);
  if (name == "udp") return parse_transport(Transport::udp, value, match, error);
  if (name == "icmp") return parse_transport(Transport::icmp, value, match, error);
  const NumberField* field = network_field(name);
  if (field == nullptr) return error = "unknown field " + name, false;
  if (!number(value, field->high, wanted)) return error = bounds(name, field->high), false;
  match.numbers.push_back({field, wanted});
  return true;
}

bool parse_entry(const json::value& value, std::size_t destinations, FilterEntry& entry, std::string& error) {
  const auto* object = value.if_object();
  if (object == nullptr) return error = "an entry must be an object", false;
  if (!parse_text(object->if_contains("name"), entry.name)) {
    return error = "the name of an entry must be a text of at most " + std::to_string(kMaxFilterNameBytes) + " octets",
           false;
  }
  const auto* action = object->if_contains("do");
  const std::string what = action != nullptr && action->is_string() ? text_of(*action) : std::string();
  if (what != "accept" && what != "drop" && what != "limit") return error = "unknown action", false;
  entry.action = what == "accept" ? FilterAction::accept : what == "drop" ? FilterAction::drop : FilterAction::limit;
  const auto* to = object->if_contains("to");
  std::uint64_t index = 0;
  if (to == nullptr || destinations == 0 || !number(*to, destinations - 1, index)) {
    return error = "to must be the number of one of the list's destinations", false;
  }
  entry.to = index;
  const auto* rate = object->if_contains("rate");
  if ((rate != nullptr) != (entry.action == FilterAction::limit) ||
      (rate != nullptr && (!number(*rate, kMaxLimitBytesPerS, entry.bytes_per_s) || entry.bytes_per_s == 0))) {
    return error = "a limit must have a rate of 1 to " + std::to_string(kMaxLimitBytesPerS) +
                   " bytes/s, and other actions none",
           false;
  }
  for (const auto& [key, part] : *object) {
    const std::string name(key.data(), key.size());
    if (name == "name" || name == "do" || name == "to" || name == "rate") continue;
    if (!parse_match(name, part, entry.match, error)) return false;
  }
  return true;
}

bool parse_destinations(const json::value* value, FilterList& list, std::string& error) {
  const auto* rows = value == nullptr ? nullptr : value->if_array();
  if (rows == nullptr) return error = "to must be a list of lists of prefixes", false;
  for (const json::value& row : *rows) {
    const auto* prefixes = row.if_array();
    if (prefixes == nullptr || prefixes->empty()) return error = "destinations must be a list of prefixes", false;
    auto& out = list.destinations.emplace_back();
    for (const json::value& text : *prefixes) {
      std::optional<Prefix> prefix;
      if (!parse_prefix_value(text, prefix)) return error = "a destination is no prefix with zero host bits", false;
      out.push_back(*prefix);
    }
  }
  return true;
}

bool parse_list(const json::object& object, FilterList& list, std::string& error) {
  const auto* place = object.if_contains("place");
  const auto* digest = object.if_contains("digest");
  const auto* entries = object.if_contains("entries");
  std::uint64_t wanted = 0;
  if (place == nullptr || !number(*place, UINT32_MAX, wanted)) return error = bounds("place", UINT32_MAX), false;
  list.place = static_cast<std::uint32_t>(wanted);
  if (!parse_text(digest, list.digest) || list.digest.empty() || list.digest.size() > 128 ||
      list.digest.find_first_not_of("0123456789abcdef") != std::string::npos) {
    return error = "digest must be hexadecimal, at most 128 digits", false;
  }
  if (!parse_destinations(object.if_contains("to"), list, error)) return false;
  if (entries == nullptr || !entries->is_array()) return error = "entries must be a list", false;
  for (const json::value& value : entries->as_array()) {
    FilterEntry entry;
    if (!parse_entry(value, list.destinations.size(), entry, error)) {
      error = "entry '" + entry.name + "': " + error;
      return false;
    }
    list.entries.push_back(std::move(entry));
  }
  return true;
}

}  // namespace

bool parse_filter_changes(const json::value* value, std::vector<FilterChange>& out, std::string& error) {
  const auto* rows = value == nullptr ? nullptr : value->if_array();
  if (rows == nullptr) return error = "changes must be a list", false;
  if (rows->size() > kMaxFilterChanges)
    return error = "more than " + std::to_string(kMaxFilterChanges) + " changes", false;
  std::size_t entries = 0;
  for (const json::value& row : *rows) {
    const auto* object = row.if_object();
    const auto* key = object == nullptr ? nullptr : object->if_contains("key");
    const auto* parts = key == nullptr ? nullptr : key->if_array();
    FilterChange change;
    bool good = parts != nullptr && parts->size() == 3;
    for (std::size_t i = 0; good && i < 3; ++i) good = parse_text(&(*parts)[i], change.key[i]);
    if (!good) {
      return error = "a change has a key of three texts of at most " + std::to_string(kMaxFilterNameBytes) + " octets",
             false;
    }
    if (object->size() > 1) {
      change.list.emplace();
      change.list->key = change.key;
      if (object->size() != 5 || !parse_list(*object, *change.list, error)) {
        error = to_string(change.key) + ": " + (error.empty() ? "not exactly key, place, digest, to, entries" : error);
        return false;
      }
    }
    entries += change.list ? change.list->entries.size() : 0;
    if (entries > kMaxFilterEntriesAtOnce) {
      error = to_string(change.key) + ": more than " + std::to_string(kMaxFilterEntriesAtOnce) + " entries at once";
      return false;
    }
    out.push_back(std::move(change));
  }
  return true;
}

}  // namespace nfthelper
