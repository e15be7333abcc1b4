#include "coap/encoding.h"

#include <algorithm>
#include <array>
#include <cassert>

#include "wire/coap_writer.h"

namespace dots::coap {

namespace {

using wire::OptionNumber;

// Enough for an ETag and the numeric options with their headers.
constexpr std::size_t kSmallOptions = 40;

bool is_too_long(const Request& request) {
  const auto longer_than = [](std::size_t most) { return [most](const auto& value) { return value.size() > most; }; };
  return std::any_of(request.uri_path.begin(), request.uri_path.end(), longer_than(255)) ||
         std::any_of(request.uri_query.begin(), request.uri_query.end(), longer_than(255)) ||
         std::any_of(request.if_match.begin(), request.if_match.end(), longer_than(8)) ||
         std::any_of(request.etag.begin(), request.etag.end(), longer_than(8)) ||
         std::any_of(request.request_tag.begin(), request.request_tag.end(), longer_than(8)) ||
         std::any_of(request.etag.begin(), request.etag.end(), [](const auto& value) { return value.empty(); });
}

}  // namespace

std::optional<base::Bytes> write_request(const Header& header, const Token& token, const Request& request) {
  if (is_too_long(request)) return std::nullopt;
  std::size_t room = kSmallOptions + request.payload.size();
  for (const auto& segment : request.uri_path) room += segment.size() + 2;
  for (const auto& query : request.uri_query) room += query.size() + 2;
  wire::MessageWriter writer{header.type, static_cast<std::uint8_t>(request.method), header.message_id, token.view(),
                             room};
  for (const auto& value : request.if_match) writer.option(OptionNumber::if_match, value);
  for (const auto& value : request.etag) writer.option(OptionNumber::etag, value);
  if (request.observe) writer.uint_option(OptionNumber::observe, *request.observe);
  for (const auto& segment : request.uri_path) writer.option(OptionNumber::uri_path, base::as_bytes(segment));
  if (request.content_format) writer.uint_option(OptionNumber::content_format, *request.content_format);
  for (const auto& query : request.uri_query) writer.option(OptionNumber::uri_query, base::as_bytes(query));
  if (request.hop_limit) writer.uint_option(OptionNumber::hop_limit, *request.hop_limit);
  if (request.accept) writer.uint_option(OptionNumber::accept, *request.accept);
  if (request.q_block1) writer.uint_option(OptionNumber::q_block1, *request.q_block1);
  if (request.block2) writer.uint_option(OptionNumber::block2, *request.block2);
  if (request.block1) writer.uint_option(OptionNumber::block1, *request.block1);
  for (const std::uint32_t value : request.q_block2) writer.uint_option(OptionNumber::q_block2, value);
  if (request.size1) writer.uint_option(OptionNumber::size1, *request.size1);
  for (const auto& value : request.request_tag) writer.option(OptionNumber::request_tag, value);
  writer.payload(request.payload);
  return writer.take();
}

std::size_t encoded_size(const Request& request) {
  static constexpr std::array<std::uint8_t, 8> kToken{};
  const auto bytes = write_request({}, Token{kToken}, request);
  return bytes ? bytes->size() : 0;
}

base::Bytes write_response(const Header& header, const Token& token, const Response& response,
                           std::optional<std::uint32_t> observe) {
  wire::MessageWriter writer{header.type, static_cast<std::uint8_t>(response.code), header.message_id, token.view(),
                             kSmallOptions + response.payload.size()};
  if (response.etag) {
    assert(!response.etag->empty() && response.etag->size() <= 8);
    writer.option(OptionNumber::etag, *response.etag);
  }
  if (observe) writer.uint_option(OptionNumber::observe, *observe);
  if (response.content_format) writer.uint_option(OptionNumber::content_format, *response.content_format);
  if (response.max_age_s) writer.uint_option(OptionNumber::max_age, *response.max_age_s);
  if (response.q_block1) writer.uint_option(OptionNumber::q_block1, *response.q_block1);
  if (response.block2) writer.uint_option(OptionNumber::block2, *response.block2);
  if (response.block1) writer.uint_option(OptionNumber::block1, *response.block1);
  if (response.size2) writer.uint_option(OptionNumber::size2, *response.size2);
  if (response.q_block2) writer.uint_option(OptionNumber::q_block2, *response.q_block2);
  if (response.size1) writer.uint_option(OptionNumber::size1, *response.size1);
  writer.payload(response.payload);
  return writer.take();
}

base::Bytes write_error(const Header& header, base::ByteView token, model::ResponseCode code, std::string_view text) {
  wire::MessageWriter writer{header.type, static_cast<std::uint8_t>(code), header.message_id, token, text.size() + 1};
  writer.payload(base::as_bytes(text));
  return writer.take();
}

}  // namespace dots::coap
