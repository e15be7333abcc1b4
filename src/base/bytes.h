// Bytes as they travel: an owning buffer, a view, and hexadecimal for people.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace dots::base {

using Bytes = std::vector<std::uint8_t>;
using ByteView = std::span<const std::uint8_t>;

inline ByteView as_bytes(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}
inline std::string_view as_text(ByteView bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }

// Lower-case hexadecimal without separators.
std::string to_hex(ByteView bytes);
// Accepts upper and lower case and white space between bytes; nothing when a digit is missing or foreign.
std::optional<Bytes> from_hex(std::string_view text);
// RFC 4648 section 5 alphabet without padding, as cuid and cdid use it (RFC 9132 4.4.1.1).
std::string to_base64url(ByteView bytes);

}  // namespace dots::base
