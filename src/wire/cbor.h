// application/dots+cbor: bytes <-> documents (RFC 9132 section 6; docs/decisions: how strict the decoder is).
#pragma once

#include <cstdint>

#include "base/bytes.h"
#include "base/result.h"
#include "model/document.h"
#include "model/document_builder.h"
#include "model/shapes.h"

namespace dots::wire {

struct BodyLimits {
  std::size_t bytes = 16384;
  model::DocumentLimits document{};
};
// What a client takes from its server: the status of all its mitigations comes in one body.
inline constexpr BodyLimits kAnswerLimits{1 << 20, {65536}};
inline constexpr BodyLimits kRequestLimits{};

// The texts of the document are views into `bytes`. A leading tag 271 is passed over.
base::Result<model::Document> decode_cbor(base::ByteView bytes, model::Message message, model::Manner manner,
                                          const BodyLimits& limits = kRequestLimits);

// Canonical: shortest heads, definite lengths, keys in ascending order (RFC 8949 4.2.1).
base::Bytes encode_cbor(const model::Document& document);

}  // namespace dots::wire
