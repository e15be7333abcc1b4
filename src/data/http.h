// What RESTCONF asks of HTTP: media types, error bodies, entity-tags, dates and preconditions (RFC 8040 3.4.1, 5, 7;
// RFC 9110 12, 13).
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/time.h"
#include "data/fault.h"
#include "ports/http.h"
#include "ports/store.h"

namespace dots::data {

inline constexpr std::string_view kYangJson = "application/yang-data+json";

// With the headers that every answer has.
ports::HttpAnswer answer_of(int status);
ports::HttpAnswer json_answer(std::string body);
// The error in the form of RFC 8040 7.1.
ports::HttpAnswer error_answer(const Fault& fault);

// Fit for JSON, logs and terminals: what is no plain text has its odd bytes as '?'. Messages quote what a peer sent.
std::string printable(std::string_view text);

// Is this media type acceptable (Accept)? True without the field.
bool accepts(const ports::HttpHeaders& headers, std::string_view media_type);
// Is the body of this media type, in UTF-8?
bool has_type(const ports::HttpHeaders& headers, std::string_view media_type);

std::string etag_of(const ports::DataVersion& version);
// "Sun, 06 Nov 1994 08:49:37 GMT"
std::string http_date(base::WallTime time);
// Whole seconds; the two obsolete forms of RFC 9110 5.6.7 as well.
std::optional<base::WallTime> parse_http_date(std::string_view text);
void add_version(ports::HttpAnswer& answer, const ports::DataVersion& version);

enum class Precondition : std::uint8_t { holds, not_modified, failed };
// `version`: of the target; nothing when it is not there.
Precondition evaluate(const ports::HttpHeaders& headers, const std::optional<ports::DataVersion>& version, bool reads);

// Does a Via field name one of ours? (RFC 9110 7.6.3: protocol, received-by, comment)
bool via_names(const ports::HttpHeaders& headers, const std::vector<std::string>& own);

}  // namespace dots::data
