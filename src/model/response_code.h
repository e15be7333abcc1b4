// Response codes of the signal channel (RFC 9132 section 9), with the values that CoAP puts on the wire
// (class in the upper three bits, detail in the lower five; RFC 7252 5.9, 12.1.2).
#pragma once

#include <cstdint>
#include <string>

namespace dots::model {

enum class ResponseCode : std::uint8_t {
  created = 0x41,                     // 2.01
  deleted = 0x42,                     // 2.02
  valid = 0x43,                       // 2.03
  changed = 0x44,                     // 2.04
  content = 0x45,                     // 2.05
  continue_ = 0x5f,                   // 2.31 (RFC 7959)
  bad_request = 0x80,                 // 4.00
  unauthorized = 0x81,                // 4.01
  bad_option = 0x82,                  // 4.02
  forbidden = 0x83,                   // 4.03
  not_found = 0x84,                   // 4.04
  method_not_allowed = 0x85,          // 4.05
  not_acceptable = 0x86,              // 4.06
  request_entity_incomplete = 0x88,   // 4.08 (RFC 7959)
  conflict = 0x89,                    // 4.09 (RFC 8132)
  precondition_failed = 0x8c,         // 4.12
  request_entity_too_large = 0x8d,    // 4.13
  unsupported_content_format = 0x8f,  // 4.15
  unprocessable_entity = 0x96,        // 4.22 (RFC 8132)
  internal_server_error = 0xa0,       // 5.00
  not_implemented = 0xa1,             // 5.01
  service_unavailable = 0xa3,         // 5.03
  proxying_not_supported = 0xa5,      // 5.05
  hop_limit_reached = 0xa8,           // 5.08 (RFC 8768)
};

constexpr std::uint8_t code_class(ResponseCode c) { return static_cast<std::uint8_t>(c) >> 5; }
constexpr std::uint8_t code_detail(ResponseCode c) { return static_cast<std::uint8_t>(c) & 0x1f; }
constexpr bool is_success(ResponseCode c) { return code_class(c) == 2; }

// "2.01", "4.09", ...
inline std::string to_string(ResponseCode c) {
  const int detail = code_detail(c);
  return std::to_string(code_class(c)) + (detail < 10 ? ".0" : ".") + std::to_string(detail);
}

}  // namespace dots::model
