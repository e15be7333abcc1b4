// The parts of a target URI that make a scope (RFC 9132 4.4.1.1, RFC 3986 3).
#include <algorithm>
#include <array>
#include <cstdlib>
#include <string_view>

#include "policy/domain_policy.h"

namespace dots::policy {
namespace {

constexpr std::size_t kLongestUri = 2048;
constexpr std::uint8_t kTcp = 6;
constexpr std::uint8_t kUdp = 17;

// Schemes whose transport and default port are fixed by their registration.
struct Scheme {
  std::string_view name;
  std::uint8_t protocol;
  std::uint16_t port;
};
constexpr std::array<Scheme, 25> kSchemes{{
    {"http", kTcp, 80},   {"https", kTcp, 443},  {"ws", kTcp, 80},         {"wss", kTcp, 443},
    {"ftp", kTcp, 21},    {"ftps", kTcp, 990},   {"ssh", kTcp, 22},        {"sftp", kTcp, 22},
    {"telnet", kTcp, 23}, {"ldap", kTcp, 389},   {"ldaps", kTcp, 636},     {"imap", kTcp, 143},
    {"imaps", kTcp, 993}, {"pop", kTcp, 110},    {"smtp", kTcp, 25},       {"nntp", kTcp, 119},
    {"rtsp", kTcp, 554},  {"rtsps", kTcp, 322},  {"sips", kTcp, 5061},     {"mqtt", kTcp, 1883},
    {"coap", kUdp, 5683}, {"coaps", kUdp, 5684}, {"coap+tcp", kTcp, 5683}, {"coaps+tcp", kTcp, 5684},
    {"tftp", kUdp, 69},
}};

base::Error bad(std::string_view uri, const std::string& why) {
  return {"'" + std::string{uri.substr(0, 80)} + "' " + why};
}

bool is_scheme(std::string_view text) {
  const auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); };
  if (text.empty() || !letter(text.front())) return false;
  return std::all_of(text.begin(), text.end(),
                     [&](char c) { return letter(c) || (c >= '0' && c <= '9') || c == '+' || c == '-' || c == '.'; });
}

}  // namespace

base::Result<UriTarget> parse_target_uri(const std::string& uri) {
  const std::string_view text = uri;
  if (text.size() > kLongestUri) return bad(text, "is too long");
  if (std::any_of(text.begin(), text.end(), [](char c) { return c <= ' ' || c >= 0x7f; })) {
    return bad({}, "has a character that no URI has");
  }
  const std::size_t colon = text.find(':');
  if (colon == std::string_view::npos || !is_scheme(text.substr(0, colon))) return bad(text, "has no scheme");
  if (text.substr(colon + 1, 2) != "//") return bad(text, "names no host");

  std::string_view authority = text.substr(colon + 3);
  authority = authority.substr(0, authority.find_first_of("/?#"));
  if (const std::size_t at = authority.rfind('@'); at != std::string_view::npos) authority.remove_prefix(at + 1);

  std::string_view host;
  std::string_view port;
  if (!authority.empty() && authority.front() == '[') {
    const std::size_t close = authority.find(']');
    if (close == std::string_view::npos) return bad(text, "has an address without closing bracket");
    host = authority.substr(1, close - 1);
    port = authority.substr(close + 1);
    if (!port.empty() && port.front() != ':') return bad(text, "has text after the address");
    if (!port.empty()) port.remove_prefix(1);
  } else {
    const std::size_t split = authority.find(':');
    host = authority.substr(0, split);
    if (split != std::string_view::npos) port = authority.substr(split + 1);
  }

  UriTarget target;
  target.host = std::string{host};
  if (const auto address = model::parse_ip_address(host)) target.address = *address;
  const bool bracketed = authority.size() != host.size() && authority.front() == '[';
  if (bracketed != (target.address && target.address->family == model::Family::ipv6)) {
    return bad(text, "needs brackets around an IPv6 address, and only there");
  }
  if (!target.address) {
    if (!is_domain_name(target.host)) return bad(text, "names no host");
    target.host = canonical_name(target.host);
  }

  const std::string scheme = canonical_name(std::string{text.substr(0, colon)});
  const auto known = std::find_if(kSchemes.begin(), kSchemes.end(), [&](const Scheme& s) { return s.name == scheme; });
  if (known != kSchemes.end()) {
    target.protocol = known->protocol;
    target.port = known->port;
  }
  // An empty port is the default one (RFC 3986 3.2.3).
  if (!port.empty()) {
    unsigned value = 0;
    for (const char c : port) {
      if (c < '0' || c > '9' || value > 6553) return bad(text, "has no valid port");
      value = value * 10 + static_cast<unsigned>(c - '0');
    }
    if (value > 65535) return bad(text, "has no valid port");
    target.port = static_cast<std::uint16_t>(value);
  }
  return target;
}

}  // namespace dots::policy
