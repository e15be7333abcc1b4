#include "agent/server/block_answer.h"

#include <algorithm>

#include "coap/block.h"

namespace dots::agent::server {
namespace {

// Four bytes that change with the content; an ETag need not resist an attacker, it tells representations apart.
base::Bytes etag_of(base::ByteView payload) {
  std::uint32_t hash = 2166136261U;
  for (std::uint8_t byte : payload) hash = (hash ^ byte) * 16777619U;
  return {static_cast<std::uint8_t>(hash >> 24), static_cast<std::uint8_t>(hash >> 16),
          static_cast<std::uint8_t>(hash >> 8), static_cast<std::uint8_t>(hash)};
}

}  // namespace

bool BlockAnswer::first(const coap::Request& request, coap::Response& response, std::size_t room, std::size_t most,
                        base::SteadyTime until, bool bert) {
  const bool asked = request.block2.has_value();
  std::uint8_t szx = bert && room >= 1024 ? coap::Block::kBert : coap::exponent_for(room);
  if (asked) szx = std::min(szx, coap::Block::of(*request.block2).size_exponent);
  if (response.payload.size() <= room && (!asked || response.payload.size() <= coap::full_block(szx, room)))
    return true;
  if (response.payload.size() > most) return false;
  path_ = request.uri_path;
  query_ = request.uri_query;
  whole_ = response;
  whole_.etag = etag_of(response.payload);
  until_ = until;
  kept_ = true;
  response = block(0, szx, room);
  response.size2 = static_cast<std::uint32_t>(whole_.payload.size());
  return true;
}

std::optional<coap::Response> BlockAnswer::next(const coap::Request& request, std::size_t room, base::SteadyTime now,
                                                bool bert) {
  if (request.method != wire::Method::get || !request.block2) return std::nullopt;
  const coap::Block wanted = coap::Block::of(*request.block2);
  if (wanted.number == 0) return std::nullopt;
  const bool ours = kept_ && now < until_ && request.uri_path == path_ && request.uri_query == query_ &&
                    (request.etag.empty() || request.etag.front() == *whole_.etag);
  coap::Response refusal;
  refusal.code = model::ResponseCode::request_entity_incomplete;
  std::string text;
  if (!ours) {
    text = "these blocks are no longer kept: start again with block 0";
  } else if ((wanted.is_bert() && !bert) || wanted.unit() > room || wanted.offset() >= whole_.payload.size()) {
    refusal.code = model::ResponseCode::bad_request;
    text = "there is no such block";
  } else {
    return block(wanted.number, wanted.size_exponent, room);
  }
  refusal.payload.assign(text.begin(), text.end());
  return refusal;
}

coap::Response BlockAnswer::block(std::uint32_t number, std::uint8_t size_exponent, std::size_t room) const {
  coap::Response part = whole_;
  coap::Block block{number, false, size_exponent};
  const std::size_t begin = block.offset();
  const std::size_t end = std::min(begin + coap::full_block(size_exponent, room), whole_.payload.size());
  block.more = end < whole_.payload.size();
  part.payload.assign(whole_.payload.begin() + static_cast<std::ptrdiff_t>(begin),
                      whole_.payload.begin() + static_cast<std::ptrdiff_t>(end));
  part.block2 = block.value();
  return part;
}

}  // namespace dots::agent::server
