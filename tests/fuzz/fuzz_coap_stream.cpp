// The endpoint over TCP: the input is a byte stream, cut as its first byte says. However it is cut, the same comes out,
// and what comes out can be read as frames.
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "coap/endpoint.h"
#include "wire/coap_stream.h"

namespace {

using dots::base::ByteView;

struct Outcome {
  std::vector<dots::base::Bytes> sent;
  std::size_t requests = 0;
  std::string close_reason;
  friend bool operator==(const Outcome&, const Outcome&) = default;
};

void fail(const char* why) {
  std::fprintf(stderr, "%s\n", why);
  std::abort();
}

Outcome run(ByteView stream, std::size_t piece) {
  dots::coap::EndpointLimits limits;
  limits.message_bytes = 2048;
  dots::coap::Endpoint endpoint{limits, 1, dots::model::Transport::tcp};
  dots::base::SteadyTime now{std::chrono::seconds{100}};
  Outcome outcome;
  dots::coap::Effects out;
  endpoint.start(now, out);
  for (std::size_t at = 0; at < stream.size() && out.close_reason.empty(); at += piece) {
    endpoint.on_datagram(stream.subspan(at, std::min(piece, stream.size() - at)), now, out);
  }
  outcome.requests = out.requests.size();
  // Answered when all is read, so that the pieces do not change the order.
  if (out.close_reason.empty()) {
    for (const auto& request : out.requests) {
      dots::coap::Response response;
      response.payload = request.request.payload;
      endpoint.respond(request.exchange, response, true, now, out);
    }
  }
  outcome.sent = std::move(out.send);
  outcome.close_reason = out.close_reason;
  return outcome;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const ByteView stream{data + 1, size - 1};
  const Outcome whole = run(stream, std::max<std::size_t>(stream.size(), 1));
  if (run(stream, 1 + data[0]) != whole) fail("other pieces, another outcome");
  dots::wire::FrameReader reader;
  for (const auto& bytes : whole.sent) reader.append(bytes);
  for (;;) {
    const auto message = reader.next(1U << 20, {SIZE_MAX, SIZE_MAX, SIZE_MAX});
    if (!message) fail("a frame of ours cannot be read");
    if (!*message) break;
  }
  if (reader.waiting() != 0) fail("a frame of ours is cut short");
  return 0;
}
