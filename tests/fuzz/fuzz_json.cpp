// JSON bodies: the first byte chooses the message and the manner, the rest is the text.
#include <cstdio>
#include <cstdlib>

#include "model/document_builder.h"
#include "wire/cbor.h"
#include "wire/json.h"

namespace {

using namespace dots;

#define REQUIRE(condition)                                                 \
  do {                                                                     \
    if (!(condition)) {                                                    \
      std::fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
      std::abort();                                                        \
    }                                                                      \
  } while (false)

constexpr wire::BodyLimits kRoom{1 << 22, {65536}};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const auto message = model::messages()[data[0] % model::kMessages];
  const auto manner = data[0] < 128 ? model::Manner::strict : model::Manner::tolerant;
  const auto document = wire::decode_json(base::as_text({data + 1, size - 1}), message, manner);
  if (!document) {
    REQUIRE(!document.error().message.empty());
    return 0;
  }
  REQUIRE(document->items().size() <= wire::kRequestLimits.document.items);
  for (const bool pretty : {false, true}) {
    const auto again = wire::decode_json(wire::encode_json(*document, pretty), message, manner, kRoom);
    REQUIRE(again && model::same_content(*document, *again));
  }
  const base::Bytes cbor = wire::encode_cbor(*document);
  const auto from_cbor = wire::decode_cbor(cbor, message, manner, kRoom);
  REQUIRE(from_cbor && model::same_content(*document, *from_cbor));
  return 0;
}
