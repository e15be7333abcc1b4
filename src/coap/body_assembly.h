// Bodies of requests that the peer sends in blocks (RFC 7959 2.5), pure: put together here, acted upon as a whole.
//
// A transfer is known by method, path, query, If-Match, Content-Format and Request-Tag (RFC 9175 3.3). Blocks come in
// order; the first block begins anew. A whole body stays until its time is over, so that a repetition of its last block
// is the whole request again.
//
// Bounds: BodyLimits, for each session; the oldest transfer gives way to a new one.
#pragma once

#include <cstddef>
#include <optional>
#include <variant>
#include <vector>

#include "base/time.h"
#include "coap/lifetimes.h"
#include "coap/request.h"

namespace dots::coap {

struct BodyLimits {
  std::size_t bytes = 65536;  // of all bodies together
  std::size_t bodies = 4;
  base::Duration time = kExchangeLifetime;  // after the latest block
};

// Are these blocks of one body?
bool same_transfer(const Request& a, const Request& b);

class BodyAssembly {
 public:
  explicit BodyAssembly(const BodyLimits& limits) : limits_(limits) {}

  // The whole request with its last block, before that the answer to a block. `reliable`: over TCP, where BERT is
  // known. REQUIRES: request.block1.
  std::variant<Request, Response> take(Request request, bool reliable, base::SteadyTime now);

  void expire(base::SteadyTime now);
  std::optional<base::SteadyTime> next_deadline() const;
  bool empty() const { return bodies_.empty(); }

 private:
  struct Body {
    Request head;  // without payload and block
    base::Bytes bytes;
    base::SteadyTime until;
  };
  std::vector<Body>::iterator find(const Request& head);
  std::size_t bytes_of_others(const Body& body) const;

  BodyLimits limits_;
  std::vector<Body> bodies_;  // the latest last
};

}  // namespace dots::coap
