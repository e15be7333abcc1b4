// One request of ours whose body or answer does not fit one message, block by block (RFC 7959), pure.
//
// In lock-step: next() is the message to send, on_response() takes its answer. Whoever holds it repeats and paces the
// messages; each is an exchange of its own. A body leaves under Block1; an answer that comes in blocks is fetched by
// further requests that name its ETag (RFC 9132 4.4.2), in the size that the server chose.
//
// Bounds: BlockLimits. A transfer that cannot go on begins again with its first block, a few times.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "coap/block.h"
#include "coap/request.h"

namespace dots::coap {

struct BlockLimits {
  std::size_t answer_bytes = 65536;
  int restarts = 8;
};

// Is this the first part of an answer that more requests have to fetch?
bool comes_in_blocks(const Response& response);

class BlockTransfer {
 public:
  explicit BlockTransfer(Request whole, const BlockLimits& limits = {});

  // The body goes in blocks of at most `room` bytes. REQUIRES: room >= 16, nothing sent yet.
  void split(std::size_t room, bool bert);
  bool is_split() const { return split_; }

  Request next() const;
  // What the server says in the end; nothing while next() has more to ask or to send.
  std::optional<Response> on_response(Response response);
  // There is a newer answer than the one being fetched: begin with its first block. `asked`: next() has been sent.
  void begin_again(bool asked);

 private:
  Block sending() const;
  std::optional<Response> on_sent(Response& response, bool& settled);
  std::optional<Response> collect(Response response);
  std::optional<Response> restart(Response otherwise);

  Request whole_;
  BlockLimits limits_;
  int restarts_ = 0;

  bool split_ = false;
  bool stale_ = false;  // the answer to what was sent last is of no use
  std::size_t room_ = 0;
  std::uint8_t sending_exponent_ = 6;
  std::size_t sent_ = 0;  // bytes that the server has

  bool fetching_ = false;
  std::uint8_t fetching_exponent_ = 6;
  std::optional<Response> collected_;  // the answer so far
};

}  // namespace dots::coap
