// What text of a peer may be, before anything looks at its meaning.
#pragma once

#include <cstddef>
#include <string_view>

namespace dots::model {

// Well-formed UTF-8 (RFC 3629: no overlong forms, no surrogates).
bool is_utf8(std::string_view text);
// is_utf8 without control characters: fit for logs, terminals and comparison byte by byte.
bool is_plain_text(std::string_view text);
// inet:domain-name of RFC 6991 in its ASCII form: labels of 1 to 63 letters, digits, '-' and '_'; 253 characters in
// all; a final dot is allowed.
bool is_domain_name(std::string_view text);
// scheme ":" rest, RFC 3986 characters only.
bool is_uri(std::string_view text);
// At most `bytes` of well-formed UTF-8, cut between characters.
std::string_view clip(std::string_view text, std::size_t bytes);

}  // namespace dots::model
