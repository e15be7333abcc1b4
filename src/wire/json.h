// The JSON form of DOTS bodies (RFC 7951 with the types of RFC 9132 Table 5): names for keys and codes, 64-bit numbers
// and decimals as strings. For people, tools and tests; the signal channel itself speaks CBOR.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "model/document.h"
#include "model/document_builder.h"
#include "wire/cbor.h"

namespace dots::wire {

// The document owns its texts. retry-timer is taken as a string and as a number (Table 5 and RFC 7951 differ).
base::Result<model::Document> decode_json(std::string_view text, model::Message message, model::Manner manner,
                                          const BodyLimits& limits = kRequestLimits);

// `pretty`: for people, one member per line. A code without a name is written as a number.
std::string encode_json(const model::Document& document, bool pretty = false);

}  // namespace dots::wire
