// CBOR bodies: the first byte chooses the message and the manner, the rest is the body.
#include <cstdio>
#include <cstdlib>

#include "model/document_builder.h"
#include "wire/cbor.h"
#include "wire/explain.h"
#include "wire/json.h"
#include "wire/messages.h"

namespace {

using namespace dots;

#define REQUIRE(condition)                                                 \
  do {                                                                     \
    if (!(condition)) {                                                    \
      std::fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
      std::abort();                                                        \
    }                                                                      \
  } while (false)

constexpr wire::BodyLimits kRoomForJson{1 << 22, {65536}};

void documents(base::ByteView body, model::Message message, model::Manner manner) {
  const auto document = wire::decode_cbor(body, message, manner, wire::kRequestLimits);
  if (!document) {
    REQUIRE(!document.error().message.empty());
    return;
  }
  REQUIRE(document->items().size() <= wire::kRequestLimits.document.items);
  const base::Bytes canonical = wire::encode_cbor(*document);
  const auto again = wire::decode_cbor(canonical, message, manner, wire::kRequestLimits);
  REQUIRE(again && model::same_content(*document, *again));
  REQUIRE(wire::encode_cbor(*again) == canonical);
  const auto from_json = wire::decode_json(wire::encode_json(*document), message, manner, kRoomForJson);
  REQUIRE(from_json && model::same_content(*document, *from_json));
  if (manner == model::Manner::strict) {
    const auto tolerated = wire::decode_cbor(body, message, model::Manner::tolerant, wire::kRequestLimits);
    REQUIRE(tolerated && model::same_content(*document, *tolerated));
  }
  REQUIRE(wire::explain_cbor(body));
}

void nouns(base::ByteView body) {
  if (const auto request = wire::decode_mitigation_request(body, wire::FilterControl::on)) {
    const auto again = wire::decode_mitigation_request(wire::encode(*request), wire::FilterControl::on);
    REQUIRE(again && *again == *request);
    REQUIRE(request->scope.names_a_target());
    REQUIRE(request->lifetime || request->attack_status);
  }
  if (const auto heartbeat = wire::decode_heartbeat(body)) {
    REQUIRE(*wire::decode_heartbeat(wire::encode(*heartbeat)) == *heartbeat);
  }
  if (const auto answer = wire::decode_mitigation_answer(body)) {
    // What a conflict's cause does not allow is dropped when it is written, so compare from there on.
    const base::Bytes written = wire::encode(*answer);
    const auto again = wire::decode_mitigation_answer(written);
    REQUIRE(again && wire::encode(*again) == written);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const base::ByteView body{data + 1, size - 1};
  const auto message = model::messages()[data[0] % model::kMessages];
  documents(body, message, data[0] < 128 ? model::Manner::strict : model::Manner::tolerant);
  nouns(body);
  const auto explanation = wire::explain_cbor(body);
  if (!explanation) REQUIRE(!explanation.error().message.empty());
  return 0;
}
