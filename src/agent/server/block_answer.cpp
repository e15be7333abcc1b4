#include "agent/server/block_answer.h"

#include <algorithm>

namespace dots::agent::server {
namespace {

// SZX of the largest block that fits `room` bytes: 16 x 2^szx, 16 to 1024 (RFC 7959 2.2).
std::uint32_t exponent_for(std::size_t room) {
  std::uint32_t szx = 6;
  while (szx > 0 && (std::size_t{16} << szx) > room) --szx;
  return szx;
}

// Four bytes that change with the content; an ETag need not resist an attacker, it tells representations apart.
base::Bytes etag_of(base::ByteView payload) {
  std::uint32_t hash = 2166136261U;
  for (std::uint8_t byte : payload) hash = (hash ^ byte) * 16777619U;
  return {static_cast<std::uint8_t>(hash >> 24), static_cast<std::uint8_t>(hash >> 16),
          static_cast<std::uint8_t>(hash >> 8), static_cast<std::uint8_t>(hash)};
}

}  // namespace

bool BlockAnswer::first(const coap::Request& request, coap::Response& response, std::size_t room, std::size_t most,
                        base::SteadyTime until) {
  const bool asked = request.block2.has_value();
  std::uint32_t szx = exponent_for(room);
  if (asked) szx = std::min(szx, *request.block2 & 0x7);
  if (response.payload.size() <= room && (!asked || response.payload.size() <= (std::size_t{16} << szx))) return true;
  if (response.payload.size() > most) return false;
  path_ = request.uri_path;
  query_ = request.uri_query;
  whole_ = response;
  whole_.etag = etag_of(response.payload);
  until_ = until;
  kept_ = true;
  response = block(0, szx);
  response.size2 = static_cast<std::uint32_t>(whole_.payload.size());
  return true;
}

std::optional<coap::Response> BlockAnswer::next(const coap::Request& request, std::size_t room, base::SteadyTime now) {
  if (request.method != wire::Method::get || !request.block2 || *request.block2 >> 4 == 0) return std::nullopt;
  const std::uint32_t szx = *request.block2 & 0x7;
  const std::size_t size = std::size_t{16} << szx;
  const std::uint32_t number = *request.block2 >> 4;
  const bool ours = kept_ && now < until_ && request.uri_path == path_ && request.uri_query == query_ &&
                    (request.etag.empty() || request.etag.front() == *whole_.etag);
  coap::Response refusal;
  refusal.code = model::ResponseCode::request_entity_incomplete;
  std::string text;
  if (!ours) {
    text = "these blocks are no longer kept: start again with block 0";
  } else if (szx == 7 || size > room || std::size_t{number} * size >= whole_.payload.size()) {
    refusal.code = model::ResponseCode::bad_request;
    text = "there is no such block";
  } else {
    return block(number, szx);
  }
  refusal.payload.assign(text.begin(), text.end());
  return refusal;
}

coap::Response BlockAnswer::block(std::uint32_t number, std::uint32_t size_exponent) const {
  coap::Response part = whole_;
  const std::size_t size = std::size_t{16} << size_exponent;
  const std::size_t begin = number * size;
  const std::size_t end = std::min(begin + size, whole_.payload.size());
  const bool more = end < whole_.payload.size();
  part.payload.assign(whole_.payload.begin() + static_cast<std::ptrdiff_t>(begin),
                      whole_.payload.begin() + static_cast<std::ptrdiff_t>(end));
  part.block2 = number << 4 | (more ? 0x8U : 0U) | size_exponent;
  return part;
}

}  // namespace dots::agent::server
