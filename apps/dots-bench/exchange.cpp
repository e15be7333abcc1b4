#include "dots-bench/exchange.h"

#include "model/response_code.h"
#include "wire/coap_view.h"
#include "wire/coap_writer.h"

namespace dots::bench {

LoadToken token_of_number(std::uint32_t number) {
  LoadToken token;
  for (std::size_t i = 0; i < token.size(); ++i) token[i] = static_cast<std::uint8_t>(number >> (24 - 8 * i));
  return token;
}

std::optional<std::uint32_t> number_of_token(base::ByteView message) {
  constexpr std::size_t kBytes = LoadToken{}.size();
  if (message.size() < 4 + kBytes || (message[0] & 0x0f) != kBytes) return std::nullopt;
  std::uint32_t number = 0;
  for (std::size_t i = 0; i < kBytes; ++i) number = number << 8 | message[4 + i];
  return number;
}

bool is_request(base::ByteView message) { return message.size() >= 4 && message[1] > 0 && message[1] < 0x20; }

base::Bytes answer_to_heartbeat(base::ByteView request, std::uint16_t message_id) {
  const auto seen = wire::view(request);
  if (!seen) return {};
  wire::MessageWriter writer{wire::MessageType::non_confirmable,
                             static_cast<std::uint8_t>(model::ResponseCode::changed), message_id, seen->token};
  return writer.take();
}

}  // namespace dots::bench
