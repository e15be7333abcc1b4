#include "dots-bench/ask.h"

#include <poll.h>

#include <algorithm>

#include "dots-bench/poller.h"
#include "wire/coap_view.h"

namespace dots::bench {
namespace {

constexpr std::uint8_t kLeastResponse = 2 << 5;

}  // namespace

base::Result<base::Bytes> ask(Lane& lane, base::ByteView message, base::Duration patience) {
  const auto sent = wire::view(message);
  if (!sent) return base::Error{"no message: " + sent.error().reason};
  if (lane.send(message) == 0) return base::Error{"a request could not be sent"};
  std::vector<base::Bytes> received;
  const base::SteadyTime end = steady_now() + patience;
  while (steady_now() < end) {
    pollfd ready{lane.fd(), POLLIN, 0};
    (void)::poll(&ready, 1, 100);
    received.clear();
    if (!lane.receive(received)) return base::Error{"a session ended: " + lane.reason()};
    for (auto& bytes : received) {
      const auto answer = wire::view(bytes);
      if (answer && answer->code >= kLeastResponse && std::ranges::equal(answer->token, sent->token)) return bytes;
    }
  }
  return base::Error{"a request was not answered"};
}

}  // namespace dots::bench
