// Digests and random numbers for rooms that do not see the TLS library.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/result.h"

namespace dots::adapters::net {

// HMAC-SHA256 (RFC 2104), as lower-case hexadecimal digits.
std::string hmac_sha256_hex(std::string_view key, std::string_view text);
// Good enough for keys.
base::Result<base::Bytes> random_bytes(std::size_t count);

}  // namespace dots::adapters::net
