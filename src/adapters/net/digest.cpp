#include "adapters/net/digest.h"

#include <gnutls/crypto.h>

#include <array>

namespace dots::adapters::net {

std::string hmac_sha256_hex(std::string_view key, std::string_view text) {
  std::array<std::uint8_t, 32> digest{};
  gnutls_hmac_fast(GNUTLS_MAC_SHA256, key.data(), key.size(), text.data(), text.size(), digest.data());
  return base::to_hex(digest);
}

base::Result<base::Bytes> random_bytes(std::size_t count) {
  base::Bytes bytes(count);
  if (gnutls_rnd(GNUTLS_RND_KEY, bytes.data(), bytes.size()) < 0) return base::Error{"there are no random numbers"};
  return bytes;
}

}  // namespace dots::adapters::net
