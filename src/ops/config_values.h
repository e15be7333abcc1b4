// The texts that configuration values are written in: each reader gives the value, or says what is wrong and what to
// write.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "model/ip.h"
#include "model/peer.h"

namespace dots::ops {

struct Complaint {
  std::string what;
  std::string remedy;
  friend bool operator==(const Complaint&, const Complaint&) = default;
};
template <class T>
using Reading = base::Result<T, Complaint>;

// "192.0.2.1:4646", "[2001:db8::1]:4646"; without a port the given one.
Reading<model::SocketAddress> read_socket_address(const std::string& text, std::uint16_t default_port);
// A prefix without host bits, of which at least something can be mitigated.
Reading<model::Prefix> read_owned_prefix(const std::string& text);
// A DNS name as RFC 1123 writes it, lower-cased, without a trailing dot.
Reading<std::string> read_dns_name(const std::string& text);
// Names in our records: 1 to 64 of letters, digits, '.', '_', '-'.
Reading<std::string> read_identifier(const std::string& text);
// Anything printable without spaces at the ends, at most `max_bytes`.
Reading<std::string> read_line(const std::string& text, std::size_t max_bytes);

// The SHA-256 of a public key in hexadecimal, also with colons between the bytes: 64 digits in lower case.
Reading<std::string> read_key_fingerprint(const std::string& text);

bool is_loopback(const model::IpAddress& address);

// The candidate that `text` was probably meant to be.
std::optional<std::string> closest(std::string_view text, const std::vector<std::string>& candidates);

}  // namespace dots::ops
