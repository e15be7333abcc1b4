// DOTS bodies: bytes <-> nouns of the model, pure (RFC 9132 section 6).
//
// Both codecs (wire/cbor.h, wire/json.h) walk model/shapes.h; this header is the door that agents use. Decoding is
// bounded (depth, items, length) and never partly succeeds. A leading CBOR tag 271 is accepted (RFC 9132 10.5).
#pragma once

#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "model/mitigation.h"
#include "model/redirect.h"
#include "model/response_code.h"
#include "model/session_config.h"

namespace dots::wire {

inline constexpr std::uint16_t kContentFormatDots = 271;  // application/dots+cbor

// A body that cannot be taken: the code for the peer (4.00 unless said otherwise) and one sentence that names the
// attribute, by key when it is unknown (RFC 9132 section 6: "unrecognized attributes").
struct BodyFailure {
  model::ResponseCode code = model::ResponseCode::bad_request;
  std::string diagnostic;
  friend bool operator==(const BodyFailure&, const BodyFailure&) = default;
};
template <class T>
using BodyResult = base::Result<T, BodyFailure>;

// The body of PUT hb (RFC 9132 4.7).
struct Heartbeat {
  bool peer_hb_status = true;
  friend bool operator==(const Heartbeat&, const Heartbeat&) = default;
};

// Server side: validates everything that needs no knowledge of the client (one scope, a target, ranges, forbidden
// prefixes, no empty values, server-only attributes refused). Lifetime 0 and absence of lifetime are refused here,
// except that an efficacy update (attack-status present) may lack it.
// Without filter control (RFC 9133) its acl-list is an attribute that the server must know and does not.
enum class FilterControl : std::uint8_t { off, on };
BodyResult<model::MitigationRequest> decode_mitigation_request(base::ByteView cbor,
                                                               FilterControl filter_control = FilterControl::off);
BodyResult<Heartbeat> decode_heartbeat(base::ByteView cbor);
// PUT config (RFC 9132 4.5.2): what the two sets are to hold; acceptable or not is for the server's bounds.
BodyResult<model::ParameterSets> decode_session_config_request(base::ByteView cbor);

// Client side: tolerant of unknown enumeration codes and of the quirks of other servers (empty arrays, echoed options).
BodyResult<std::vector<model::MitigationEntry>> decode_mitigation_answer(base::ByteView cbor);
// The body of a 5.03 with an alternate server (RFC 9132 4.6): addresses without a name are refused.
BodyResult<model::RedirectedSignal> decode_redirected_signal(base::ByteView cbor);
BodyResult<model::SessionConfig> decode_session_config(base::ByteView cbor);

// Canonical output: shortest integers, keys in ascending order, definite lengths.
base::Bytes encode(const model::MitigationRequest& request);
base::Bytes encode(const std::vector<model::MitigationEntry>& entries);
base::Bytes encode(const Heartbeat& heartbeat);
base::Bytes encode(const model::RedirectedSignal& signal);
base::Bytes encode(const model::ParameterSets& config_request);
base::Bytes encode(const model::SessionConfig& config);

}  // namespace dots::wire
