// Why a request is refused, in the words of RESTCONF (RFC 8040 7, with the choices of RFC 8783).
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace dots::data {

struct Fault {
  int status = 400;
  std::string_view tag;                   // error-tag
  std::string message;                    // error-message: to the peer; nothing about other clients
  std::string path = {};                  // error-path; may be empty
  std::string_view type = "application";  // error-type
  std::string_view app_tag = {};          // error-app-tag
  std::string via = {};                   // error-info of a loop
};

template <class T>
using Checked = base::Result<T, Fault>;

namespace fault {

inline Fault invalid_value(std::string message, std::string path = {}) {
  return {400, "invalid-value", std::move(message), std::move(path)};
}
inline Fault missing(std::string message, std::string path = {}) {
  return {400, "missing-attribute", std::move(message), std::move(path)};
}
inline Fault unknown_element(std::string message, std::string path = {}) {
  return {400, "unknown-element", std::move(message), std::move(path)};
}
inline Fault not_found(std::string message) { return {404, "invalid-value", std::move(message), {}, "protocol"}; }
inline Fault exists(std::string message, std::string path = {}) {
  return {409, "resource-denied", std::move(message), std::move(path)};
}
// No room: another 409 than a conflict, and a client tells the two apart by this.
inline constexpr std::string_view kQuotaAppTag = "too-many-elements";
inline Fault quota(std::string message) {
  return {409, "resource-denied", std::move(message), {}, "application", kQuotaAppTag};
}
// A rule of RESTCONF or HTTP rather than of DOTS.
inline Fault protocol(int status, std::string_view tag, std::string message) {
  return {status, tag, std::move(message), {}, "protocol"};
}

}  // namespace fault
}  // namespace dots::data
