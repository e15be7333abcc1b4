#include "ops/config_values.h"

#include <algorithm>
#include <charconv>
#include <numeric>

#include "base/bytes.h"

namespace dots::ops {
namespace {

bool is_alnum(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

std::string quoted(std::string_view text) { return "'" + std::string{text} + "'"; }

std::optional<std::uint16_t> port_of(std::string_view text) {
  std::uint16_t port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (error != std::errc{} || end != text.data() + text.size() || port == 0) return std::nullopt;
  return port;
}

std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t above = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, diagonal + (a[i - 1] == b[j - 1] ? 0 : 1)});
      diagonal = above;
    }
  }
  return row[b.size()];
}

}  // namespace

Reading<model::SocketAddress> read_socket_address(const std::string& text, std::uint16_t default_port) {
  const std::string example = "write for example '192.0.2.1:" + std::to_string(default_port) +
                              "' or '[2001:db8::1]:" + std::to_string(default_port) + "'";
  const Complaint wrong{quoted(text) + " is no address with a port", example};
  std::string_view host = text;
  std::optional<std::string_view> port_text;
  bool bracketed = false;
  if (!host.empty() && host.front() == '[') {
    const auto end = host.find(']');
    if (end == std::string_view::npos) return wrong;
    const std::string_view rest = host.substr(end + 1);
    if (!rest.empty() && rest.front() != ':') return wrong;
    if (!rest.empty()) port_text = rest.substr(1);
    host = host.substr(1, end - 1);
    bracketed = true;
  } else if (std::count(host.begin(), host.end(), ':') == 1) {
    const auto colon = host.find(':');
    port_text = host.substr(colon + 1);
    host = host.substr(0, colon);
  }
  const auto ip = model::parse_ip_address(host);
  if (!ip || (bracketed && ip->family != model::Family::ipv6)) return wrong;
  model::SocketAddress address{*ip, default_port};
  if (port_text) {
    const auto port = port_of(*port_text);
    if (!port)
      return Complaint{quoted(*port_text) + " in " + quoted(text) + " is no port", "write a number from 1 to 65535"};
    address.port = *port;
  }
  return address;
}

Reading<model::Prefix> read_owned_prefix(const std::string& text) {
  const auto prefix = model::parse_prefix(text);
  if (!prefix) {
    if (const auto address = model::parse_ip_address(text))
      return Complaint{quoted(text) + " is an address without a prefix length",
                       "write '" + model::to_string(model::host_prefix(*address)) + "'"};
    return Complaint{quoted(text) + " is no prefix: " + prefix.error().message,
                     "write for example '203.0.113.0/24' or '2001:db8::/32'"};
  }
  if (prefix->masked() != *prefix)
    return Complaint{quoted(text) + " has bits set to the right of its length",
                     "write '" + model::to_string(prefix->masked()) + "'"};
  // Supersets of reserved space (0.0.0.0/0 of a provider) may be owned; space that is reserved from end to end is a
  // slip. No reserved block is larger than a /4.
  model::IpAddress last = prefix->address;
  for (int i = prefix->length; i < last.width(); ++i)
    last.bytes[static_cast<std::size_t>(i) / 8] |= static_cast<std::uint8_t>(0x80 >> (i % 8));
  if (prefix->length >= 4) {
    const auto why = model::forbidden_target(model::host_prefix(prefix->address));
    if (why && model::forbidden_target(model::host_prefix(last)))
      return Complaint{quoted(text) + " can never be mitigated: " + *why, "write prefixes that the domain really owns"};
  }
  return *prefix;
}

Reading<std::string> read_key_fingerprint(const std::string& text) {
  std::string digits = text;
  std::erase(digits, ':');
  const auto bytes = base::from_hex(digits);
  if (bytes && bytes->size() == 32) return base::to_hex(*bytes);
  return Complaint{quoted(text) + " is no SHA-256 of a public key",
                   "write the 64 digits from: openssl pkey -in KEY -pubout -outform DER | sha256sum"};
}

Reading<std::string> read_dns_name(const std::string& text) {
  const Complaint wrong{quoted(text) + " is no DNS name", "write for example 'www.example.net'"};
  std::string name = text;
  if (!name.empty() && name.back() == '.') name.pop_back();
  if (name.empty() || name.size() > 253) return wrong;
  if (name.find('*') != std::string::npos)
    return Complaint{quoted(text) + " has a wildcard", "write the name alone: 'example.net' covers all names below it"};
  std::size_t label = 0;
  for (std::size_t i = 0; i < name.size(); ++i) {
    const char c = name[i];
    if (c == '.') {
      if (label == 0 || name[i - 1] == '-') return wrong;
      label = 0;
      continue;
    }
    if (!is_alnum(c) && c != '_' && !(c == '-' && label > 0)) return wrong;
    if (++label > 63) return wrong;
    if (c >= 'A' && c <= 'Z') name[i] = static_cast<char>(c - 'A' + 'a');
  }
  if (label == 0 || name.back() == '-') return wrong;
  return name;
}

Reading<std::string> read_identifier(const std::string& text) {
  const bool good = !text.empty() && text.size() <= 64 && std::all_of(text.begin(), text.end(), [](char c) {
    return is_alnum(c) || c == '.' || c == '_' || c == '-';
  });
  if (good) return text;
  return Complaint{quoted(text) + " is no name", "write 1 to 64 letters, digits, '.', '_' or '-'"};
}

Reading<std::string> read_line(const std::string& text, std::size_t max_bytes) {
  const Complaint wrong{text.empty() ? "the text is empty" : quoted(text) + " cannot be used here",
                        "write 1 to " + std::to_string(max_bytes) + " printable characters without spaces at the ends"};
  if (text.empty() || text.size() > max_bytes || text.front() == ' ' || text.back() == ' ') return wrong;
  for (const char c : text)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f)
      return Complaint{"the text has a control character", wrong.remedy};
  return text;
}

bool is_loopback(const model::IpAddress& address) {
  if (address.family == model::Family::ipv4) return address.bytes[0] == 127;
  return std::all_of(address.bytes.begin(), address.bytes.end() - 1, [](std::uint8_t b) { return b == 0; }) &&
         address.bytes[15] == 1;
}

std::optional<std::string> closest(std::string_view text, const std::vector<std::string>& candidates) {
  std::optional<std::string> best;
  std::size_t best_distance = std::max<std::size_t>(2, text.size() / 3) + 1;
  if (text.size() > 64) return std::nullopt;
  for (const std::string& candidate : candidates) {
    // A longer name that starts the same is a forgotten unit: 'stall' for 'stall_ms'.
    const bool started = text.size() >= 3 && candidate.starts_with(std::string{text} + "_");
    const std::size_t distance = started ? 1 : edit_distance(text, candidate);
    if (distance < best_distance) {
      best_distance = distance;
      best = candidate;
    }
  }
  return best;
}

}  // namespace dots::ops
