#include "coap/body_assembly.h"

#include <algorithm>
#include <string>
#include <utility>

#include "coap/block.h"

namespace dots::coap {

using model::ResponseCode;

namespace {

Response answer(ResponseCode code, std::string_view text = {}) {
  Response response;
  response.code = code;
  response.payload.assign(text.begin(), text.end());
  return response;
}

}  // namespace

bool same_transfer(const Request& a, const Request& b) {
  return a.method == b.method && a.uri_path == b.uri_path && a.uri_query == b.uri_query && a.if_match == b.if_match &&
         a.content_format == b.content_format && a.request_tag == b.request_tag;
}

std::vector<BodyAssembly::Body>::iterator BodyAssembly::find(const Request& head) {
  return std::find_if(bodies_.begin(), bodies_.end(), [&](const Body& body) { return same_transfer(body.head, head); });
}

std::size_t BodyAssembly::bytes_of_others(const Body& body) const {
  std::size_t sum = 0;
  for (const Body& other : bodies_) sum += &other == &body ? 0 : other.bytes.size();
  return sum;
}

std::variant<Request, Response> BodyAssembly::take(Request request, bool reliable, base::SteadyTime now) {
  const Block block = Block::of(*request.block1);
  if (block.is_bert() && !reliable) return answer(ResponseCode::bad_request, "SZX 7 of Block1 is reserved over UDP");
  if (!block.allows(request.payload.size())) {
    return answer(ResponseCode::bad_request, "the block's length is not the one that its Block1 option says");
  }
  if (block.number == 0 && !block.more) return request;  // whole in one block
  expire(now);

  base::Bytes piece = std::exchange(request.payload, {});
  const std::size_t end = block.offset() + piece.size();
  auto body = find(request);
  if (block.number == 0) {
    if (body != bodies_.end()) bodies_.erase(body);
    if (bodies_.size() >= limits_.bodies) bodies_.erase(bodies_.begin());
    bodies_.push_back({request, {}, {}});
    body = bodies_.end() - 1;
  } else if (body == bodies_.end()) {
    return answer(ResponseCode::request_entity_incomplete,
                  "the blocks before this one are not known: begin with block 0");
  }

  if (std::max<std::size_t>(end, request.size1.value_or(0)) > limits_.bytes) {
    bodies_.erase(body);
    Response refusal = answer(ResponseCode::request_entity_too_large, "the body is too large");
    refusal.size1 = static_cast<std::uint32_t>(limits_.bytes);  // RFC 7959 2.9.3
    return refusal;
  }
  base::Bytes& bytes = body->bytes;
  if (end <= bytes.size()) {
    // A block that is here already, under a new token. It changes nothing.
    const auto begin = bytes.begin() + static_cast<std::ptrdiff_t>(block.offset());
    const bool same = std::equal(piece.begin(), piece.end(), begin) && (block.more || end == bytes.size());
    if (!same) return answer(ResponseCode::request_entity_incomplete, "the block differs from what came before");
  } else if (block.offset() != bytes.size()) {
    return answer(ResponseCode::request_entity_incomplete, "the next byte is " + std::to_string(bytes.size()));
  } else {
    bytes.insert(bytes.end(), piece.begin(), piece.end());
  }
  body->until = now + limits_.time;
  while (bytes_of_others(*body) + body->bytes.size() > limits_.bytes) {
    // The oldest of the others.
    const bool first = body == bodies_.begin();
    const auto at = body - bodies_.begin();
    bodies_.erase(bodies_.begin() + (first ? 1 : 0));
    body = bodies_.begin() + (first ? at : at - 1);
  }

  if (block.more) {
    Response go_on = answer(ResponseCode::continue_);
    go_on.block1 = block.value();
    return go_on;
  }
  request.payload = body->bytes;
  return request;
}

void BodyAssembly::expire(base::SteadyTime now) {
  std::erase_if(bodies_, [&](const Body& body) { return body.until <= now; });
}

std::optional<base::SteadyTime> BodyAssembly::next_deadline() const {
  std::optional<base::SteadyTime> next;
  for (const Body& body : bodies_) {
    if (!next || body.until < *next) next = body.until;
  }
  return next;
}

}  // namespace dots::coap
